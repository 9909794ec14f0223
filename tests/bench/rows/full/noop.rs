//! Tasks that do nothing, from their submission to their completion, by two workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::Scale;
use crate::client::Connection;
use crate::full::Full;
use crate::pairs::{Figure, Unit};
use crate::rows::noop::until_completed;
use crate::rows::{open_project, task};
use crate::server::{data_dir, setting};
use crate::table::Line;

const CLIENTS: usize = 64;

const SIXTEEN: &str = "PostgreSQL: no-op tasks of 16 projects, 2 workers";
const ONE: &str = "PostgreSQL: no-op tasks of one project, 2 workers";

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: SIXTEEN, unit: Unit::PerSecond }, Figure { name: ONE, unit: Unit::PerSecond }];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let count = scale.of(4000, 2000);
    let mut rates = Vec::new();
    for projects in [16, 1] {
        let (_, took) = drive(projects, count).await?;
        rates.push(count as f64 / took.as_secs_f64());
    }
    Ok(rates)
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (projects, what) in [(16, SIXTEEN), (1, ONE)] {
        lines.push(one(scale, projects, what).await?);
    }
    Ok(lines)
}

async fn one(scale: Scale, projects: usize, what: &str) -> Result<Line> {
    let count = scale.of(5000, 1000) / projects * projects;
    let (submitted, took) = drive(projects, count).await?;
    let rate = count as f64 / took.as_secs_f64();
    Ok(Line::rate(what, rate, 3000.0).note(format!(
        "{count} tasks from 64 clients of two replicas, both of which work; the last was submitted \
         after {:.2} s and completed after {:.2} s",
        submitted.as_secs_f64(),
        Duration::as_secs_f64(&took)
    )))
}

/// Submits this many tasks to this many projects. Returns the times at which the last one was
/// submitted and completed.
async fn drive(projects: usize, count: usize) -> Result<(Duration, Duration)> {
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let (data, other) = (data_dir()?, data_dir()?);
    let settings = [setting::NOOP_CODER, setting::MANY_CODERS];
    let servers =
        [full.replica(&data, &url, &settings).await?, full.replica(&other, &url, &settings).await?];
    let mut connection = Connection::open(servers[0].address).await?;
    let mut ids = Vec::new();
    for _ in 0..projects {
        ids.push(open_project(&mut connection).await?);
    }
    let body: Arc<str> = task(64).to_string().into();
    let paths: Arc<[String]> =
        ids.iter().map(|id| format!("/api/v1/projects/{id}/tasks")).collect();
    // Warm-up, as on servers that have been running for a while.
    let warm = 160 / projects;
    for path in &*paths {
        for _ in 0..warm {
            connection.post(path, body.as_bytes()).await?.json()?;
        }
    }
    for id in &ids {
        until_completed(&mut connection, id, warm as u64).await?;
    }

    let left = Arc::new(AtomicUsize::new(count));
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let mut connection = Connection::open(servers[n % 2].address).await?;
        let (paths, body, left) = (Arc::clone(&paths), Arc::clone(&body), Arc::clone(&left));
        clients.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while let Ok(n) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                let answer = connection.post(&paths[n % paths.len()], body.as_bytes()).await?;
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
    for id in &ids {
        until_completed(&mut connection, id, (warm + count / projects) as u64).await?;
    }
    let took = began.elapsed();
    for server in servers {
        server.stop().await?;
    }
    Ok((submitted, took))
}
