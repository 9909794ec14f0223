//! Activity of a project: what it is doing now, or what it waits for.

use crate::timestamp::Timestamp;
use crate::vocabulary::{ActivityState, AgentType};

/// Current work of a project, or the party that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// State of the work.
    pub state: ActivityState,
    /// Time since which it does: the start of the attempt, the opening of the oldest request, or the
    /// time at which the task became ready.
    pub since: Timestamp,
    /// Number of requests that wait for a person.
    pub requests: u32,
    /// Agent type of the task that is running, or that waits for a worker.
    pub agent_type: Option<AgentType>,
}
