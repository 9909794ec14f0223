//! Benchmarks, as ratios to limits measured in the same run on the same machine. A run without
//! `--against` ends with 0 whatever the figures are, unless it could not measure. With `--against`
//! it compares two server binaries instead (see `pairs`), and ends with an error if the new one is
//! slower.
//!
//! It starts the release server as a separate process with its own data directory and the default
//! settings, except those that a row names, and drives it from this process over real connections;
//! for the full profile it also starts PostgreSQL and Redis. All share the cores of the machine.
//! One row (`step`) measures between the use cases, which it runs in this process. Before each row
//! the program waits until the cores are idle, and reports if they do not become idle.
//! happen.
//!
//! ```text
//! cargo build --release --workspace --bins
//! target/release/services -- target/release/bench [--quick] [--only NAME]...
//! target/release/services -- target/release/bench --against OLD_BINARY [--pairs N] ...
//! ```

mod client;
mod commits;
mod full;
mod load;
mod machine;
mod pairs;
mod rows;
mod server;
mod stats;
mod subscribers;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::pairs::Pairs;
use crate::rows::Row;
use crate::table::Line;

/// Amount of measuring.
#[derive(Debug, Clone, Copy)]
struct Scale {
    quick: bool,
}

impl Scale {
    /// Returns the first number, or with `--quick` the second.
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

/// The command line.
struct Options {
    scale: Scale,
    /// Names of rows; empty for all.
    only: Vec<String>,
    /// Older server binary to compare with.
    against: Option<PathBuf>,
    /// Pairs of samples of a comparison.
    pairs: Option<usize>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options =
            Self { scale: Scale { quick: false }, only: Vec::new(), against: None, pairs: None };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.scale.quick = true,
                "--only" => match words.next() {
                    Some(name) if rows::ALL.iter().any(|row| row.name == name) => {
                        options.only.push(name);
                    }
                    other => {
                        let names: Vec<_> = rows::ALL.iter().map(|row| row.name).collect();
                        bail!("--only takes one of {}, not {other:?}", names.join(", "));
                    }
                },
                "--against" => {
                    let binary = words.next().context("--against takes an older server binary")?;
                    options.against = Some(binary.into());
                }
                "--pairs" => {
                    let count = words.next().and_then(|count| count.parse().ok());
                    options.pairs = Some(count.context("--pairs takes a number")?);
                }
                _ => bail!(
                    "{word} is not known; there are --quick, --only NAME, --against OLD_BINARY and \
                     --pairs N"
                ),
            }
        }
        if options.pairs.is_some() && options.against.is_none() {
            bail!("--pairs belongs to --against OLD_BINARY");
        }
        Ok(options)
    }

    fn rows(&self) -> Vec<&'static Row> {
        let wanted = |row: &&Row| self.only.is_empty() || self.only.iter().any(|n| n == row.name);
        rows::ALL.iter().filter(wanted).collect()
    }
}

async fn run() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    match words.peek().map(String::as_str) {
        Some(rows::status::SERVE) => return rows::status::serve(words.nth(1)).await,
        Some(pairs::SAMPLE) => {
            let name = words.nth(1);
            machine::raise_file_limit();
            return pairs::print_sample(name.as_deref(), Options::parse(words)?.scale).await;
        }
        _ => {}
    }
    let options = Options::parse(words)?;
    machine::raise_file_limit();
    println!("{}", machine::describe());
    if let Some(old) = &options.against {
        let pairs = Pairs::new(old, options.pairs.unwrap_or(pairs::PAIRS), options.scale)?;
        return pairs.compare(&options.rows()).await;
    }
    let mut lines: Vec<Line> = Vec::new();
    for row in options.rows() {
        let busy = machine::wait_until_idle(machine::TIMEOUT).await;
        eprintln!("{} …", row.name);
        let mut measured = match (row.measure)(options.scale).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_comparison_combines_with_all_other_options() {
        let all = options("--only gate --against old --pairs 3 --quick --only boot").unwrap();
        assert_eq!(all.against.as_deref(), Some(std::path::Path::new("old")));
        assert_eq!((all.pairs, all.scale.quick), (Some(3), true));
        assert_eq!(all.rows().iter().map(|row| row.name).collect::<Vec<_>>(), ["gate", "boot"]);
        assert_eq!(options("").unwrap().rows().len(), rows::ALL.len());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["--only nothing", "--pairs 3", "--against", "--against old --pairs x", "fast"]
        {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
