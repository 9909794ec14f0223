//! A private server process in a temporary folder, on a free port of loopback. The server and its
//! folder are removed however the process that started it ends, even if it is killed.

use std::fs::File;
use std::io::PipeWriter;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::random;
use crate::server::TIMEOUT;

/// Waits until its standard input ends, which happens when the process at the other end does. Then
/// ends the server whose process id is in the folder, and removes the folder.
const WATCHDOG: &str = r#"
    read -r _
    if pid=$(cat "$0/pid"); then
        all="$pid $(cat "/proc/$pid/task/$pid/children")"
        kill -CONT $all
        kill -INT "$pid"
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" && sleep 0.3; done
        kill -KILL $all
    fi
    rm -rf "$0"
"#;

/// Returns the user and group that run the servers if the tests run as root, which PostgreSQL
/// refuses.
#[must_use]
pub fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let numbers = |name: &&str| {
        let line = known.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(["postgres", "nobody"].iter().find_map(numbers).unwrap_or((65534, 65534)))
}

/// Returns a command for a binary. If it lies in a tree of unpacked Debian packages, its libraries
/// are found there too.
#[must_use]
pub fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    if let Some(tree) = binary.ancestors().find(|folder| folder.ends_with("unpacked")) {
        let libraries = ["usr/lib", "lib"].iter().filter_map(|lib| tree.join(lib).read_dir().ok());
        let folders = libraries
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().contains("-linux-"));
        command.env("LD_LIBRARY_PATH", std::env::join_paths(folders).unwrap());
    }
    command
}

/// A folder, a port, and the process that uses them.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    child: Option<Child>,
    watchdog: Child,
    /// Pipe that keeps the watchdog waiting while it is open.
    leash: Option<PipeWriter>,
}

impl Private {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("botarmy-services-").tempdir()?.keep();
        if let Some((user, group)) = user() {
            std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        }
        let (sleeping, leash) = std::io::pipe()?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .arg(&folder)
            .stdin(sleeping)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal must reach the tests only.
            .process_group(0)
            .spawn()
            .context("sh")?;
        Ok(Self { folder, port: 0, child: None, watchdog, leash: Some(leash) })
    }

    /// Returns a command in the folder, as the user who may run it, with its output in the log.
    pub(super) fn command(&self, binary: &Path) -> Result<Command> {
        let log = File::create(self.log()).context("the log of a server")?;
        let mut command = command(binary);
        command.current_dir(&self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some((user, group)) = user() {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Returns the output of the process since its start.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Starts the process and waits until it is ready. The first start takes a free port, and
    /// another one if that was taken meanwhile; later starts keep the port.
    pub(super) async fn start(
        &mut self,
        command: impl Fn(&Self) -> Result<Command>,
        ready: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let first = self.port == 0;
        for _ in 0..5 {
            if first {
                self.port = free_port()?;
            }
            let child = command(self)?.spawn().context("a server")?;
            std::fs::write(self.folder.join("pid"), child.id().to_string())?;
            self.child = Some(child);
            if self.settles(&ready).await? {
                return Ok(());
            }
            // After a kill, remains of the old process may have been in the way.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("a server does not start; it said:\n{}", self.said())
    }

    /// Waits until the process is ready; returns `false` if it ends instead.
    async fn settles(&mut self, ready: impl Fn(&Self) -> bool) -> Result<bool> {
        let started = Instant::now();
        while !ready(self) {
            if self.is_gone() {
                self.reap();
                return Ok(false);
            }
            let patient = started.elapsed() < TIMEOUT;
            ensure!(patient, "a server takes too long to start; it said:\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(true)
    }

    /// Returns the id of the process, while there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns whether the process has ended.
    fn is_gone(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Sends a signal to the process and then to its children, since those of PostgreSQL have
    /// separate process groups.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let before = children().unwrap_or_default();
        send(&pid.to_string(), signal);
        // A stopped process makes no more children, and a killed one must not be asked for them.
        let all = before + " " + &children().unwrap_or_default();
        all.split_whitespace().for_each(|child| send(child, signal));
    }

    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.reap();
    }

    /// Ends it in order, or kills it if that takes too long.
    pub(super) fn stop(&mut self) {
        self.resume();
        if let Some(pid) = self.pid() {
            send(&pid.to_string(), Signal::INT);
        }
        let started = Instant::now();
        while !self.is_gone() && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.wait());
            drop(std::fs::remove_file(self.folder.join("pid")));
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.stop();
        drop(self.leash.take());
        drop(self.watchdog.wait());
    }
}

fn send(pid: &str, signal: Signal) {
    if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
        // A process that has ended needs no signal.
        _ = kill_process(pid, signal);
    }
}

/// Returns a port of loopback that is not in use, as [`free_ports`] does.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    free_ports(1)
}

/// Returns the first of `count` consecutive free ports of loopback. They are below the range of
/// outgoing connections, so that a server that is started later, or is stopped for a while, finds
/// its port still free.
///
/// # Errors
/// If there are none.
pub fn free_ports(count: u16) -> Result<u16> {
    for _ in 0..100 {
        let first = 20_000 + (random() % 12_000) as u16;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    bail!("no {count} ports in a row between 20000 and 32000 are free")
}
