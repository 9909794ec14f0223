//! What an agent type is doing: derived from leases and gates, written down when it changes.

use serde::{Deserialize, Serialize};

use crate::ids::TaskId;
use crate::record::{ColumnKind, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentStatusKind, AgentType};

/// The status of an agent type as it was last written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// The agent type.
    pub agent_type: AgentType,
    /// What it is doing.
    pub status: AgentStatusKind,
    /// One of the tasks it is doing, the oldest.
    pub current_task_id: Option<TaskId>,
    /// When it last did something.
    pub last_activity: Option<Timestamp>,
    /// What went wrong, in status `error`.
    pub error_message: Option<String>,
    /// How many tasks it holds.
    pub active_tasks: u32,
    /// Errors up to this time were swept away by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<Timestamp>,
    /// When the status last changed.
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
    /// An agent type that has never done anything.
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

/// What leases and gates say about an agent type, in open projects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// How many tasks of this agent type are `working`.
    pub working: u32,
    /// The oldest of them.
    pub current_task: Option<TaskId>,
    /// How many requests about this agent's work are pending, of kind approval or question.
    pub waiting: u32,
    /// The newest pending request of kind failure: when it was opened, and its question.
    pub failure: Option<(Timestamp, String)>,
}
