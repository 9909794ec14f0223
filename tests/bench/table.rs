//! The table of results.

use crate::stats::{ms, thousands};
use std::time::Duration;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) measured: String,
    /// Limit measured in the same run, or the bound if there is none.
    pub(crate) limit: String,
    pub(crate) ratio: String,
    pub(crate) goal: String,
    pub(crate) met: bool,
    pub(crate) notes: Vec<String>,
}

impl Line {
    /// Creates a line for a rate that is compared with a rate of the same run.
    pub(crate) fn share(what: &str, rate: f64, limit: f64, goal: f64) -> Self {
        let ratio = rate / limit;
        Self {
            what: what.to_owned(),
            measured: format!("{}/s", thousands(rate)),
            limit: format!("{}/s", thousands(limit)),
            ratio: format!("{ratio:.2}"),
            goal: format!(">= {goal:.1} x limit"),
            met: ratio >= goal,
            notes: Vec::new(),
        }
    }

    /// Creates a line for a rate that has to be reached.
    pub(crate) fn rate(what: &str, rate: f64, goal: f64) -> Self {
        Self {
            what: what.to_owned(),
            measured: format!("{}/s", thousands(rate)),
            limit: "-".to_owned(),
            ratio: format!("{:.2}", rate / goal),
            goal: format!(">= {}/s", thousands(goal)),
            met: rate >= goal,
            notes: Vec::new(),
        }
    }

    /// Creates a line for times with limits: name, time, limit. The ratio is the worst of them.
    pub(crate) fn times(what: &str, times: &[(&str, Duration, Duration)]) -> Self {
        let join = |one: &dyn Fn(&(&str, Duration, Duration)) -> String| {
            times.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let shares = times.iter().map(|(_, time, goal)| ms(*time) / ms(*goal));
        let worst = shares.fold(0.0, f64::max);
        Self {
            what: what.to_owned(),
            measured: join(&|(name, time, _)| format!("{name} {:.2} ms", ms(*time))),
            limit: "-".to_owned(),
            ratio: format!("{worst:.2}"),
            goal: join(&|(name, _, goal)| format!("{name} <= {:.0} ms", ms(*goal))),
            met: worst <= 1.0,
            notes: Vec::new(),
        }
    }

    /// Adds a remark under the table.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Prints the table and the remarks under it.
pub(crate) fn print(lines: &[Line]) {
    let header = ["row", "measured", "limit", "ratio", "goal", ""];
    let cells = |line: &Line| {
        let verdict = if line.met { "ok" } else { "short" };
        let cells =
            [&*line.what, &*line.measured, &*line.limit, &*line.ratio, &*line.goal, verdict];
        cells.map(str::to_owned).to_vec()
    };
    println!();
    columns(&header, &lines.iter().map(cells).collect::<Vec<_>>());
    println!();
    for line in lines {
        for note in &line.notes {
            println!("{}: {note}", line.what);
        }
    }
}

/// Prints lines of cells in columns as wide as their widest cell.
pub(crate) fn columns(header: &[&str], lines: &[Vec<String>]) {
    let width = |n: usize| {
        let cells = lines.iter().map(|line| line[n].chars().count());
        cells.chain([header[n].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(width).collect();
    let print = |line: &[String]| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&header.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    let rule = |cell: &&str| if cell.is_empty() { String::new() } else { "-".to_owned() };
    print(&header.iter().map(rule).collect::<Vec<_>>());
    lines.iter().for_each(|line| print(line));
}
