//! One replica after another is stopped and started anew, as in a deployment.

use std::time::Duration;

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
    servers[0].until(|_| async { !clients.projects().is_empty() }).await;
    let watched = clients.projects()[0].clone();
    let follower = Follower::of(&watched, &bases);
    for _ in 0..3 {
        for server in &mut servers {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(server.terminate().await, Some(0), "{}", server.log.lock().unwrap());
            server.start_again().await;
        }
    }
    let acknowledged = clients.acknowledged();
    println!("{acknowledged} acknowledged, {} not answered", clients.refused());
    assert!(acknowledged > 100, "too little was tried: {acknowledged}");
    let told = clients.stop().await;
    all_done(&servers[0], told.keys()).await;
    for (project, told) in &told {
        let length = holds(&servers[1], project, told).await;
        if *project == watched {
            follower.reaches(length).await;
        }
    }
}
