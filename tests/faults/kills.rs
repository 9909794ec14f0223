//! Processes are killed under load; nothing that was acknowledged may be lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, all_done, freeze, held, holds};
use botarmy_tests::follower::Follower;
use botarmy_tests::prove::{count, repeat};
use botarmy_tests::services;

/// Rounds of each test under `just prove`.
const ROUNDS: u32 = 20;
/// Kills of one round, in every test run and under `just prove`.
const KILLS: (u32, u32) = (20, 50);
/// Maximum time that a dead worker keeps a task: its lease and one interval of the timer.
const LEASE: Duration = Duration::from_millis(2000 + 500);
/// Delay before the second attempt and one poll interval of a worker without a notification.
const AGAIN: Duration = Duration::from_millis(1000 + 1000);
/// Margin for a busy machine.
const SLACK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_and_do_nothing_twice() {
    repeat(ROUNDS, async |mut dice| {
        let Some(database) = services::database().await else { return };
        let Some(redis) = services::redis() else { return };
        let cluster = Cluster::on(&database.url(), Some((&redis.url, &redis.prefix)));
        let mut servers = Vec::new();
        for role in ["api", "api", "worker", "worker"] {
            servers.push(cluster.replica(role).await);
        }
        let bases: Vec<String> = servers[..2].iter().map(|server| server.base.clone()).collect();
        let clients = Clients::start(6, &bases, &mut dice);
        // Two projects are written to and followed during the whole test.
        let steady = Clients::steady(2, &bases, &mut dice).await;
        let mut followers: Vec<(String, Follower)> = Vec::new();
        for project in steady.projects() {
            followers.push((project.clone(), Follower::of(&project, &bases)));
        }

        for n in 0..count(KILLS.0, KILLS.1) {
            // A subscriber that joins in the middle must also receive everything.
            if n % 6 == 0
                && let Some(project) = clients.projects().pop()
            {
                followers.push((project.clone(), Follower::of(&project, &bases)));
            }
            tokio::time::sleep(Duration::from_millis(dice.below(150))).await;
            let victim = dice.below(4) as usize;
            servers[victim].kill_and_restart().await;
        }
        let acknowledged = clients.acknowledged() + steady.acknowledged();
        let refused = clients.refused() + steady.refused();
        let killed = Instant::now();
        let client = services::connect(&database.url()).await.unwrap();
        let kept = held(&client).await;

        let mut acks = clients.stop().await;
        acks.append(&mut steady.stop().await);
        println!("{acknowledged} acknowledged, {refused} not answered, {} projects", acks.len());
        assert!(acknowledged > 500, "too little was tried: {acknowledged}");
        assert!(refused > 0, "no kill was noticed");

        // All leases of that time expire soon, whether the worker is alive or not.
        let is_kept =
            |now: &BTreeMap<_, _>| kept.iter().any(|(task, at)| now.get(task) == Some(at));
        while is_kept(&held(&client).await) {
            assert!(killed.elapsed() < LEASE + SLACK, "the dead hold leases");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("{} tasks were held; {:?} later none of them", kept.len(), killed.elapsed());

        all_done(&servers[0], acks.keys()).await;
        let mut lengths = BTreeMap::new();
        for (project, acks) in &acks {
            lengths.insert(project, holds(&servers[1], project, acks).await);
        }
        for (project, follower) in &followers {
            follower.reaches_exactly(lengths[project]).await;
        }
        let connections: Vec<_> = followers.iter().map(|(_, one)| one.connections()).collect();
        let seen: Vec<_> = followers.iter().map(|(project, _)| lengths[project]).collect();
        println!("{seen:?} entries were seen in {connections:?} connections");
        assert!(
            connections[..2].iter().all(|times| *times > 3),
            "a follower was hardly ever cut off"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_held_is_done_by_another_when_its_lease_is_over() {
    repeat(ROUNDS, async |mut dice| {
        let Some(database) = services::database().await else { return };
        let cluster = Cluster::on(&database.url(), None);
        let api = cluster.replica("api").await;
        let mut victim = cluster.replica("worker").await;
        let clients = Clients::start(6, std::slice::from_ref(&api.base), &mut dice);
        let admin = services::connect(&database.url()).await.unwrap();
        let mut worst = Duration::ZERO;
        for _ in 0..3 {
            let held = freeze(&victim, &admin).await;
            victim.kill();
            let killed = Instant::now();
            victim.start_again().await;
            let started = killed.elapsed();
            for (task, attempt) in &held {
                let path = format!("/api/v1/tasks/{task}");
                api.until_is(&path, "/status", "completed").await;
                let (_, done) = api.get(&path).await;
                let later = done["attempt"].as_i64() > Some((*attempt).into());
                assert!(later, "not completed by another attempt: {done}");
            }
            let took = killed.elapsed();
            println!(
                "{} tasks of a killed worker were done {took:?} after its end; the next was there after \
                 {started:?}",
                held.len()
            );
            worst = worst.max(took.saturating_sub(started));
        }
        assert!(worst < LEASE + AGAIN + SLACK, "it took {worst:?}");
        let acks = clients.stop().await;
        all_done(&api, acks.keys()).await;
        for (project, acks) in &acks {
            holds(&api, project, acks).await;
        }
    })
    .await;
}
