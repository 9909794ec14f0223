//! Every number of the live stream.

use std::time::Duration;

use botarmy_web::OriginRule;

/// How the live stream behaves. The defaults are what one machine wants; configuration may say
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsSettings {
    /// How many connections may be open at once; the next is answered 503.
    pub max_connections: usize,
    /// What a refused client is told to wait before it tries again (`Retry-After`).
    pub retry_after: Duration,
    /// How many projects one connection may subscribe to.
    pub max_subscriptions: usize,
    /// Origins whose pages may connect.
    pub origins: OriginRule,
    /// How often a client is pinged; one that says nothing for twice as long is gone.
    pub heartbeat: Duration,
    /// How long one frame may take to leave before its client is given up.
    pub send_timeout: Duration,
    /// The longest message a client may send, in bytes; a longer one closes with 1009.
    pub max_frame_bytes: usize,
    /// How many frames of a watched log are kept in memory for everyone who watches it. Whoever
    /// falls further behind reads from the log.
    pub recent_frames: usize,
    /// How many bytes those frames may take.
    pub recent_bytes: usize,
    /// How many entries of one log may be held back because one before them has not come yet.
    pub reorder_window: usize,
    /// How long an entry may be late before it is read from the log.
    pub reorder_wait: Duration,
    /// How many entries are read from the log at once, by one client that catches up.
    pub page: u32,
    /// How many such reads may run at once, and as many again for logs that miss an entry.
    pub log_reads: usize,
    /// How long a watched log may be silent before somebody looks whether news were lost.
    pub recheck: Duration,
    /// How many entries of all logs together a subscriber of `all` may fall behind.
    pub all_backlog: usize,
    /// Whether the bus carries what other servers on the same logs do.
    pub hears_others: bool,
    /// How many entries of all logs are looked through at once for what the bus did not tell
    /// subscribers of `all`. When more were written since the look before, they are told of a gap.
    pub all_look: usize,
    /// How many logs are kept in order for subscribers of `all` alone; at least
    /// [`WsSettings::all_look`].
    pub all_logs: usize,
    /// How long [`crate::Live::shutdown`] waits for its clients to be told.
    pub shutdown_wait: Duration,
}

impl Default for WsSettings {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            retry_after: Duration::from_secs(5),
            max_subscriptions: 64,
            origins: OriginRule::new(["http://localhost:3000", "http://localhost:5173"]),
            heartbeat: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            max_frame_bytes: 64 * 1024,
            recent_frames: 256,
            recent_bytes: 1024 * 1024,
            reorder_window: 1024,
            reorder_wait: Duration::from_millis(20),
            page: 32,
            log_reads: 4,
            recheck: Duration::from_secs(5),
            all_backlog: 16_384,
            hears_others: true,
            all_look: 5000,
            all_logs: 10_000,
            shutdown_wait: Duration::from_secs(2),
        }
    }
}
