//! Commit rate of SQLite alone on this machine, on one connection with the settings of the server's
//! writer.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::stats::Samples;

/// Measures commits per second in a tight loop, with one inserted row each and with two. Both are
/// measured in alternation after a warm-up, so that a growing file slows neither alone.
pub(crate) async fn per_second(folder: &Path, time: Duration) -> Result<(f64, f64)> {
    const TURNS: u32 = 4;
    let mut connection = open(folder)?;
    let measuring = tokio::task::spawn_blocking(move || {
        let mut turn = |rows: usize| -> Result<f64> {
            let (began, mut count) = (Instant::now(), 0_u32);
            while began.elapsed() < time / TURNS {
                commit(&mut connection, rows)?;
                count += 1;
            }
            Ok(f64::from(count) / began.elapsed().as_secs_f64())
        };
        turn(2)?;
        let (mut one_row, mut two_rows) = (0.0, 0.0);
        for _ in 0..TURNS {
            one_row += turn(1)?;
            two_rows += turn(2)?;
        }
        anyhow::Ok((one_row / f64::from(TURNS), two_rows / f64::from(TURNS)))
    });
    measuring.await?
}

/// Measures one commit of one row after a pause.
pub(crate) async fn after_a_pause(folder: &Path) -> Result<Duration> {
    let mut connection = open(folder)?;
    let measuring = tokio::task::spawn_blocking(move || {
        let mut samples = Samples::default();
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(20));
            let began = Instant::now();
            commit(&mut connection, 1)?;
            samples.push(began.elapsed());
        }
        anyhow::Ok(samples.p50())
    });
    measuring.await?
}

fn open(folder: &Path) -> Result<SqliteConnection> {
    let path = folder.join("limit.db");
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    connection.batch_execute(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA cache_size = -32768;
         CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;",
    )?;
    Ok(connection)
}

fn commit(connection: &mut SqliteConnection, rows: usize) -> QueryResult<()> {
    let body = "measure ".repeat(50);
    connection.transaction(|connection| {
        for _ in 0..rows {
            let insert = diesel::sql_query("INSERT INTO rows (body) VALUES (?)");
            insert.bind::<diesel::sql_types::Text, _>(&body).execute(connection)?;
        }
        Ok(())
    })
}
