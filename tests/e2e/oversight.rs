//! Budgets and emergency stops while models and programs work: the real server, over REST.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::providers::{Double, Protocol, Reply, TOKENS};
use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use serde_json::json;

const STOP: &str = "/api/v1/emergency-stop";
/// Answer to a task without a step.
const DOCUMENT: &str = r#"{"summary": "Done.", "markdown": "Done.", "confidence": 0.9}"#;

/// Starts a server whose coders use the double.
async fn server(double: &Double, more: &[(&str, &str)]) -> TestServer {
    let url = double.url(Protocol::OpenAi);
    let mut variables = vec![
        ("BOTARMY_PROVIDERS__TEST__KIND", "compatible"),
        ("BOTARMY_PROVIDERS__TEST__BASE_URL", url.as_str()),
        ("BOTARMY_AGENTS__CODER__RUNNER", "llm:test/model-1"),
        ("BOTARMY_MODELS__MAX_TOKENS", "100"),
        ("BOTARMY_MODELS__TIMEOUT_S", "60"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
    ];
    variables.extend(more);
    TestServer::with(&variables).await
}

async fn until(server: &TestServer, task: &str, status: &str) -> Duration {
    server.until_is(&format!("/api/v1/tasks/{task}"), "/status", status).await
}

fn budget(project: &str) -> String {
    format!("/api/v1/projects/{project}/budget")
}

#[tokio::test]
async fn at_the_limit_a_model_is_not_asked_until_a_person_raises_it() {
    let double = Double::saying(DOCUMENT).await;
    let mut server = server(&double, &[]).await;
    let project = server.by_hand().await;
    let (status, set) = server.put(&budget(&project), json!({"tokens": 150})).await;
    assert_eq!((status, &set["left"]["tokens"]), (200, &json!(150)), "{set}");
    let task = server.submit(&project, "coder", "Write something.").await;
    until(&server, &task, "waiting_for_hitl").await;
    assert!(double.asked().is_empty(), "the call did not happen");
    let gate = server.next_gate(&project).await.unwrap();
    assert_eq!(
        (&gate["kind"], &gate["budget"]["limit"]["tokens"]),
        (&json!("question"), &json!(150))
    );
    let needs = gate["budget"]["needs"]["tokens"].as_u64().unwrap();
    assert!(needs > 150, "the worst case is more than 100 tokens of answer: {gate}");

    // It also waits through a kill, and nothing is spent.
    server.kill_and_restart().await;
    assert_eq!(server.next_gate(&project).await.unwrap()["request_id"], gate["request_id"]);
    let (_, usage) = server.get(&format!("/api/v1/projects/{project}/usage")).await;
    assert_eq!((&usage["total"]["tokens"], &usage["by_model"]), (&json!(0), &json!([])));

    let more = json!({"action": "amend", "amended_content": {"tokens": needs}});
    assert_eq!(server.respond(&gate, more).await.0, 200);
    until(&server, &task, "completed").await;
    assert_eq!(double.asked().len(), 1);
    let (_, usage) = server.get(&format!("/api/v1/projects/{project}/usage")).await;
    let tokens = TOKENS.0 + TOKENS.1;
    assert_eq!(usage["total"]["tokens"], tokens, "{usage}");
    assert_eq!(usage["by_agent_type"]["coder"]["attempts"], 1);
    assert_eq!(usage["by_model"][0]["model"], "model-1");
    let (_, left) = server.get(&budget(&project)).await;
    assert_eq!(left["left"]["tokens"], needs - tokens, "{left}");
    assert_eq!(left["reserved"]["tokens"], 0);
    let over = server.put(&budget(&project), json!({"tokens": 1})).await;
    assert_eq!(over.0, 409, "the project is over: {}", over.1);
}

#[tokio::test]
async fn a_bad_budget_or_stop_changes_nothing() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    for body in [json!({"tokens": -1}), json!({"tokens": 0.5}), json!({"cost_micro_usd": "1"})] {
        let (status, said) = server.put(&budget(&project), body.clone()).await;
        assert_eq!(status, 422, "{body}: {said}");
    }
    let nowhere = budget("00000000-0000-7000-8000-000000000000");
    assert_eq!(server.put(&nowhere, json!({})).await.0, 404);
    assert_eq!(server.get(&nowhere).await.0, 404);
    for (body, expected) in [
        (json!({}), 422),
        (json!({"scope": "everything", "reason": " "}), 422),
        (json!({"scope": "project", "reason": "x", "project_id": &nowhere[17..53]}), 404),
        (json!({"scope": "agent_type", "agent_type": "typist", "reason": "x"}), 422),
    ] {
        let (status, said) = server.post(STOP, body.clone()).await;
        assert_eq!(status, expected, "{body}: {said}");
    }
    let release = format!("{STOP}?scope=everything&reason=x");
    assert_eq!(server.delete(&release).await.0, 404);
    assert_eq!(server.get(STOP).await.1, json!({"stops": []}));
    let (_, events) = server.get(&format!("/api/v1/audit/projects/{project}/events")).await;
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
}

#[tokio::test]
async fn a_stop_ends_the_model_call_within_a_second_and_survives_a_kill() {
    let double = Double::saying(DOCUMENT).await;
    double.then(Reply::Hang);
    let mut server = server(&double, &[]).await;
    let project = server.by_hand().await;
    let task = server.submit(&project, "coder", "Write something.").await;
    while double.open() == 0 || double.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let body = json!({"scope": "agent_type", "agent_type": "coder", "reason": "It runs wild"});
    let (status, stopped) = server.post(STOP, body.clone()).await;
    assert_eq!((status, &stopped["interrupted"]), (201, &json!(1)), "{stopped}");
    while double.open() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(began.elapsed() < Duration::from_secs(1), "the model is still asked");
    }
    assert_eq!(server.post(STOP, body).await.0, 200, "it is stopped already");
    let second = server.submit(&project, "coder", "Write something.").await;
    server.kill_and_restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for task in [&task, &second] {
        until(&server, task, "pending").await;
    }
    assert_eq!(double.asked().len(), 1, "nothing new starts, not even in a new server");
    let (_, listed) = server.get(STOP).await;
    assert_eq!(listed["stops"][0]["reason"], "It runs wild");

    let release = format!("{STOP}?scope=agent_type&agent_type=coder&reason=tame");
    assert_eq!(server.delete(&release).await.0, 204);
    for task in [&task, &second] {
        until(&server, task, "completed").await;
    }
    let usage = server.get(&format!("/api/v1/projects/{project}/usage")).await.1;
    assert_eq!(usage["total"]["attempts"], 2, "what was broken off is not counted: {usage}");
    for (event, who, why) in [
        ("emergency_stopped", "stopped_by", "It runs wild"),
        ("emergency_released", "released_by", "tame"),
    ] {
        let (_, found) = server.get(&format!("/api/v1/audit/events?event_type={event}")).await;
        let data = &found[0]["event_data"];
        assert_eq!(
            (&data["reason"], &data[who]),
            (&json!(why), &json!(botarmy_tests::access::actor())),
            "{found}"
        );
    }
}

#[tokio::test]
async fn a_stopped_project_ends_its_program_and_all_its_processes() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!(
        "sleep 600 & echo $! $$ > {0}.new; mv {0}.new {0}; sleep 600; sleep 600",
        pids.display()
    );
    let argv = json!(["/bin/sh", "-c", script]).to_string();
    let file = dir.path().join("botarmy.toml");
    let settings =
        format!("[agents.coder]\nrunner = \"command:slow\"\n[commands.slow]\nargv = {argv}\n");
    std::fs::write(&file, settings).unwrap();
    let file = file.display().to_string();
    let server = TestServer::with(&[("BOTARMY_CONFIG", &file)]).await;
    let project = server.by_hand().await;
    let task = server.submit(&project, "coder", "Write something.").await;
    server.until(|_| async { pids.exists() }).await;
    let numbers = std::fs::read_to_string(&pids).unwrap();
    let lives = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    };
    assert!(numbers.split_whitespace().all(lives), "{numbers}");
    let began = Instant::now();
    let body = json!({"scope": "project", "project_id": project, "reason": "Enough"});
    assert_eq!(server.post(STOP, body).await.0, 201);
    while numbers.split_whitespace().any(lives) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(began.elapsed() < Duration::from_secs(1), "a process is left");
    }
    until(&server, &task, "pending").await;
    let (_, shown) = server.get(&format!("/api/v1/projects/{project}")).await;
    assert_eq!((&shown["status"], &shown["status_reason"]), (&json!("paused"), &json!("Enough")));
    let (status, said) =
        server.post(&format!("/api/v1/projects/{project}/resume"), json!({})).await;
    assert!(status == 409 && said["detail"].as_str().unwrap().contains("Enough"), "{said}");
}

#[tokio::test]
async fn a_stop_reaches_other_servers_within_a_second_with_redis_and_without() {
    let Some(redis) = services::redis() else { return };
    for redis in [None, Some((redis.url.as_str(), redis.prefix.as_str()))] {
        let Some(database) = services::database().await else { return };
        let double = Double::saying(DOCUMENT).await;
        double.then(Reply::Hang);
        let url = double.url(Protocol::OpenAi);
        let cluster = Cluster::on(&database.url(), redis)
            .with("PROVIDERS__TEST__KIND", "compatible")
            .with("PROVIDERS__TEST__BASE_URL", &url)
            .with("AGENTS__CODER__RUNNER", "llm:test/model-1")
            .with("MODELS__TIMEOUT_S", "60")
            .with("WORKER__LEASE_S", "60");
        let (asked, working) = (cluster.replica("api").await, cluster.replica("worker").await);
        let project = asked.by_hand().await;
        let task = asked.submit(&project, "coder", "Write something.").await;
        while double.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        let body = json!({"scope": "everything", "reason": "Enough"});
        assert_eq!(asked.post(STOP, body).await.0, 201);
        while double.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(began.elapsed() < Duration::from_secs(1), "{redis:?}: it is still asked");
        }
        let release = format!("{STOP}?scope=everything&reason=tame");
        assert_eq!(asked.delete(&release).await.0, 204);
        until(&asked, &task, "completed").await;
        drop(working);
    }
}
