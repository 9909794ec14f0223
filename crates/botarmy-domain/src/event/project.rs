//! Payloads of events about projects.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::ids::PrincipalId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{Oversight, ProjectStatus};
use crate::workflow::Workflow;

/// A project was created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectCreated {
    /// Name of the project.
    pub name: String,
    /// Description by its owner.
    pub description: Option<String>,
    /// Number of gates that the owner wants.
    pub oversight: Oversight,
    /// Name of the workflow that starts with it.
    pub workflow: Option<String>,
    /// Status of the project.
    pub status: ProjectStatus,
    /// Principal that created it; absent on an open server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<PrincipalId>,
}

/// A workflow was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStarted {
    /// Name of the workflow.
    pub workflow: String,
    /// Digest of the definition.
    pub workflow_digest: String,
    /// The definition that the project is pinned to.
    pub definition: Arc<Workflow>,
    /// The idea that the workflow starts from.
    pub idea: String,
}

/// A project was paused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectPaused {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that paused it.
    pub paused_by: String,
    /// Whether the times of pending requests stand still meanwhile, which older versions did not do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_clocks: bool,
}

/// A project was resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectResumed {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that resumed it.
    pub resumed_by: String,
}

/// A project was completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectCompleted {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that completed it.
    pub completed_by: String,
    /// Time of completion.
    pub completed_at: Timestamp,
    /// Whether it was completed although conditions were unmet.
    pub forced: bool,
    /// Unmet conditions, one sentence each.
    pub overridden: Vec<String>,
    /// Sentence for people.
    pub message: String,
}

/// A project was halted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectHalted {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that halted it.
    pub halted_by: String,
    /// Reason in a few words.
    pub reason: String,
}

/// A project was cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectCancelled {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that cancelled it.
    pub cancelled_by: String,
}

/// A completed or halted project was reopened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectReopened {
    /// New status of the project.
    pub status: ProjectStatus,
    /// Name of the principal that reopened it.
    pub reopened_by: String,
    /// Status before.
    pub was: ProjectStatus,
    /// Reason that a person gave; `None` when a new task or request reopened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
