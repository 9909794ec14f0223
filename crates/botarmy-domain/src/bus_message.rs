//! Messages on the event bus.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ProjectId, TaskId};
use crate::log::Entry;
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// Something worth telling.
#[derive(Debug, Clone)]
pub enum BusMessage {
    /// An entry was committed.
    Entry(Arc<Entry>),
    /// A task says how it is getting on. Not in the log.
    Progress(Arc<TaskProgress>),
    /// Some news were lost on the way: read the log.
    Lagged,
}

/// How a task is getting on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// The project.
    pub project_id: ProjectId,
    /// The task.
    pub task_id: TaskId,
    /// Who works on it.
    pub agent_type: AgentType,
    /// A line for people.
    pub message: String,
    /// 0 to 100, where it is known.
    pub percent: Option<u8>,
    /// When.
    pub at: Timestamp,
}
