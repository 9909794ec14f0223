//! Settings of the store.

use std::path::PathBuf;
use std::time::Duration;

/// Durability of an acknowledged write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Survives a power cut: the disk confirms the write before it is acknowledged.
    #[default]
    Full,
    /// Survives the end of the process; a power cut may lose the last writes. The file stays
    /// consistent.
    Normal,
}

impl Synchronous {
    /// Returns the word as SQLite spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// Path of the database file and limits of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// Path of the database file. Only one process at a time may use its directory.
    pub path: PathBuf,
    /// Durability of an acknowledged write.
    pub synchronous: Synchronous,
    /// Maximum number of connections that read at the same time: as many for short reads, and as
    /// many again for long ones.
    pub readers: usize,
    /// Maximum number of decisions in one transaction.
    pub max_batch: usize,
    /// Maximum number of decisions that wait to be committed.
    pub queue: usize,
    /// Maximum time that a decision waits for a place in the queue, and a read for a connection,
    /// before it fails because the store is overloaded.
    pub patience: Duration,
    /// Maximum time that SQLite waits for a lock of another user of the file, such as a backup.
    pub busy_timeout: Duration,
    /// Size of the write-ahead log, in pages of 4 KiB, from which it is moved into the database
    /// file.
    pub checkpoint_pages: u32,
}

impl SqliteSettings {
    /// Returns settings with the default limits for a database at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::Full,
            readers: 4,
            max_batch: 256,
            queue: 4096,
            patience: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            checkpoint_pages: 4000,
        }
    }
}
