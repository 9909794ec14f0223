//! The metrics: exact after a walk, bounded in size, the same in the documentation, the dashboard and
//! the rules for alerts as on the server.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::metrics::Metrics;
use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use reqwest::Method;
use serde_json::{Value, json};

use crate::documentation::read;

const BY_HAND: &[(&str, &str)] =
    &[("BOTARMY_AGENTS__CODER__RUNNER", "none"), ("BOTARMY_METRICS__REFRESH_S", "0")];
/// Largest size of the text, whatever the installation does.
const MAX_TEXT: usize = 512 << 10;

/// Returns the number of log entries of each type, by the logs.
async fn logged(server: &TestServer) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for entry in server.list("/api/v1/audit/events?limit=1000").await {
        *counts.entry(entry["event_type"].as_str().unwrap().to_owned()).or_default() += 1.0;
    }
    counts
}

async fn lease(server: &TestServer) -> Value {
    let body = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 10});
    let (status, answer) = server.post("/api/v1/worker/leases", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["leases"][0].clone()
}

async fn ask(server: &TestServer, project: &str) -> Value {
    let body = json!({"project_id": project, "question": "Well?"});
    let (status, request) = server.post("/api/v1/hitl", body).await;
    assert_eq!(status, 201, "{request}");
    request
}

#[tokio::test]
async fn after_a_walk_the_figures_are_exact() {
    let server = TestServer::with(BY_HAND).await;
    let project = server.by_hand().await;
    for _ in 0..3 {
        server.submit(&project, "coder", "Do it").await;
    }
    let usage = json!({
        "provider": "acme", "model": "m-1", "input_tokens": 70, "output_tokens": 9,
        "cost_micro_usd": 1_500_000,
    });
    let finished = lease(&server).await;
    let body = json!({"output": {"done": true}, "usage": usage});
    for _ in 0..2 {
        // The second call repeats the first, and is not counted.
        let (status, answer) = server.say(&finished, "complete", body.clone()).await;
        assert_eq!(status, 200, "{answer}");
    }
    let held = lease(&server).await;
    let (approved, rejected) = (ask(&server, &project).await, ask(&server, &project).await);
    ask(&server, &project).await;
    for (request, action) in [(&approved, "approve"), (&rejected, "reject")] {
        let (status, answer) = server.respond(request, json!({"action": action})).await;
        assert_eq!(status, 200, "{answer}");
    }
    let path = format!("/api/v1/hitl/{}/respond", approved["request_id"].as_str().unwrap());
    let (status, _) = server.post(&path, json!({"action": "reject"})).await;
    assert_eq!(status, 409);

    // Statuses of agent types are stored in the background.
    server
        .until(|server| async {
            let metrics = Metrics::of(server).await;
            logged(server).await == metrics.series("botarmy_log_entries_total")
        })
        .await;
    let metrics = Metrics::of(&server).await;
    let entries = metrics.series("botarmy_log_entries_total");
    assert_eq!((entries["task_created"], entries["task_completed"]), (3.0, 1.0));
    let outcome = |outcome| metrics.value("botarmy_gate_decisions_total", &[("outcome", outcome)]);
    assert_eq!(["approved", "rejected", "amended"].map(outcome), [1.0, 1.0, 0.0]);
    let result = |result| metrics.value("botarmy_decisions_total", &[("result", result)]);
    assert_eq!((result("refused"), result("failed")), (1.0, 0.0));
    assert_eq!(metrics.value("botarmy_commit_duration_seconds_count", &[]), result("committed"));
    // Claims are committed too, and no transaction is empty.
    let batched = metrics.value("botarmy_transaction_decisions_sum", &[]);
    assert_eq!(batched, result("committed") + entries["task_started"]);

    let coder = ("agent", "coder");
    let queue = |state| metrics.value("botarmy_queue_tasks", &[coder, ("state", state)]);
    assert_eq!((queue("ready"), queue("waiting")), (1.0, 0.0));
    assert_eq!(metrics.value("botarmy_leases_running", &[coder]), 1.0);
    assert!(metrics.value("botarmy_queue_oldest_task_age_seconds", &[coder]) > 0.0);
    assert_eq!(metrics.value("botarmy_gates_open", &[("kind", "question")]), 1.0);
    let model = [("provider", "acme"), ("model", "m-1")];
    let tokens = |direction| {
        let labels = [model[0], model[1], ("direction", direction)];
        metrics.value("botarmy_model_tokens_total", &labels)
    };
    assert_eq!((tokens("input"), tokens("output")), (70.0, 9.0));
    assert_eq!(metrics.value("botarmy_model_cost_dollars_total", &model), 1.5);

    let requests = |method, route, status| {
        let labels = [("method", method), ("route", route), ("status", status)];
        metrics.value("botarmy_http_requests_total", &labels)
    };
    let tasks = "/api/v1/projects/{project_id}/tasks";
    assert_eq!(requests("POST", tasks, "201"), 3.0);
    assert_eq!(requests("POST", "/api/v1/hitl/{request_id}/respond", "200"), 2.0);
    assert_eq!(requests("POST", "/api/v1/hitl/{request_id}/respond", "409"), 1.0);
    let labels = [("method", "POST"), ("route", tasks)];
    assert_eq!(metrics.value("botarmy_http_request_duration_seconds_count", &labels), 3.0);
    let (status, _) = server.say(&held, "complete", json!({"output": {}})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_lease_that_expires_and_an_attempt_of_a_runner_are_counted() {
    let mut variables = BY_HAND.to_vec();
    variables.extend([
        ("BOTARMY_AGENTS__TESTER__RUNNER", "noop"),
        ("BOTARMY_WORKER__FIRST_CALL_S", "1"),
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50"),
    ]);
    let server = TestServer::with(&variables).await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "Do it").await;
    server.submit(&project, "tester", "Do it").await;
    lease(&server).await;
    server
        .until(|server| async {
            let expired = Metrics::of(server).await.series("botarmy_leases_expired_total");
            expired["coder"] == 1.0 && expired["tester"] == 0.0
        })
        .await;
    let labels = [("agent", "tester"), ("outcome", "completed")];
    let metrics = Metrics::of(&server).await;
    assert_eq!(metrics.value("botarmy_attempt_duration_seconds_count", &labels), 1.0);
}

#[tokio::test]
async fn a_scrape_is_bounded_whatever_clients_send() {
    let server = TestServer::with(BY_HAND).await;
    let mut projects = Vec::new();
    for _ in 0..1000 {
        projects.push(server.by_hand().await);
    }
    for (n, project) in projects.iter().enumerate() {
        let path = format!("/api/v1/projects/{project}");
        assert_eq!(server.get(&path).await.0, 200);
        if n < 200 {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
            let path = format!("{}/nothing/{n}", server.base);
            let client = botarmy_tests::server::http_client();
            client.request(method, path).send().await.unwrap();
        }
    }
    server.submit(&projects[0], "coder", "Do it").await;
    let lease = lease(&server).await;
    let usage = json!({"provider": "x".repeat(1000), "model": "y\"\n\\", "input_tokens": 1});
    let (status, answer) =
        server.say(&lease, "complete", json!({"output": {}, "usage": usage})).await;
    assert_eq!(status, 200, "{answer}");
    let metrics = Metrics::of(&server).await;
    let route = [("method", "GET"), ("route", "/api/v1/projects/{project_id}"), ("status", "200")];
    assert_eq!(metrics.value("botarmy_http_requests_total", &route), 1000.0);
    let unknown = metrics.series("botarmy_http_requests_total");
    let unknown: Vec<_> = unknown.keys().filter(|series| series.contains("unmatched")).collect();
    assert!(!unknown.is_empty() && unknown.len() <= 3, "{unknown:?}");
    assert!(metrics.text.len() < MAX_TEXT, "{} bytes", metrics.text.len());
    let has_id = |id: &String| metrics.text.contains(id.as_str());
    assert!(!projects.iter().any(has_id), "an id of a project is a label");
    println!("{} bytes", metrics.text.len());
}

#[tokio::test]
async fn only_those_who_may_read_the_system_scrape() {
    let server = TestServer::start().await;
    if botarmy_tests::access::needs_keys() {
        let stranger = botarmy_tests::server::bare_client_builder().build().unwrap();
        let path = format!("{}/metrics", server.base);
        assert_eq!(stranger.get(path).send().await.unwrap().status(), 401);
        let metrics = Metrics::of(&server).await;
        let route = [("method", "GET"), ("route", "/metrics"), ("status", "401")];
        assert_eq!(metrics.value("botarmy_http_requests_total", &route), 1.0);
    }
}

#[tokio::test]
async fn a_server_that_only_works_has_metrics_too() {
    let Some(database) = services::database().await else { return };
    let cluster = Cluster::on(&database.url(), None);
    let worker = cluster.replica("worker").await;
    let metrics = Metrics::of(&worker).await;
    assert!(metrics.value("process_start_time_seconds", &[]) > 1.7e9);
    assert!(metrics.value("botarmy_database_connections", &[("state", "max")]) > 0.0);
}

/// Returns the names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let is_name = |word: &&str| word.starts_with("botarmy_") || word.starts_with("process_");
    words.filter(is_name).map(str::to_owned).collect()
}

/// Returns the names under which the series of these metrics are queried.
fn queried(kinds: &BTreeMap<String, String>) -> BTreeSet<String> {
    let all = kinds.iter().flat_map(|(name, kind)| match kind.as_str() {
        "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
        _ => vec![name.clone()],
    });
    all.collect()
}

/// Returns every string under a key.
fn strings(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value {
            Value::String(text) if name == key => found.push(text.clone()),
            value => strings(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_documentation_the_dashboard_and_the_alerts_name_what_the_server_exports() {
    let server = TestServer::start().await;
    let metrics = Metrics::of(&server).await;
    let kinds = metrics.kinds();
    let guide = read("docs/monitoring.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| {
        let (name, rest) = line.split_once("` | ")?;
        let is_metric = name.starts_with("botarmy_") || name.starts_with("process_");
        is_metric.then(|| (name.to_owned(), rest.split(" |").next().unwrap().to_owned()))
    });
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), kinds, "the table of docs/monitoring.md");

    let exported = queried(&kinds);
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&read("deploy/monitoring/alerts.yaml")).unwrap();
    for (file, document) in [("dashboard.json", &dashboard), ("alerts.yaml", &alerts)] {
        let mut expressions = Vec::new();
        strings(document, "expr", &mut expressions);
        assert!(expressions.len() > 8, "{file}");
        let named: BTreeSet<_> = expressions.iter().flat_map(|text| names(text)).collect();
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    // Every metric is shown, so that nothing is counted that no one sees.
    let mut expressions = Vec::new();
    strings(&dashboard, "expr", &mut expressions);
    let shown: BTreeSet<_> = expressions.iter().flat_map(|text| names(text)).collect();
    let is_shown = |name: &&String| {
        shown.iter().any(|found| {
            found
                .strip_prefix(name.as_str())
                .is_some_and(|end| end.is_empty() || ["_bucket", "_sum", "_count"].contains(&end))
        })
    };
    let hidden: Vec<_> = kinds.keys().filter(|name| !is_shown(name)).collect();
    assert_eq!(hidden, ["process_threads", "process_virtual_memory_bytes"]);
}
