//! A program, the group of processes it may grow into, and what they print. Whatever happens to
//! the server, nothing of the group outlives it.
//!
//! The group is led by a watchdog: a shell that waits for the end of a pipe only the server holds.
//! When the server is gone, however it went, the pipe ends and the watchdog kills its own group.
//! It is there before the program is, so there is no moment without it; and as long as it is not
//! waited for, its number cannot become somebody else's. A death signal from the kernel
//! (`PR_SET_PDEATHSIG`) would reach the first process only, and needs unsafe code.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::RunError;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::folder::Folder;

/// How long whoever is told to stop may take where nobody waits for a result any more. The port
/// allows a second for everything.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// How long a program may take to end when its deadline comes near.
const DEADLINE_GRACE: Duration = Duration::from_secs(5);
/// How long a pipe may stay open after its group was killed: a process that left the group may
/// hold it.
const DRAIN: Duration = Duration::from_millis(500);
/// The end of the standard error that is kept.
const TAIL: usize = 64 << 10;
const WATCHDOG: &str = "trap '' TERM INT HUP; read -r _; kill -9 0";

/// What is started.
pub(super) struct Launch<'a> {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(String, OsString)>,
    /// What it may read; nothing at all when `None`.
    pub(super) input: Option<Vec<u8>>,
    pub(super) output_bytes: usize,
    pub(super) line_bytes: usize,
    /// How long there is until nobody waits any more.
    pub(super) remaining: Duration,
    /// Is shown every line of the standard output as it comes.
    pub(super) on_line: &'a (dyn Fn(&str) + Send + Sync),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// Its time was over.
    TimedOut,
    /// It printed more than it may.
    Flooded(&'static str),
}

/// What is left of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: End,
    /// What it printed, up to the limit; what is no UTF-8 is replaced.
    pub(super) stdout: String,
    /// The end of what it complained about, without control characters.
    pub(super) stderr: String,
}

/// Runs a program in a folder to its end.
pub(super) async fn run(launch: Launch<'_>, folder: &Arc<Folder>) -> Result<Ended, RunError> {
    let not_started =
        |error: io::Error| RunError::retryable("command_not_started", format!("{error}."));
    let group = Group::start(folder).map_err(not_started)?;
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
                // Whoever does not want to read it need not.
                drop(stdin.write_all(&input).await);
            }
        }
    };
    let printed = Printed::new(launch.output_bytes, launch.line_bytes);
    let (out, err) = (Mutex::new(printed), Mutex::new(Tail::default()));
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
    let mut told = false;
    let end = loop {
        tokio::select! {
            () = &mut feed, if !fed => fed = true,
            fits = &mut reads_out, if !out_done => {
                out_done = true;
                if !fits {
                    break End::Flooded(locked(&out).over.unwrap_or("too much"));
                }
            }
            _ = &mut reads_err, if !err_done => err_done = true,
            status = child.wait() => {
                let status = status.map_err(not_started)?;
                break match status.code() {
                    Some(0) => End::Exit(0),
                    _ if told => End::TimedOut,
                    Some(code) => End::Exit(code),
                    None => End::Signal(status.signal().unwrap_or_default()),
                };
            }
            () = &mut stop, if !told => {
                told = true;
                group.signal(Signal::TERM);
            }
            () = &mut kill => break End::TimedOut,
        }
    };
    // Whoever it left behind goes with it.
    group.signal(Signal::KILL);
    let rest = async {
        if !out_done && !matches!(end, End::Flooded(_)) {
            reads_out.await;
        }
        if !err_done {
            reads_err.await;
        }
    };
    drop(tokio::time::timeout(DRAIN, rest).await);
    // Also a program that left the group, where it is still there.
    drop(child.start_kill());
    drop(child.wait().await);
    group.end();
    let printed = locked(&out).finish(launch.on_line);
    let end = match printed.over {
        Some(what) if matches!(end, End::Exit(_) | End::Signal(_)) => End::Flooded(what),
        _ => end,
    };
    let stdout = String::from_utf8_lossy(&printed.bytes).into_owned();
    let stderr = locked(&err).text();
    Ok(Ended { end, stdout, stderr })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads to the end, or until `take` has enough; answers whether it came to the end.
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

/// The standard output so far.
#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    /// Where the line begins that is not complete yet.
    line: usize,
    most: usize,
    longest: usize,
    over: Option<&'static str>,
}

impl Printed {
    fn new(most: usize, longest: usize) -> Self {
        Self { most, longest, ..Self::default() }
    }

    /// Answers whether there may be more.
    fn take(&mut self, bytes: &[u8], on_line: &(dyn Fn(&str) + Send + Sync)) -> bool {
        if self.over.is_some() {
            return false;
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.bytes.len() + part.len() > self.most {
                self.over = Some("in all");
                return false;
            }
            self.bytes.extend_from_slice(part);
            if self.bytes.len() - self.line > self.longest {
                self.over = Some("in one line");
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
        if self.line < self.bytes.len() && self.over.is_none() {
            on_line(&String::from_utf8_lossy(&self.bytes[self.line..]));
        }
        std::mem::take(self)
    }
}

/// The end of something long.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * TAIL {
            self.0.drain(..self.0.len() - TAIL);
        }
    }

    fn text(&self) -> String {
        let tail = &self.0[self.0.len().saturating_sub(TAIL)..];
        printable(&String::from_utf8_lossy(tail))
    }
}

/// A text without what would move a terminal's cursor or colour it.
pub(super) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // The parameters of a control sequence, and the letter that ends it.
                while characters.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                characters.next_if(|c| matches!(c, '@'..='~'));
            }
            '\n' | '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean.trim().to_owned()
}

/// The group of processes of one attempt, led by its watchdog.
struct Group {
    leader: Pid,
    watchdog: Option<(Child, Option<ChildStdin>)>,
    /// Is there for as long as anybody may write to it.
    folder: Arc<Folder>,
}

impl Group {
    fn start(folder: &Arc<Folder>) -> io::Result<Self> {
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
        Ok(Self { leader, watchdog: Some((watchdog, pipe)), folder: Arc::clone(folder) })
    }

    fn signal(&self, signal: Signal) {
        // Nobody is there any more: what was wanted.
        let _ = kill_process_group(self.leader, signal);
    }

    /// Kills whoever is left.
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

/// Nobody waits for the result any more.
impl Drop for Group {
    fn drop(&mut self) {
        let Some((watchdog, pipe)) = self.watchdog.take() else { return };
        self.signal(Signal::TERM);
        let (leader, folder) = (self.leader, Arc::clone(&self.folder));
        // A thread, since the runtime may be on its way out. If there is none to be had, the end of
        // the pipe lets the watchdog do it.
        let last = std::thread::Builder::new().name("command-end".to_owned()).spawn(move || {
            std::thread::sleep(CANCEL_GRACE);
            finish(leader, watchdog, pipe);
            drop(folder);
        });
        drop(last);
    }
}

/// Where a program finds itself.
pub(super) fn surroundings(folder: &Folder, home: Option<&Path>) -> Vec<(String, OsString)> {
    let home = home.map_or_else(|| folder.home(), Path::to_owned);
    vec![("HOME".to_owned(), home.into()), ("TMPDIR".to_owned(), folder.scratch().into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_complaints_is_bounded_and_printable() {
        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.take(&[b'x'; 1000]);
        }
        assert!(tail.0.len() <= 2 * TAIL + 1000);
        tail.take(b"\x1b[31mred\x1b[0m\x07 \xff end\n");
        let text = tail.text();
        assert!(text.len() <= TAIL && text.ends_with("red \u{fffd} end"), "{}", text.len());
    }

    #[test]
    fn output_is_cut_where_it_becomes_too_much() {
        let mut printed = Printed::new(100, 10);
        assert!(printed.take(b"123456789\n123\n", &|_| {}));
        assert!(!printed.take(b"12345678901", &|_| {}));
        assert_eq!(printed.over, Some("in one line"));
        let mut printed = Printed::new(20, 10);
        assert!(!printed.take(b"123456789\n123456789\n1\n", &|_| {}));
        assert_eq!(printed.over, Some("in all"));
    }
}
