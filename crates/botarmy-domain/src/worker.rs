//! External workers: their polls for work and the leases that they present.

use std::time::Duration;

use crate::assignment::Assignment;
use crate::caller::Caller;
use crate::ids::TaskId;
use crate::lease::{LeaseHolder, WorkerId};
use crate::lease_token::LeaseToken;
use crate::task::Task;
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// A worker's poll for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkQuery {
    /// Worker that polls, with the name that it gives itself.
    pub worker: WorkerId,
    /// Agent types that it serves, most preferred first.
    pub agents: Vec<AgentType>,
    /// Maximum number of tasks, over all agent types.
    pub max: u32,
    /// Time to wait if there is no work; zero answers at once.
    pub wait: Duration,
    /// Caller of the poll, which limits the projects of the tasks.
    pub caller: Caller,
}

/// A lease, named by its task and its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// Task of the lease.
    pub task: TaskId,
    /// Claimed holder, with its fencing token.
    pub holder: LeaseHolder,
}

impl HeldLease {
    /// Returns the lease that a task is held by, or `None` if it is not being worked on.
    #[must_use]
    pub fn of(task: &Task) -> Option<Self> {
        Some(Self { task: task.id, holder: task.lease()?.holder() })
    }
}

/// A lease as an external worker presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedLease {
    /// The lease.
    pub lease: HeldLease,
    /// Token that came with the call.
    pub token: Option<LeaseToken>,
    /// Caller of a call that came with another credential than the token.
    pub caller: Option<Caller>,
}

/// A leased task.
#[derive(Debug, Clone)]
pub struct Leased {
    /// The lease.
    pub lease: HeldLease,
    /// Token with which its holder proves that it is the holder.
    pub token: LeaseToken,
    /// Time of expiry unless a heartbeat extends it.
    pub expires_at: Timestamp,
    /// Interval at which the holder should send heartbeats.
    pub heartbeat: Duration,
    /// Work to be done.
    pub job: Assignment,
}

impl Leased {
    /// Returns the lease as its holder presents it.
    #[must_use]
    pub fn presented(&self) -> PresentedLease {
        PresentedLease { lease: self.lease.clone(), token: Some(self.token.clone()), caller: None }
    }
}

/// Reply to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Time of expiry unless another heartbeat extends it.
    pub expires_at: Timestamp,
    /// Whether the task was cancelled and the worker should stop.
    pub cancel: bool,
}
