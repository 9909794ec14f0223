//! A program, the group of its processes, and their output. No process of the group outlives the
//! server, even when the server is killed.
//!
//! The leader of the group is a watchdog: a shell that waits for the end of a pipe whose other end
//! only the server holds. When the server ends, the pipe ends, and the watchdog kills its group.
//! It is started before the program, so the program never runs without it, and its process id
//! cannot be reused before it has been waited for. A death signal from the kernel
//! (`PR_SET_PDEATHSIG`) would reach the first process only, and needs unsafe code.
//!
//! A process that leaves the group (`setsid`) escapes, unless there is a sandbox: its first process
//! is in the group, and takes all others in it along.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::RunError;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::folder::Folder;
use crate::sandbox;
use crate::text::printable;

/// Time between SIGTERM and SIGKILL after a cancellation. The port allows one second in all.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// Time that a program has to end before its deadline, after SIGTERM.
const DEADLINE_GRACE: Duration = Duration::from_secs(5);
/// Time that an output pipe may stay open after the group was killed: a process that left the
/// group may hold it.
const DRAIN: Duration = Duration::from_millis(500);
/// Most bytes of the end of the standard error that are kept.
const MAX_STDERR_BYTES: usize = 64 << 10;
const WATCHDOG: &str = "trap '' TERM INT HUP; read -r _; kill -9 0";

/// A program to start.
pub(crate) struct Launch<'a> {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(String, OsString)>,
    /// File in which the sandbox reports its state, if there is one around the program.
    pub(crate) sandbox: Option<PathBuf>,
    /// Bytes for the standard input; `/dev/null` when `None`.
    pub(crate) input: Option<Vec<u8>>,
    /// Most bytes of the standard output.
    pub(crate) output_bytes: usize,
    /// Most bytes of one line of it.
    pub(crate) line_bytes: usize,
    /// Time until the deadline of the attempt.
    pub(crate) remaining: Duration,
    /// Called with every line of the standard output as it arrives.
    pub(crate) on_line: &'a (dyn Fn(&str) + Send + Sync),
}

/// Reason for the end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitReason {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// It exceeded its time limit.
    TimedOut,
    /// It printed more than it may: `in total` or `in one line`.
    TooMuchOutput(&'static str),
}

/// Output of a program that has ended.
#[derive(Debug)]
pub(crate) struct ProcessOutput {
    pub(crate) reason: ExitReason,
    /// Standard output up to the limit; invalid UTF-8 is replaced.
    pub(crate) stdout: String,
    /// End of the standard error, without control characters.
    pub(crate) stderr: String,
}

/// Runs a program in a folder until it ends or exceeds a limit.
pub(crate) async fn run(
    launch: Launch<'_>,
    folder: &Arc<Folder>,
) -> Result<ProcessOutput, RunError> {
    let not_started = |error: io::Error| {
        RunError::retryable(
            "command_not_started",
            format!("The program cannot be started: {error}."),
        )
    };
    let group = Group::start(folder, launch.sandbox.clone()).map_err(not_started)?;
    let mut child = tokio::process::Command::new(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(folder.project())
        .stdin(if launch.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(group.leader.as_raw_nonzero().get())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => RunError::terminal(
                "command_not_executable",
                format!("{} cannot be executed: {error}.", launch.program.display()),
            ),
            _ => not_started(error),
        })?;

    let feed = {
        let (stdin, input) = (child.stdin.take(), launch.input.unwrap_or_default());
        async move {
            if let Some(mut stdin) = stdin {
                // A program may close its standard input without reading it.
                drop(stdin.write_all(&input).await);
            }
        }
    };
    let captured = Stdout::new(launch.output_bytes, launch.line_bytes);
    let (out, err) = (Mutex::new(captured), Mutex::new(Stderr::default()));
    let reads_out = read(child.stdout.take(), |bytes| locked(&out).take(bytes, launch.on_line));
    let reads_err = read(child.stderr.take(), |bytes| {
        locked(&err).take(bytes);
        true
    });
    tokio::pin!(feed, reads_out, reads_err);
    let (mut fed, mut out_done, mut err_done) = (false, false, false);

    let kill_after = launch.remaining - (launch.remaining / 10).min(Duration::from_millis(250));
    let stop_after = kill_after - DEADLINE_GRACE.min(kill_after / 4);
    let (stop, kill) = (tokio::time::sleep(stop_after), tokio::time::sleep(kill_after));
    tokio::pin!(stop, kill);
    let mut stopped = false;
    let reason = loop {
        tokio::select! {
            () = &mut feed, if !fed => fed = true,
            fits = &mut reads_out, if !out_done => {
                out_done = true;
                if !fits {
                    break ExitReason::TooMuchOutput(locked(&out).exceeded.unwrap_or("in total"));
                }
            }
            _ = &mut reads_err, if !err_done => err_done = true,
            status = child.wait() => {
                let status = status.map_err(not_started)?;
                break match status.code() {
                    Some(0) => ExitReason::Code(0),
                    _ if stopped => ExitReason::TimedOut,
                    Some(code) => ExitReason::Code(code),
                    None => ExitReason::Signal(status.signal().unwrap_or_default()),
                };
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                group.terminate();
            }
            () = &mut kill => break ExitReason::TimedOut,
        }
    };
    // Processes that the program left behind end with it.
    group.signal(Signal::KILL);
    let rest = async {
        if !out_done && !matches!(reason, ExitReason::TooMuchOutput(_)) {
            reads_out.await;
        }
        if !err_done {
            reads_err.await;
        }
    };
    drop(tokio::time::timeout(DRAIN, rest).await);
    // The program may have left the group.
    drop(child.start_kill());
    drop(child.wait().await);
    group.until_sandbox_is_gone().await;
    group.end();
    let reason = match (&launch.sandbox, reason) {
        (Some(status), ExitReason::Code(_)) if !sandbox::has_exited(status) => {
            let stderr = locked(&err).text();
            let detail = format!("The sandbox for the program cannot be made.\n{stderr}");
            return Err(RunError::retryable("sandbox_failed", detail));
        }
        // It reports a signal as a shell does.
        (Some(_), ExitReason::Code(code @ 129..=192)) => ExitReason::Signal(code - 128),
        (_, reason) => reason,
    };
    let captured = locked(&out).finish(launch.on_line);
    let reason = match captured.exceeded {
        Some(scope) if matches!(reason, ExitReason::Code(_) | ExitReason::Signal(_)) => {
            ExitReason::TooMuchOutput(scope)
        }
        _ => reason,
    };
    let stdout = String::from_utf8_lossy(&captured.bytes).into_owned();
    let stderr = locked(&err).text();
    Ok(ProcessOutput { reason, stdout, stderr })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a pipe until it ends (`true`) or `take` returns `false`.
async fn read(pipe: Option<impl AsyncRead + Unpin>, take: impl Fn(&[u8]) -> bool) -> bool {
    let Some(mut pipe) = pipe else { return true };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return true,
            Ok(n) if take(&buffer[..n]) => {}
            Ok(_) => return false,
        }
    }
}

/// Standard output that has been captured so far.
#[derive(Default)]
struct Stdout {
    bytes: Vec<u8>,
    /// Position at which the incomplete last line begins.
    line: usize,
    max_bytes: usize,
    max_line: usize,
    /// Limit that was exceeded: `in total` or `in one line`.
    exceeded: Option<&'static str>,
}

impl Stdout {
    fn new(max_bytes: usize, max_line: usize) -> Self {
        Self { max_bytes, max_line, ..Self::default() }
    }

    /// Captures bytes and returns `true` while no limit is exceeded.
    fn take(&mut self, bytes: &[u8], on_line: &(dyn Fn(&str) + Send + Sync)) -> bool {
        if self.exceeded.is_some() {
            return false;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.bytes.len() + part.len() > self.max_bytes {
                self.exceeded = Some("in total");
                return false;
            }
            self.bytes.extend_from_slice(part);
            if self.bytes.len() - self.line > self.max_line {
                self.exceeded = Some("in one line");
                return false;
            }
            if part.ends_with(b"\n") {
                on_line(&String::from_utf8_lossy(&self.bytes[self.line..]));
                self.line = self.bytes.len();
            }
        }
        true
    }

    fn finish(&mut self, on_line: &(dyn Fn(&str) + Send + Sync)) -> Self {
        if self.line < self.bytes.len() && self.exceeded.is_none() {
            on_line(&String::from_utf8_lossy(&self.bytes[self.line..]));
        }
        std::mem::take(self)
    }
}

/// End of the standard error.
#[derive(Default)]
struct Stderr(Vec<u8>);

impl Stderr {
    fn take(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * MAX_STDERR_BYTES {
            self.0.drain(..self.0.len() - MAX_STDERR_BYTES);
        }
    }

    fn text(&self) -> String {
        let tail = &self.0[self.0.len().saturating_sub(MAX_STDERR_BYTES)..];
        printable(&String::from_utf8_lossy(tail))
    }
}

/// The group of processes of one attempt, led by its watchdog.
struct Group {
    leader: Pid,
    watchdog: Option<(Child, Option<ChildStdin>)>,
    /// File in which the sandbox reports its state, if there is one.
    sandbox: Option<PathBuf>,
    /// Keeps the folder until no process can write to it any more.
    folder: Arc<Folder>,
}

impl Group {
    fn start(folder: &Arc<Folder>, sandbox: Option<PathBuf>) -> io::Result<Self> {
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let (leader, pipe) = (Pid::from_child(&watchdog), watchdog.stdin.take());
        let watchdog = Some((watchdog, pipe));
        Ok(Self { leader, watchdog, sandbox, folder: Arc::clone(folder) })
    }

    /// Asks the program to end. In a sandbox, only the processes in it are asked: its outer process
    /// would end at once, and take them along.
    fn terminate(&self) {
        match &self.sandbox {
            None => self.signal(Signal::TERM),
            Some(status) => {
                for process in sandbox::processes(status, self.leader) {
                    // An error means that it has ended already.
                    let _ = kill_process(process, Signal::TERM);
                }
            }
        }
    }

    /// Waits until no process in the sandbox can write any more. They were killed, and end within
    /// moments.
    async fn until_sandbox_is_gone(&self) {
        let Some(status) = &self.sandbox else { return };
        let limit = tokio::time::Instant::now() + DRAIN;
        while sandbox::first_process(status, self.leader).is_some()
            && tokio::time::Instant::now() < limit
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        // An error means that the group has ended already.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Kills the remaining processes and waits for the watchdog.
    fn end(mut self) {
        if let Some((watchdog, pipe)) = self.watchdog.take() {
            finish(self.leader, watchdog, pipe);
        }
    }
}

fn finish(leader: Pid, mut watchdog: Child, pipe: Option<ChildStdin>) {
    let _ = kill_process_group(leader, Signal::KILL);
    drop(pipe);
    drop(watchdog.wait());
}

/// Ends the group when the run is cancelled.
impl Drop for Group {
    fn drop(&mut self) {
        let Some((watchdog, pipe)) = self.watchdog.take() else { return };
        self.terminate();
        let (leader, folder) = (self.leader, Arc::clone(&self.folder));
        // A thread, since the runtime may be shutting down. If none can be started, the pipe ends
        // here and the watchdog kills the group.
        let last = std::thread::Builder::new().name("command-end".to_owned()).spawn(move || {
            std::thread::sleep(CANCEL_GRACE);
            finish(leader, watchdog, pipe);
            drop(folder);
        });
        drop(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_end_of_standard_error_is_bounded_and_printable() {
        let mut tail = Stderr::default();
        for _ in 0..1000 {
            tail.take(&[b'x'; 1000]);
        }
        assert!(tail.0.len() <= 2 * MAX_STDERR_BYTES + 1000);
        tail.take(b"\x1b[31mred\x1b[0m\x07 \xff end\n");
        let text = tail.text();
        assert!(
            text.len() <= MAX_STDERR_BYTES && text.ends_with("red \u{fffd} end"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn output_is_cut_at_its_limits() {
        let mut captured = Stdout::new(100, 10);
        assert!(captured.take(b"123456789\n123\n", &|_| {}));
        assert!(!captured.take(b"12345678901", &|_| {}));
        assert_eq!(captured.exceeded, Some("in one line"));
        let mut captured = Stdout::new(20, 10);
        assert!(!captured.take(b"123456789\n123456789\n1\n", &|_| {}));
        assert_eq!(captured.exceeded, Some("in total"));
    }
}
