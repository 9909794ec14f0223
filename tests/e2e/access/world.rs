//! Projects with one object of each kind, and callers with keys.

use std::sync::atomic::{AtomicU32, Ordering};

use botarmy_tests::documented;
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// Runners that take no task, so that tasks wait for the tests.
pub(super) const NO_RUNNERS: [(&str, &str); 2] =
    [("BOTARMY_AGENTS__CODER__RUNNER", "none"), ("BOTARMY_AGENTS__TESTER__RUNNER", "none")];

/// Leases that outlive a test: the end of one is a change, too, and lets another have the task.
pub(super) const LONG_LEASES: [(&str, &str); 3] = [
    ("BOTARMY_WORKER__LEASE_S", "86400"),
    ("BOTARMY_WORKER__FIRST_CALL_S", "86400"),
    ("BOTARMY_WORKER__ATTEMPT_TIMEOUT_S", "86400"),
];

/// Number of names that were made, so that each is new.
static NAMES: AtomicU32 = AtomicU32::new(0);

/// Returns a name that nothing else has.
pub(super) fn new_name(kind: &str) -> String {
    format!("{kind} {}", NAMES.fetch_add(1, Ordering::Relaxed))
}

/// A project with one object of each kind.
pub(super) struct Project {
    pub(super) id: String,
    /// Task that waits.
    pub(super) task: String,
    pub(super) request: String,
    pub(super) artifact: String,
    pub(super) event: String,
    /// Lease of another task.
    pub(super) lease: Value,
}

impl Project {
    /// Creates a project with everything in it. The tasks of no other project may wait.
    pub(super) async fn new(server: &TestServer) -> Self {
        let id = server.by_hand().await;
        let question = json!({"project_id": id, "question": "Is it in?"});
        let (status, request) = server.post("/api/v1/hitl", question).await;
        assert_eq!(status, 201, "{request}");
        server.submit(&id, "coder", "A leased task").await;
        let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 5});
        let (status, leased) = server.post("/api/v1/worker/leases", poll).await;
        assert_eq!(status, 200, "{leased}");
        assert_eq!(leased["leases"][0]["task"]["task"]["project_id"], json!(id), "{leased}");
        let task = server.submit(&id, "tester", "A task that waits").await;
        let artifact = crate::rest::put_in(server, &id, "user_input", json!({"idea": "x"})).await;
        let (status, made) =
            server.post(&format!("/api/v1/artifacts/{id}/generate"), json!({})).await;
        assert!(status < 300, "{made}");
        let events = server.events(&id).await;
        Self {
            id,
            task,
            request: request["request_id"].as_str().unwrap().to_owned(),
            artifact,
            event: events[0]["id"].as_str().unwrap().to_owned(),
            lease: leased["leases"][0].clone(),
        }
    }

    /// Returns what is stored about the project, as far as its log and its rows show it.
    pub(super) async fn state(&self, server: &TestServer) -> Value {
        let events = server.events(&self.id).await;
        let (_, project) = server.get(&format!("/api/v1/projects/{}", self.id)).await;
        let (_, requests) = server.get(&format!("/api/v1/hitl/project/{}/requests", self.id)).await;
        json!([events.len(), project, requests])
    }
}

/// Returns the newest entries of all logs, without those that the server writes by itself a moment after what
/// they are about.
pub(super) async fn decided(server: &TestServer) -> Vec<Value> {
    let mut events = server.list("/api/v1/audit/events?limit=1000").await;
    let own = ["access_denied", "agent_status_changed"].map(Value::from);
    events.retain(|event| !own.contains(&event["event_type"]));
    events
}

/// A principal with a key.
pub(super) struct Keyed {
    pub(super) principal: String,
    pub(super) key_id: String,
    pub(super) key: String,
}

/// Creates a principal with these grants, and a key for it.
pub(super) async fn principal(server: &TestServer, kind: &str, grants: Value) -> Keyed {
    let body = json!({"name": new_name(kind), "kind": kind, "grants": grants});
    let (status, made) = server.post("/api/v1/access/principals", body).await;
    assert_eq!(status, 201, "{made}");
    let principal = made["id"].as_str().unwrap().to_owned();
    key_for(server, &principal).await
}

/// Creates a key for a principal.
pub(super) async fn key_for(server: &TestServer, principal: &str) -> Keyed {
    let body = json!({"principal_id": principal, "name": "a key"});
    let (status, key) = server.post("/api/v1/access/keys", body).await;
    assert_eq!(status, 201, "{key}");
    Keyed {
        principal: principal.to_owned(),
        key_id: key["id"].as_str().unwrap().to_owned(),
        key: key["key"].as_str().unwrap().to_owned(),
    }
}

/// Returns a client that sends only what it is told to.
pub(super) fn client() -> Client {
    bare_client_builder().pool_max_idle_per_host(64).build().unwrap()
}

/// Sends a request with this credential, and with JSON if there is a body.
pub(super) async fn send(
    client: &Client,
    base: &str,
    credential: Option<&str>,
    (method, path): (&Method, &str),
    body: Option<&Value>,
) -> Response {
    let mut request = client.request(method.clone(), format!("{base}{path}")).timeout(TIMEOUT);
    if let Some(credential) = credential {
        request = request.bearer_auth(credential);
    }
    if path.starts_with("/ws") {
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.send().await.unwrap();
    documented::check(method, path, response.status().as_u16());
    response
}

/// Returns a key of the right form that was never created.
pub(super) fn unknown_key(n: u8) -> String {
    botarmy_domain::KeySecret::new([n; 32]).text().expose().to_owned()
}
