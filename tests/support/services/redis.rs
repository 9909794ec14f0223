//! A private Redis.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::private::Private;
use super::{REDIS_BIN, needed};

/// A Redis of one's own, to be broken. It keeps nothing on disk, and goes with this value.
#[derive(Debug)]
pub struct RedisServer {
    private: Private,
    binary: PathBuf,
}

impl RedisServer {
    /// Starts one; `None` where tests with services are left out.
    ///
    /// # Panics
    /// When there should be one and it does not start.
    pub async fn start() -> Option<Self> {
        let binary = needed("Redis", REDIS_BIN)?;
        Some(Self::launch(Path::new(&binary)).await.unwrap())
    }

    /// Starts one from this binary.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn launch(binary: &Path) -> Result<Self> {
        let mut server = Self { private: Private::new()?, binary: binary.to_owned() };
        server.run().await?;
        Ok(server)
    }

    async fn run(&mut self) -> Result<()> {
        let Self { private, binary } = self;
        let command = |private: &Private| -> Result<Command> {
            let mut command = private.command(binary)?;
            command.args(["--port", &private.port.to_string(), "--bind", "127.0.0.1"]);
            command.args(["--save", "", "--appendonly", "no"]);
            Ok(command)
        };
        // Asking the port instead could reach somebody else's.
        private.start(command, |private| private.said().contains("Ready to accept")).await
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.private.port)
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
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.run().await.unwrap();
    }

    /// Makes it stand still: it takes connections, and answers nothing.
    pub fn pause(&self) {
        self.private.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.private.resume();
    }
}
