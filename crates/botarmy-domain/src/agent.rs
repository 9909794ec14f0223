//! Status of an agent type: derived from leases and gates, recorded when it changes.

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;
use crate::record::{ColumnKind, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentStatusKind, AgentType};

/// Last recorded status of an agent type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// The agent type.
    pub agent_type: AgentType,
    /// Status.
    pub status: AgentStatusKind,
    /// Oldest of its running tasks.
    pub current_task_id: Option<TaskId>,
    /// Time of its last activity.
    pub last_activity: Option<Timestamp>,
    /// Cause of the status `error`.
    pub error_message: Option<String>,
    /// Number of tasks with a lease.
    pub active_tasks: u32,
    /// Time up to which errors were cleared by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
    /// Time of the last change of the status.
    pub updated_at: Option<Timestamp>,
}

impl Record for AgentRecord {
    type Key = AgentType;

    const TABLE: RecordTable =
        RecordTable { name: "agents", key: ("agent_type", ColumnKind::Text), extra: &[] };

    fn key(&self) -> AgentType {
        self.agent_type
    }
}

impl AgentRecord {
    /// Returns the record of an agent type that has never run.
    #[must_use]
    pub const fn idle(agent_type: AgentType) -> Self {
        Self {
            agent_type,
            status: AgentStatusKind::Idle,
            current_task_id: None,
            last_activity: None,
            error_message: None,
            active_tasks: 0,
            cleared_at: None,
            updated_at: None,
        }
    }
}

/// Earlier status of an agent type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastStatus {
    /// Position of its entry in the system log.
    pub seq: u64,
    /// The record from then on.
    pub record: AgentRecord,
}

/// Facts about an agent type in open projects, from which its status is derived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// Number of its tasks with the status `working`.
    pub working: u32,
    /// The oldest of them.
    pub current_task: Option<TaskId>,
    /// Number of its pending requests of kind approval or question.
    pub waiting: u32,
    /// Newest pending request of kind failure: its time of creation and its question.
    pub failure: Option<(Timestamp, String)>,
}
