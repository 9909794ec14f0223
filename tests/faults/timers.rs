//! Every replica runs the timers; each due action happens once.

use std::collections::BTreeMap;

use botarmy_tests::cluster::Cluster;
use botarmy_tests::services;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_happens_once_on_several_replicas() {
    let Some(database) = services::database().await else { return };
    let cluster = Cluster::on(&database.url(), None)
        .with("ORCHESTRATOR__TIMER_INTERVAL_MS", "20")
        .with("ORCHESTRATOR__ON_EXPIRY", "reject");
    let mut servers = Vec::new();
    for role in ["all", "all", "worker"] {
        servers.push(cluster.replica(role).await);
    }
    let mut due = Vec::new();
    for n in 0..30 {
        // Each request is in a separate project, so that their decisions do not wait for each other.
        let project = servers[0].by_hand().await;
        let question =
            json!({"project_id": project, "question": format!("{n}?"), "ttl_seconds": 1});
        let (status, request) = servers[n % 2].post("/api/v1/hitl", question).await;
        assert_eq!(status, 201, "{request}");
        due.push(request["request_id"].as_str().unwrap().to_owned());
    }
    for request in &due {
        servers[1].until_is(&format!("/api/v1/hitl/{request}"), "/status", "expired").await;
    }
    let path = "/api/v1/audit/events?event_type=hitl_timeout&limit=1000";
    let (_, events) = servers[0].get(path).await;
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for event in events.as_array().unwrap() {
        *times.entry(event["hitl_request_id"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!(times.len(), due.len());
    assert!(times.values().all(|times| *times == 1), "something expired twice: {times:?}");
}
