//! Durable submissions over HTTP, against `pgbench` running the same unit on the same server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::client::Connection;
use crate::full::{Full, LOGS, pgbench};
use crate::pairs::{Figure, Unit};
use crate::rows::{project, task};
use crate::server::{Server, data_dir, setting};
use crate::stats::ms;
use crate::table::Line;
use crate::{Scale, load};

const CLIENTS: usize = 64;

const MANY: &str = "PostgreSQL: durable submissions, 64 clients";
const ONE: &str = "PostgreSQL: one client, p50";

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: MANY, unit: Unit::PerSecond }, Figure { name: ONE, unit: Unit::Milliseconds }];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let time = Duration::from_millis(scale.of(2000, 1000) as u64);
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let data = data_dir()?;
    let (server, paths) = start(&full, &url, &data).await?;
    let many = submit(&server, &paths, CLIENTS, time).await?;
    let one = submit(&server, &paths, 1, time / 2).await?;
    server.stop().await?;
    Ok(vec![many.rate, ms(one.samples.p50())])
}

/// Starts a replica with projects to submit to; returns the paths of their tasks.
async fn start(full: &Full, url: &str, data: &TempDir) -> Result<(Server, Arc<[String]>)> {
    let server = full.replica(data, url, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut paths = Vec::new();
    for _ in 0..LOGS {
        paths.push(format!("/api/v1/projects/{}/tasks", project(&mut connection).await?));
    }
    Ok((server, paths.into()))
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let time = Duration::from_secs(scale.of(8, 2) as u64);
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let data = data_dir()?;
    let (server, paths) = start(&full, &url, &data).await?;
    // In alternation, so that neither has the fresh tables alone.
    let mut ours = submit(&server, &paths, CLIENTS, time / 2).await?;
    let mut limit = pgbench(&url, CLIENTS, time / 2).await?;
    let again = submit(&server, &paths, CLIENTS, time / 2).await?;
    let limit_again = pgbench(&url, CLIENTS, time / 2).await?;
    ours.rate = f64::midpoint(ours.rate, again.rate);
    ours.samples.extend(again.samples);
    limit.rate = f64::midpoint(limit.rate, limit_again.rate);
    let many = Line::share(MANY, ours.rate, limit.rate, 1.0).note(format!(
        "p50 {:.1} ms, p99 {:.1} ms over HTTP; pgbench -M prepared -j 2 with 64 clients on the \
             same tables, one statement each: p50 {:.1} ms",
        ms(ours.samples.p50()),
        ms(ours.samples.p99()),
        ms(limit.samples.p50())
    ));

    let limit = pgbench(&url, 1, time / 2).await?;
    let ours = submit(&server, &paths, 1, time / 2).await?;
    let limit_again = pgbench(&url, 1, time / 2).await?;
    let (p50, limit) = (ours.samples.p50(), (limit.samples.p50() + limit_again.samples.p50()) / 2);
    let mut one = Line::times(ONE, &[("p50", p50, limit * 2)]);
    one.limit = format!("{:.2} ms", ms(limit));
    one.ratio = format!("{:.2}", ms(p50) / ms(limit));
    one.goal = "<= 2 x limit".to_owned();
    server.stop().await?;
    Ok(vec![many, one.note(format!("over HTTP; p99 {:.2} ms", ms(ours.samples.p99())))])
}

async fn submit(
    server: &Server,
    paths: &Arc<[String]>,
    clients: usize,
    time: Duration,
) -> Result<load::Outcome> {
    let body = Arc::new(task(64).to_string());
    let paths = Arc::clone(paths);
    load::drive(server.address, clients, time, move |n, mut connection| {
        let (paths, body) = (Arc::clone(&paths), Arc::clone(&body));
        async move {
            let answer = connection.post(&paths[n % paths.len()], body.as_bytes()).await?;
            if answer.status != 201 {
                bail!("a task was answered {}", answer.status);
            }
            Ok(connection)
        }
    })
    .await
}
