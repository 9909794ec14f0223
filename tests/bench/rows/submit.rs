//! Durable submissions of 64 clients, compared with commits of single rows by the database alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{project, task};
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::stats::ms;
use crate::table::Line;
use crate::{Scale, commits, load};

/// Number of clients.
const CLIENTS: usize = 64;
/// Number of projects.
const PROJECTS: usize = 16;

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: "durable submissions, 64 clients", unit: Unit::PerSecond }];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let time = Duration::from_millis(scale.of(2000, 1000) as u64);
    Ok(vec![drive(data.path(), time).await?.rate])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let time = Duration::from_millis(scale.of(6000, 1500) as u64);
    let data = data_dir()?;
    let (one_row, two_rows) = commits::per_second(data.path(), time / 3).await?;

    let outcome = drive(data.path(), time).await?;
    let line = Line::share("durable submissions, 64 clients", outcome.rate, one_row, 3.0);
    Ok(vec![line.note(format!(
        "p50 {:.1} ms, p99 {:.1} ms; a submission is three rows (task, log entry, head of the \
         log). The limit is one inserted row per commit on one connection with the same settings \
         (WAL, FULL) in the same folder; with two rows per commit it is {:.0}/s",
        ms(outcome.samples.p50()),
        ms(outcome.samples.p99()),
        two_rows
    ))])
}

/// Submits to a server on this folder for this long.
async fn drive(data: &Path, time: Duration) -> Result<load::Outcome> {
    let server = Server::start(data, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut paths = Vec::new();
    for _ in 0..PROJECTS {
        paths.push(format!("/api/v1/projects/{}/tasks", project(&mut connection).await?));
    }
    let paths = Arc::new(paths);
    let body = Arc::new(task(64).to_string());
    let outcome = load::drive(server.address, CLIENTS, time, move |n, mut connection| {
        let (paths, body) = (Arc::clone(&paths), Arc::clone(&body));
        async move {
            let answer = connection.post(&paths[n % PROJECTS], body.as_bytes()).await?;
            if answer.status != 201 {
                bail!("a task was answered {}", answer.status);
            }
            Ok(connection)
        }
    });
    let outcome = outcome.await?;
    server.stop().await?;
    Ok(outcome)
}
