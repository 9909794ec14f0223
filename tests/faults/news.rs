//! Redis goes away, comes back empty, or hangs: answers stay right, tasks keep flowing at the poll
//! interval, and whoever watches sees everything once.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, Told, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::follower::Follower;
use botarmy_tests::server::TestServer;
use botarmy_tests::services::{self, RedisServer};
use futures_util::future::join_all;
use serde_json::json;

/// How long a worker sleeps that nobody wakes.
const POLL: Duration = Duration::from_secs(1);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1000);

/// A project that a question keeps open, whatever its tasks do; answers what was told of it.
async fn open_project(server: &TestServer) -> (String, Told) {
    let project = server.by_hand().await;
    let question = json!({"project_id": project, "question": "Is it over?"});
    let (status, request) = server.post("/api/v1/hitl", question).await;
    assert_eq!(status, 201, "{request}");
    let requests = vec![request["request_id"].as_str().unwrap().to_owned()];
    (project, Told { requests, ..Told::default() })
}

/// Some tasks, one after another, from submission to completion; answers how long the fastest and
/// the slowest took. They are for an agent that nobody else has tasks for: one with many is asked
/// for more whenever it has done one, and needs no news.
async fn some_tasks(server: &TestServer, project: &str, told: &mut Told) -> (Duration, Duration) {
    let (mut fastest, mut slowest) = (Duration::MAX, Duration::ZERO);
    for _ in 0..3 {
        let started = Instant::now();
        let task = json!({"agent_type": "tester", "instructions": "Do it"});
        let (status, task) = server.post(&format!("/api/v1/projects/{project}/tasks"), task).await;
        assert_eq!(status, 201, "{task}");
        let id = task["task_id"].as_str().unwrap();
        server.until_is(&format!("/api/v1/tasks/{id}"), "/status", "completed").await;
        let took = started.elapsed();
        (fastest, slowest) = (fastest.min(took), slowest.max(took));
        told.tasks.push(id.to_owned());
    }
    (fastest, slowest)
}

/// Where the log of a project ends.
async fn end_of(server: &TestServer, project: &str) -> u64 {
    let (status, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(status, 200, "{found}");
    found["head"]["seq"].as_u64().unwrap()
}

/// Waits until everybody has seen the whole log; answers how long that took, for each.
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
    // One project is written to through the first server alone, and followed on both.
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
        for (server, (project, told)) in servers.iter().zip(projects) {
            // The fastest of some: what others add on a busy machine is not the servers' doing.
            // Whoever submits a task as soon as another is done has to wait for the whole interval.
            let (fastest, slowest) = some_tasks(server, project, told).await;
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
    assert_eq!(clients.refused(), 0, "nobody was refused because of Redis");
    let mut told = clients.stop().await;
    told.insert(project.clone(), written);
    told.insert(aside, written_aside);
    all_done(&servers[0], told.keys()).await;
    for (project, told) in &told {
        holds(&servers[0], project, told).await;
    }
    let length = end_of(&servers[1], &project).await;
    for follower in &followers {
        follower.ends_well(length).await;
        assert_eq!(follower.comings(), 1, "a subscriber was cut off because of Redis");
    }
}
