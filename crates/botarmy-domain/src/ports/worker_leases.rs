//! Leases for external workers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::outcome::{Outcome, RunError};
use crate::task::Task;
use crate::worker::{HeartbeatReply, HeldLease, Leased, WorkQuery};

/// Leases tasks to external workers. A call for a lease that is no longer held is refused with
/// `lease_lost`, and MUST NOT change anything.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WorkerLeases: Send + Sync + 'static {
    /// Leases pending tasks of these agent types; waits if there are none. Empty if none became
    /// pending in time, or the server is stopping.
    ///
    /// - MUST NOT hold anything of the store while it waits.
    /// - MUST NOT keep a task from other workers for longer than a lease if the caller is dropped.
    async fn lease(&self, query: WorkQuery) -> Result<Vec<Leased>, Error>;

    /// Extends a lease and publishes progress: a message for people, and per cent where they are
    /// known. The reply says whether the task was cancelled.
    async fn heartbeat(
        &self,
        lease: HeldLease,
        progress: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error>;

    /// Accepts the result of the work and returns the task after it. Work that was already accepted
    /// from the same attempt MUST get the same answer and change nothing.
    async fn finish(
        &self,
        lease: HeldLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error>;
}
