//! Drives a project to its end over REST.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

/// Limit of gates, above the number in any project here, even with many failures.
const MAX_GATES: usize = 40;

/// Approves every gate until the project ends; returns the gates in order, and the final status.
pub(crate) async fn to_the_end(
    server: &TestServer,
    project: &str,
    patience: Duration,
) -> (Vec<Value>, String) {
    let (started, mut gates) = (Instant::now(), Vec::new());
    loop {
        let (_, found) = server.get(&format!("/api/v1/projects/{project}")).await;
        let status = found["status"].as_str().unwrap();
        if !["active", "paused"].contains(&status) {
            return (gates, status.to_owned());
        }
        let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
        let (_, open) = server.get(&path).await;
        for gate in open.as_array().unwrap() {
            let (status, said) = server.respond(gate, json!({"action": "approve"})).await;
            assert_eq!(status, 200, "{said}");
            gates.push(gate.clone());
        }
        assert!(gates.len() < MAX_GATES, "it asks without end: {:#}", gates[gates.len() - 1]);
        assert!(
            started.elapsed() < patience,
            "it is not over after {patience:?}: {found:#}\n{}",
            server.log.lock().unwrap()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the log of a project, oldest entry first.
pub(crate) async fn events(server: &TestServer, project: &str) -> Vec<Value> {
    server.events(project).await
}

/// Returns every task of a project, from its log.
pub(crate) async fn tasks(server: &TestServer, project: &str) -> Vec<Value> {
    let events = events(server, project).await;
    let ids: BTreeSet<_> = events.iter().filter_map(|event| event["task_id"].as_str()).collect();
    let mut tasks = Vec::new();
    for id in ids {
        tasks.push(server.get(&format!("/api/v1/tasks/{id}")).await.1);
    }
    tasks
}

/// Returns input and output tokens; zero if no model was involved.
pub(crate) fn tokens(usage: &Value) -> (u64, u64) {
    let count = |key: &str| usage[key].as_u64().unwrap_or(0);
    (count("input_tokens"), count("output_tokens"))
}

/// Adds up the tokens of a list.
pub(crate) fn sum(usages: impl IntoIterator<Item = (u64, u64)>) -> (u64, u64) {
    usages.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}
