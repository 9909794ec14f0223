//! A worker stands still for longer than its lease, and then goes on as if nothing had been.

use std::collections::BTreeSet;

use botarmy_tests::cluster::{Clients, Cluster, all_done, holds};
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
    let held = "SELECT id::text FROM tasks WHERE status = 'working'";
    // It is alone, so whatever is held is held by it. An instant is waited for at which that is
    // something, although its tasks do nothing.
    let held: BTreeSet<String> = loop {
        api.until(|_| async { !admin.query(held, &[]).await.unwrap().is_empty() }).await;
        frozen.signal(Signal::STOP);
        let rows = admin.query(held, &[]).await.unwrap();
        if !rows.is_empty() {
            break rows.iter().map(|row| row.get(0)).collect();
        }
        frozen.signal(Signal::CONT);
    };
    println!("{} tasks are held by a worker that stands still", held.len());
    let healthy = cluster.replica("worker").await;
    for task in &held {
        let path = format!("/api/v1/tasks/{task}");
        api.until(|api| {
            let path = path.clone();
            async move { api.get(&path).await.1["status"] == "completed" }
        })
        .await;
        let (_, done) = api.get(&path).await;
        assert!(done["attempt"].as_u64().unwrap() >= 2, "somebody else did it: {done}");
    }
    frozen.signal(Signal::CONT);
    // What it had in hand it hands in now, and hears that it is too late.
    frozen.until(|f| async { f.log.lock().unwrap().contains("came too late") }).await;
    let told = clients.stop().await;
    all_done(&api, told.keys()).await;
    for (project, told) in &told {
        holds(&api, project, told).await;
    }
    drop(healthy);
}
