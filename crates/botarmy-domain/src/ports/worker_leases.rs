//! Leases for external workers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::outcome::{Outcome, RunError};
use crate::task::Task;
use crate::worker::{HeartbeatReply, HeldLease, Leased, PresentedLease, WorkQuery};

/// Leases tasks to external workers. A call for a lease that is no longer held is refused with
/// `lease_lost`, one without the token of the lease as unauthenticated, unless it is a call of the
/// principal that took the lease. Neither MUST change anything. A lease that was stored before leases
/// had tokens needs none.
///
/// The token of a lease MUST be refused within a second after the key with which the lease was taken was
/// revoked or has expired, its principal was disabled or deleted, or the principal lost the permission
/// to work on the project. A call with such a token MUST return the task to the queue, and nothing else.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WorkerLeases: Send + Sync + 'static {
    /// Leases pending tasks of these agent types; waits if there are none. Empty if none became
    /// pending in time, or the server is stopping.
    ///
    /// - MUST NOT lease a task of a project on which the caller lacks the permission to work.
    /// - MUST NOT hold anything of the store while it waits.
    /// - MUST NOT claim anything once the caller was dropped, and MUST requeue at once whatever it is
    ///   claiming at that moment.
    async fn lease(&self, query: WorkQuery) -> Result<Vec<Leased>, Error>;

    /// Requeues tasks whose leases did not reach their worker.
    async fn requeue_undelivered(&self, leases: Vec<HeldLease>);

    /// Extends a lease and publishes progress: a message for people, and per cent where they are
    /// known. The reply says whether the task was cancelled.
    async fn heartbeat(
        &self,
        lease: PresentedLease,
        progress: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error>;

    /// Accepts the result of the work and returns the task after it. Work that was already accepted
    /// from the same attempt MUST get the same answer and change nothing. A result that is not
    /// acceptable is refused as invalid; its worker keeps the lease, and the reason is recorded as
    /// [`WorkerLeases::refuse`] does.
    async fn finish(
        &self,
        lease: PresentedLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error>;

    /// Records with the attempt why a result was refused that could not be read. Without the lease
    /// and its token nothing is recorded, and a failure to record it is logged: the caller is told
    /// the reason for which its result was refused, not this.
    ///
    /// - MUST NOT record a reason that repeats the one before it.
    /// - MUST NOT record more than [`MAX_REFUSALS`] reasons for one attempt.
    ///
    /// [`MAX_REFUSALS`]: crate::decide::refusals::MAX_REFUSALS
    async fn refuse(&self, lease: PresentedLease, reason: String);
}
