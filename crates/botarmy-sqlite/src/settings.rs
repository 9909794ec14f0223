//! How the store is to be opened.

use std::path::PathBuf;
use std::time::Duration;

/// How much an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Also a power cut: the disk has confirmed it before anybody is told.
    #[default]
    Full,
    /// The end of the process, but not a power cut: the last moments before one may be missing.
    /// The file stays whole.
    Normal,
}

impl Synchronous {
    /// The word as SQLite spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// Where the store is, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The database file. Its directory belongs to the store: one process at a time.
    pub path: PathBuf,
    /// How much an acknowledged write survives.
    pub synchronous: Synchronous,
    /// How many connections read at the same time, at most: as many for short reads, and as many
    /// again for long ones.
    pub readers: usize,
    /// How many decisions are committed together, at most.
    pub max_batch: usize,
    /// How many decisions wait to be committed, at most.
    pub queue: usize,
    /// How long a decision waits for a place in the queue, and a read for a connection, before it
    /// is told that the store is overloaded.
    pub patience: Duration,
    /// How long SQLite waits for a lock that somebody beside this store holds, such as a backup.
    pub busy_timeout: Duration,
    /// After how many pages of 4 KiB the write-ahead log is moved into the database file.
    pub checkpoint_pages: u32,
}

impl SqliteSettings {
    /// The usual limits for a database at `path`.
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
