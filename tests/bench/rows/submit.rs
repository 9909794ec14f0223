//! Durable submissions at 64 clients, against what the database commits one row at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;

use super::{project, task};
use crate::client::Connection;
use crate::server::{Server, data_dir, setting};
use crate::stats::ms;
use crate::table::Line;
use crate::{Scale, load};

/// How many clients submit.
const CLIENTS: usize = 64;
/// To how many projects.
const PROJECTS: usize = 16;

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let time = Duration::from_millis(scale.of(6000, 1500) as u64);
    let data = data_dir()?;
    let limit = tokio::task::spawn_blocking({
        let folder = data.path().to_owned();
        move || commits(&folder, time / 3)
    });
    let (one_row, two_rows) = limit.await??;

    let server = Server::start(data.path(), &[setting::NOBODY_CODES]).await?;
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

/// Commits per second of one connection, in a tight loop: one row each, and two rows each. In
/// turns, after a moment to warm up, so that a file that still grows slows neither alone.
fn commits(folder: &Path, time: Duration) -> Result<(f64, f64)> {
    const TURNS: u32 = 4;
    let path = folder.join("limit.db");
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    connection.batch_execute(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA cache_size = -32768;
         CREATE TABLE one (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
         CREATE TABLE two (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;",
    )?;
    let body = "measure ".repeat(50);
    let mut turn = |statements: &[&str]| -> Result<f64> {
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < time / TURNS {
            connection.transaction(|connection| {
                for statement in statements {
                    let insert = diesel::sql_query(*statement);
                    insert.bind::<diesel::sql_types::Text, _>(&body).execute(connection)?;
                }
                diesel::QueryResult::Ok(())
            })?;
            count += 1;
        }
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    };
    let one = "INSERT INTO one (body) VALUES (?)";
    let two = "INSERT INTO two (body) VALUES (?)";
    turn(&[one, two])?;
    let (mut one_row, mut two_rows) = (0.0, 0.0);
    for _ in 0..TURNS {
        one_row += turn(&[one])?;
        two_rows += turn(&[one, two])?;
    }
    Ok((one_row / f64::from(TURNS), two_rows / f64::from(TURNS)))
}
