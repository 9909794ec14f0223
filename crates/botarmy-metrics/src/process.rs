//! The figures of the process, from the files that Linux has about it. Their names are those that the
//! client libraries of Prometheus use. Where such a file does not exist, the figures are left out.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::read::{Read, Take};

/// Figures in `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// Time of the start after that of the machine, in seconds.
    started: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name of the program before them may have spaces and brackets.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields are numbered from 1 in proc(5), and the first of the rest is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as f64,
        })
    }
}

/// Returns the time at which the machine was started, in seconds since 1970.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Returns the number of open files. Newer kernels have it as the size of the folder; reading the folder
/// takes milliseconds with thousands of connections.
fn open_files() -> Option<f64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        0 => Some(fs::read_dir(folder).ok()?.count() as f64),
        count => Some(count as f64),
    }
}

fn stat(of: fn(&Stat) -> f64) -> impl Fn(Take<'_>) {
    move |take| {
        if let Some(stat) = Stat::read() {
            take(&[], of(&stat));
        }
    }
}

/// Returns the metrics with their names and descriptions.
pub(crate) fn metrics() -> [(&'static str, &'static str, Read); 7] {
    let boot_time = boot_time();
    let started = move |take: Take<'_>| {
        if let (Some(boot), Some(stat)) = (boot_time, Stat::read()) {
            take(&[], boot + stat.started);
        }
    };
    let open = |take: Take<'_>| {
        if let Some(count) = open_files() {
            take(&[], count);
        }
    };
    let limit = |take: Take<'_>| {
        // A missing limit is an unlimited one.
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            take(&[], limit as f64);
        }
    };
    [
        (
            "cpu_seconds",
            "CPU time of the process, in user and system mode",
            Read::counter(stat(|s| s.cpu_seconds)),
        ),
        (
            "resident_memory_bytes",
            "Memory of the process that is resident",
            Read::gauge(stat(|s| s.resident_bytes)),
        ),
        (
            "virtual_memory_bytes",
            "Virtual memory of the process",
            Read::gauge(stat(|s| s.virtual_bytes)),
        ),
        ("threads", "Number of threads of the process", Read::gauge(stat(|s| s.threads))),
        ("open_fds", "Number of open file descriptors", Read::gauge(open)),
        ("max_fds", "Largest number of open file descriptors", Read::gauge(limit)),
        (
            "start_time_seconds",
            "Start time of the process, in seconds since 1970",
            Read::gauge(started),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_does_not_move_the_fields() {
        let numbers: Vec<String> = (4..=24).map(|number| number.to_string()).collect();
        let stat = Stat::parse(&format!("7 (a) b) S {}", numbers.join(" "))).unwrap();
        assert_eq!((stat.threads, stat.virtual_bytes), (20.0, 23.0));
        assert!(Stat::parse("").is_none());
    }
}
