//! Failures of PostgreSQL or of the connections to it.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::metrics::Metrics;
use botarmy_tests::server::TestServer;
use botarmy_tests::services::{self, PostgresServer};
use serde_json::json;

/// Maximum time from the recovery of the database to that of the servers.
const RECOVERY: Duration = Duration::from_secs(5);
/// Maximum duration of a probe: one second, plus a margin for a busy machine.
const PROBE: Duration = Duration::from_millis(1500);

/// Polls until the answer has this status; returns the time that took.
async fn until(server: &TestServer, path: &str, status: u16) -> Duration {
    let started = Instant::now();
    server.until(|server| async move { server.get(path).await.0 == status }).await;
    started.elapsed()
}

/// Checks the answers while the database cannot be reached.
async fn is_unavailable(server: &TestServer) {
    until(server, "/readyz", 503).await;
    assert_eq!(server.get("/livez").await.0, 200, "a restart would not help");
    for (method, path, body) in [
        (reqwest::Method::POST, "/api/v1/projects", Some(json!({"name": "Lost"}).to_string())),
        (reqwest::Method::GET, "/api/v1/projects", None),
    ] {
        let started = Instant::now();
        let response = server.raw(method, path, body).await.unwrap();
        assert_eq!(response.status().as_u16(), 503, "{path}");
        assert!(response.headers().contains_key("retry-after"), "{path}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("postgres://"), "{text}");
        println!("{path}: 503 after {:?}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(15), "{path}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_restarts_of_the_database() {
    let Some((mut postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&url, None);
    let servers = [cluster.replica("api").await, cluster.replica("worker").await];
    let bases = [servers[0].base.clone()];
    let clients = Clients::start(4, &bases, &mut dice);
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(300))).await;
        let before = clients.acknowledged();
        if round % 2 == 0 {
            postgres.stop();
        } else {
            postgres.kill();
        }
        is_unavailable(&servers[0]).await;
        assert_eq!(servers[1].get("/livez").await.0, 200);
        postgres.start_again().await;
        let back = Instant::now();
        for server in &servers {
            until(server, "/readyz", 200).await;
        }
        let (status, answer) =
            servers[0].post("/api/v1/projects", json!({"name": "Back again"})).await;
        assert_eq!(status, 201, "{answer}");
        let took = back.elapsed();
        assert!(took < RECOVERY, "{took:?}");
        // Clients get successful answers again, too.
        let now = clients.acknowledged();
        servers[0].until(|_| async { clients.acknowledged() > now + 5 }).await;
        let clients_after = back.elapsed();
        println!(
            "the database was back; ready {took:?} later, clients {clients_after:?} later; \
             {before} acknowledged before"
        );
    }
    assert!(clients.refused() > 0);
    let acks = clients.stop().await;
    all_done(&servers[0], acks.keys()).await;
    for (project, acks) in &acks {
        holds(&servers[0], project, acks).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_under_load_lose_nothing_that_was_acknowledged() {
    let Some(database) = services::database().await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), None);
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    let bases: Vec<_> = servers.iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(6, &bases, &mut dice);
    let admin = services::connect(&database.url()).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5";
    let mut ended = 0;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(20 + dice.below(100))).await;
        ended += admin.query_one(cut, &[]).await.unwrap().get::<_, i64>(0);
    }
    assert!(ended > 40, "too few were cut: {ended}");
    let before = clients.acknowledged();
    servers[0].until(|_| async { clients.acknowledged() > before + 20 }).await;
    println!("{ended} connections cut; {} acknowledged, {} refused", before, clients.refused());
    let acks = clients.stop().await;
    all_done(&servers[0], acks.keys()).await;
    for (project, acks) in &acks {
        holds(&servers[1], project, acks).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_database_is_distinguished_from_a_working_one() {
    let Some((postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    let cluster = Cluster::on(&url, None).with("STORE__TIMEOUT_S", "2");
    let server = cluster.replica("all").await;
    postgres.pause();
    // A scrape goes on without the figures of the database, after its time limit of a second.
    let started = Instant::now();
    let scrape = Metrics::of(&server).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(scrape.value("botarmy_metrics_store_errors_total", &[]) >= 1.0);
    assert!(scrape.series("botarmy_queue_tasks").is_empty(), "figures of a database that hangs");
    assert!(scrape.value("process_start_time_seconds", &[]) > 0.0);
    // A probe must answer within a second even though the database hangs.
    for path in ["/livez", "/readyz", "/health", "/health/detailed", "/healthz"] {
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            let (status, answer) = server.get(path).await;
            fastest = fastest.min(started.elapsed());
            let is_well = matches!(path, "/livez" | "/health");
            assert_eq!(status == 200, is_well, "{path}: {status} {answer}");
        }
        println!("{path}: {fastest:?} while the database hangs");
        assert!(fastest < PROBE, "{path}: {fastest:?}");
    }
    is_unavailable(&server).await;
    postgres.resume();
    let back = Instant::now();
    until(&server, "/readyz", 200).await;
    assert_eq!(server.post("/api/v1/projects", json!({"name": "Back"})).await.0, 201);
    let took = back.elapsed();
    println!("everything works {took:?} after the database does");
    assert!(took < RECOVERY, "{took:?}");
}
