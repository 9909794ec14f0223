//! The server is killed in each state of a task. After a restart on the same data every task has
//! exactly one result, and every token is counted once.

use std::path::Path;
use std::time::{Duration, Instant};

use botarmy_tests::prove::repeat;
use botarmy_tests::providers::{Double, Protocol, Reply, TOKENS, sensible};
use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use serde_json::{Value, json};
use tempfile::TempDir;

const LEASES: &str = "/api/v1/worker/leases";
/// Rounds of each test under `just prove`.
const ROUNDS: u32 = 20;

/// Starts a server whose coders and analysts use the double.
async fn with_model(double: &Double, more: &[(&str, &str)]) -> TestServer {
    let url = double.url(Protocol::OpenAi);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let agents = agents.map(|agent| format!("BOTARMY_AGENTS__{agent}__RUNNER"));
    let mut variables = vec![
        ("BOTARMY_PROVIDERS__TEST__KIND", "compatible"),
        ("BOTARMY_PROVIDERS__TEST__BASE_URL", url.as_str()),
        ("BOTARMY_WORKER__POLL_MS", "50"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50"),
    ];
    variables.extend(agents.iter().map(|agent| (agent.as_str(), "llm:test/model-1.5")));
    variables.extend(more);
    TestServer::with(&variables).await
}

/// Starts a server without internal coders.
async fn waiting_for_workers() -> TestServer {
    TestServer::with(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await
}

async fn until(server: &TestServer, id: &str, status: &str) -> Value {
    server.until_is(&format!("/api/v1/tasks/{id}"), "/status", status).await;
    server.task(id).await
}

/// Leases the task as an external worker.
async fn take(server: &TestServer) -> Value {
    let body = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 10});
    let (status, answer) = server.post(LEASES, body).await;
    assert_eq!(status, 200, "{answer}");
    answer["leases"][0].clone()
}

async fn say(server: &TestServer, lease: &Value, verb: &str, body: Value) -> (u16, Value) {
    server.say(lease, verb, body).await
}

/// Returns input and output tokens.
fn tokens(usage: &Value) -> (u64, u64) {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    (count("input_tokens"), count("output_tokens"))
}

/// Returns the usage of a task by the log: a failed attempt records the usage so far, the
/// completing attempt and each question record their own.
fn logged(events: &[Value], id: &str) -> (u64, u64) {
    let mut all = (0, 0);
    for event in events.iter().filter(|event| event["task_id"] == id) {
        let used = tokens(&event["event_data"]["usage"]);
        match event["event_type"].as_str().unwrap() {
            "task_retry_scheduled" | "task_failed" if !event["event_data"]["usage"].is_null() => {
                assert!(used.0 >= all.0 && used.1 >= all.1, "it became less: {event}");
                all = used;
            }
            "task_completed" | "hitl_request_created" => all = (all.0 + used.0, all.1 + used.1),
            _ => {}
        }
    }
    all
}

/// Checks that every task of the project ended once, that its log is complete, and that tasks and
/// project used what the log records. Returns the log.
async fn ended_once(server: &TestServer, project: &str) -> Vec<Value> {
    let events = server.events(project).await;
    for (n, event) in (1..).zip(&events) {
        assert_eq!(event["seq"], n, "the log has a gap");
    }
    let created = events.iter().filter(|event| event["event_type"] == "task_created");
    let ids: Vec<_> = created.filter_map(|event| event["task_id"].as_str()).collect();
    assert!(!ids.is_empty());
    let mut spent = 0;
    for id in ids {
        let of = |kind: &str| {
            let ours = events.iter().filter(|event| event["task_id"] == id);
            ours.filter(|event| event["event_type"] == kind).count()
        };
        assert_eq!(of("task_completed"), 1, "task {id}: {events:#?}");
        let task = server.task(id).await;
        assert_eq!(task["status"], "completed", "{task}");
        assert_eq!(of("task_started") as u64, task["attempt"].as_u64().unwrap(), "{task}");
        let used = tokens(&task["usage"]);
        assert_eq!(used, logged(&events, id), "{task}: {events:#?}");
        spent += used.0 + used.1;
    }
    let (_, usage) = server.get(&format!("/api/v1/projects/{project}/usage")).await;
    assert_eq!(usage["total"]["tokens"], spent, "{usage}");
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
    events
}

fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event_type"] == kind).count()
}

#[tokio::test]
async fn a_task_that_had_not_begun_is_done_once() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = waiting_for_workers().await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
        server.kill_and_restart().await;
        assert_eq!(server.task(&id).await["status"], "pending");
        let lease = take(&server).await;
        let body = json!({"output": {"a": 1}, "usage": {"input_tokens": 7, "output_tokens": 3}});
        assert_eq!(say(&server, &lease, "complete", body).await.0, 200);
        assert_eq!(count(&ended_once(&server, &project).await, "task_started"), 1);
        assert_eq!(tokens(&server.task(&id).await["usage"]), (7, 3));
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_answer_is_requested_again_and_counted_once() {
    repeat(ROUNDS, async |mut dice| {
        let double = Double::start(sensible).await;
        let mut server = with_model(&double, &[]).await;
        for _ in 0..3 {
            let project = server.by_hand().await;
            let before = double.asked().len();
            // In eight pieces, of which the last never arrives.
            double.then(Reply::Slowly(Duration::from_millis(200), "It goes on. ".repeat(40)));
            let id = server.submit(&project, "coder", "A greeting").await;
            server.until(|_| async { double.asked().len() > before }).await;
            tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
            assert_eq!((double.open(), &server.task(&id).await["status"]), (1, &json!("working")));
            server.kill_and_restart().await;
            let done = until(&server, &id, "completed").await;
            assert_eq!(double.asked().len(), before + 2);
            server.until(|_| async { double.open() == 0 }).await;
            // The usage of the interrupted attempt is unknown; the interruption is not a failure.
            assert_eq!((tokens(&done["usage"]), &done["failures"]), (TOKENS, &json!(0)), "{done}");
            let events = ended_once(&server, &project).await;
            let expired_leases =
                events.iter().filter(|event| event["event_type"] == "task_lease_lapsed");
            let reasons: Vec<_> =
                expired_leases.map(|event| &event["event_data"]["reason"]).collect();
            assert_eq!(reasons, ["the server was restarted"]);
        }
    })
    .await;
}

#[tokio::test]
async fn where_servers_share_a_database_the_lease_of_a_killed_one_expires_and_nothing_counts_twice()
{
    repeat(ROUNDS, async |mut dice| {
        let Some(database) = services::database().await else { return };
        let double = Double::start(sensible).await;
        double.then(Reply::Slowly(Duration::from_millis(200), "It goes on. ".repeat(40)));
        let url = database.url();
        let more = [
            ("BOTARMY_STORE__URL", url.as_str()),
            ("BOTARMY_WORKER__LEASE_S", "2"),
            ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
        ];
        let mut server = with_model(&double, &more).await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        server.until(|_| async { double.asked().len() == 1 }).await;
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        server.kill_and_restart().await;
        let done = until(&server, &id, "completed").await;
        // Other servers cannot know whether a server is alive until its lease expires, which counts
        // as a failure.
        assert_eq!((tokens(&done["usage"]), &done["failures"]), (TOKENS, &json!(1)), "{done}");
        assert_eq!(count(&ended_once(&server, &project).await, "task_lease_lapsed"), 1);
    })
    .await;
}

/// Returns whether the process with this id is running.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Starts a server whose coder is this script.
async fn running(folder: &TempDir, script: &str) -> TestServer {
    let file = folder.path().join("botarmy.toml");
    let text = format!(
        "[agents.coder]\nrunner = \"command:fake\"\n\
         [commands.fake]\nargv = [\"/bin/sh\", \"-c\", '''\n{script}\n''']\n"
    );
    std::fs::write(&file, text).unwrap();
    TestServer::with(&[("BOTARMY_CONFIG", file.to_str().unwrap())]).await
}

/// Returns the number of folders of attempts that still exist.
fn folders(server: &TestServer) -> usize {
    std::fs::read_dir(server.data_dir().join("work")).map_or(0, Iterator::count)
}

async fn gone(pids: &Path, within: Duration) {
    let numbers = std::fs::read_to_string(pids).unwrap();
    let killed = Instant::now();
    while numbers.split_whitespace().any(lives) {
        assert!(killed.elapsed() < within, "{numbers} outlive their server");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_program_that_was_at_work_is_gone_and_its_successor_counts_alone() {
    repeat(ROUNDS, async |mut dice| {
        let folder = TempDir::new().unwrap();
        let pids = folder.path().join("pids");
        // The first attempt reports its usage and then runs for ten minutes, with a child process.
        let script = format!(
            r#"if [ ! -f {pids} ]; then
      trap '' TERM
      echo '{{"type":"result","output":{{"summary":"Half."}},"usage":{{"input_tokens":1000}}}}'
      sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; sleep 600; sleep 600
    fi
    echo '{{"type":"result","output":{{"summary":"Done."}},"usage":{{"input_tokens":5}}}}'"#,
            pids = pids.display()
        );
        let mut server = running(&folder, &script).await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        server.until(|_| async { pids.exists() }).await;
        tokio::time::sleep(Duration::from_millis(dice.below(100))).await;
        assert_eq!(folders(&server), 1);
        server.kill();
        gone(&pids, Duration::from_secs(1)).await;
        server.start_again().await;
        let done = until(&server, &id, "completed").await;
        assert_eq!((tokens(&done["usage"]), &done["failures"]), ((5, 0), &json!(0)), "{done}");
        assert_eq!(count(&ended_once(&server, &project).await, "task_started"), 2);
        server.until(|server| std::future::ready(folders(server) == 0)).await;
    })
    .await;
}

#[tokio::test]
async fn an_external_worker_keeps_its_lease_and_its_result_is_accepted_once() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = waiting_for_workers().await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        let lease = take(&server).await;
        tokio::time::sleep(Duration::from_millis(dice.below(100))).await;
        server.kill_and_restart().await;
        assert_eq!(server.task(&id).await["status"], "working");
        assert_eq!(say(&server, &lease, "heartbeat", json!({})).await.0, 200);
        let body = json!({"output": {"a": 1}, "usage": {"input_tokens": 7, "output_tokens": 3}});
        // The answer may be lost with the server; a repeated request gets the same answer.
        let first = say(&server, &lease, "complete", body.clone()).await;
        server.kill_and_restart().await;
        assert_eq!((first.0, say(&server, &lease, "complete", body).await), (200, first));
        assert_eq!(count(&ended_once(&server, &project).await, "task_started"), 1);
        assert_eq!(tokens(&server.task(&id).await["usage"]), (7, 3));
    })
    .await;
}

#[tokio::test]
async fn a_question_is_still_open_and_its_answer_goes_on_with_the_task() {
    repeat(ROUNDS, async |mut dice| {
        let mut server = waiting_for_workers().await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        let lease = take(&server).await;
        let ask = json!({"question": "Which?", "session": "s-1", "usage": {"input_tokens": 5}});
        assert_eq!(say(&server, &lease, "ask", ask.clone()).await.0, 202);
        tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
        server.kill_and_restart().await;
        // The question ended its lease.
        assert_eq!(say(&server, &lease, "ask", ask).await.0, 409);
        assert_eq!(server.task(&id).await["status"], "waiting_for_hitl");
        let gate = server.next_gate(&project).await.unwrap();
        server.respond(&gate, json!({"action": "amend", "content": "This one"})).await;
        tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
        server.kill_and_restart().await;
        let lease = take(&server).await;
        let resume = &lease["task"]["resume"];
        let said = (&resume["session"], &resume["answers"][0]["content"]);
        assert_eq!(said, (&json!("s-1"), &json!("This one")));
        let body = json!({"output": {"a": 1}, "usage": {"input_tokens": 7}});
        assert_eq!(say(&server, &lease, "complete", body).await.0, 200);
        let task = server.task(&id).await;
        assert_eq!((tokens(&task["usage"]), &task["status"]), ((12, 0), &json!("completed")));
        let events = ended_once(&server, &project).await;
        let kinds = ["task_completed", "hitl_request_created", "hitl_response", "task_started"];
        assert_eq!(kinds.map(|kind| count(&events, kind)), [1, 1, 1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_program_that_asked_goes_on_in_its_folder_after_a_kill() {
    repeat(ROUNDS, async |mut dice| {
        let folder = TempDir::new().unwrap();
        let script = r#"if [ -f begun ]; then
      echo '{"type":"result","output":{"summary":"Done."},"usage":{"input_tokens":7}}'
    else
      touch begun
      echo '{"type":"ask","question_id":"1","question":"Go on?","options":[],"session":"s"}'
    fi"#;
        let mut server = running(&folder, script).await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        let gate = server.next_gate(&project).await.unwrap();
        tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
        server.kill_and_restart().await;
        assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
        let done = until(&server, &id, "completed").await;
        assert_eq!(tokens(&done["usage"]), (7, 0), "{done}");
        assert_eq!(count(&ended_once(&server, &project).await, "hitl_request_created"), 1);
        server.until(|server| std::future::ready(folders(server) == 0)).await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_that_was_scheduled_keeps_its_time_and_what_failed_is_counted_once() {
    repeat(ROUNDS, async |mut dice| {
        let double = Double::start(sensible).await;
        // An incomplete answer has its cost, too.
        double.then(Reply::CutOff("It goes on and on. ".repeat(20)));
        let mut server =
            with_model(&double, &[("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "2500")]).await;
        let project = server.by_hand().await;
        let id = server.submit(&project, "coder", "A greeting").await;
        server.until(|server| async { server.task(&id).await["failures"] == 1 }).await;
        let before = server.task(&id).await;
        let failed = tokens(&before["usage"]);
        assert!(before["status"] == "pending" && failed.0 > 0 && failed.1 > 0, "{before}");
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        server.kill_and_restart().await;
        let after = server.task(&id).await;
        assert_eq!(after, before, "the wait, the reason and the tokens are what they were");
        let done = until(&server, &id, "completed").await;
        assert_eq!(tokens(&done["usage"]), (failed.0 + TOKENS.0, failed.1 + TOKENS.1), "{done}");
        assert_eq!(double.asked().len(), 2);
        assert_eq!(count(&ended_once(&server, &project).await, "task_retry_scheduled"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_gate_stays_open_and_what_is_done_is_not_done_again() {
    repeat(ROUNDS, async |mut dice| {
        let double = Double::start(sensible).await;
        let mut server = with_model(&double, &[]).await;
        let project = server.project("A recipe-sharing site for small families").await;
        while let Some(gate) = server.next_gate(&project).await {
            let asked = double.asked().len();
            tokio::time::sleep(Duration::from_millis(dice.below(50))).await;
            server.kill_and_restart().await;
            let again = server.next_gate(&project).await.unwrap();
            assert_eq!(again["request_id"], gate["request_id"]);
            assert_eq!(double.asked().len(), asked, "what waits for a person is not paid again");
            assert_eq!(server.respond(&again, json!({"action": "approve"})).await.0, 200);
        }
        server.until_is(&format!("/api/v1/projects/{project}"), "/status", "completed").await;
        // The package is generated right after the completion.
        let packed = || async { count(&server.events(&project).await, "artifacts_generated") == 1 };
        server.until(|_| packed()).await;
        let before = ended_once(&server, &project).await;
        // A completed project does not change.
        let asked = double.asked().len();
        server.kill_and_restart().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let after = ended_once(&server, &project).await;
        let more: Vec<_> = after[before.len()..].iter().map(|one| &one["event_type"]).collect();
        assert!(more.is_empty(), "something happened after the end: {more:?}");
        assert_eq!(double.asked().len(), asked);
    })
    .await;
}

#[tokio::test]
async fn models_come_to_the_end_of_a_project_through_twelve_kills_and_every_answer_counts_once() {
    repeat(ROUNDS, async |mut dice| {
        let slowly = |asked: &_| match sensible(asked) {
            Reply::Say(text) => Reply::Slowly(Duration::from_millis(8), text),
            other => other,
        };
        let double = Double::start(slowly).await;
        let mut server = with_model(&double, &[]).await;
        let project = server.project("A recipe-sharing site for small families").await;
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
            server.kill_and_restart().await;
            let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
            let (_, open) = server.get(&path).await;
            if let Some(gate) = open.as_array().and_then(|open| open.first()) {
                server.respond(gate, json!({"action": "approve"})).await;
            }
        }
        assert_eq!(server.approve_all(&project).await, "completed");
        let events = ended_once(&server, &project).await;
        let interrupted = count(&events, "task_lease_lapsed");
        println!("{interrupted} of {} attempts were interrupted", count(&events, "task_started"));
        for event in events.iter().filter(|event| event["event_type"] == "task_completed") {
            let used = tokens(&event["event_data"]["usage"]);
            let by_model = !event["event_data"]["usage"]["model"].is_null();
            assert_eq!(used, if by_model { TOKENS } else { (0, 0) }, "{event}");
        }
    })
    .await;
}
