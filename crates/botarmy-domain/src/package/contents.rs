//! Description of a package: its files, the artifacts it is built from, and its cover.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ContextId, ProjectId};
use crate::project::Project;
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, Oversight, ProjectStatus, StepStatus};

/// A generated package. Its bytes are not stored; they are generated from the artifacts on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Project of the package.
    pub project_id: ProjectId,
    /// Time of generation.
    pub generated_at: Timestamp,
    /// State of the project at that time; the project may have changed since.
    pub cover: Cover,
    /// Artifacts that it is built from, oldest first.
    pub artifacts: Vec<ContextId>,
    /// Files, sorted by name.
    pub files: Vec<PackageFile>,
    /// SHA-256 over names and digests of the files, in lower-case hexadecimal.
    pub digest: String,
}

/// A project with its package.
#[derive(Debug, Clone)]
pub struct PackageSummary {
    /// The project.
    pub project: Arc<Project>,
    /// Package of the project; `None` if none was generated since the last deletion.
    pub package: Option<Arc<Package>>,
}

impl Record for Package {
    type Key = ProjectId;

    const TABLE: RecordTable = RecordTable {
        name: "packages",
        key: ("project_id", ColumnKind::Id),
        extra: &[("generated_at", ColumnKind::Integer)],
    };

    fn key(&self) -> ProjectId {
        self.project_id
    }

    fn stored_key(project: ProjectId) -> ColumnValue {
        ColumnValue::Id(project.uuid())
    }

    fn extra(&self) -> Vec<ColumnValue> {
        vec![ColumnValue::Integer(self.generated_at.micros())]
    }
}

/// A file of a package, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    /// Path in the package, with `/` between folders.
    pub name: String,
    /// Extension in lower case, such as `html`; `file` if there is none.
    pub file_type: String,
    /// Time of creation of the content.
    pub created_at: Timestamp,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in lower-case hexadecimal.
    pub digest: String,
}

/// The project at the time its package was generated: the input of `README.md` and
/// `project_summary.md` beside the artifacts. Stored with the package, so that later changes of the
/// project do not change the bytes of an existing package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// Id of the project.
    pub project_id: ProjectId,
    /// Name of the project.
    pub name: String,
    /// Description by the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Status of the project.
    pub status: ProjectStatus,
    /// Conditions that were unmet when the project was completed by force, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
    /// Number of gates that the owner wanted.
    pub oversight: Oversight,
    /// Workflow, if the project follows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<CoverWorkflow>,
    /// Time at which the project was created.
    pub created_at: Timestamp,
}

/// Workflow of a packaged project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverWorkflow {
    /// Name of the workflow.
    pub name: String,
    /// SHA-256 of its definition.
    pub digest: String,
    /// Idea that the project was started with.
    pub idea: String,
    /// Steps, in order.
    pub steps: Vec<CoverStep>,
}

/// A step of a packaged project's workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverStep {
    /// Phase that it belongs to.
    pub phase: String,
    /// Name of the step.
    pub name: String,
    /// Agent type that executed it.
    pub agent: AgentType,
    /// Status of the step.
    pub status: StepStatus,
}
