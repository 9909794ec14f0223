//! A project: an idea on its way to a package.

mod report;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::ProjectId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{Oversight, ProjectStatus, StepStatus, TaskStatus};
use crate::workflow::{Progress, Step, Workflow};

pub use report::{CompletionReport, ProjectDetail, Standing, TaskStatusPage};

/// A project and, when it follows a workflow, where it stands in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// 1 to 255 characters, not blank.
    pub name: String,
    /// Whatever its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many gates its owner wants.
    pub oversight: Oversight,
    /// Where it stands.
    pub state: ProjectState,
    /// The workflow that drives it; `None` when it is driven by hand, task by task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a project stands, with what is known only there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ProjectState {
    /// Work goes on.
    Active,
    /// Nothing new starts; what runs may end.
    Paused {
        /// Since when.
        at: Timestamp,
        /// Who paused it.
        by: String,
        /// It was stopped, and what ran in it taken back; nobody resumes it but who releases it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        emergency: Option<Emergency>,
    },
    /// Finished.
    Completed {
        /// When.
        at: Timestamp,
        /// Who completed it.
        by: String,
        /// What was still open when somebody completed it by force.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overridden: Vec<String>,
    },
    /// A person rejected a gate, or nobody answered one that rejects by itself.
    Halted {
        /// When.
        at: Timestamp,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It cannot go on.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Called off.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Who.
        by: String,
    },
}

/// What an emergency stop remembers of the project it stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Why it was stopped.
    pub reason: String,
    /// Since when and by whom it was paused before; it stays so when it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<(Timestamp, String)>,
}

/// The workflow a project was started with, pinned, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The definition as it was when the project started. A file that changes later changes
    /// nothing here. Shared, because every decision that moves the progress copies the project.
    pub workflow: Arc<Workflow>,
    /// SHA-256 of the definition's canonical JSON, in lower-case hexadecimal.
    pub digest: String,
    /// The idea that went in.
    pub idea: String,
    /// Where each step stands.
    pub progress: Progress,
}

impl Plan {
    /// Returns the step that is running, in review or failed, else the first that waits, or `None`
    /// when every step is over.
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

impl Project {
    /// The word for where it stands.
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

/// How much of what a project has, kept beside the log's head so that no answer has to count rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Tasks waiting to be claimed.
    pub pending: u32,
    /// Tasks an agent holds.
    pub working: u32,
    /// Tasks waiting for a person.
    pub waiting_for_hitl: u32,
    /// Tasks done.
    pub completed: u32,
    /// Tasks that failed for good.
    pub failed: u32,
    /// Tasks called off.
    pub cancelled: u32,
    /// Requests nobody has answered yet.
    pub open_requests: u32,
    /// Artifacts in the context store.
    pub artifacts: u32,
}

impl Counts {
    /// All tasks there ever were.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.open() + self.completed + self.failed + self.cancelled
    }

    /// Tasks that are not final.
    #[must_use]
    pub const fn open(&self) -> u32 {
        self.pending + self.working + self.waiting_for_hitl
    }

    /// Counts a task that came from one status (or from nowhere) into another.
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

/// A project somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// 1 to 255 characters, not blank.
    pub name: String,
    /// Whatever its owner says about it; with a workflow, the idea.
    pub description: Option<String>,
    /// The workflow to start at once, by name.
    pub workflow: Option<String>,
    /// How many gates its owner wants.
    pub oversight: Oversight,
}

/// Whether a project is complete, and if not, why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// It is.
    pub is_complete: bool,
    /// What is missing, one sentence each.
    pub unmet: Vec<String>,
}
