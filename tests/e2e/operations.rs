//! Starting and stopping a server, and configurations that it refuses.

use botarmy_tests::server::{TestServer, command};
use serde_json::json;

use crate::say;

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let server = TestServer::start().await;
    let (code, said) = say(command(server.data_dir()).args(["serve", "--port", "0"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("another process is using the data directory"), "{said}");
    assert_eq!(server.get("/healthz").await.0, 200, "the first goes on");
}

#[tokio::test]
async fn a_stopped_server_continues_at_the_next_start() {
    let mut server = TestServer::start().await;
    let project = server.project("Notes for a choir").await;
    server.next_gate(&project).await.unwrap();
    assert_eq!(server.terminate().await, Some(0));
    server.kill_and_restart().await;
    assert_eq!(server.approve_all(&project).await, "completed");
}

#[tokio::test]
async fn an_invalid_workflow_file_prevents_the_start() {
    let step = |name: &str, rest: &str| {
        format!(
            "[[step]]\nname = \"{name}\"\nphase = \"1\"\nagent = \"coder\"\noutput = \"source_code\"\n{rest}\n"
        )
    };
    for (text, expected) in [
        (
            step("A", "depends_on = [\"B\"]") + &step("B", "depends_on = [\"A\"]"),
            "these steps wait for each other in a cycle",
        ),
        (step("A", "").replace("coder", "typist"), "typist"),
        (step("A", "inputs = [\"test_results\"]"), "no earlier step produces `test_results`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bad.toml"), format!("name = \"bad\"\n{text}")).unwrap();
        let (code, said) = say(command(dir.path())
            .env("BOTARMY_WORKFLOWS__DIR", dir.path())
            .args(["serve", "--port", "0"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("bad.toml") && said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_is_none_or_is_newer_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("botarmy.db");
    std::fs::write(&file, b"something else entirely, and long enough to be a header").unwrap();
    let (code, said) = say(command(dir.path()).args(["serve", "--port", "0"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("is not a SQLite database"), "{said}");
    assert!(std::fs::read(&file).unwrap().starts_with(b"something else"));
}

#[test]
fn a_misspelt_setting_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = say(command(dir.path()).env("BOTARMY_HTTP__PROT", "9000").arg("serve"));
    assert_eq!(code, Some(1));
    assert!(said.contains("prot"), "{said}");
    let (code, said) = say(command(dir.path()).args(["serve", "--host", "0.0.0.0"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("allow_remote"), "{said}");
}

#[test]
fn a_number_out_of_its_range_stops_the_start_and_says_why() {
    for (variable, key) in [
        ("BOTARMY_HTTP__WORKERS", "http.workers"),
        ("BOTARMY_HTTP__SHUTDOWN_TIMEOUT_S", "http.shutdown_timeout_s"),
        ("BOTARMY_STORE__QUEUE", "store.queue"),
        ("BOTARMY_STORE__READERS", "store.readers"),
        ("BOTARMY_STORE__MAX_BATCH", "store.max_batch"),
        ("BOTARMY_WS__PING_INTERVAL_S", "ws.ping_interval_s"),
        ("BOTARMY_WORKER__LEASE_S", "worker.lease_s"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "orchestrator.retry_backoff_ms"),
    ] {
        for value in ["4294967296", "9223372036854775807", "18446744073709551615", "-1", "0.4"] {
            let dir = tempfile::tempdir().unwrap();
            let (code, said) = say(command(dir.path()).env(variable, value).arg("serve"));
            assert_eq!(code, Some(1), "{key} = {value}: {said}");
            assert!(said.contains(key) && said.contains(" to "), "{key} = {value}: {said}");
        }
    }
}

/// The least and the largest values that are accepted must also work.
#[tokio::test]
async fn a_server_works_with_every_number_at_an_end_of_its_range() {
    let largest = [
        ("BOTARMY_AGENTS__CODER__RUNNER", "noop"),
        ("BOTARMY_AGENTS__CODER__SLOTS", "10000"),
        ("BOTARMY_HTTP__WORKERS", "128"),
        ("BOTARMY_HTTP__BODY_LIMIT_BYTES", "1073741824"),
        ("BOTARMY_HTTP__SHUTDOWN_TIMEOUT_S", "3600"),
        ("BOTARMY_WS__MAX_CONNECTIONS", "1000000"),
        ("BOTARMY_WS__RECENT_FRAMES", "65536"),
        ("BOTARMY_WS__PING_INTERVAL_S", "3600"),
        ("BOTARMY_WS__SEND_TIMEOUT_S", "3600"),
        ("BOTARMY_STORE__READERS", "64"),
        ("BOTARMY_STORE__MAX_BATCH", "65536"),
        ("BOTARMY_STORE__QUEUE", "1048576"),
        ("BOTARMY_STORE__TIMEOUT_S", "3600"),
        ("BOTARMY_ORCHESTRATOR__GATE_TTL_S", "315360000"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "3600000"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "3600000"),
        ("BOTARMY_WORKER__LEASE_S", "86400"),
        ("BOTARMY_WORKER__FIRST_CALL_S", "86400"),
        ("BOTARMY_WORKER__POLL_MS", "3600000"),
        ("BOTARMY_WORKER__ATTEMPT_TIMEOUT_S", "604800"),
        ("BOTARMY_WORKER__MAX_OUTPUT_BYTES", "1073741824"),
    ];
    let least = [
        ("BOTARMY_AGENTS__CODER__RUNNER", "noop"),
        ("BOTARMY_AGENTS__CODER__SLOTS", "1"),
        ("BOTARMY_HTTP__WORKERS", "1"),
        ("BOTARMY_HTTP__SHUTDOWN_TIMEOUT_S", "0"),
        ("BOTARMY_WS__MAX_CONNECTIONS", "1"),
        ("BOTARMY_WS__RECENT_FRAMES", "1"),
        ("BOTARMY_WS__PING_INTERVAL_S", "1"),
        ("BOTARMY_WS__SEND_TIMEOUT_S", "1"),
        ("BOTARMY_STORE__READERS", "1"),
        ("BOTARMY_STORE__MAX_BATCH", "1"),
        ("BOTARMY_STORE__TIMEOUT_S", "1"),
        ("BOTARMY_ORCHESTRATOR__GATE_TTL_S", "1"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "0"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "1"),
        ("BOTARMY_WORKER__LEASE_S", "1"),
        ("BOTARMY_WORKER__FIRST_CALL_S", "1"),
        ("BOTARMY_WORKER__POLL_MS", "1"),
        ("BOTARMY_WORKER__ATTEMPT_TIMEOUT_S", "1"),
    ];
    for variables in [&largest[..], &least[..]] {
        let mut server = TestServer::with(variables).await;
        let project = server.by_hand().await;
        let body = serde_json::json!({"agent_type": "coder", "instructions": "A greeting"});
        let path = format!("/api/v1/projects/{project}/tasks");
        let (status, task) = server.post(&path, body).await;
        assert_eq!(status, 201, "{task}");
        let path = format!("/api/v1/tasks/{}", task["task_id"].as_str().unwrap());
        server.until_is(&path, "/status", "completed").await;
        assert_eq!(server.terminate().await, Some(0));
    }
}

#[test]
fn what_it_keeps_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let mut migrate = botarmy_tests::server::bare();
    let (code, said) = say(migrate.arg("--data-dir").arg(&dir).arg("migrate"));
    assert_eq!(code, Some(0), "{said}");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("botarmy.db")), 0o600);
}

#[tokio::test]
async fn every_log_line_of_a_request_carries_its_id_and_so_does_the_audit_entry() {
    let server = TestServer::start().await;
    let response = botarmy_tests::server::http_client()
        .post(format!("{}/api/v1/projects", server.base))
        .header("x-request-id", "journey-42")
        .body(json!({"name": "Traced"}).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "journey-42");
    let project: serde_json::Value = response.json().await.unwrap();
    let id = project["id"].as_str().unwrap();
    let (_, events) = server.get(&format!("/api/v1/audit/projects/{id}/events")).await;
    assert_eq!(events[0]["event_metadata"]["request_id"], "journey-42");
    server.until(|s| async move { s.log.lock().unwrap().contains("journey-42") }).await;
}

#[tokio::test]
async fn a_health_check_says_how_a_server_is_by_its_exit_code() {
    let mut server = TestServer::start().await;
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let (_, port) = address.split_once(':').unwrap();
    for arguments in [vec!["--url", &server.base], vec![]] {
        let mut check = botarmy_tests::server::bare();
        check.env("BOTARMY_HTTP__PORT", port).arg("health-check").args(&arguments);
        let (code, said) = say(&mut check);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("answers 200"), "{said}");
    }
    let health_check = |path: &str| {
        let url = format!("http://{address}{path}");
        say(botarmy_tests::server::bare().args(["health-check", "--url", &url]))
    };
    assert_eq!(health_check("/livez").0, Some(0));
    let (code, said) = health_check("/nothing");
    assert_eq!(code, Some(1), "{said}");
    // The command sends no key.
    let refused = if botarmy_tests::access::needs_keys() { "answers 401" } else { "answers 404" };
    assert!(said.contains(refused), "{said}");
    server.terminate().await;
    let (code, said) = health_check("/livez");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("gives no answer"), "{said}");
}
