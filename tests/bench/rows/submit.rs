//! Durable submissions of 64 clients, compared with commits of single rows by the database alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use diesel::connection::SimpleConnection;
use diesel::{Connection as _, SqliteConnection};

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
/// Number of entries of a log that has become long, and is in the index of long logs.
const LONG: usize = 26_000;
/// Number of projects with such logs.
const LONG_PROJECTS: usize = 2;
/// Goes back to the indexes of before searches had any of their own.
const FEWER_INDEXES: &str = include_str!("../../../migrations/sqlite/0004_searches/down.sql");

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
    let line = line.note(format!(
        "p50 {:.1} ms, p99 {:.1} ms; a submission is three rows (task, log entry, head of the \
         log). The limit is one inserted row per commit on one connection with the same settings \
         (WAL, FULL) in the same folder; with two rows per commit it is {:.0}/s",
        ms(outcome.samples.p50()),
        ms(outcome.samples.p99()),
        two_rows
    ));
    Ok(vec![line, indexes(scale).await?])
}

/// Compares submissions to long logs with the same under the indexes of before.
async fn indexes(scale: Scale) -> Result<Line> {
    let time = Duration::from_millis(scale.of(3000, 1000) as u64);
    let mut pairs = Vec::new();
    for n in 0..scale.of(7, 1) {
        let (mut with, mut without) = (0.0, 0.0);
        for with_all in [n % 2 == 0, n % 2 != 0] {
            let rate = long_logs(time, if with_all { "" } else { FEWER_INDEXES }).await?;
            *(if with_all { &mut with } else { &mut without }) = rate;
        }
        pairs.push((with, without));
    }
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (with, without) = pairs[pairs.len() / 2];
    let line = Line::share("durable submissions to long logs", with, without, 0.95);
    let ratios: Vec<_> = pairs.iter().map(|(a, b)| format!("{:.2}", a / b)).collect();
    Ok(line.note(format!(
        "{LONG_PROJECTS} logs of {} entries. The limit is the same with the indexes that the log \
         had before searches had their own; the median of these ratios: {}",
        LONG,
        ratios.join(", ")
    )))
}

/// Submits to projects with long logs; returns the rate. `sql` is run before.
async fn long_logs(time: Duration, sql: &str) -> Result<f64> {
    let data = data_dir()?;
    let server = Server::start(data.path(), &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut projects = Vec::new();
    for _ in 0..LONG_PROJECTS {
        projects.push(project(&mut connection).await?);
        let path = format!("/api/v1/projects/{}/tasks", projects[projects.len() - 1]);
        connection.create(&path, &task(64)).await?;
    }
    server.stop().await?;
    let path = data.path().join(setting::DATABASE);
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    // Copies of the newest entry of each log. Their hashes do not match; nothing checks them here.
    connection.batch_execute(&format!(
        "BEGIN;
         CREATE TEMPORARY TABLE numbers AS
           WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers
             WHERE n < {LONG}) SELECT n FROM numbers;
         INSERT INTO events (id, log, seq, event_type, event_source, task_id, created_at, hash,
           event_metadata, event_data)
         SELECT unhex(substr(hex(e.id), 1, 20) || printf('%012x', n)), e.log, e.seq + n, e.event_type,
           e.event_source, e.task_id, e.created_at, e.hash, e.event_metadata, e.event_data
         FROM (SELECT * FROM events WHERE event_type = 'task_created') e, numbers
         ORDER BY e.log, n;
         UPDATE heads SET seq = seq + {LONG}
         WHERE log IN (SELECT log FROM events WHERE event_type = 'task_created');
         {sql}
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    drop(connection);
    let server = Server::start(data.path(), &[setting::NO_CODER]).await?;
    let rate = submit(&server, projects, time).await?.rate;
    server.stop().await?;
    Ok(rate)
}

/// Submits to a server on this folder for this long.
async fn drive(data: &Path, time: Duration) -> Result<load::Outcome> {
    let server = Server::start(data, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut projects = Vec::new();
    for _ in 0..PROJECTS {
        projects.push(project(&mut connection).await?);
    }
    let outcome = submit(&server, projects, time).await?;
    server.stop().await?;
    Ok(outcome)
}

/// Submits tasks to these projects for this long.
async fn submit(server: &Server, projects: Vec<String>, time: Duration) -> Result<load::Outcome> {
    let paths = projects.iter().map(|project| format!("/api/v1/projects/{project}/tasks"));
    let paths: Arc<Vec<_>> = Arc::new(paths.collect());
    let body = Arc::new(task(64).to_string());
    let outcome = load::drive(server.address, CLIENTS, time, move |n, mut connection| {
        let (paths, body) = (Arc::clone(&paths), Arc::clone(&body));
        async move {
            let answer = connection.post(&paths[n % paths.len()], body.as_bytes()).await?;
            if answer.status != 201 {
                bail!("a task was answered {}", answer.status);
            }
            Ok(connection)
        }
    });
    outcome.await
}
