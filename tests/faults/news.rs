//! Redis goes away, comes back empty, or hangs: answers stay right, tasks keep flowing at the poll
//! interval, and whoever watches sees everything once.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::follower::Follower;
use botarmy_tests::server::TestServer;
use botarmy_tests::services::{self, RedisServer};
use serde_json::json;

/// From submission to completion, on servers that have other things to do as well.
async fn one_task(server: &TestServer) -> Duration {
    let project = server.by_hand().await;
    let started = Instant::now();
    let task = json!({"agent_type": "coder", "instructions": "Do it"});
    let (status, task) = server.post(&format!("/api/v1/projects/{project}/tasks"), task).await;
    assert_eq!(status, 201, "{task}");
    let path = format!("/api/v1/tasks/{}", task["task_id"].as_str().unwrap());
    server
        .until(|server| {
            let path = path.clone();
            async move { server.get(&path).await.1["status"] == "completed" }
        })
        .await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_stop_forget_everything_or_hang() {
    let Some(database) = services::database().await else { return };
    let Some(mut redis) = RedisServer::start().await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), Some((&redis.url(), "faults")));
    let servers = [
        cluster.replica("api").await,
        cluster.replica("api").await,
        cluster.replica("worker").await,
        cluster.replica("worker").await,
    ];
    let bases: Vec<_> = servers[..2].iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(3, &bases, &mut dice);
    servers[0].until(|_| async { clients.projects().len() > 2 }).await;
    let watched: Vec<_> = clients.projects().into_iter().take(3).collect();
    let followers: Vec<_> =
        watched.iter().map(|project| Follower::of(project, &bases[1..])).collect();

    for fault in ["stopped", "killed and empty", "hanging"] {
        match fault {
            "stopped" => redis.stop(),
            "killed and empty" => redis.kill(),
            _ => redis.pause(),
        }
        for server in &servers[..2] {
            // The poll interval is a second; what is above it is the load's.
            let took = one_task(server).await;
            println!("{fault}: a task took {took:?}");
            assert!(took < Duration::from_secs(5), "{fault}: {took:?}");
            let (status, _) = server.get("/readyz").await;
            assert_eq!(status, 200, "{fault}: it works without");
            let started = Instant::now();
            let (status, board) = server.get("/api/v1/agents/status").await;
            assert_eq!((status, board.as_object().unwrap().len()), (200, 6), "{fault}");
            assert!(started.elapsed() < Duration::from_secs(2), "{fault}");
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (_, health) = servers[0].get("/health/detailed").await;
        assert_eq!(health["components"]["redis"]["status"], "unhealthy", "{fault}: {health}");
        if fault == "hanging" {
            redis.resume();
        } else {
            redis.start_again().await;
        }
        servers[0]
            .until(|server| async move {
                let (_, health) = server.get("/health/detailed").await;
                health["components"]["redis"]["status"] == "healthy"
            })
            .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(clients.refused(), 0, "nobody was refused because of Redis");
    let told = clients.stop().await;
    all_done(&servers[0], told.keys()).await;
    for (project, told) in &told {
        let length = holds(&servers[0], project, told).await;
        if let Some(n) = watched.iter().position(|watched| watched == project) {
            followers[n].reaches(length).await;
        }
    }
    for follower in &followers {
        assert_eq!(follower.comings(), 1, "a subscriber was cut off because of Redis");
    }
}
