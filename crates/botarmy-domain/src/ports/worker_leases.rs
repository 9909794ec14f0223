//! Work for external workers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::outcome::{Outcome, RunError};
use crate::task::Task;
use crate::worker::{HeartbeatReply, HeldLease, Leased, WorkQuery};

/// Hands tasks to workers outside of the servers. A call that shows a lease which is not held any
/// more is refused with `lease_lost`, and MUST NOT change anything then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WorkerLeases: Send + Sync + 'static {
    /// Hands out what waits for these agent types; where nothing does, waits for it. Empty when
    /// nothing came, or the server is stopping.
    ///
    /// - MUST NOT hold anything of the store while it waits.
    /// - MUST NOT keep a task from others for longer than a lease when the caller goes away.
    async fn lease(&self, query: WorkQuery) -> Result<Vec<Leased>, Error>;

    /// Hears that the holder is alive, and passes on how it is getting on: a line for people, and
    /// per cent where they are known. A task that was called off is said to be so.
    async fn heartbeat(
        &self,
        lease: HeldLease,
        progress: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error>;

    /// Takes in what came of the work, and answers the task as it stands then. Work that was taken
    /// in already from the same attempt MUST be answered like the first time and change nothing.
    async fn finish(
        &self,
        lease: HeldLease,
        result: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error>;
}
