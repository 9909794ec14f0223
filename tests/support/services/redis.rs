//! A private Redis.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::private::Private;
use super::{REDIS_BIN, needed};

/// A private Redis that a test may break. It stores nothing on disk, and is removed with this
/// value.
#[derive(Debug)]
pub struct RedisServer {
    private: Private,
    binary: PathBuf,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts one; `None` if tests with services are skipped.
    ///
    /// # Panics
    /// If one is required and does not start.
    pub async fn start() -> Option<Self> {
        let binary = needed("Redis", REDIS_BIN)?;
        Some(Self::launch(Path::new(&binary)).await.unwrap())
    }

    /// Starts one with more options, such as `["--maxmemory", "1mb"]`; in them, `PORT` is its port.
    ///
    /// # Panics
    /// If one is required and does not start.
    pub async fn with(options: &[&str]) -> Option<Self> {
        let binary = needed("Redis", REDIS_BIN)?;
        Some(Self::launch_with(Path::new(&binary), options).await.unwrap())
    }

    /// Starts one from this binary.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn launch(binary: &Path) -> Result<Self> {
        Self::launch_with(binary, &[]).await
    }

    async fn launch_with(binary: &Path, options: &[&str]) -> Result<Self> {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { private: Private::new()?, binary: binary.to_owned(), options };
        server.run().await?;
        Ok(server)
    }

    async fn run(&mut self) -> Result<()> {
        let Self { private, binary, options } = self;
        let command = |private: &Private| -> Result<Command> {
            let mut command = private.command(binary)?;
            command.args(["--port", &private.port.to_string(), "--bind", "127.0.0.1"]);
            command.args(["--save", "", "--appendonly", "no"]);
            let port = private.port.to_string();
            command.args(options.iter().map(|option| option.replace("PORT", &port)));
            Ok(command)
        };
        // Polling the port could reach another server.
        private.start(command, |private| private.said().contains("Ready to accept")).await
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.private.port)
    }

    /// Returns its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.private.port
    }

    /// Shuts it down.
    pub fn stop(&mut self) {
        self.private.stop();
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.private.kill();
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_again(&mut self) {
        self.run().await.unwrap();
    }

    /// Stops it: it accepts connections, but sends no answer.
    pub fn pause(&self) {
        self.private.pause();
    }

    /// Continues it.
    pub fn resume(&self) {
        self.private.resume();
    }
}
