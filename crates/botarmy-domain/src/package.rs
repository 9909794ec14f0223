//! The package of a project: which files it has, made from the context store and from nothing
//! else. Same state, same files.

mod layout;
mod markdown;
mod paths;
mod requirements;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use layout::{PackedFile, layout};
pub use paths::{check_path, path_problems};

use crate::artifact::Artifact;
use crate::ids::{ContextId, ProjectId};
use crate::project::Project;
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

/// Makes the record of a package from a project and all its artifacts.
#[must_use]
pub fn build(project: &Project, artifacts: &[Arc<Artifact>], generated_at: Timestamp) -> Package {
    let cover = Cover::of(project);
    let mut ids: Vec<_> = artifacts.iter().map(|artifact| artifact.meta.id).collect();
    ids.sort_unstable();
    let files: Vec<_> = layout(&cover, artifacts).iter().map(PackedFile::record).collect();
    let digest = digest_of(&files);
    Package { project_id: project.id, generated_at, cover, artifacts: ids, files, digest }
}

impl Package {
    /// Its files with their bytes. `artifacts` are those it names.
    #[must_use]
    pub fn unpack(&self, artifacts: &[Arc<Artifact>]) -> Vec<PackedFile> {
        layout(&self.cover, artifacts)
    }

    /// Whether these are the files it was made of, to the byte.
    #[must_use]
    pub fn matches(&self, files: &[PackedFile]) -> bool {
        let files: Vec<_> = files.iter().map(PackedFile::record).collect();
        digest_of(&files) == self.digest
    }
}

impl Cover {
    /// What a package made now would say about the project.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        use crate::project::ProjectState;
        let overridden = match &project.state {
            ProjectState::Completed { overridden, .. } => overridden.clone(),
            _ => Vec::new(),
        };
        let workflow = project.plan.as_ref().map(|plan| CoverWorkflow {
            name: plan.workflow.name.clone(),
            digest: plan.digest.clone(),
            idea: plan.idea.clone(),
            steps: plan
                .workflow
                .steps
                .iter()
                .map(|step| CoverStep {
                    phase: step.phase.clone(),
                    name: step.name.clone(),
                    agent: step.agent,
                    status: plan.progress.of(&step.name).status,
                })
                .collect(),
        });
        Self {
            project_id: project.id,
            name: project.name.clone(),
            description: project.description.clone(),
            status: project.status(),
            overridden,
            oversight: project.oversight,
            workflow,
            created_at: project.created_at,
        }
    }
}

/// The digest of a package: over the names and digests of its files, in the order of names.
fn digest_of(files: &[PackageFile]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.name.as_bytes());
        hasher.update([0]);
        hasher.update(file.digest.as_bytes());
        hasher.update([b'\n']);
    }
    crate::artifact::hex(&hasher.finalize())
}
