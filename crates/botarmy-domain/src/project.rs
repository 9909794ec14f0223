//! A project: an idea that workflows, agents and people turn into a package.

mod activity;
mod report;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::ids::{ContextId, HitlRequestId, PrincipalId, ProjectId};
use crate::task::Task;
use crate::timestamp::Timestamp;
use crate::vocabulary::{ArtifactType, Oversight, ProjectStatus, StepStatus, TaskStatus};
use crate::workflow::{Progress, Step, Workflow};

pub use activity::Activity;
pub use report::{CompletionReport, ProjectDetail, Standing, TaskStatusPage};

/// A project and, when it follows a workflow, its progress in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Id of the project.
    pub id: ProjectId,
    /// Name; 1 to 255 characters, not blank.
    pub name: String,
    /// Description by the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Principal that created it; `None` on an open server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<PrincipalId>,
    /// Number of gates that the owner wants.
    pub oversight: Oversight,
    /// State, with the data of that state.
    pub state: ProjectState,
    /// Workflow that drives the project; `None` when tasks are created by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// State of a project, with the data that exists only in that state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ProjectState {
    /// Tasks are started and steps advance.
    Active,
    /// Nothing new starts; running tasks finish.
    Paused {
        /// Time at which the project was paused.
        at: Timestamp,
        /// Name of the principal that paused it.
        by: String,
        /// Set when an emergency stop paused the project and requeued its running tasks. Only the
        /// release of that stop resumes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        emergency: Option<Emergency>,
    },
    /// The project is finished.
    Completed {
        /// Time of completion.
        at: Timestamp,
        /// Name of the principal that completed it.
        by: String,
        /// Conditions that were unmet when the project was completed by force, one sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overridden: Vec<String>,
        /// Whether a person completed it for good. A project that is driven by hand and that
        /// completed by itself is reopened by the next task or request.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forced: bool,
    },
    /// A gate was rejected by a person or by its expiry rule. The project can be reopened.
    Halted {
        /// Time of the rejection.
        at: Timestamp,
        /// Name of the principal that rejected the gate.
        by: String,
        /// Reason for people.
        reason: String,
        /// Request that was rejected; `None` in a project that an older version halted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<HitlRequestId>,
    },
    /// The project cannot continue.
    Failed {
        /// Time of the failure.
        at: Timestamp,
        /// Reason for people.
        reason: String,
    },
    /// The project was cancelled.
    Cancelled {
        /// Time of cancellation.
        at: Timestamp,
        /// Name of the principal that cancelled it.
        by: String,
    },
}

/// Record of an emergency stop in the project that it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Reason of the stop.
    pub reason: String,
    /// Start and author of a pause that was in effect before the stop and remains after its
    /// release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<(Timestamp, String)>,
}

/// The workflow that a project was started with, pinned, and the progress in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Definition at the time the project started; later changes of the file have no effect here.
    /// Shared, because every decision that moves the progress copies the project.
    pub workflow: Arc<Workflow>,
    /// SHA-256 of the definition's canonical JSON, in lower-case hexadecimal.
    pub digest: String,
    /// Idea that the project was started with.
    pub idea: String,
    /// Party that started the project; `None` in a project that an older version started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starter: Option<Actor>,
    /// State of each step.
    pub progress: Progress,
}

impl Plan {
    /// Returns the step that is running, in review or failed, otherwise the first pending one, or
    /// `None` when every step is finished.
    #[must_use]
    pub fn current_step(&self) -> Option<&Step> {
        let first = |wanted: &[StepStatus]| {
            self.workflow.steps.iter().find(|step| {
                let progress = self.progress.steps.get(&step.name);
                wanted.contains(&progress.map_or(StepStatus::Waiting, |one| one.status))
            })
        };
        first(&[StepStatus::Running, StepStatus::InReview, StepStatus::Failed])
            .or_else(|| first(&[StepStatus::Waiting]))
    }
}

impl Plan {
    /// Returns the artifacts that an attempt at a step's task is given now: the released artifact of
    /// each input, people's feedback, and whatever was added to the task since its hand-off. `None`
    /// if the task is not a step of the plan, or the released artifacts have to be rebuilt first.
    #[must_use]
    pub fn context_of(&self, task: &Task) -> Option<TaskContext> {
        let step = self.workflow.step(task.step()?)?;
        let released = self.progress.released.as_ref()?;
        let inputs = step.inputs.iter().filter_map(|input| released.get(input));
        let feedback = self.progress.of(&step.name).feedback;
        let handed_over: Vec<_> = inputs.map(|one| one.context_id).chain(feedback).collect();
        let known = task.handoff.as_ref().map_or(0, |handoff| handoff.context_ids.len());
        let later = task.context_ids.iter().skip(known).copied();
        let all = handed_over.iter().copied().chain(later).collect();
        Some(TaskContext { handed_over, all })
    }

    /// Returns the step whose review a document of this type needs because a person has approved
    /// one already, or has decided not to.
    #[must_use]
    pub fn approved_at(&self, artifact_type: ArtifactType, oversight: Oversight) -> Option<&Step> {
        let released = self.progress.released.as_ref()?.get(&artifact_type);
        let is_approved = released.is_some_and(|released| released.request_id.is_some());
        let makers = || self.workflow.steps.iter().filter(|step| step.output == artifact_type);
        let is_over = |step: &&Step| {
            let status = self.progress.of(&step.name).status;
            matches!(status, StepStatus::Done | StepStatus::Skipped)
        };
        let gated = || makers().filter(|step| self.workflow.reviews_result(step, oversight));
        let over = gated().rfind(is_over);
        // A step that repairs waits again as soon as its result is approved.
        over.or_else(|| {
            gated().next_back().or_else(|| makers().next_back()).filter(|_| is_approved)
        })
    }
}

/// Artifacts that an attempt at a task is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskContext {
    /// Those of the hand-off: inputs and feedback.
    pub handed_over: Vec<ContextId>,
    /// All of them.
    pub all: Vec<ContextId>,
}

impl Project {
    /// Returns whether the next task or request reopens the project: it is driven by hand, and
    /// completed by itself.
    #[must_use]
    pub fn reopens_by_itself(&self) -> bool {
        let ProjectState::Completed { overridden, forced, .. } = &self.state else { return false };
        self.plan.is_none() && !forced && overridden.is_empty()
    }

    /// Returns the status without the data of the state.
    #[must_use]
    pub const fn status(&self) -> ProjectStatus {
        match self.state {
            ProjectState::Active => ProjectStatus::Active,
            ProjectState::Paused { .. } => ProjectStatus::Paused,
            ProjectState::Completed { .. } => ProjectStatus::Completed,
            ProjectState::Halted { .. } => ProjectStatus::Halted,
            ProjectState::Failed { .. } => ProjectStatus::Failed,
            ProjectState::Cancelled { .. } => ProjectStatus::Cancelled,
        }
    }
}

/// Counts of a project's tasks, open requests and artifacts. They are kept beside the log's head so
/// that no answer has to count rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Tasks that wait to be claimed.
    pub pending: u32,
    /// Tasks with an active lease.
    pub working: u32,
    /// Tasks that wait for a person.
    pub waiting_for_hitl: u32,
    /// Completed tasks.
    pub completed: u32,
    /// Tasks that failed for good.
    pub failed: u32,
    /// Cancelled tasks.
    pub cancelled: u32,
    /// Human-in-the-loop requests without an answer.
    pub open_requests: u32,
    /// Artifacts in the context store.
    pub artifacts: u32,
}

impl Counts {
    /// Returns the number of all tasks.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.open() + self.completed + self.failed + self.cancelled
    }

    /// Returns the number of tasks whose status is not final.
    #[must_use]
    pub const fn open(&self) -> u32 {
        self.pending + self.working + self.waiting_for_hitl
    }

    /// Counts the transition of a task from one status, or from none if it is new, to another.
    pub(crate) fn moved(&mut self, from: Option<TaskStatus>, to: TaskStatus) {
        if let Some(from) = from {
            *self.of(from) -= 1;
        }
        *self.of(to) += 1;
    }

    fn of(&mut self, status: TaskStatus) -> &mut u32 {
        match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Working => &mut self.working,
            TaskStatus::WaitingForHitl => &mut self.waiting_for_hitl,
            TaskStatus::Completed => &mut self.completed,
            TaskStatus::Failed => &mut self.failed,
            TaskStatus::Cancelled => &mut self.cancelled,
        }
    }
}

/// Request for a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// Name; 1 to 255 characters, not blank.
    pub name: String,
    /// Description by the owner; with a workflow, the idea.
    pub description: Option<String>,
    /// Name of the workflow to start at once.
    pub workflow: Option<String>,
    /// Number of gates that the owner wants.
    pub oversight: Oversight,
}

/// Answer to whether a project is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Whether the project is complete.
    pub is_complete: bool,
    /// Unmet conditions, one sentence each.
    pub unmet: Vec<String>,
}
