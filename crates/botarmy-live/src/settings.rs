//! Limits and times of the live stream.

use std::time::Duration;

/// Limits and times of the live stream. The defaults suit one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// Largest number of open connections.
    pub max_connections: usize,
    /// Largest number of projects that one connection may subscribe to.
    pub max_subscriptions: usize,
    /// Number of frames of a watched log that are kept in memory for all its subscribers. A
    /// subscriber that falls further behind reads from the log.
    pub recent_frames: usize,
    /// Memory for those frames, in bytes.
    pub recent_bytes: usize,
    /// Largest number of entries of one log that are held back while an earlier one is missing.
    pub reorder_window: usize,
    /// Memory for those entries, in bytes.
    pub reorder_bytes: usize,
    /// Time that an entry may be late before it is read from the log.
    pub reorder_wait: Duration,
    /// Largest number of entries that a subscriber which catches up reads from the log at once; it
    /// reads fewer if they are large.
    pub page: u32,
    /// Size of such entries in bytes at which a read ends, with the entry that reaches it.
    pub page_bytes: usize,
    /// Largest number of such reads at the same time, and of reads for logs that miss an entry.
    pub log_reads: usize,
    /// Time that a watched log may be silent before it is read, in case the bus lost messages.
    pub recheck: Duration,
    /// Number of entries of all logs together that a subscriber of `all` may fall behind.
    pub feed_backlog: usize,
    /// Set if the bus carries all entries, also those of other servers on the same logs.
    pub bus_carries_all: bool,
    /// Largest number of entries that one scan of all logs reads. If more were written since the
    /// scan before, subscribers of `all` get a gap.
    pub scan_limit: usize,
    /// Number of logs that are kept in order for subscribers of `all` alone; at least
    /// [`LiveSettings::scan_limit`].
    pub feed_logs: usize,
    /// Largest number of entries of all logs that a follower of `all` catches up with when it comes
    /// back or has fallen behind; beyond that it gets a gap.
    pub resume_limit: u32,
    /// Time that [`crate::Hub::shutdown`] waits for the connections to close.
    pub shutdown_wait: Duration,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_subscriptions: 64,
            recent_frames: 256,
            recent_bytes: 1024 * 1024,
            reorder_window: 1024,
            reorder_bytes: 1024 * 1024,
            reorder_wait: Duration::from_millis(20),
            page: 32,
            page_bytes: 1024 * 1024,
            log_reads: 4,
            recheck: Duration::from_secs(5),
            feed_backlog: 16_384,
            bus_carries_all: true,
            scan_limit: 5000,
            feed_logs: 10_000,
            resume_limit: 100_000,
            shutdown_wait: Duration::from_secs(2),
        }
    }
}
