//! How fast it is, as ratios to limits of the same run on the same machine. A measurement, not a
//! test: it ends with 0 whatever it finds, unless it could not measure.
//!
//! It starts the release server as people run it, a process of its own with a data directory of
//! its own and the default settings but for what a row names, and drives it from this process
//! over real connections; for the full profile also PostgreSQL and Redis of its own. Both share the
//! machine's cores. One row (`step`) looks between the use cases, and has them in this process.
//! Before each row it waits until nothing else is using the cores, and says so where that did not
//! happen.
//!
//! ```text
//! cargo build --release --workspace --bins
//! target/release/services -- target/release/bench [--quick] [--only NAME]...
//! ```

mod client;
mod commits;
mod full;
mod load;
mod machine;
mod rows;
mod server;
mod stats;
mod subscribers;
mod table;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::table::Line;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Scale {
    quick: bool,
}

impl Scale {
    /// The first number, or with `--quick` the second.
    const fn of(self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut scale = Scale { quick: false };
    let mut only = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), rows::ALL) {
            (rows::status::SERVE, _) => return rows::status::serve(words.next()).await,
            ("--quick", _) => scale.quick = true,
            ("--only", all) => match words.next() {
                Some(name) if all.iter().any(|row| row.name == name) => only.push(name),
                other => {
                    let names: Vec<_> = all.iter().map(|row| row.name).collect();
                    bail!("--only takes one of {}, not {other:?}", names.join(", "));
                }
            },
            _ => bail!("{word} is not known; there are --quick and --only NAME"),
        }
    }
    machine::raise_file_limit();
    println!("{}", machine::describe());
    let mut lines: Vec<Line> = Vec::new();
    for row in rows::ALL {
        if !only.is_empty() && !only.iter().any(|name| name == row.name) {
            continue;
        }
        let busy = machine::wait_until_idle().await;
        eprintln!("{} …", row.name);
        let mut measured = match (row.measure)(scale).await {
            Ok(measured) => measured,
            Err(error) => {
                table::print(&lines);
                return Err(error.context(format!("`{}` could not be measured", row.name)));
            }
        };
        if let Some(busy) = busy {
            for line in &mut measured {
                line.notes.push(format!("the machine was {busy} % busy with something else"));
            }
        }
        lines.extend(measured);
    }
    table::print(&lines);
    Ok(())
}
