//! Compares two server binaries, pair by pair: the old one, the new one, the old one, and so on.
//!
//! Both run on the same machine a few seconds apart, so that what else the machine does reaches both
//! alike, and the median of the pairs' ratios leaves out the pairs that were disturbed. A sample is
//! a process of its own: this program with the word `sample`, which drives one server as the row
//! does, with a shorter load, and prints its figures.
//!
//! Latencies are compared by their median: the slowest of a short sample says more about the
//! machine than about the server. Limits of the machine (`SQLite` alone, `pgbench`, a static
//! handler) are not measured again, since they are the same for both.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::rows::Row;
use crate::server::setting;
use crate::{Scale, machine, rows, table};

/// Pairs of samples, unless `--pairs` names another number.
pub(crate) const PAIRS: usize = 7;
/// Word that makes this program take one sample; then the name of the row.
pub(crate) const SAMPLE: &str = "sample";
/// Smallest median ratio that counts as no worse.
const WORST: f64 = 0.95;
/// Time limit of one sample.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(180);
/// Longest wait for an idle machine, before the first sample of a row and before each other.
const IDLE: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(1)];

/// Unit of a figure, which decides which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Throughput: more is better.
    PerSecond,
    /// Latency: less is better.
    Milliseconds,
    /// Memory: less is better.
    Megabytes,
}

impl Unit {
    /// Returns the new value relative to the old one, turned so that more than 1 is better.
    fn ratio(self, old: f64, new: f64) -> f64 {
        match self {
            Self::PerSecond => new / old,
            Self::Milliseconds | Self::Megabytes => old / new,
        }
    }

    fn display(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", crate::stats::thousands(value)),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Megabytes => format!("{value:.1} MB"),
        }
    }
}

/// Quantity that a row measures of a server.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
}

/// Options of a comparison.
#[derive(Debug)]
pub(crate) struct Pairs {
    old: PathBuf,
    new: PathBuf,
    count: usize,
    scale: Scale,
}

/// Result of comparing one figure.
#[derive(Debug, PartialEq)]
struct Comparison {
    /// Median of the old server's samples.
    old: f64,
    /// Median of the new server's samples.
    new: f64,
    /// Median of the pairs' ratios; more than 1 is better.
    ratio: f64,
    /// Smallest and largest ratio of a pair.
    spread: (f64, f64),
}

impl Comparison {
    /// Compares the samples of one figure, given as pairs of old and new.
    fn of(unit: Unit, pairs: &[(f64, f64)]) -> Result<Self> {
        let usable = |value: f64| value.is_finite() && value > 0.0;
        for (old, new) in pairs {
            ensure!(usable(*old) && usable(*new), "a sample of {old} and {new} has no ratio");
        }
        let ratios: Vec<f64> = pairs.iter().map(|(old, new)| unit.ratio(*old, *new)).collect();
        let (old, new): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        Ok(Self {
            old: median(old)?,
            new: median(new)?,
            ratio: median(ratios)?,
            spread: (least, most),
        })
    }

    fn is_worse(&self) -> bool {
        self.ratio < WORST
    }
}

/// Returns the middle value; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half).context("nothing was sampled")?;
    if values.len() % 2 == 1 {
        return Ok(upper);
    }
    Ok(f64::midpoint(values[half - 1], upper))
}

impl Pairs {
    /// Prepares a comparison of the server under measurement with this older binary.
    pub(crate) fn new(old: &Path, count: usize, scale: Scale) -> Result<Self> {
        ensure!(count > 0, "--pairs takes a number from 1 on");
        let found = |path: &Path| {
            path.canonicalize().with_context(|| format!("no server binary at {}", path.display()))
        };
        Ok(Self { old: found(old)?, new: found(&crate::server::binary()?)?, count, scale })
    }

    /// Compares these rows and prints a table; returns an error when a row is worse or could not
    /// be compared.
    pub(crate) async fn compare(&self, rows: &[&Row]) -> Result<()> {
        println!("old: {}", self.old.display());
        println!("new: {}", self.new.display());
        let (mut lines, mut notes) = (Vec::new(), Vec::new());
        let (mut worse, mut failed) = (Vec::new(), Vec::new());
        for row in rows {
            match self.row(row, &mut notes).await {
                Ok(compared) => {
                    for (figure, comparison) in row.figures.iter().zip(&compared) {
                        if comparison.is_worse() {
                            worse.push(figure.name);
                        }
                        lines.push(line(row.name, figure, comparison));
                    }
                }
                Err(error) => {
                    eprintln!("{}: {error:#}", row.name);
                    let text = format!("not compared: {error:#}");
                    lines.push([row.name.to_owned(), text].into_iter().chain(empty()).collect());
                    failed.push(row.name);
                }
            }
            for part in row.in_process {
                let text = format!("{part}: in this process: not compared");
                lines.push([row.name.to_owned(), text].into_iter().chain(empty()).collect());
            }
        }
        println!();
        table::columns(&["row", "figure", "old", "new", "ratio", "spread", ""], &lines);
        println!();
        println!(
            "Ratio: median of {} pairs, new relative to old, more than 1 is better; spread: the \
             smallest and the largest of them. Below {WORST} counts as worse.",
            self.count
        );
        for note in notes {
            println!("{note}");
        }
        ensure!(failed.is_empty(), "not compared: {}", failed.join(", "));
        ensure!(worse.is_empty(), "worse than {WORST} of before: {}", worse.join("; "));
        Ok(())
    }

    /// Takes the samples of a row and compares each of its figures.
    async fn row(&self, row: &Row, notes: &mut Vec<String>) -> Result<Vec<Comparison>> {
        let mut pairs = vec![Vec::new(); row.figures.len()];
        let (mut idle, mut disturbed, mut busiest) = (IDLE[0], 0, 0);
        for n in 1..=self.count {
            let mut values = Vec::new();
            for (side, binary) in [("old", &self.old), ("new", &self.new)] {
                if let Some(busy) = machine::wait_until_idle(idle).await {
                    disturbed += 1;
                    busiest = busiest.max(busy);
                }
                idle = IDLE[1];
                let sample = self.sample(row, binary).await;
                values.push(sample.with_context(|| format!("the {side} server, pair {n}"))?);
            }
            let new = values.pop().unwrap_or_default();
            let old = values.pop().unwrap_or_default();
            for (pairs, pair) in pairs.iter_mut().zip(old.into_iter().zip(new)) {
                pairs.push(pair);
            }
            let shown = row.figures.iter().zip(&pairs).filter_map(|(figure, pairs)| {
                let (old, new) = pairs.last()?;
                Some(format!("{:.2}", figure.unit.ratio(*old, *new)))
            });
            eprintln!("{} {n}/{}: {}", row.name, self.count, shown.collect::<Vec<_>>().join(", "));
        }
        if disturbed > 0 {
            notes.push(format!(
                "{}: before {disturbed} of {} samples the machine was busy with something else \
                 (up to {busiest} %)",
                row.name,
                2 * self.count
            ));
        }
        let figures = row.figures.iter().zip(&pairs);
        figures.map(|(figure, pairs)| Comparison::of(figure.unit, pairs)).collect()
    }

    /// Takes one sample of a row with this binary.
    async fn sample(&self, row: &Row, binary: &Path) -> Result<Vec<f64>> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.args([SAMPLE, row.name]).env(setting::BINARY, binary);
        if self.scale.quick {
            command.arg("--quick");
        }
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
        let output = command.kill_on_drop(true).output();
        let output = tokio::time::timeout(SAMPLE_TIMEOUT, output).await;
        let output = output.context("a sample takes too long")??;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let values: Vec<f64> =
            serde_json::from_slice(&output.stdout).context("a sample's output")?;
        ensure!(values.len() == row.figures.len(), "{} figures in a sample", values.len());
        Ok(values)
    }
}

/// Takes one sample of the row of this name and prints its figures as a JSON list.
pub(crate) async fn print_sample(name: Option<&str>, scale: Scale) -> Result<()> {
    let row = rows::ALL.iter().find(|row| Some(row.name) == name).context("no row of that name")?;
    let values = (row.sample)(scale).await?;
    println!("{}", serde_json::to_string(&values)?);
    Ok(())
}

fn line(row: &str, figure: &Figure, comparison: &Comparison) -> Vec<String> {
    let (least, most) = comparison.spread;
    let verdict = if comparison.is_worse() { "worse" } else { "ok" };
    vec![
        row.to_owned(),
        figure.name.to_owned(),
        figure.unit.display(comparison.old),
        figure.unit.display(comparison.new),
        format!("{:.2}", comparison.ratio),
        format!("{least:.2}..{most:.2}"),
        verdict.to_owned(),
    ]
}

/// The columns of a line that has no figures.
fn empty() -> impl Iterator<Item = String> {
    ["-", "-", "-", "-", ""].into_iter().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(unit: Unit, pairs: &[(f64, f64)]) -> Comparison {
        Comparison::of(unit, pairs).unwrap()
    }

    #[test]
    fn the_median_is_the_middle_value_and_of_an_even_number_between_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).unwrap(), 2.5);
        assert_eq!(median(vec![1.0; 1]).unwrap(), 1.0);
        assert!(median(Vec::new()).is_err());
    }

    #[test]
    fn the_ratio_is_the_median_of_the_pairs_and_not_of_the_sides() {
        // The machine gets slower from pair to pair; within each, the new server is twice as fast,
        // but for one disturbed pair.
        let pairs = [(100.0, 200.0), (50.0, 100.0), (25.0, 5.0), (12.5, 25.0), (10.0, 20.0)];
        let expected = Comparison { old: 25.0, new: 25.0, ratio: 2.0, spread: (0.2, 2.0) };
        assert_eq!(compared(Unit::PerSecond, &pairs), expected);
    }

    #[test]
    fn more_throughput_and_less_latency_and_less_memory_are_better() {
        let pairs = [(100.0, 200.0)];
        assert_eq!(compared(Unit::PerSecond, &pairs).ratio, 2.0);
        assert_eq!(compared(Unit::Milliseconds, &pairs).ratio, 0.5);
        assert_eq!(compared(Unit::Megabytes, &pairs).ratio, 0.5);
    }

    #[test]
    fn a_median_below_the_limit_is_worse_whatever_the_best_pair_says() {
        let worse = [(100.0, 94.0), (100.0, 94.9), (100.0, 300.0)];
        assert!(compared(Unit::PerSecond, &worse).is_worse());
        assert!(!compared(Unit::PerSecond, &[(100.0, 95.0)]).is_worse());
        assert!(compared(Unit::Milliseconds, &[(94.0, 100.0)]).is_worse());
        assert!(!compared(Unit::Milliseconds, &[(100.0, 94.0)]).is_worse());
    }

    #[test]
    fn a_sample_of_nothing_has_no_ratio() {
        for pair in [(0.0, 1.0), (1.0, 0.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            assert!(Comparison::of(Unit::PerSecond, &[pair]).is_err(), "{pair:?}");
        }
    }

    #[test]
    fn every_row_has_figures_turned_the_right_way() {
        use Unit::{Megabytes, Milliseconds, PerSecond};
        let expected: &[(&str, &[Unit])] = &[
            ("submit", &[PerSecond]),
            ("start", &[Milliseconds, Milliseconds]),
            ("gate", &[Milliseconds, Milliseconds]),
            ("noop", &[PerSecond]),
            ("step", &[Milliseconds]),
            ("waiting", &[Megabytes, Milliseconds]),
            ("status", &[PerSecond]),
            ("audit", &[Milliseconds, Milliseconds]),
            ("fanout", &[Milliseconds]),
            ("access", &[Milliseconds]),
            ("scrape", &[]),
            ("boot", &[Milliseconds, Milliseconds, Megabytes]),
            ("full-submit", &[PerSecond, Milliseconds]),
            ("full-start", &[Milliseconds, Milliseconds]),
            ("full-noop", &[PerSecond, PerSecond]),
            ("full-deliver", &[Milliseconds]),
            ("full-size", &[PerSecond, PerSecond]),
        ];
        let units = |row: &Row| row.figures.iter().map(|figure| figure.unit).collect::<Vec<_>>();
        let found: Vec<_> = rows::ALL.iter().map(|row| (row.name, units(row))).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, units)| (*name, units.to_vec())).collect();
        assert_eq!(found, expected);
    }
}
