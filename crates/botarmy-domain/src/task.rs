//! A task: one piece of work for one agent type, and the lease it is held by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::handoff::Handoff;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::lease::Lease;
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, ArtifactType, HitlAction, ProjectStatus, TaskStatus};

/// The priority of a task that names none.
pub const DEFAULT_PRIORITY: u8 = 5;
/// The highest priority.
pub const MAX_PRIORITY: u8 = 9;
/// How often a task is tried when it does not say.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The project it belongs to; never changes.
    pub project_id: ProjectId,
    /// Who is to do it.
    pub agent: AgentType,
    /// What is to be done.
    pub instructions: String,
    /// Exactly the artifacts the agent is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_ids: Vec<ContextId>,
    /// 0 to 9; higher goes first.
    pub priority: u8,
    /// How many failures it may have before a person is asked.
    pub max_attempts: u32,
    /// How often it was started; also the fencing token of its lease.
    #[serde(default)]
    pub attempt: u32,
    /// How many attempts failed or fell silent. An attempt that a stopping server handed back is
    /// not one of them.
    #[serde(default)]
    pub failures: u32,
    /// The hand-off it came with, when it is a step of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
    /// What it is expected to produce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_type: Option<ArtifactType>,
    /// The longest one attempt may take, in seconds; the server's setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Where it stands.
    pub state: TaskState,
    /// What people answered to the questions it asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// What its runner wants to be reminded of when it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What all attempts together have used.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// Why the document of the attempt before was not accepted: what its agent is told, and what a
    /// second unfit document in a row is told from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "complaint")]
    pub validation_error: Option<String>,
    /// When its latest attempt began; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Its place in the queue among those of its priority: its age, moved back a little for every
    /// task its project already has waiting. That is what keeps the queue fair between projects.
    pub turn_at: Timestamp,
    /// Not handed out before: later than now while a retry waits.
    pub ready_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a task stands, with what is known only there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TaskState {
    /// Waiting to be claimed. After a failed attempt it says what went wrong.
    Pending {
        /// Why the attempt before this one ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_error: Option<TaskError>,
    },
    /// An agent holds it.
    Working {
        /// The right to do so.
        lease: Lease,
    },
    /// It asked a person and holds nothing meanwhile.
    WaitingForHitl {
        /// The question.
        request_id: HitlRequestId,
    },
    /// Done.
    Completed {
        /// When.
        at: Timestamp,
        /// What the agent returned.
        output: Value,
        /// What it made.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ContextId>,
    },
    /// Failed for good, unless a person says otherwise.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        error: TaskError,
    },
    /// Called off.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Who called it off.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Why an attempt did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// A word that programs can match on, such as `timed_out`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// What a person said to a question of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The request that was answered.
    pub question_id: HitlRequestId,
    /// What the person did.
    pub action: HitlAction,
    /// What they remarked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// A task somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// The project.
    pub project_id: ProjectId,
    /// Who is to do it.
    pub agent: AgentType,
    /// What is to be done; not blank.
    pub instructions: String,
    /// Artifacts the agent is shown; of the same project.
    pub context_ids: Vec<ContextId>,
    /// 0 to 9; [`crate::task::DEFAULT_PRIORITY`] when absent.
    pub priority: Option<u8>,
    /// 1 to 10; [`crate::task::DEFAULT_MAX_ATTEMPTS`] when absent.
    pub max_attempts: Option<u32>,
}

/// Which tasks of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// With this status.
    pub status: Option<TaskStatus>,
    /// For this agent type.
    pub agent: Option<AgentType>,
    /// Made after this task.
    pub after: Option<TaskId>,
}

impl Task {
    /// The word for where it stands.
    #[must_use]
    pub const fn status(&self) -> TaskStatus {
        match self.state {
            TaskState::Pending { .. } => TaskStatus::Pending,
            TaskState::Working { .. } => TaskStatus::Working,
            TaskState::WaitingForHitl { .. } => TaskStatus::WaitingForHitl,
            TaskState::Completed { .. } => TaskStatus::Completed,
            TaskState::Failed { .. } => TaskStatus::Failed,
            TaskState::Cancelled { .. } => TaskStatus::Cancelled,
        }
    }

    /// The lease, while an agent holds it.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.state {
            TaskState::Working { lease } => Some(lease),
            _ => None,
        }
    }

    /// The step of the workflow it does, if it is one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        self.handoff.as_ref().map(|handoff| handoff.step.as_str())
    }

    /// What went wrong last, if anything did.
    #[must_use]
    pub const fn error(&self) -> Option<&TaskError> {
        match &self.state {
            TaskState::Failed { error, .. } => Some(error),
            TaskState::Pending { last_error } => last_error.as_ref(),
            _ => None,
        }
    }
}

/// A task on a board: what is shown of it beside the others. It is read from a stored [`Task`]
/// without building what nobody looks at; boards are what dashboards ask for all day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Glance")]
pub struct TaskLine {
    /// Its id.
    pub id: TaskId,
    /// Who is to do it.
    pub agent: AgentType,
    /// Where it stands.
    pub status: TaskStatus,
    /// How often it was started.
    pub attempt: u32,
    /// The step of the workflow it does, if it is one.
    pub step: Option<String>,
    /// What went wrong last, if anything did.
    pub error_message: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The part of a stored task that a line is made of.
#[derive(Deserialize)]
struct Glance {
    id: TaskId,
    agent: AgentType,
    #[serde(default)]
    attempt: u32,
    handoff: Option<GlanceStep>,
    state: GlanceState,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct GlanceStep {
    step: String,
}

#[derive(Deserialize)]
struct GlanceState {
    status: TaskStatus,
    error: Option<TaskError>,
    last_error: Option<TaskError>,
}

impl From<Glance> for TaskLine {
    fn from(task: Glance) -> Self {
        Self {
            id: task.id,
            agent: task.agent,
            status: task.state.status,
            attempt: task.attempt,
            step: task.handoff.map(|handoff| handoff.step),
            error_message: task.state.error.or(task.state.last_error).map(|error| error.message),
            created_at: task.created_at,
            updated_at: task.updated_at,
        }
    }
}

impl From<&Task> for TaskLine {
    fn from(task: &Task) -> Self {
        Self {
            id: task.id,
            agent: task.agent,
            status: task.status(),
            attempt: task.attempt,
            step: task.step().map(str::to_owned),
            error_message: task.error().map(|error| error.message.clone()),
            created_at: task.created_at,
            updated_at: task.updated_at,
        }
    }
}

/// A project's tasks at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatusList {
    /// The position of the project's log at that instant.
    pub seq: u64,
    /// The project's status.
    pub project_status: ProjectStatus,
    /// Its tasks, oldest first.
    pub tasks: Vec<TaskLine>,
}
