//! Messages on the event bus.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ProjectId, TaskId};
use crate::log::Entry;
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// A message to the subscribers of the event bus.
#[derive(Debug, Clone)]
pub enum BusMessage {
    /// An entry was committed.
    Entry(Arc<Entry>),
    /// A worker reported progress on a task. Not stored in the log.
    Progress(Arc<TaskProgress>),
    /// Messages were lost; subscribers have to read the log.
    Lagged,
}

/// Progress report on a running task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// Project of the task.
    pub project_id: ProjectId,
    /// Task that is running.
    pub task_id: TaskId,
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// Description of the progress for people.
    pub message: String,
    /// Progress in per cent, 0 to 100, where it is known.
    pub percent: Option<u8>,
    /// Time of the report.
    pub at: Timestamp,
}
