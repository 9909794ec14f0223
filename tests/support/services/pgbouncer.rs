//! A private PgBouncer.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::needed;
use super::private::Private;
use super::{PGBOUNCER_BIN, PostgresServer};

/// A private PgBouncer in front of a private PostgreSQL. It is removed with this value.
#[derive(Debug)]
pub struct PgBouncer {
    private: Private,
}

impl PgBouncer {
    /// Starts one with this `pool_mode`; `None` if tests with services are skipped.
    ///
    /// # Panics
    /// If one is required and does not start.
    pub async fn start(postgres: &PostgresServer, pool_mode: &str) -> Option<Self> {
        let binary = PathBuf::from(needed("PgBouncer", PGBOUNCER_BIN)?);
        let mut server = Self { private: Private::new().unwrap() };
        server.run(&binary, postgres.port(), pool_mode).await.unwrap();
        Some(server)
    }

    async fn run(&mut self, binary: &Path, postgres: u16, pool_mode: &str) -> Result<()> {
        let command = |private: &Private| -> Result<Command> {
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={postgres}\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
                 auth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = 40\n",
                private.port
            );
            // Any user becomes this one, as `auth_type = any` requires.
            let settings = settings.replace("port=", "user=botarmy port=");
            let file = private.folder.join("pgbouncer.ini");
            std::fs::write(&file, settings)?;
            let mut command = private.command(binary)?;
            command.arg(file);
            Ok(command)
        };
        self.private.start(command, |private| private.said().contains("process up")).await
    }

    /// Returns the address of a database through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://botarmy@127.0.0.1:{}/{database}", self.private.port)
    }
}
