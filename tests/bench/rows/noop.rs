//! Tasks that do nothing, from their submission to their completion.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;

use super::{open_project, task};
use crate::Scale;
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::table::Line;

/// Number of clients.
const CLIENTS: usize = 64;

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: "no-op tasks, submit to completed", unit: Unit::PerSecond }];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let count = scale.of(5000, 2500);
    let (_, took) = drive(count).await?;
    Ok(vec![count as f64 / took.as_secs_f64()])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let count = scale.of(5000, 1000);
    let (submitted, took) = drive(count).await?;
    let rate = count as f64 / took.as_secs_f64();
    Ok(vec![Line::rate("no-op tasks, submit to completed", rate, 4000.0).note(format!(
        "{count} tasks of one project from 64 clients, 64 at once with the agent; the last was \
         submitted after {:.2} s and completed after {:.2} s",
        submitted.as_secs_f64(),
        took.as_secs_f64()
    ))])
}

/// Submits this many tasks to a server. Returns the times at which the last one was submitted and
/// completed.
async fn drive(count: usize) -> Result<(Duration, Duration)> {
    let data = data_dir()?;
    let settings = [setting::NOOP_CODER, setting::MANY_CODERS];
    let server = Server::start(data.path(), &settings).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = open_project(&mut connection).await?;
    let path: Arc<str> = format!("/api/v1/projects/{project}/tasks").into();
    let body: Arc<str> = task(64).to_string().into();
    // Warm-up, as on a server that has been running for a while.
    for _ in 0..100 {
        connection.post(&path, body.as_bytes()).await?.json()?;
    }
    until_completed(&mut connection, &project, 100).await?;

    let left = Arc::new(AtomicUsize::new(count));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut connection = Connection::open(server.address).await?;
        let (path, body, left) = (Arc::clone(&path), Arc::clone(&body), Arc::clone(&left));
        clients.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let answer = connection.post(&path, body.as_bytes()).await?;
                if answer.status != 201 {
                    bail!("a task was answered {}", answer.status);
                }
            }
            Ok(())
        });
    }
    let began = Instant::now();
    while let Some(client) = clients.join_next().await {
        client??;
    }
    let submitted = began.elapsed();
    until_completed(&mut connection, &project, 100 + count as u64).await?;
    let took = began.elapsed();
    server.stop().await?;
    Ok((submitted, took))
}

pub(crate) async fn until_completed(
    connection: &mut Connection,
    project: &str,
    count: u64,
) -> Result<()> {
    let path = format!("/api/v1/projects/{project}/completion");
    let began = Instant::now();
    loop {
        let completion = connection.get(&path).await?.json()?;
        let completed = completion["completed_tasks"].as_u64();
        if completed.context("the answer has no completed_tasks")? >= count {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(120) {
            bail!("the tasks are not being completed: {completion}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
