//! Agents that run outside of the servers: they ask for work, and bring back what comes of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::decide::tasks::Holder;
use crate::error::Error;
use crate::ids::TaskId;
use crate::ports::{Assignment, Outcome, RunError};
use crate::task::{Task, WorkerId};
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// A worker that asks for work, and how long it waits for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkQuery {
    /// Who asks.
    pub worker: WorkerId,
    /// The agent types it serves; the first is served first.
    pub agents: Vec<AgentType>,
    /// How many tasks it takes at most, over all of them.
    pub max: u32,
    /// How long it waits when there is nothing; zero answers at once.
    pub wait: Duration,
}

/// A lease as its holder shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// The task.
    pub task: TaskId,
    /// Who says to hold it, under which fence.
    pub holder: Holder,
}

/// A task that was handed out.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The right to it.
    pub lease: HeldLease,
    /// When it lapses unless its holder is heard.
    pub expires_at: Timestamp,
    /// How often its holder should be heard.
    pub heartbeat: Duration,
    /// What is to be done.
    pub job: Assignment,
}

/// What a holder that was heard is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// When the lease lapses unless its holder is heard again.
    pub expires_at: Timestamp,
    /// Nobody wants the work any more: stop.
    pub cancel: bool,
}

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
