//! A task: one piece of work for one agent type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::handoff::Handoff;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::lease::{Lease, LeaseTaker};
use crate::lease_token::TokenDigest;
use crate::page::Page;
use crate::timestamp::Timestamp;
use crate::trace::TraceContext;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, ArtifactType, HitlAction, ProjectStatus, TaskStatus};

/// Priority of a task that specifies none.
pub const DEFAULT_PRIORITY: u8 = 5;
/// Highest priority.
pub const MAX_PRIORITY: u8 = 9;
/// Maximum number of failed attempts of a task that specifies none.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Id of the task.
    pub id: TaskId,
    /// Project that it belongs to; never changes.
    pub project_id: ProjectId,
    /// Agent type that works on it.
    pub agent: AgentType,
    /// Work to be done.
    pub instructions: String,
    /// Artifacts that the agent is shown; it is shown no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_ids: Vec<ContextId>,
    /// Priority, 0 to 9; higher goes first.
    pub priority: u8,
    /// Number of failures after which a person is asked.
    pub max_attempts: u32,
    /// Number of attempts that were started; also the fencing token of the lease.
    #[serde(default)]
    pub attempt: u32,
    /// Number of attempts that failed or whose lease expired. An attempt that a stopping server
    /// gave up is not counted.
    #[serde(default)]
    pub failures: u32,
    /// Number of attempts in a row that were handed to an external worker which made no call about
    /// them. They are not counted as failures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unconfirmed: u32,
    /// Digest of the token of the latest lease of an external worker. It outlives the lease, so that
    /// a repeated call can be told from a forged one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_token: Option<TokenDigest>,
    /// Principal that took the latest lease as an external worker. It outlives the lease as the digest
    /// does; `None` for a lease that was taken on an open server or by an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_taker: Option<LeaseTaker>,
    /// Hand-off, if the task is a step of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
    /// Type of the expected artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_type: Option<ArtifactType>,
    /// Maximum duration of one attempt, in seconds; the server's setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// State, with the data of that state.
    pub state: TaskState,
    /// Answers from people to the task's questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Opaque text that the runner gets back when it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Usage of all attempts together.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// Reason why the latest output was invalid, until one is accepted. The agent of the next attempt
    /// is shown it, also when a person has the task tried again, and a second invalid output in the
    /// same round of attempts is recognised by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "complaint")]
    pub validation_error: Option<String>,
    /// Last result of the latest attempt that was refused, until one is accepted. The attempt goes
    /// on, because its worker can correct the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_result: Option<RefusedResult>,
    /// Time at which the latest attempt began; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Position in the queue among tasks of the same priority: the time of creation, moved back a
    /// little for every task of the same project that is pending already. This keeps the queue fair
    /// between projects.
    pub turn_at: Timestamp,
    /// Earliest time at which the task may be claimed; in the future while a retry waits.
    pub ready_at: Timestamp,
    /// Position in the trace of the request that created it, which its attempts belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// State of a task, with the data that exists only in that state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TaskState {
    /// Waits to be claimed.
    Pending {
        /// Error of the previous attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_error: Option<TaskError>,
    },
    /// A worker has a lease on it.
    Working {
        /// The lease.
        lease: Lease,
    },
    /// Waits for a person's answer and holds no lease.
    WaitingForHitl {
        /// Request that the task waits for.
        request_id: HitlRequestId,
    },
    /// Completed.
    Completed {
        /// Time of completion.
        at: Timestamp,
        /// Output of the agent.
        output: Value,
        /// Artifacts that were produced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<ContextId>,
        /// SHA-256 of the accepted result as it was sent; absent in a task that an older version
        /// completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result_digest: Option<String>,
    },
    /// Failed for good, unless a person retries it.
    Failed {
        /// Time of the failure.
        at: Timestamp,
        /// Error of the last attempt.
        error: TaskError,
    },
    /// Cancelled.
    Cancelled {
        /// Time of cancellation.
        at: Timestamp,
        /// Name of the principal that cancelled it.
        by: String,
        /// Reason for people.
        reason: String,
    },
}

impl TaskState {
    /// Returns the status without the data of the state.
    #[must_use]
    pub const fn status(&self) -> TaskStatus {
        match self {
            Self::Pending { .. } => TaskStatus::Pending,
            Self::Working { .. } => TaskStatus::Working,
            Self::WaitingForHitl { .. } => TaskStatus::WaitingForHitl,
            Self::Completed { .. } => TaskStatus::Completed,
            Self::Failed { .. } => TaskStatus::Failed,
            Self::Cancelled { .. } => TaskStatus::Cancelled,
        }
    }
}

/// Tasks of one agent type that are ready to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyTasks {
    /// The agent type.
    pub agent: AgentType,
    /// Number of tasks.
    pub count: u64,
}

/// Work of one agent type that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// The agent type.
    pub agent: AgentType,
    /// Number of pending tasks, with those that cannot be claimed yet.
    pub pending: u64,
    /// Number of pending tasks that can be claimed.
    pub ready: u64,
    /// Time since which the oldest of those could be claimed.
    pub ready_since: Option<Timestamp>,
    /// Number of tasks that a worker holds.
    pub working: u64,
}

/// Error of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Code for programs, such as `timed_out`.
    pub code: String,
    /// Explanation for people.
    pub message: String,
}

/// Result that was refused while its worker kept the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedResult {
    /// Reason, in the words in which the worker was told; shortened if it is long.
    pub reason: String,
    /// Time of the refusal.
    pub at: Timestamp,
    /// Number of refusals of the attempt that were recorded, this one included.
    pub count: u32,
}

/// A person's answer to a question of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Request that was answered.
    pub question_id: HitlRequestId,
    /// Decision of the person.
    pub action: HitlAction,
    /// Remark for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Answer to the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// Request for a new task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Project of the task.
    pub project_id: ProjectId,
    /// Agent type that works on it.
    pub agent: AgentType,
    /// Work to be done; not blank.
    pub instructions: String,
    /// Artifacts that the agent is shown; all of the same project.
    pub context_ids: Vec<ContextId>,
    /// Priority, 0 to 9; [`crate::task::DEFAULT_PRIORITY`] when absent.
    pub priority: Option<u8>,
    /// Number of failures after which a person is asked, 1 to 10;
    /// [`crate::task::DEFAULT_MAX_ATTEMPTS`] when absent.
    pub max_attempts: Option<u32>,
}

/// Filter for the tasks of a project. A field that is `None` does not restrict the result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Status of the task.
    pub status: Option<TaskStatus>,
    /// Agent type of the task.
    pub agent: Option<AgentType>,
    /// Task after which the page begins.
    pub after: Option<TaskId>,
}

impl Task {
    /// Returns a new task that waits to be claimed, with the default priority and number of
    /// attempts. `turn_at` is its place in the queue.
    #[must_use]
    pub fn new(
        id: TaskId,
        project_id: ProjectId,
        agent: AgentType,
        instructions: String,
        turn_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            project_id,
            agent,
            instructions,
            context_ids: Vec::new(),
            priority: DEFAULT_PRIORITY,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            attempt: 0,
            failures: 0,
            unconfirmed: 0,
            lease_token: None,
            lease_taker: None,
            handoff: None,
            output_type: None,
            timeout_s: None,
            state: TaskState::Pending { last_error: None },
            answers: Vec::new(),
            session: None,
            usage: Usage::default(),
            validation_error: None,
            refused_result: None,
            started_at: None,
            turn_at,
            ready_at: now,
            trace: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Returns the status without the data of the state.
    #[must_use]
    pub const fn status(&self) -> TaskStatus {
        self.state.status()
    }

    /// Returns the lease while the task is being worked on.
    #[must_use]
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.state {
            TaskState::Working { lease } => Some(lease),
            _ => None,
        }
    }

    /// Returns the workflow step that the task executes, if it is one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        self.handoff.as_ref().map(|handoff| handoff.step.as_str())
    }

    /// Returns the most recent error, if there is one.
    #[must_use]
    pub const fn error(&self) -> Option<&TaskError> {
        match &self.state {
            TaskState::Failed { error, .. } => Some(error),
            TaskState::Pending { last_error } => last_error.as_ref(),
            _ => None,
        }
    }
}

/// For `skip_serializing_if`, which passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is set by serde")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Short form of a task, as status lists show it. It is read from a stored [`Task`] without parsing
/// the remaining fields, because dashboards poll these lists continuously.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Glance")]
pub struct TaskLine {
    /// Id of the task.
    pub id: TaskId,
    /// Agent type that works on it.
    pub agent: AgentType,
    /// Status of the task.
    pub status: TaskStatus,
    /// Number of attempts that were started.
    pub attempt: u32,
    /// Workflow step that the task executes, if it is one.
    pub step: Option<String>,
    /// Message of the most recent error, if there is one.
    pub error_message: Option<String>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// About the most bytes of lines in a status list.
pub const STATUS_BYTES: usize = 8 * 1024 * 1024;

impl TaskLine {
    /// Returns about the memory that the line takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + length(&self.step) + length(&self.error_message)
    }
}

/// Fields of a stored task that its short form needs.
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

/// Tasks of a project with their status, at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatusList {
    /// Position of the project's log at that instant.
    pub seq: u64,
    /// Status of the project.
    pub project_status: ProjectStatus,
    /// Tasks, oldest first.
    pub tasks: Page<TaskLine>,
}
