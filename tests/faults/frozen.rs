//! A worker is stopped for longer than its lease and then continues.

use std::time::Instant;

use botarmy_tests::cluster::{Clients, Cluster, all_done, freeze, holds};
use botarmy_tests::dice::Dice;
use botarmy_tests::services;
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_worker_held_is_done_by_another_and_its_late_results_are_refused() {
    let Some(database) = services::database().await else { return };
    let mut dice = Dice::new();
    let cluster = Cluster::on(&database.url(), None);
    let api = cluster.replica("api").await;
    let frozen = cluster.replica("worker").await;
    let clients = Clients::start(6, std::slice::from_ref(&api.base), &mut dice);
    let admin = services::connect(&database.url()).await.unwrap();
    let held = freeze(&frozen, &admin).await;
    let started = Instant::now();
    let healthy = cluster.replica("worker").await;
    for (task, attempt) in &held {
        let path = format!("/api/v1/tasks/{task}");
        api.until_is(&path, "/status", "completed").await;
        let (_, done) = api.get(&path).await;
        assert!(
            done["attempt"].as_i64() > Some((*attempt).into()),
            "another worker did it: {done}"
        );
    }
    println!(
        "{} tasks of a worker that stands still were done by another {:?} later",
        held.len(),
        started.elapsed()
    );
    frozen.signal(Signal::CONT);
    let started = Instant::now();
    // It now submits the finished work and is refused, or it learns of the lost lease before.
    frozen
        .until(|frozen| async {
            let log = frozen.log.lock().unwrap();
            log.contains("came too late") || log.contains("was aborted")
        })
        .await;
    println!("it was refused as too late {:?} after it continued", started.elapsed());
    let acks = clients.stop().await;
    all_done(&api, acks.keys()).await;
    for (project, acks) in &acks {
        holds(&api, project, acks).await;
    }
    drop(healthy);
}
