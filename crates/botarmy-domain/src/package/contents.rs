//! Description of a package: its files, the artifacts it is built from, and its cover.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ContextId, ProjectId};
use crate::project::Project;
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, Oversight, ProjectStatus, StepStatus};

/// A package that was made. Its bytes are made again from the artifacts whenever they are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The project.
    pub project_id: ProjectId,
    /// When.
    pub generated_at: Timestamp,
    /// What it says about the project, which may have gone on since.
    pub cover: Cover,
    /// The artifacts it is made from, oldest first.
    pub artifacts: Vec<ContextId>,
    /// What is in it, sorted by name.
    pub files: Vec<PackageFile>,
    /// SHA-256 over names and digests of the files, in lower-case hexadecimal.
    pub digest: String,
}

/// A project with its package.
#[derive(Debug, Clone)]
pub struct PackageSummary {
    /// The project.
    pub project: Arc<Project>,
    /// Its package; `None` when none was made since the last deletion.
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
    /// Its path in the package, with `/` between folders.
    pub name: String,
    /// Its ending in lower case, such as `html`; `file` where it has none.
    pub file_type: String,
    /// When what it holds was made.
    pub created_at: Timestamp,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in lower-case hexadecimal.
    pub digest: String,
}

/// The project as it was when its package was made: what `README.md` and `project_summary.md` say
/// beside the artifacts. Kept with the package, so that a project that goes on does not change
/// the bytes of a package that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The project.
    pub project_id: ProjectId,
    /// Its name.
    pub name: String,
    /// Whatever its owner says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stood.
    pub status: ProjectStatus,
    /// What was still open when somebody completed it by force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
    /// How many gates its owner wanted.
    pub oversight: Oversight,
    /// The workflow, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<CoverWorkflow>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The workflow a packaged project followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverWorkflow {
    /// Its name.
    pub name: String,
    /// SHA-256 of its definition.
    pub digest: String,
    /// The idea that went in.
    pub idea: String,
    /// Its steps, in order.
    pub steps: Vec<CoverStep>,
}

/// A step of it, as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverStep {
    /// The phase it belongs to.
    pub phase: String,
    /// Its name.
    pub name: String,
    /// Who did it.
    pub agent: AgentType,
    /// Where it stood.
    pub status: StepStatus,
}
