//! Misbehaving programs and external workers, through the whole server: every attempt is recorded
//! and ends in the right state, and no process or file remains.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Variable of the server that programs must not see.
const SECRET: &str = "key-0ddba11c0de";

/// One program for each agent type; `BESIDE` is a folder shared by all of them.
const TEAM: &str = r#"
[agents.orchestrator]
runner = "command:missing"
[commands.missing]
argv = ["botarmy-no-such-program"]

[agents.analyst]
runner = "command:text"
[commands.text]
argv = ["BESIDE/text"]

# Its own folder is `project`, below that of the attempt, which is in `work` in the data folder.
[agents.architect]
runner = "command:wanderer"
[commands.wanderer]
argv = ["/bin/sh", "-c", '''
echo mine > index.html
echo beside > ../beside.html; echo above > ../../above.html; ln -s / everything
env
echo '{"type":"result","output":{"summary":"Wandered."}}'
''']

[agents.coder]
runner = "command:parent"
[commands.parent]
argv = ["/bin/sh", "-c", '''
(trap '' TERM HUP; sleep 600 & echo $! >> BESIDE/pids; sleep 600; sleep 600) > /dev/null 2>&1 &
echo $! >> BESIDE/pids
while [ "$(wc -l < BESIDE/pids)" -lt 2 ]; do sleep 0.01; done
echo '{"type":"result","output":{"summary":"Done."}}'
''']

[agents.tester]
runner = "command:flood"
[commands.flood]
argv = ["/bin/sh", "-c", "echo $$ > BESIDE/flood; yes $(printf %01000d 0) | head -c 1000000000"]

[agents.deployer]
runner = "command:silent"
[commands.silent]
argv = ["/bin/sh", "-c", "kill -9 $$"]
"#;

/// Expected result of each program: status of its task, error code, number of attempts.
const ENDS: [(&str, &str, Option<&str>, u64); 6] = [
    ("orchestrator", "failed", Some("command_not_found"), 1),
    ("analyst", "failed", Some("command_not_executable"), 1),
    ("architect", "completed", None, 1),
    ("coder", "completed", None, 1),
    ("tester", "failed", Some("output_too_large"), 1),
    ("deployer", "failed", Some("command_killed"), 3),
];

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Returns the peak memory of the server, in KiB.
fn peak_kib(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Returns the process ids in a file that a program writes them to.
fn pids(beside: &TempDir, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(beside.path().join(file)).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_bad_program_ends_in_a_recorded_attempt_and_nothing_of_it_stays() {
    let beside = TempDir::new().unwrap();
    let text = beside.path().join("text");
    std::fs::write(&text, "This is no program.\n").unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = beside.path().join("botarmy.toml");
    std::fs::write(&file, TEAM.replace("BESIDE", beside.path().to_str().unwrap())).unwrap();
    let server = TestServer::with(&[
        ("BOTARMY_CONFIG", file.to_str().unwrap()),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
        ("BOTARMY_WORKER__POLL_MS", "50"),
        ("SOME_SECRET", SECRET),
    ])
    .await;
    let project = server.by_hand().await;
    let before = peak_kib(&server);
    let mut ids = BTreeMap::new();
    for (agent, ..) in ENDS {
        ids.insert(agent, server.submit(&project, agent, "Do it.").await);
    }
    for (agent, status, code, attempts) in ENDS {
        let path = format!("/api/v1/tasks/{}", ids[agent]);
        server.until_is(&path, "/status", status).await;
        let (_, task) = server.get(&path).await;
        assert_eq!(task["error_code"].as_str(), code, "{task}");
        assert_eq!(task["attempt"], attempts, "{task}");
        let path = format!("/api/v1/audit/tasks/{}/events?limit=100", ids[agent]);
        let (_, events) = server.get(&path).await;
        let count = |kind: &str| {
            events.as_array().unwrap().iter().filter(|event| event["event_type"] == kind).count()
        };
        let ends = [count("task_retry_scheduled"), count("task_completed"), count("task_failed")];
        let completes = usize::from(status == "completed");
        assert_eq!(ends, [attempts as usize - 1, completes, 1 - completes], "{agent}: {events}");
    }
    let grown = peak_kib(&server) - before;
    assert!(grown < 150_000, "a gigabyte of output took {grown} KiB of memory");

    // Every failure asks a person.
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending&limit=100");
    let (_, open) = server.get(&path).await;
    assert!(open.as_array().unwrap().iter().all(|gate| gate["kind"] == "failure"), "{open}");
    assert_eq!(open.as_array().unwrap().len(), 4, "{open}");

    // Children, and orphaned children of theirs.
    let mut started = pids(&beside, "pids");
    assert_eq!(started.len(), 2, "{started:?}");
    started.extend(pids(&beside, "flood"));
    let gone = || !started.iter().any(|pid| lives(pid));
    server.until(|_| std::future::ready(gone())).await;

    // Programs are not sandboxed: a file written elsewhere is not collected.
    let work = server.data_dir().join("work");
    let left = || {
        let names = std::fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    server.until(|_| std::future::ready(left() == ["above.html"])).await;
    let (_, found) =
        server.get(&format!("/api/v1/context/project/{project}?limit=100&content=true")).await;
    assert!(!found.to_string().contains("above") && !found.to_string().contains("beside"));
    let export = format!("/api/v1/audit/projects/{project}/export");
    let export = server.raw(reqwest::Method::GET, &export, None).await.unwrap();
    for shown in
        [found.to_string(), export.text().await.unwrap(), server.log.lock().unwrap().clone()]
    {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
}

const LEASES: &str = "/api/v1/worker/leases";

/// Starts a server without internal coders and testers.
async fn for_workers() -> TestServer {
    let without = |agent| (agent, "none");
    TestServer::with(&[
        without("BOTARMY_AGENTS__CODER__RUNNER"),
        without("BOTARMY_AGENTS__TESTER__RUNNER"),
    ])
    .await
}

async fn take(server: &TestServer, agents: Value) -> (u16, Value) {
    server.post(LEASES, json!({"worker_id": "w", "agents": agents, "max": 10})).await
}

#[tokio::test]
async fn a_worker_that_lies_about_what_it_is_gets_nothing_that_is_not_for_it() {
    let server = for_workers().await;
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "Do it.").await;
    assert_eq!(take(&server, json!(["tester", "analyst"])).await.0, 204);
    for (agents, status) in [
        (json!(["wizard"]), 422),
        (json!(["coder", "CODER"]), 422),
        (json!([]), 422),
        (json!("coder"), 422),
        (json!([null]), 422),
    ] {
        let (answered, said) = take(&server, agents.clone()).await;
        assert_eq!(answered, status, "{agents}: {said}");
    }
    let (_, untouched) = server.get(&format!("/api/v1/tasks/{id}")).await;
    assert_eq!((&untouched["status"], &untouched["attempt"]), (&json!("pending"), &json!(0)));

    let (status, answer) = take(&server, json!(["tester", "coder"])).await;
    assert_eq!(status, 200, "{answer}");
    let lease = &answer["leases"][0];
    assert_eq!(lease["task"]["task"]["agent"], "coder");
    // The artifact is attributed to the agent type of the task, and a body cannot claim another.
    let mut body = json!({"output": {"agent_type": "tester", "a": 1}, "agent_type": "tester",
        "artifacts": [{"artifact_type": "test_results", "content": {"passed": true}}]});
    let (status, said) = server.say(lease, "complete", body.clone()).await;
    assert_eq!(status, 422, "{said}");
    body.as_object_mut().unwrap().remove("agent_type");
    let (status, said) = server.say(lease, "complete", body).await;
    assert_eq!(status, 200, "{said}");
    let (_, found) =
        server.get(&format!("/api/v1/context/project/{project}?limit=100&content=true")).await;
    let made = found["items"].as_array().unwrap();
    assert!(!made.is_empty() && made.iter().all(|one| one["source_agent"] == "coder"), "{found}");
    let (_, agents) = server.get("/api/v1/agents/status").await;
    assert!(!agents.to_string().contains("wizard"), "{agents}");
}

#[tokio::test]
async fn a_worker_that_sends_no_utf_8_or_half_of_its_result_keeps_its_lease() {
    let server = for_workers().await;
    let project = server.by_hand().await;
    let id = server.submit(&project, "coder", "Do it.").await;
    let (_, answer) = take(&server, json!(["coder"])).await;
    let lease = &answer["leases"][0];
    let path = format!("{LEASES}/{}/complete", lease["lease"].as_str().unwrap());
    let client = botarmy_tests::server::http_client();
    for body in [&b"{\"output\":{\"a\":\"\xff\"}}"[..], b"{\"output\":{\"a\":", b"", b"\xff\xfe{"] {
        let sent = client.post(format!("{}{path}", server.base)).body(body.to_vec());
        let sent = sent.header("content-type", "application/json");
        let sent = sent.bearer_auth(lease["token"].as_str().unwrap());
        let response = sent.timeout(Duration::from_secs(10)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 400, "{:?}", String::from_utf8_lossy(body));
    }
    let (_, task) = server.get(&format!("/api/v1/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["attempt"]), (&json!("working"), &json!(1)), "{task}");
    assert_eq!(server.say(lease, "complete", json!({"output": {"a": 1}})).await.0, 200);
}
