//! Settings of leases, the same for the worker of a server and for external workers.

use std::time::Duration;

/// Time and size limits of the attempts that a lease allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Time without a heartbeat after which a task is given to another worker.
    pub lease: Duration,
    /// Time within which an external worker must make its first call under a lease.
    pub first_call: Duration,
    /// Longest duration of one attempt, where its step sets no limit.
    pub attempt_timeout: Duration,
    /// Interval between two looks at the queue while there is no wake-up.
    pub poll: Duration,
    /// Largest output of one attempt, in bytes of JSON.
    pub max_output_bytes: usize,
}
