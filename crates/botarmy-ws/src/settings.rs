//! Limits and times of a WebSocket session.

use std::time::Duration;

use botarmy_web::{OriginRule, UnknownFields};

/// Limits and times of a WebSocket session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsSettings {
    /// Origins whose pages may connect.
    pub origins: OriginRule,
    /// Treatment of parameters and members of client frames that do not exist.
    pub unknown_fields: UnknownFields,
    /// Time after which a client that found no room may try again (`Retry-After`).
    pub retry_after: Duration,
    /// Interval between pings. A client that sends nothing for two intervals is disconnected.
    pub heartbeat: Duration,
    /// Time that a client to which frames have to be sent may accept nothing before it is
    /// disconnected.
    pub send_timeout: Duration,
    /// Largest message that a client may send, in bytes; a larger one closes with 1009.
    pub max_frame_bytes: usize,
}

impl Default for WsSettings {
    fn default() -> Self {
        Self {
            origins: OriginRule::new(["http://localhost:3000", "http://localhost:5173"]),
            unknown_fields: UnknownFields::Reject,
            retry_after: Duration::from_secs(5),
            heartbeat: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            max_frame_bytes: 64 * 1024,
        }
    }
}
