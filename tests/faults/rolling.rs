//! Replicas are restarted one after another, as in a deployment.

use std::time::{Duration, Instant};

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::follower::Follower;
use botarmy_tests::services;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nothing_that_was_answered() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), Some((&redis.url, &redis.prefix)));
    let mut servers = [cluster.replica("all").await, cluster.replica("all").await];
    let bases: Vec<_> = servers.iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(6, &bases, &mut dice);
    // One project is written to and followed during the whole test.
    let steady = Clients::steady(1, &bases, &mut dice).await;
    let watched = steady.projects().pop().unwrap();
    let follower = Follower::of(&watched, &bases);
    follower.reaches(1).await;
    for _ in 0..3 {
        for n in 0..servers.len() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let started = Instant::now();
            let status = servers[n].terminate().await;
            assert_eq!(status, Some(0), "{}", servers[n].log.lock().unwrap());
            let stopped = started.elapsed();
            // The other replica answers and serves the follower.
            let (written, seen) = (steady.acknowledged(), follower.position());
            let other = &servers[1 - n];
            other
                .until(|_| async {
                    steady.acknowledged() > written + 3 && follower.position() > seen + 3
                })
                .await;
            let alone = started.elapsed() - stopped;
            servers[n].start_again().await;
            println!(
                "stopped after {stopped:?}; {alone:?} until the other had written and published"
            );
        }
    }
    let acknowledged = clients.acknowledged() + steady.acknowledged();
    let refused = clients.refused() + steady.refused();
    println!("{acknowledged} acknowledged, {refused} not answered");
    assert!(acknowledged > 100, "too little was tried: {acknowledged}");
    let mut acks = clients.stop().await;
    acks.append(&mut steady.stop().await);
    all_done(&servers[0], acks.keys()).await;
    for (project, acks) in &acks {
        let length = holds(&servers[1], project, acks).await;
        if *project == watched {
            follower.reaches_exactly(length).await;
            println!("a follower saw {length} entries in {} connections", follower.connections());
        }
    }
    assert!(follower.connections() > 3, "the follower connected {} times", follower.connections());
}
