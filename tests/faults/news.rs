//! Redis stops, returns empty, or hangs: answers stay correct, tasks continue at the poll interval,
//! and subscribers receive everything once.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Acks, Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::follower::Follower;
use botarmy_tests::server::TestServer;
use botarmy_tests::services::{self, RedisServer};
use futures_util::future::join_all;
use serde_json::json;

/// Poll interval of a worker without notifications.
const POLL: Duration = Duration::from_secs(1);
/// Margin for a busy machine.
const SLACK: Duration = Duration::from_millis(1000);

/// Creates a project that an open question keeps from completing; returns its acknowledgements.
async fn open_project(server: &TestServer) -> (String, Acks) {
    let project = server.by_hand().await;
    let question = json!({"project_id": project, "question": "Is it over?"});
    let (status, request) = server.post("/api/v1/hitl", question).await;
    assert_eq!(status, 201, "{request}");
    let requests = vec![request["request_id"].as_str().unwrap().to_owned()];
    (project, Acks { requests, ..Acks::default() })
}

/// Runs tasks one after another from submission to completion; returns the fastest and the slowest
/// duration. They are for an agent type without other tasks: a worker with many tasks claims the
/// next as soon as one is completed, and needs no notification.
async fn some_tasks(server: &TestServer, project: &str, acks: &mut Acks) -> (Duration, Duration) {
    let (mut fastest, mut slowest) = (Duration::MAX, Duration::ZERO);
    for _ in 0..3 {
        let started = Instant::now();
        let id = server.submit(project, "tester", "Do it").await;
        server.until_is(&format!("/api/v1/tasks/{id}"), "/status", "completed").await;
        let took = started.elapsed();
        (fastest, slowest) = (fastest.min(took), slowest.max(took));
        acks.tasks.push(id.to_owned());
    }
    (fastest, slowest)
}

/// Returns the last position of a project's log.
async fn end_of(server: &TestServer, project: &str) -> u64 {
    let (status, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(status, 200, "{found}");
    found["head"]["seq"].as_u64().unwrap()
}

/// Waits until every follower has received the whole log; returns the time that took, for each.
async fn all_see(followers: &[Follower], length: u64) -> Vec<Duration> {
    let started = Instant::now();
    let seen = followers.iter().map(|follower| async move {
        follower.reaches(length).await;
        started.elapsed()
    });
    join_all(seen).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_stop_forget_everything_or_hang() {
    let Some(database) = services::database().await else { return };
    let Some(mut redis) = RedisServer::start().await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), Some((&redis.url(), "faults")))
        .with("AGENTS__TESTER__RUNNER", "noop");
    let servers = [
        cluster.replica("api").await,
        cluster.replica("api").await,
        cluster.replica("worker").await,
        cluster.replica("worker").await,
    ];
    let bases: Vec<_> = servers[..2].iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(3, &bases, &mut dice);
    // One project is written to through the first server only, and followed on both.
    let (project, mut written) = open_project(&servers[0]).await;
    let (aside, mut written_aside) = open_project(&servers[1]).await;
    let followers: Vec<_> =
        bases.iter().map(|base| Follower::of(&project, std::slice::from_ref(base))).collect();
    let (_, usual) = some_tasks(&servers[0], &project, &mut written).await;
    let seen = all_see(&followers, end_of(&servers[0], &project).await).await;
    println!("as usual: a task takes up to {usual:?}, and is seen {seen:?} later");

    for fault in ["stopped", "killed and empty", "hanging"] {
        match fault {
            "stopped" => redis.stop(),
            "killed and empty" => redis.kill(),
            _ => redis.pause(),
        }
        let projects = [(&project, &mut written), (&aside, &mut written_aside)];
        for (server, (project, acks)) in servers.iter().zip(projects) {
            // The fastest of several, to exclude other load of the machine. A task that is
            // submitted right after another is completed waits for the whole interval.
            let (fastest, slowest) = some_tasks(server, project, acks).await;
            println!("{fault}: a task takes {fastest:?} to {slowest:?}");
            assert!(fastest < usual * 2 + POLL + SLACK, "{fault}: {fastest:?}, {usual:?} before");
            let (status, _) = server.get("/readyz").await;
            assert_eq!(status, 200, "{fault}: it works without");
            let started = Instant::now();
            let (status, board) = server.get("/api/v1/agents/status").await;
            assert_eq!((status, board.as_object().unwrap().len()), (200, 6), "{fault}");
            let took = started.elapsed();
            println!("{fault}: the agents' status after {took:?}");
            assert!(took < Duration::from_secs(5), "{fault}: {took:?}");
        }
        let seen = all_see(&followers, end_of(&servers[0], &project).await).await;
        servers[0].until_is("/health/detailed", "/components/redis/status", "unhealthy").await;
        println!("{fault}: seen {seen:?} later");
        if fault == "hanging" {
            redis.resume();
        } else {
            redis.start_again().await;
        }
        for server in &servers[..2] {
            let took =
                server.until_is("/health/detailed", "/components/redis/status", "healthy").await;
            println!("{fault}, and back: healthy {took:?} later");
        }
        let (fastest, slowest) = some_tasks(&servers[0], &project, &mut written).await;
        let seen = all_see(&followers, end_of(&servers[0], &project).await).await;
        println!("{fault}, and back: a task takes {fastest:?} to {slowest:?}; seen {seen:?} later");
    }
    println!("{} acknowledged", clients.acknowledged());
    assert_eq!(clients.refused(), 0, "a request was refused because of Redis");
    let mut acks = clients.stop().await;
    acks.insert(project.clone(), written);
    acks.insert(aside, written_aside);
    all_done(&servers[0], acks.keys()).await;
    for (project, acks) in &acks {
        holds(&servers[0], project, acks).await;
    }
    let length = end_of(&servers[1], &project).await;
    for follower in &followers {
        follower.reaches_exactly(length).await;
        assert_eq!(follower.connections(), 1, "a subscriber was cut off because of Redis");
    }
}
