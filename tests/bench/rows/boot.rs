//! Start-up time and idle memory.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::Scale;
use crate::machine::{anonymous, resident};
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir};
use crate::stats::{Samples, ms};
use crate::table::Line;

pub(crate) const FIGURES: &[Figure] = &[
    Figure { name: "start to first 200, empty folder, p50", unit: Unit::Milliseconds },
    Figure { name: "start to first 200, database there, p50", unit: Unit::Milliseconds },
    Figure { name: "idle memory, without mapped files", unit: Unit::Megabytes },
];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let (fresh, again, [_, memory]) = drive(scale.of(7, 3)).await?;
    let memory = memory.context("this system does not report the memory of a process")?;
    Ok(vec![ms(fresh.p50()), ms(again.p50()), memory as f64 / 1_000_000.0])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let (fresh, again, [memory, _]) = drive(scale.of(9, 3)).await?;
    let goal = Duration::from_millis(100);
    let starts = Line::times("start to first 200", &[("p50", fresh.p50(), goal)]).note(format!(
        "{} starts in an empty folder, with all migrations (slowest {:.0} ms); where the database \
         is there p50 {:.1} ms; /readyz is asked every millisecond",
        fresh.len(),
        ms(fresh.at(1.0)),
        ms(again.p50())
    ));
    let Some(bytes) = memory else { return Ok(vec![starts]) };
    let mb = bytes as f64 / 1_000_000.0;
    let idle = Line {
        what: "idle memory".to_owned(),
        measured: format!("{mb:.1} MB"),
        limit: "-".to_owned(),
        ratio: format!("{:.2}", mb / 30.0),
        goal: "<= 30 MB".to_owned(),
        met: mb <= 30.0,
        notes: vec!["resident, two seconds after the start".to_owned()],
    };
    Ok(vec![starts, idle])
}

/// Starts a server this many times in an empty folder, and again on the data of the first. Returns
/// the durations, and the memory of a server that was idle for two seconds, in bytes: all of it,
/// and without mapped files.
async fn drive(starts: usize) -> Result<(Samples, Samples, [Option<u64>; 2])> {
    let (mut fresh, mut again) = (Samples::default(), Samples::default());
    let mut memory = [None; 2];
    for _ in 0..starts {
        let data = data_dir()?;
        let server = Server::start(data.path(), &[]).await?;
        fresh.push(server.started_in);
        server.stop().await?;
        let server = Server::start(data.path(), &[]).await?;
        again.push(server.started_in);
        if memory[0].is_none() {
            tokio::time::sleep(Duration::from_secs(2)).await;
            memory = [resident(server.pid()), anonymous(server.pid())];
        }
        server.stop().await?;
    }
    Ok((fresh, again, memory))
}
