//! The package of a project: its files, built from the context store only. The same state gives the
//! same files.

mod active_names;
mod archive_name;
mod contents;
mod folding;
mod layout;
mod markdown;
mod paths;
mod requirements;

use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use archive_name::archive_name;
pub use contents::{Cover, CoverStep, CoverWorkflow, Package, PackageFile, PackageSummary};
pub use layout::{PackedFile, layout};
pub use paths::{MAX_PATH, check_path, path_problems};

use crate::artifact::{Artifact, ArtifactRef};
use crate::project::Project;
use crate::timestamp::Timestamp;

/// Builds the record of a package from a project and all its artifacts. A document that was stored
/// after an approved one of its type, and was not approved itself, is left out.
#[must_use]
pub fn build(project: &Project, artifacts: &[Arc<Artifact>], generated_at: Timestamp) -> Package {
    let cover = Cover::of(project);
    let released = project.plan.as_ref().and_then(|plan| plan.progress.released.as_ref());
    let is_unapproved = |artifact: &ArtifactRef| {
        let released = released.and_then(|released| released.get(&artifact.artifact_type));
        released.is_some_and(|one| one.request_id.is_some() && artifact.id > one.context_id)
    };
    let artifacts: Vec<_> =
        artifacts.iter().filter(|artifact| !is_unapproved(&artifact.meta)).cloned().collect();
    let mut ids: Vec<_> = artifacts.iter().map(|artifact| artifact.meta.id).collect();
    ids.sort_unstable();
    let files: Vec<_> = layout(&cover, &artifacts).iter().map(PackedFile::record).collect();
    let digest = digest_of(&files);
    Package { project_id: project.id, generated_at, cover, artifacts: ids, files, digest }
}

impl Package {
    /// Returns its files with their bytes. `artifacts` are those that it names.
    #[must_use]
    pub fn unpack(&self, artifacts: &[Arc<Artifact>]) -> Vec<PackedFile> {
        layout(&self.cover, artifacts)
    }

    /// Returns whether the package consists of these files, to the byte.
    #[must_use]
    pub fn matches(&self, files: &[PackedFile]) -> bool {
        let files: Vec<_> = files.iter().map(PackedFile::record).collect();
        digest_of(&files) == self.digest
    }
}

impl Cover {
    /// Returns the cover of a package that is built from the project now.
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

/// Returns the digest of a package, over the names and digests of its files in the order of names.
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
