//! Processes are killed under load, and nothing that was acknowledged is lost.

use std::time::Duration;

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::follower::Follower;
use botarmy_tests::services;

const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_lose_nothing_and_do_nothing_twice() {
    let Some(database) = services::database().await else { return };
    let Some(redis) = services::redis() else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), Some((&redis.url, &redis.prefix)));
    let mut servers = Vec::new();
    for role in ["api", "api", "worker", "worker"] {
        servers.push(cluster.replica(role).await);
    }
    let bases: Vec<String> = servers[..2].iter().map(|server| server.base.clone()).collect();
    let clients = Clients::start(6, &bases, &mut dice);

    let mut followers: Vec<(String, Follower)> = Vec::new();
    for _ in 0..KILLS {
        // Whoever comes in the middle of it sees everything too.
        if followers.len() < 8
            && let Some(project) = clients.projects().last().cloned()
            && followers.iter().all(|(known, _)| *known != project)
        {
            followers.push((project.clone(), Follower::of(&project, &bases)));
        }
        tokio::time::sleep(Duration::from_millis(dice.below(150))).await;
        let victim = dice.below(4) as usize;
        servers[victim].kill_and_restart().await;
    }
    let (acknowledged, refused) = (clients.acknowledged(), clients.refused());
    let told = clients.stop().await;
    println!("{acknowledged} acknowledged, {refused} not answered, {} projects", told.len());
    assert!(acknowledged > 500, "too little was tried: {acknowledged}");
    assert!(refused > 0, "no kill was noticed");

    all_done(&servers[0], told.keys()).await;
    let mut lengths = std::collections::BTreeMap::new();
    for (project, told) in &told {
        lengths.insert(project, holds(&servers[1], project, told).await);
    }
    for (project, follower) in &followers {
        follower.reaches(lengths[project]).await;
    }
    assert!(followers.iter().map(|(_, one)| one.comings()).sum::<u64>() > 8, "nobody was cut off");
    let client = services::connect(&database.url()).await.unwrap();
    let held = "SELECT count(*) FROM tasks WHERE status = 'working'";
    let held: i64 = client.query_one(held, &[]).await.unwrap().get(0);
    assert_eq!(held, 0, "the dead hold leases");
}
