//! Every replica runs the timers; each due action happens once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use serde_json::{Value, json};

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

const WORKFLOW: &str = "
name = \"timed\"
[[policy]]
name = \"release\"
candidates = [\"user:ada\"]
on_expiry = \"reject\"
ttl_s = TTL
remind_after_s = [REMIND]
escalate = [{ after_s = ESCALATE, to = [\"user:eve\"] }]
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"analyst\"
output = \"project_plan\"
";

/// Events of the timers about each request of the log.
const DUE: [&str; 3] = ["hitl_reminded", "hitl_escalated", "hitl_timeout"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_together_happens_once_while_servers_are_killed() {
    let Some(database) = services::database().await else { return };
    let gates = count(60, 1000);
    // All of them are raised before the first is due, and are due within the time of raising them.
    let start = count(15, 120);
    let folder = tempfile::tempdir().unwrap();
    let text = WORKFLOW
        .replace("TTL", &(start + 10).to_string())
        .replace("REMIND", &start.to_string())
        .replace("ESCALATE", &(start + 5).to_string());
    std::fs::write(folder.path().join("timed.toml"), text).unwrap();
    let cluster = Cluster::on(&database.url(), None)
        .with("WORKFLOWS__DIR", folder.path().to_str().unwrap())
        .with("ORCHESTRATOR__TIMER_INTERVAL_MS", "20");
    let mut servers = Vec::new();
    for role in ["all", "api", "api"] {
        servers.push(cluster.replica(role).await);
    }
    let mut raised = Vec::new();
    for n in 0..gates {
        raised.push(raise(&servers[n as usize % 3]).await);
    }
    // Two of the three run at any time.
    let killing = Instant::now();
    let mut kills = 0;
    let long = Duration::from_secs(u64::from(start) + 15);
    while killing.elapsed() < long {
        servers[kills % 3].kill_and_restart().await;
        kills += 1;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    println!("{kills} kills");
    for (_, request) in &raised {
        let path = format!("/api/v1/hitl/{request}");
        servers[0].until_is(&path, "/status", "expired").await;
    }
    for (project, request) in &raised {
        let log = servers[1].events(project).await;
        let of = |kind: &str| {
            let is_one = |entry: &&Value| {
                entry["event_type"] == kind && entry["hitl_request_id"] == request.as_str()
            };
            log.iter().filter(is_one).count()
        };
        // The reminders begin anew with the escalation, five seconds before the expiry.
        assert_eq!(DUE.map(of), [1, 1, 1], "{request}: {log:#?}");
    }
}

/// Raises a request in a project of its own; returns both ids.
async fn raise(server: &TestServer) -> (String, String) {
    let project = json!({"name": "Timed", "workflow": "timed"});
    let (status, project) = server.post("/api/v1/projects", project).await;
    assert_eq!(status, 201, "{project}");
    let project = project["id"].as_str().unwrap().to_owned();
    let question = json!({"project_id": project, "question": "Is it right?", "policy": "release"});
    let (status, request) = server.post("/api/v1/hitl", question).await;
    assert_eq!(status, 201, "{request}");
    (project, request["request_id"].as_str().unwrap().to_owned())
}
