//! A private PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::private::Private;
use super::{POSTGRES_BIN, execute, needed, url_of};

/// A private PostgreSQL that a test may break. It is removed with this value.
#[derive(Debug)]
pub struct PostgresServer {
    private: Private,
    bin: PathBuf,
    settings: Vec<String>,
}

impl PostgresServer {
    /// Starts one with these settings; `None` if tests with services are skipped. It does not sync
    /// to disk unless `("fsync", "on")` is among the settings.
    ///
    /// If one is required and does not start.
    /// When there should be one and it does not start.
    pub async fn start(settings: &[(&str, &str)]) -> Option<Self> {
        let bin = needed("PostgreSQL", POSTGRES_BIN)?;
        Some(Self::launch(Path::new(&bin), settings).await.unwrap())
    }

    /// Starts one with these settings and an empty database; also returns the address of the
    /// database.
    ///
    /// If one is required and does not start.
    /// When there should be one and it does not start.
    pub async fn with_database(settings: &[(&str, &str)]) -> Option<(Self, String)> {
        let server = Self::start(settings).await?;
        execute(&server.url(), "CREATE DATABASE botarmy").await.unwrap();
        let url = url_of(&server.url(), "botarmy");
        Some((server, url))
    }

    /// Starts one from the binaries in this folder.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn launch(bin: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let private = Private::new()?;
        let mut initdb = private.command(&bin.join("initdb"))?;
        initdb.args(["--no-sync", "--auth=trust", "--username=botarmy", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--pgdata=data"]);
        let mut initdb = tokio::process::Command::from(initdb);
        let status = initdb.kill_on_drop(true).status().await.context("initdb")?;
        ensure!(status.success(), "initdb failed; it said:\n{}", private.said());
        let defaults = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            // Shared memory in the folder is removed with it, even if the server is killed.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "300"),
            ("shared_buffers", "64MB"),
            ("fsync", "off"),
        ];
        let settings =
            defaults.iter().chain(settings).map(|(name, value)| format!("{name}={value}"));
        let mut server = Self { private, bin: bin.to_owned(), settings: settings.collect() };
        server.run().await?;
        Ok(server)
    }

    /// Starts a standby that follows this server.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn standby(&self) -> Self {
        let private = Private::new().unwrap();
        let mut server = Self { private, bin: self.bin.clone(), settings: self.settings.clone() };
        server.clone_of(self).await.unwrap();
        server.run().await.unwrap();
        server
    }

    /// Starts this server, which has ended, anew as a standby that follows `primary`, with a copy of
    /// its data.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_as_standby_of(&mut self, primary: &Self) {
        std::fs::remove_dir_all(self.private.folder.join("data")).unwrap();
        self.clone_of(primary).await.unwrap();
        self.run().await.unwrap();
    }

    /// Copies the data of a running server, with the settings of a standby that follows it.
    async fn clone_of(&mut self, primary: &Self) -> Result<()> {
        let mut copy = self.private.command(&self.bin.join("pg_basebackup"))?;
        copy.args(["--pgdata=data", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.args(["--wal-method=stream", "--dbname", &primary.url()]);
        let mut copy = tokio::process::Command::from(copy);
        let status = copy.kill_on_drop(true).status().await.context("pg_basebackup")?;
        ensure!(status.success(), "pg_basebackup failed; it said:\n{}", self.private.said());
        Ok(())
    }

    /// Lets a standby become the primary, and waits until it accepts writes.
    ///
    /// # Panics
    /// If it does not.
    pub async fn promote(&self) {
        let promoted = super::connect(&self.url()).await.unwrap();
        let promoted = promoted.query_one("SELECT pg_promote(true, 30)", &[]).await.unwrap();
        assert!(promoted.get::<_, bool>(0), "the standby is not promoted");
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.private.port
    }

    async fn run(&mut self) -> Result<()> {
        let Self { private, bin, settings } = self;
        let command = |private: &Private| -> Result<Command> {
            let mut command = private.command(&bin.join("postgres"))?;
            command.args(["-D", "data", "-p", &private.port.to_string()]);
            command.args(settings.iter().map(|setting| format!("--{setting}")));
            Ok(command)
        };
        private.start(command, is_ready).await
    }

    /// Returns the address of its database `postgres`, as superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://botarmy@127.0.0.1:{}/postgres", self.private.port)
    }

    /// Shuts it down: closes connections and writes all committed data.
    pub fn stop(&mut self) {
        self.private.stop();
    }

    /// Kills it and all its processes at once.
    pub fn kill(&mut self) {
        self.private.kill();
    }

    /// Starts it again on the same port with the same data.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        self.run().await.unwrap();
    }

    /// Stops all its processes: it accepts connections, but sends no answer.
    pub fn pause(&self) {
        self.private.pause();
    }

    /// Continues them.
    pub fn resume(&self) {
        self.private.resume();
    }
}

/// Reads from the server's lock file whether it accepts connections. Polling the port could reach
/// another server.
fn is_ready(private: &Private) -> bool {
    let lock = std::fs::read_to_string(private.folder.join("data/postmaster.pid"));
    let lock = lock.unwrap_or_default();
    let mut lines = lock.lines();
    lines.next().and_then(|pid| pid.parse().ok()) == private.pid()
        // A standby says so as well.
        && lines.nth(6).is_some_and(|status| ["ready", "standby"].contains(&status.trim()))
}
