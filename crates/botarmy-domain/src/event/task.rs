//! Payloads of events about tasks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::handoff::Handoff;
use crate::ids::ContextId;
use crate::lease::WorkerId;
use crate::task::{Task, TaskError};
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, TaskStatus};

/// A step handed over to the next agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandoffCreated {
    /// The hand-off.
    pub handoff: Handoff,
    /// Number of this run of the step, from 1.
    pub run: u32,
}

/// A task was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// Status of the task.
    pub status: TaskStatus,
    /// Work to be done.
    pub instructions: String,
    /// Artifacts that the agent is shown.
    pub context_ids: Vec<ContextId>,
    /// Priority from 0 to 9; higher goes first.
    pub priority: u8,
    /// Number of failures after which a person is asked.
    pub max_attempts: u32,
    /// Step of the workflow.
    pub step: Option<String>,
}

impl From<&Task> for TaskCreated {
    fn from(task: &Task) -> Self {
        Self {
            agent_type: task.agent,
            status: TaskStatus::Pending,
            instructions: task.instructions.clone(),
            context_ids: task.context_ids.clone(),
            priority: task.priority,
            max_attempts: task.max_attempts,
            step: task.step().map(str::to_owned),
        }
    }
}

/// An attempt began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Worker that holds the lease.
    pub worker: WorkerId,
    /// Step of the workflow.
    pub step: Option<String>,
    /// Artifacts that the attempt is given, where they are not those of the task's creation because
    /// others were released since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_ids: Option<Vec<ContextId>>,
}

/// A task was completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCompleted {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Output of the agent.
    pub output: Map<String, Value>,
    /// Artifacts that were stored.
    pub artifacts: Vec<ContextId>,
    /// Confidence of the agent, from 0 to 1.
    pub confidence: Option<f64>,
    /// Usage of the attempt.
    pub usage: Usage,
    /// Step of the workflow.
    pub step: Option<String>,
}

/// A task failed and is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Number of failures so far.
    pub failures: u32,
    /// Sentence for people.
    pub error: String,
    /// Code for programs.
    pub code: String,
    /// Usage of all attempts.
    pub usage: Usage,
    /// Step of the workflow.
    pub step: Option<String>,
}

/// A task was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskCancelled {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Status before.
    pub was: TaskStatus,
    /// Name of the principal that cancelled it.
    pub cancelled_by: String,
    /// Reason in a few words.
    pub reason: String,
}

/// Another attempt was scheduled, after a failed one or on request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRetryScheduled {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task.
    pub status: TaskStatus,
    /// Number of the last attempt, from 1.
    pub attempt: u32,
    /// Number of failures so far; absent for a retry on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// Number of failures after which a person is asked; absent for a retry on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Error of the last attempt.
    pub error: Option<TaskError>,
    /// Earliest time of the next attempt.
    pub retry_at: Timestamp,
    /// Usage of all attempts; absent for a retry on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Step of the workflow.
    pub step: Option<String>,
}

/// A result was refused. The attempt goes on, because its worker can correct the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResultRefused {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Worker that holds the lease.
    pub worker: WorkerId,
    /// Reason, in the words in which the worker was told; shortened if it is long.
    pub reason: String,
    /// Step of the workflow.
    pub step: Option<String>,
}

/// A lease ended without a result, and its task is pending again or has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskLeaseExpired {
    /// Agent type of the task.
    pub agent_type: AgentType,
    /// New status of the task; absent where the failure that follows says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Worker that held the lease.
    pub worker: Option<WorkerId>,
    /// Reason in a few words.
    pub reason: String,
    /// Step of the workflow.
    pub step: Option<String>,
}
