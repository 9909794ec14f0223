//! Settings of the store.

use std::time::Duration;

use crate::url::PostgresUrl;

/// Address of the database and limits of this replica.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// Address of the database, without its password.
    pub url: PostgresUrl,
    /// Whether a commit waits for the disk of the database. If not, a crash of the *database*
    /// server may lose the last commits; a crash of this server loses nothing.
    pub waits_for_disk: bool,
    /// Maximum number of connections that read at the same time.
    pub readers: usize,
    /// Number of connections that write decisions; claims use one more.
    pub lanes: usize,
    /// Maximum number of decisions in one transaction.
    pub max_batch: usize,
    /// Maximum number of decisions that wait in each lane.
    pub queue: usize,
    /// Maximum time that a decision waits for a place in the queue, and a read for a connection.
    pub patience: Duration,
    /// Time limit for opening a connection.
    pub connect_timeout: Duration,
    /// Time limit for one statement or transaction, after which the database counts as unreachable.
    pub timeout: Duration,
}

impl PostgresSettings {
    /// Returns settings with the default limits for this database.
    #[must_use]
    pub fn new(url: PostgresUrl) -> Self {
        Self {
            url,
            waits_for_disk: true,
            readers: 8,
            lanes: 2,
            max_batch: 128,
            queue: 4096,
            patience: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }

    /// Returns the number of connections that a server opens at most: those that read, those that
    /// write, and the one of claims.
    #[must_use]
    pub const fn connections(&self) -> usize {
        let readers = if self.readers == 0 { 1 } else { self.readers };
        let lanes = if self.lanes == 0 { 1 } else { self.lanes };
        readers.saturating_add(lanes).saturating_add(1)
    }
}
