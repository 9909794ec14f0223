//! External workers: the example `examples/worker.py` against a real server, and the server's
//! handling of workers that are killed, frozen, late or hostile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use botarmy_tests::access::worker;
use botarmy_tests::server::{TIMEOUT, TestServer, client_builder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::documentation::{BASE, blocks, first_start, read, root};

const LEASES: &str = "/api/v1/worker/leases";

/// Starts a server without internal coders, whose leases last a minute. The poll interval is so
/// long that only a notification can wake a waiting request.
async fn server() -> TestServer {
    forgiving("60").await
}

/// The same with leases of this many seconds.
async fn forgiving(lease_s: &str) -> TestServer {
    TestServer::with(&[
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        ("BOTARMY_WORKER__LEASE_S", lease_s),
        ("BOTARMY_WORKER__POLL_MS", "600000"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50"),
    ])
    .await
}

/// The example worker with a state file; killed when the test ends.
struct Example {
    child: Child,
    state: PathBuf,
}

impl Example {
    fn start(server: &TestServer, dir: &Path, name: &str, seconds: f32) -> Self {
        let state = dir.join(format!("{name}.json"));
        let child = Command::new("python3")
            .arg(root().join("examples/worker.py"))
            .args(["coder", "--url", &server.base, "--name", name])
            .arg("--state")
            .arg(&state)
            .args(["--seconds", &seconds.to_string()])
            .env("no_proxy", "*")
            .envs(botarmy_tests::access::environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 is not installed, and the example of a worker needs it");
        Self { child, state }
    }

    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Returns the lease that it holds.
    fn lease(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.state).unwrap()).unwrap()
    }
}

/// Waits until the task has this status and this number of attempts.
async fn until(server: &TestServer, id: &str, status: &str, attempt: u64) -> Value {
    let is = |task: &Value| task["status"] == status && task["attempt"] == attempt;
    server.until(|server| async move { is(&server.task(id).await) }).await;
    server.task(id).await
}

async fn count(server: &TestServer, project: &str, kind: &str) -> usize {
    server.events(project).await.iter().filter(|event| event["event_type"] == kind).count()
}

/// Answers the question of the example.
async fn answer(server: &TestServer, project: &str) {
    let gate = server.next_gate(project).await.unwrap();
    assert_eq!(gate["question"], "Which language?");
    let (status, said) = server.respond(&gate, json!({"action": "amend", "content": "Rust"})).await;
    assert_eq!(status, 200, "{said}");
}

/// Leases a task for a worker of this name; `None` if none is pending in time.
async fn take(server: &TestServer, worker: &str, wait_s: u32) -> Option<Value> {
    let body = json!({"worker_id": worker, "agents": ["coder"], "max": 1, "wait_s": wait_s});
    let (status, answer) = server.post(LEASES, body).await;
    match status {
        200 => Some(answer["leases"][0].clone()),
        204 => None,
        _ => panic!("{answer}"),
    }
}

/// Sends a request about a lease.
async fn say(server: &TestServer, lease: &Value, verb: &str, body: Value) -> (u16, Value) {
    server.say(lease, verb, body).await
}

#[tokio::test]
async fn the_example_asks_a_person_and_finishes_with_the_answer() {
    let (server, dir) = (server().await, TempDir::new().unwrap());
    let _example = Example::start(&server, dir.path(), "ada", 0.0);
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    answer(&server, &project).await;
    let task = until(&server, &id, "completed", 2).await;
    assert_eq!(task["output"]["markdown"], "# A greeting\n\nIn Rust.");
    server
        .until(|server| async {
            server.get(&format!("/api/v1/projects/{project}")).await.1["status"] == "completed"
        })
        .await;
    let events = server.events(&project).await;
    let completed = events.iter().find(|event| event["event_type"] == "task_completed").unwrap();
    assert_eq!(completed["event_source"], "agent");
    assert!(completed.to_string().contains(&worker("ada")), "{completed}");
}

/// Answers gates until the log of a project has an entry of this type for this step.
async fn go_on_until(server: &TestServer, project: &str, step: &str, kind: &str) -> Value {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        for event in server.events(project).await {
            if event["event_type"] == kind && event.to_string().contains(&format!("\"{step}\"")) {
                return event;
            }
        }
        let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
        for gate in server.get(&path).await.1.as_array().unwrap() {
            assert_ne!(gate["kind"], "failure", "{gate}");
            server.respond(gate, json!({"action": "approve"})).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is no {kind} of {step}")
}

#[tokio::test]
async fn the_example_makes_documents_of_the_form_that_a_step_needs() {
    let (server, dir) = (server().await, TempDir::new().unwrap());
    let _example = Example::start(&server, dir.path(), "ada", 0.0);
    let project = server.project("A list of recipes").await;
    for step in ["Code Generation", "Code Refinement"] {
        let done = go_on_until(&server, &project, step, "task_completed").await;
        assert!(done.to_string().contains(&worker("ada")), "{done}");
    }
    assert_eq!(count(&server, &project, "task_retry_scheduled").await, 0);
}

#[tokio::test]
async fn the_example_reports_a_refused_result_with_the_reason() {
    let dir = TempDir::new().unwrap();
    let flows = dir.path().join("flows");
    std::fs::create_dir(&flows).unwrap();
    let flow = r#"
        name = "strict"
        [[step]]
        phase = "Build"
        name = "Numbering"
        agent = "coder"
        inputs = ["user_input"]
        output = "agent_output"
        max_attempts = 1
        output_schema = '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "pattern": "^[0-9]+$"}}}'
    "#;
    std::fs::write(flows.join("strict.toml"), flow).unwrap();
    let server = TestServer::with(&[
        ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
        ("BOTARMY_WORKFLOWS__DIR", flows.to_str().unwrap()),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
    ])
    .await;
    let _example = Example::start(&server, dir.path(), "ada", 0.0);
    let body = json!({"name": "Numbers", "description": "Numbers", "workflow": "strict"});
    let (status, project) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{project}");
    let project = project["id"].as_str().unwrap();
    let question = server.next_gate(project).await.unwrap();
    server.respond(&question, json!({"action": "approve"})).await;
    let failure = loop {
        let gate = server.next_gate(project).await.unwrap();
        if gate["request_id"] != question["request_id"] {
            break gate;
        }
    };
    let text = failure["question"].as_str().unwrap();
    assert!(text.contains("/id") && text.contains("does not match"), "{failure}");
    assert_eq!(count(&server, project, "task_failed").await, 1);
}

#[tokio::test]
async fn a_killed_example_that_is_started_again_goes_on_where_it_was() {
    let (server, dir) = (server().await, TempDir::new().unwrap());
    let example = Example::start(&server, dir.path(), "ada", 60.0);
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    answer(&server, &project).await;
    until(&server, &id, "working", 2).await;
    let there = || example.state.exists();
    server.until(|_| async { there() }).await;
    example.kill().await;
    let _again = Example::start(&server, dir.path(), "ada", 0.0);
    let task = until(&server, &id, "completed", 2).await;
    assert_eq!(task["failures"], 0, "the lease was still alive");
}

#[tokio::test]
async fn what_a_killed_example_had_is_finished_by_another_exactly_once() {
    let (server, dir) = (forgiving("3").await, TempDir::new().unwrap());
    let example = Example::start(&server, dir.path(), "ada", 60.0);
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    answer(&server, &project).await;
    until(&server, &id, "working", 2).await;
    let there = || example.state.exists();
    server.until(|_| async { there() }).await;
    let lease = example.lease();
    example.kill().await;
    let _other = Example::start(&server, dir.path(), "bob", 0.0);
    until(&server, &id, "completed", 3).await;

    // The package of the completed project is generated concurrently.
    let packaged = async || count(&server, &project, "artifacts_generated").await == 1;
    server.until(|_| packaged()).await;
    let before = server.events(&project).await.len();
    let late = json!({"output": {"markdown": "mine"}});
    let (status, problem) = say(&server, &lease, "complete", late).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:botarmy:problem:lease_lost")));
    assert_eq!(server.events(&project).await.len(), before);
    assert_eq!(count(&server, &project, "task_completed").await, 1);
    assert_eq!(server.task(&id).await["output"]["markdown"], "# A greeting\n\nIn Rust.");
}

#[tokio::test]
async fn a_frozen_example_comes_too_late_and_takes_the_next_task() {
    let (server, dir) = (forgiving("3").await, TempDir::new().unwrap());
    let example = Example::start(&server, dir.path(), "ada", 1.0);
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    answer(&server, &project).await;
    until(&server, &id, "working", 2).await;
    example.signal(Signal::STOP);
    let lease = take(&server, "bob", 30).await.expect("the lease lapses");
    assert_eq!((&lease["fence"], &lease["task"]["task"]["id"]), (&json!(3), &json!(id)));
    assert_eq!(lease["task"]["resume"]["answers"][0]["content"], "Rust");
    example.signal(Signal::CONT);
    let next = server.submit(&project, "coder", "A greeting").await;
    until(&server, &next, "waiting_for_hitl", 1).await;
    assert_eq!(server.task(&id).await["lease"]["worker_id"], worker("bob"));
    let (status, done) = say(&server, &lease, "complete", json!({"output": {"by": "bob"}})).await;
    assert_eq!((status, &done["status"]), (200, &json!("completed")));
    assert_eq!(server.task(&id).await["output"], json!({"by": "bob"}));
}

#[tokio::test]
async fn of_many_workers_no_two_get_one_task_and_the_same_result_twice_is_taken_once() {
    let server = server().await;
    let project = server.by_hand().await;
    for _ in 0..30 {
        server.submit(&project, "coder", "A greeting").await;
    }
    let polls = (0..40).map(|n| {
        let (server, worker) = (&server, format!("w-{n}"));
        async move { take(server, &worker, 0).await }
    });
    let leases: Vec<_> =
        futures_util::future::join_all(polls).await.into_iter().flatten().collect();
    let ids: BTreeSet<_> =
        leases.iter().map(|lease| lease["task"]["task"]["id"].as_str()).collect();
    assert_eq!((leases.len(), ids.len()), (30, 30));
    for lease in &leases[1..] {
        assert_eq!(say(&server, lease, "complete", json!({"output": {}})).await.0, 200);
    }
    let body = json!({"output": {"a": 1}});
    let first = say(&server, &leases[0], "complete", body.clone()).await;
    assert_eq!((first.0, say(&server, &leases[0], "complete", body).await), (200, first));
    assert_eq!(count(&server, &project, "task_completed").await, 30);
}

#[tokio::test]
async fn a_waiting_worker_has_a_task_within_a_tenth_of_a_second() {
    let server = server().await;
    let project = server.by_hand().await;
    let mut best = TIMEOUT;
    for _ in 0..10 {
        let waiting = take(&server, "w", 30);
        tokio::pin!(waiting);
        let asked = tokio::time::sleep(Duration::from_millis(100));
        tokio::select! {
            early = &mut waiting => panic!("there was nothing to do: {early:?}"),
            () = asked => {}
        }
        let started = Instant::now();
        let (_, leased) = tokio::join!(server.submit(&project, "coder", "A greeting"), waiting);
        best = best.min(started.elapsed());
        assert!(leased.is_some());
    }
    assert!(best < Duration::from_millis(100), "the fastest of ten took {best:?}");
}

#[tokio::test]
async fn a_stopping_server_answers_waiting_workers_and_a_killed_one_keeps_its_leases() {
    let mut server = server().await;
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    let lease = take(&server, "w", 0).await.unwrap();
    server.kill_and_restart().await;
    assert_eq!(say(&server, &lease, "heartbeat", json!({"progress": 50})).await.0, 200);

    let body = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 30}).to_string();
    let client = client_builder().no_proxy().build().unwrap();
    let poll = client.post(format!("{}{LEASES}", server.base)).body(body).send();
    let waiting = tokio::spawn(poll);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "there was nothing to do");
    let started = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
    server.start_again().await;
    let (status, done) = say(&server, &lease, "complete", json!({"output": {"a": 1}})).await;
    assert_eq!((status, &done["task_id"]), (200, &json!(id)));
}

#[tokio::test]
async fn a_hostile_worker_is_refused_and_changes_nothing() {
    let server = server().await;
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "A greeting").await;
    let lease = take(&server, "w", 0).await.unwrap();
    let name = lease["lease"].as_str().unwrap();
    let before = server.events(&project).await.len();
    // Another fence and an unknown task; another worker, for whom the token is not good; and what
    // is not a lease.
    let fence = format!("{}00000002{}", &name[..32], &name[40..]);
    let unknown = format!("{}{}", "0".repeat(32), &name[32..]);
    for (lie, expected) in [
        (fence, 409),
        (unknown, 409),
        (format!("{name}78"), 401),
        // Without the name of a worker.
        (name[..40 + 2 * "external/".len()].to_owned(), 404),
        (format!("{name}f"), 404),
        (format!("{name}00"), 404),
        (name.to_uppercase(), 404),
    ] {
        for (verb, body) in [
            ("heartbeat", json!({})),
            ("complete", json!({"output": {"a": 1}})),
            ("ask", json!({"question": "?"})),
            ("fail", json!({"code": "x", "message": "x", "retryable": false})),
        ] {
            let lie = json!({"lease": lie, "token": lease["token"]});
            let (status, said) = say(&server, &lie, verb, body).await;
            assert_eq!(status, expected, "{verb} {lie}: {said}");
        }
    }
    assert_eq!(server.events(&project).await.len(), before);

    // The holder of the lease is refused too, and the reasons are all that is recorded.
    let large = json!({"output": {"text": "x".repeat(11 << 20)}});
    assert_eq!(say(&server, &lease, "complete", large).await.0, 413);
    let foreign = json!({"question": "?", "artifacts": [project]});
    assert_eq!(say(&server, &lease, "ask", foreign).await.0, 422);
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#"});
    let draft = json!({"question": "?", "response_schema": schema});
    let (status, said) = say(&server, &lease, "ask", draft).await;
    assert_eq!((status, &said["errors"][0]["field"]), (422, &json!("response_schema")), "{said}");
    assert_eq!(count(&server, &project, "task_result_refused").await, 3);
    assert_eq!(server.events(&project).await.len(), before + 3);

    // Paths out of the folder are refused, and the lease stays.
    let with = |path: &str| {
        let files = json!([{"path": path, "content": "x"}, {"path": "a.py", "content": "1"}]);
        let artifact = json!({"artifact_type": "source_code", "content": {"files": files}});
        json!({"output": {}, "artifacts": [artifact]})
    };
    let (status, said) = say(&server, &lease, "complete", with("../../etc/passwd")).await;
    assert_eq!((status, &said["errors"][0]["field"]), (422, &json!("output")), "{said}");
    assert!(said.to_string().contains("leads out of its folder"), "{said}");
    assert_eq!(count(&server, &project, "task_result_refused").await, 4);
    assert_eq!(server.events(&project).await.len(), before + 4);
    assert_eq!(say(&server, &lease, "complete", with("b.py")).await.0, 200);
    assert_eq!(server.task(&id).await["status"], "completed");
    let path = format!("/api/v1/artifacts/{project}");
    assert_eq!(server.post(&format!("{path}/generate"), json!({})).await.0, 200);
    let (_, summary) = server.get(&format!("{path}/summary")).await;
    let names: Vec<_> =
        summary["artifacts"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert!(names.contains(&json!("source/a.py")), "{names:?}");
}

#[tokio::test]
async fn the_reason_of_a_refused_result_is_shown_with_the_task_and_at_the_failure_gate() {
    let server = forgiving("4").await;
    let project = server.by_hand().await;
    let body = json!({"agent_type": "coder", "instructions": "A greeting", "max_attempts": 1});
    let (_, submitted) = server.post(&format!("/api/v1/projects/{project}/tasks"), body).await;
    let id = submitted["task_id"].as_str().unwrap().to_owned();
    let lease = take(&server, "w", 0).await.unwrap();
    assert_eq!(server.task(&id).await["refused_result"], Value::Null);
    let path = format!("{}{LEASES}/{}/complete", server.base, lease["lease"].as_str().unwrap());
    let client = client_builder().no_proxy().build().unwrap();
    let complete = async |token: &str, body: String| {
        let request = client.post(&path).bearer_auth(token).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    let token = lease["token"].as_str().unwrap();
    let deep = format!("{{\"output\":{{\"a\":{}{}}}}}", "[".repeat(127), "]".repeat(127));
    let twice = r#"{"output":{"a":1,"a":2}}"#;
    for (body, status, reason) in [
        ("{\"output\":", 400, "Malformed JSON"),
        (deep.as_str(), 422, "is nested more than 128 levels deep"),
        (r#"{"output":{"a":1234567890123456789012345}}"#, 422, "output.a: the number"),
        (r#"{"output":{},"confidence":2}"#, 422, "confidence: must be 0 to 1"),
        (twice, 422, "output.a: occurs twice in the same object"),
    ] {
        // Once from a stranger, and twice from the worker.
        assert_eq!(
            complete(&token.replace(char::is_alphanumeric, "0"), body.to_owned()).await / 100,
            4
        );
        for _ in 0..2 {
            assert_eq!(complete(token, body.to_owned()).await, status, "{body:.40}");
        }
        let task = server.task(&id).await;
        assert_eq!((&task["status"], &task["attempt"]), (&json!("working"), &json!(1)));
        let told = task["refused_result"]["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    }
    let task = server.task(&id).await;
    assert_eq!(task["refused_result"]["count"], 5);
    assert_eq!(count(&server, &project, "task_result_refused").await, 5);
    let (_, listed) = server.get(&format!("/api/v1/projects/{project}/tasks")).await;
    assert_eq!(listed["items"][0]["refused_result"], task["refused_result"]);

    let gate = server.next_gate(&project).await.unwrap();
    let question = gate["question"].as_str().unwrap();
    let silent = format!(
        "The worker {} fell silent. Its last result was refused: output.a: occurs twice in the same \
         object. Approve to try again",
        worker("w")
    );
    assert!(question.contains(&silent), "{question}");
    let task = server.task(&id).await;
    assert_eq!(task["error_code"], "lease_lapsed");
    assert!(task["error_message"].as_str().unwrap().contains("output.a: occurs twice"), "{task}");
    let verified = format!("/api/v1/audit/projects/{project}/verify?state=true");
    let (status, verified) = server.get(&verified).await;
    assert_eq!((status, &verified["valid"]), (200, &json!(true)), "{verified}");
}

#[tokio::test]
async fn the_conversation_in_the_documentation_is_one() {
    let (server, dir) = first_start(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await;
    let script = blocks(&read("docs/workers.md"), "sh worker").join("\n");
    let script = format!("set -euo pipefail\n{}", script.replace(BASE, &server.base));
    let mut talk = Command::new("bash");
    talk.args(["-c", &script]).env("no_proxy", "*").current_dir(dir.path());
    let talk = talk.output();
    let output = tokio::time::timeout(TIMEOUT, talk).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains(r#""cancel":false"#) && said.contains(r#""status":"completed""#),
        "{said}"
    );
}
