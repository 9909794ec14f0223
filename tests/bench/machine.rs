//! Properties and load of the machine, as Linux reports them; other systems report nothing.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Maximum load of the machine at the start of a row, in per cent.
const BUSY: u64 = 15;
/// Time limit of waiting for that load.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns a description of the machine in one line.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?.to_owned();
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} cores ({model}), {}; server and load share them", std::env::consts::OS)
}

/// Raises the limit of open files to its maximum: a thousand subscribers are two thousand sockets.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the limit of open files stays as it is: {error}");
    }
}

/// Returns busy time and all time since the machine started, in ticks.
fn ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let numbers = text.lines().next()?.split_whitespace().skip(1);
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let all: u64 = numbers.iter().take(8).sum();
    // Idle, and waiting for a disk.
    let idle: u64 = numbers.iter().skip(3).take(2).sum();
    Some((all - idle, all))
}

/// Waits until the machine is idle, or for this long. Returns the remaining load in per cent if it
/// does not become idle.
pub(crate) async fn wait_until_idle(patience: Duration) -> Option<u64> {
    let began = std::time::Instant::now();
    loop {
        let before = ticks()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = ticks()?;
        let busy = (after.0 - before.0) * 100 / (after.1 - before.1).max(1);
        if busy <= BUSY {
            return None;
        }
        if began.elapsed() > patience {
            return Some(busy);
        }
    }
}

/// Returns the processor time that the threads of a process have used so far (proc(5), `schedstat`).
/// Threads that have ended do not count.
pub(crate) fn processor_time(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanos += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}

/// Returns the resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")
}

/// Returns the anonymous memory of a process, in bytes. Pages of its binary do not count: the
/// number of resident ones depends on how the file came into the page cache.
pub(crate) fn anonymous(pid: u32) -> Option<u64> {
    status(pid, "RssAnon:")
}

/// Returns a size from the status of a process (proc(5)), in bytes.
fn status(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
