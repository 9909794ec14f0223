//! How the store is to be opened.

use std::time::Duration;

use crate::url::PostgresUrl;

/// Where the database is, and the limits of this replica.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// The database.
    pub url: PostgresUrl,
    /// Whether a commit waits for the disk of the database. Without it, a crash of the *database*
    /// loses the last moments; one of this server loses nothing.
    pub waits_for_disk: bool,
    /// How many connections read at the same time, at most.
    pub readers: usize,
    /// How many connections write decisions at the same time; claims have one more.
    pub lanes: usize,
    /// How many decisions are committed together, at most.
    pub max_batch: usize,
    /// How many decisions wait in each lane, at most.
    pub queue: usize,
    /// How long a decision waits for a place in the queue, and a read for a connection.
    pub patience: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long the database may take for one statement or transaction before it counts as away.
    pub timeout: Duration,
}

impl PostgresSettings {
    /// The usual limits for this database.
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
}
