//! External workers: their requests for work and the leases that they show.

use std::time::Duration;

use crate::assignment::Assignment;
use crate::ids::TaskId;
use crate::lease::{LeaseHolder, WorkerId};
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
    pub holder: LeaseHolder,
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
