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

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use archive_name::archive_name;
pub use contents::{Cover, CoverStep, CoverWorkflow, Package, PackageFile, PackageSummary};
pub use layout::{Content, ContentKey, Outline, PackedFile, Plan, PlannedFile, layout};
pub use paths::{MAX_PATH, check_path, path_problems};

use crate::artifact::Artifact;
use crate::ids::{ContextId, ProjectId};
use crate::project::Project;
use crate::timestamp::Timestamp;
use crate::vocabulary::ArtifactType;

/// Builds the record of a package from a project and all its artifacts. [`PackageBuilder`] does the
/// same without holding more than one content.
#[must_use]
pub fn build(project: &Project, artifacts: &[Arc<Artifact>], generated_at: Timestamp) -> Package {
    let mut builder = PackageBuilder::new(project, generated_at);
    artifacts.iter().for_each(|artifact| builder.add(artifact));
    builder.finish()
}

/// Builds the record of a package from a project and its artifacts, which are added one after the
/// other. A document that was stored after an approved one of its type, and was not approved itself,
/// is left out.
#[derive(Debug)]
pub struct PackageBuilder {
    project: ProjectId,
    cover: Cover,
    /// Newest approved artifact of each type that has one.
    approved: BTreeMap<ArtifactType, ContextId>,
    artifacts: Vec<ContextId>,
    outline: Outline,
    generated_at: Timestamp,
}

impl PackageBuilder {
    /// Creates a builder without artifacts.
    #[must_use]
    pub fn new(project: &Project, generated_at: Timestamp) -> Self {
        let cover = Cover::of(project);
        let released = project.plan.as_ref().and_then(|plan| plan.progress.released.as_ref());
        let approved = released.into_iter().flatten();
        let approved = approved.filter(|(_, one)| one.request_id.is_some());
        Self {
            project: project.id,
            outline: Outline::new(cover.clone()),
            cover,
            approved: approved.map(|(kind, one)| (*kind, one.context_id)).collect(),
            artifacts: Vec::new(),
            generated_at,
        }
    }

    /// Adds an artifact of the project.
    pub fn add(&mut self, artifact: &Artifact) {
        let meta = &artifact.meta;
        if self.approved.get(&meta.artifact_type).is_some_and(|approved| meta.id > *approved) {
            return;
        }
        self.artifacts.push(meta.id);
        let Ok(()) = self.outline.add(artifact, |_, _| Ok::<_, Infallible>(()));
    }

    /// Returns the record of the package.
    #[must_use]
    pub fn finish(mut self) -> Package {
        self.artifacts.sort_unstable();
        let files = self.outline.plan().records();
        Package {
            project_id: self.project,
            generated_at: self.generated_at,
            digest: digest_of(&files),
            cover: self.cover,
            artifacts: self.artifacts,
            files,
        }
    }
}

impl Package {
    /// Returns the outline of the package, to which the artifacts that it names are added.
    #[must_use]
    pub fn outline(&self) -> Outline {
        Outline::new(self.cover.clone())
    }

    /// Returns whether the package consists of these files, to the byte.
    #[must_use]
    pub fn matches(&self, plan: &Plan) -> bool {
        digest_of(&plan.records()) == self.digest
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
