//! The server under measurement: the release binary as a separate process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use botarmy_tests::access;
use tempfile::TempDir;

use crate::client::Connection;

/// Time limit of starting or stopping a server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings that rows change, as environment variables.
pub(crate) mod setting {
    /// A coder's tasks are not executed.
    pub(crate) const NO_CODER: (&str, &str) = ("BOTARMY_AGENTS__CODER__RUNNER", "none");
    /// A coder's tasks are executed at once by a runner that does nothing.
    pub(crate) const NOOP_CODER: (&str, &str) = ("BOTARMY_AGENTS__CODER__RUNNER", "noop");
    /// Number of concurrent coder tasks.
    pub(crate) const MANY_CODERS: (&str, &str) = ("BOTARMY_AGENTS__CODER__SLOTS", "64");
    /// A coder's tasks are executed by a model at this address, with this many slots; the tester is
    /// off.
    pub(crate) const fn model_coder<'a>(
        url: &'a str,
        slots: &'a str,
    ) -> [(&'static str, &'a str); 5] {
        [
            ("BOTARMY_PROVIDERS__DOUBLE__KIND", "compatible"),
            ("BOTARMY_PROVIDERS__DOUBLE__BASE_URL", url),
            ("BOTARMY_AGENTS__CODER__RUNNER", "llm:double/model"),
            ("BOTARMY_AGENTS__CODER__SLOTS", slots),
            ("BOTARMY_AGENTS__TESTER__RUNNER", "none"),
        ]
    }
    /// Variable with the path of a server binary other than the one beside this program.
    pub(crate) const BINARY: &str = "BOTARMY_BENCH_SERVER";
    /// Prefix of all settings.
    pub(crate) const PREFIX: &str = "BOTARMY_";
    /// Database file in the data directory.
    pub(crate) const DATABASE: &str = botarmy_server::stores::DATABASE;
}

/// Creates a data folder on the disk of the binary, because a disk in memory would make commits
/// free.
pub(crate) fn data_dir() -> Result<TempDir> {
    let exe = std::env::current_exe()?;
    let beside = exe.parent().context("a program is in a folder")?;
    Ok(tempfile::Builder::new().prefix("bench-data-").tempdir_in(beside)?)
}

/// Returns the binary under measurement: the one that the environment names, or the one beside this
/// program.
pub(crate) fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(setting::BINARY) {
        return Ok(path.into());
    }
    let path = std::env::current_exe()?.with_file_name("botarmy-server");
    if !path.exists() {
        bail!(
            "{} is missing: build it with `cargo build --release --workspace --bins`, or name \
             another with {}",
            path.display(),
            setting::BINARY
        );
    }
    Ok(path)
}

/// Returns whether the server knows keys. Older ones, with which it is compared, refuse such settings.
fn has_keys() -> Result<bool> {
    static HAS_KEYS: OnceLock<bool> = OnceLock::new();
    if let Some(has_keys) = HAS_KEYS.get() {
        return Ok(*has_keys);
    }
    let help = Command::new(binary()?).args(["keys", "--help"]).output()?;
    Ok(*HAS_KEYS.get_or_init(|| help.status.success()))
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Time from the start to the first 200.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a server on this data with these settings, and returns once it is ready.
    pub(crate) async fn start(data: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(binary()?);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with(setting::PREFIX)) {
            command.env_remove(name);
        }
        command
            .current_dir(data)
            .arg("--data-dir")
            .arg(data)
            .args(["serve", "--port", &address.port().to_string()])
            .envs(if has_keys()? { access::variables() } else { Vec::new() })
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().context("the server cannot be started")?;
        let mut server = Self { child, address, started_in: Duration::ZERO };
        loop {
            if let Ok(mut connection) = Connection::open(address).await
                && let Ok(answer) = connection.get("/readyz").await
                && answer.status == 200
            {
                break;
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended when it was started: {status}");
            }
            if began.elapsed() > TIMEOUT {
                bail!("the server did not get ready");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.started_in = began.elapsed();
        let is_open = settings.contains(&(access::MODE, "open"));
        let is_worker = settings.iter().any(|one| one.1 == "worker");
        if has_keys()? && access::needs_keys() && !is_open && !is_worker {
            let path = format!("/api/v1/access/principals/{}/grants", access::admin());
            Connection::open(address).await?.put(&path, &access::worker_grants()).await?;
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > TIMEOUT {
                bail!("the server does not stop");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns an address on which no process listens at this moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
