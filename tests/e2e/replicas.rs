//! Several servers on one PostgreSQL and one Redis act as one system.

use botarmy_tests::server::TestServer;
use botarmy_tests::services::{self, Database, RedisServer};
use botarmy_tests::watcher::Watcher;
use serde_json::{Value, json};

use crate::live::{positions, until_packaged};

/// Starts a server with this role and these additional variables.
async fn replica(
    database: &Database,
    redis: (&str, &str),
    role: &str,
    more: &[(&str, &str)],
) -> TestServer {
    let store = database.url();
    let mut variables = vec![
        ("BOTARMY_STORE__URL", store.as_str()),
        ("BOTARMY_REDIS__URL", redis.0),
        ("BOTARMY_REDIS__PREFIX", redis.1),
        ("BOTARMY_SERVER__ROLE", role),
    ];
    variables.extend(more);
    TestServer::with(&variables).await
}

async fn redis_of(server: &TestServer) -> Value {
    server.get("/health/detailed").await.1["components"]["redis"].clone()
}

async fn is_connected(server: &TestServer) {
    server.until(|server| async move { redis_of(server).await["status"] == "healthy" }).await;
}

async fn statuses(server: &TestServer) -> Value {
    let (status, body) = server.get("/api/v1/agents/status").await;
    assert_eq!(status, 200, "{body}");
    body
}

fn all(count: usize) -> Vec<u64> {
    (1..=count as u64).collect()
}

/// The poll interval is a minute, so that only notifications can be this fast.
#[tokio::test]
async fn what_one_begins_another_works_on_and_a_third_sees() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let redis = (redis.url.as_str(), redis.prefix.as_str());
    let worker = [("BOTARMY_WORKER__POLL_MS", "60000")];
    let (a, b, c) = tokio::join!(
        replica(&database, redis, "api", &[]),
        replica(&database, redis, "worker", &worker),
        replica(&database, redis, "api", &[]),
    );
    for server in [&a, &b, &c] {
        is_connected(server).await;
    }
    let project = a.project("Notes for a choir").await;
    let query = format!("?project_id={project}&after=0");
    let (mut here, mut there) =
        (Watcher::on(&a.base, &query).await, Watcher::on(&c.base, &query).await);
    let (here, there, status) = tokio::join!(
        until_packaged(&mut here),
        until_packaged(&mut there),
        a.approve_all(&project)
    );
    assert_eq!(status, "completed");
    let (_, found) = c.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
    for frames in [here, there] {
        let seen = positions(&frames, &project);
        assert_eq!(seen, all(seen.len()), "a gap, or something twice");
        // The package is announced last; later entries of the log are not asserted.
        assert!(found["head"]["seq"].as_u64() >= seen.last().copied());
    }
    let before = statuses(&a).await;
    a.post("/api/v1/agents/status/deployer/reset", json!({})).await;
    let after = statuses(&a).await;
    let at = |all: &Value| all["deployer"]["last_activity"].as_str().map(str::to_owned);
    assert!(at(&after) > at(&before), "the author of a change sees it: {after}");
    c.until(|c| {
        let (at, wanted) = (&at, at(&after));
        async move { at(&statuses(c).await) >= wanted }
    })
    .await;
    a.until(|_| async { statuses(&a).await == statuses(&c).await }).await;
}

#[tokio::test]
async fn redis_may_go_and_come_back_in_the_middle() {
    let Some(database) = services::database().await else { return };
    let Some(mut server) = RedisServer::start().await else { return };
    let url = server.url();
    let redis = (url.as_str(), "botarmy");
    let worker = [("BOTARMY_WORKER__POLL_MS", "200")];
    let (a, b) = tokio::join!(
        replica(&database, redis, "api", &[]),
        replica(&database, redis, "worker", &worker),
    );
    is_connected(&a).await;
    is_connected(&b).await;
    let project = a.project("Notes for a choir").await;
    let mut watcher = Watcher::on(&a.base, &format!("?project_id={project}&after=0")).await;
    let living = async {
        let gate = a.next_gate(&project).await.unwrap();
        server.kill();
        a.respond(&gate, json!({"action": "approve"})).await;
        let gate = a.next_gate(&project).await.unwrap();
        assert_eq!(a.get("/readyz").await.0, 200, "it is of use without Redis");
        a.until(|a| async move { redis_of(a).await["status"] == "unhealthy" }).await;
        let (status, health) = a.get("/health/detailed").await;
        assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{health}");
        server.start_again().await;
        is_connected(&a).await;
        server.pause();
        a.respond(&gate, json!({"action": "approve"})).await;
        assert_eq!(statuses(&a).await.as_object().map(serde_json::Map::len), Some(6));
        server.resume();
        a.approve_all(&project).await
    };
    let (frames, status) = tokio::join!(until_packaged(&mut watcher), living);
    assert_eq!(status, "completed");
    let seen = positions(&frames, &project);
    assert_eq!(seen, all(seen.len()), "a gap, or something twice");
}

#[tokio::test]
async fn a_server_starts_without_its_redis_and_keeps_the_password_to_itself() {
    let variables = [("BOTARMY_REDIS__URL", "redis://army:s3cr3t@127.0.0.1:1/0")];
    let server = TestServer::with(&variables).await;
    server.until(|server| async move { redis_of(server).await["status"] == "unhealthy" }).await;
    let project = server.project("Notes for a choir").await;
    assert_eq!(server.approve_all(&project).await, "completed");
    let (_, health) = server.get("/health/detailed").await;
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("redis://127.0.0.1:1 cannot be reached"), "{log}");
    assert!(!log.contains("s3cr3t") && !health.to_string().contains("s3cr3t"), "{health}");
}

#[tokio::test]
async fn a_part_without_redis_says_what_that_costs() {
    let Some(database) = services::database().await else { return };
    let server = replica(&database, ("", "botarmy"), "worker", &[]).await;
    let log = server.log.lock().unwrap().clone();
    let line = log.lines().find(|line| line.contains("redis.url is empty")).unwrap();
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(redis_of(&server).await["status"], "not_configured");
}

/// The lease is taken from one server, extended at a second and finished at a third.
#[tokio::test]
async fn an_external_worker_is_served_by_any_server() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let redis = (redis.url.as_str(), redis.prefix.as_str());
    let no_coder = [("BOTARMY_AGENTS__CODER__RUNNER", "none")];
    let (a, b, c) = tokio::join!(
        replica(&database, redis, "api", &no_coder),
        replica(&database, redis, "api", &no_coder),
        replica(&database, redis, "worker", &no_coder),
    );
    is_connected(&b).await;
    let project = a.by_hand().await;
    let waits = json!({"worker_id": "w", "agents": ["coder"], "wait_s": 20});
    let submits = async {
        // A waiting request is notified and does not have to poll again.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        a.submit(&project, "coder", "Do it.").await
    };
    let ((status, leased), task) = tokio::join!(b.post("/api/v1/worker/leases", waits), submits);
    assert_eq!(status, 200, "{leased}");
    let lease = &leased["leases"][0];
    let (status, received) = a.say(lease, "heartbeat", json!({"message": "half way"})).await;
    assert_eq!((status, &received["cancel"]), (200, &json!(false)), "{received}");
    let done = json!({"output": {"text": "done"}, "usage": {"input_tokens": 5}});
    for server in [&b, &a] {
        let (status, said) = server.say(lease, "complete", done.clone()).await;
        assert_eq!(status, 200, "the same again is the same: {said}");
    }
    a.until_is(&format!("/api/v1/tasks/{task}"), "/status", "completed").await;
    let (_, usage) = b.get(&format!("/api/v1/projects/{project}/usage")).await;
    assert_eq!(usage["total"]["tokens"], 5, "{usage}");
    drop(c);
}

/// Each round is decided on two servers at once, and told by one entry.
#[tokio::test]
async fn two_servers_that_stop_the_same_scope_at_once_stop_it_once() {
    const ROUNDS: usize = 20;
    const STOP: &str = "/api/v1/emergency-stop";
    let Some(database) = services::database().await else { return };
    let store = database.url();
    let variables = [("BOTARMY_STORE__URL", store.as_str()), ("BOTARMY_SERVER__ROLE", "api")];
    let (a, b) = tokio::join!(TestServer::with(&variables), TestServer::with(&variables));
    let project = a.by_hand().await;
    let scopes = [
        (json!({"scope": "everything"}), "scope=everything".to_owned()),
        (
            json!({"scope": "project", "project_id": project}),
            format!("scope=project&project_id={project}"),
        ),
    ];
    let pair = |(one, _): (u16, Value), (other, _): (u16, Value)| {
        let mut both = [one, other];
        both.sort_unstable();
        both
    };
    for (scope, query) in &scopes {
        let mut body = scope.clone();
        body["reason"] = json!("It runs wild");
        let release = format!("{STOP}?{query}&reason=tame");
        for round in 0..ROUNDS {
            let (one, other) = tokio::join!(a.post(STOP, body.clone()), b.post(STOP, body.clone()));
            assert_eq!(pair(one, other), [200, 201], "{query}, round {round}");
            let (one, other) = tokio::join!(a.delete(&release), b.delete(&release));
            assert_eq!(pair(one, other), [204, 404], "{query}, round {round}");
        }
    }
    for event in ["emergency_stopped", "emergency_released"] {
        let path = format!("/api/v1/audit/events?event_type={event}&limit=100");
        let (_, told) = a.get(&path).await;
        assert_eq!(told.as_array().map(Vec::len), Some(ROUNDS * scopes.len()), "{told}");
    }
}
