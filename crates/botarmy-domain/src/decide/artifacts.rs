//! Artifacts stored by hand, and packages.

use super::builder::DecisionBuilder;
use super::consequences::change_subject;
use super::flow;
use crate::artifact::NewArtifact;
use crate::change::{Decision, Row};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::package::Package;
use crate::records::Listed;
use crate::scope::Snapshot;
use crate::source_code::check_paths;
use crate::vocabulary::{AgentType, ArtifactType, HitlKind, Permission};
use crate::workflow::Step;

/// Stores an artifact by hand. If a step with this output type is under review, the review concerns
/// the new artifact from now on, and responses to the previous one are refused. If a person has
/// approved an artifact of this type already, a review asks whether to replace it. Otherwise no step
/// is given it. Needs a scope with open requests.
///
/// # Errors
/// If the project does not exist or has ended, or if a path in source code cannot be used. A project
/// that its user drives by hand may have completed.
pub fn store(
    context: &DecisionContext,
    snapshot: &Snapshot,
    source_agent: AgentType,
    new: &NewArtifact,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let project = builder.project()?.clone();
    if !project.reopens_by_itself() {
        builder.open_project()?;
    }
    if new.artifact_type == ArtifactType::SourceCode {
        check_paths(&new.content).map_err(|problem| DomainError::invalid("content", problem))?;
    }
    let stored = builder.store_artifact(project.id, source_agent, new.clone(), None);
    let Some(plan) = &project.plan else { return Ok(builder.finish()) };
    let verdict = |step: &Step| plan.workflow.verdict(&step.name, &new.content);
    let mut is_reviewed = false;
    for request in builder.open_requests() {
        let step = request.step.as_deref().and_then(|step| plan.workflow.step(step));
        let step = step.filter(|step| step.output == stored.artifact_type);
        let is_result = request.kind == HitlKind::Approval && request.planned.is_none();
        if let Some(step) = step.filter(|_| is_result) {
            change_subject(&mut builder, &request, &stored, verdict(step), None)?;
            is_reviewed = true;
        }
    }
    if !is_reviewed && let Some(step) = plan.approved_at(stored.artifact_type, project.oversight) {
        flow::review_replacement(&mut builder, &project, step, &stored, verdict(step));
    }
    Ok(builder.finish())
}

/// Stores the record of a generated package. Needs the scope of its project.
///
/// # Errors
/// If the project does not exist.
pub fn package_made(
    context: &DecisionContext,
    snapshot: &Snapshot,
    package: &Package,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let project = builder.project()?.clone();
    let payload = E::ArtifactsGenerated(event::ArtifactsGenerated {
        message: format!("The package of \"{}\" can be downloaded.", project.name),
        download_available: true,
        generated_at: package.generated_at,
        artifact_count: package.files.len(),
        digest: package.digest.clone(),
    });
    builder.put_row(Row::Record(package.clone().into()), &payload);
    Ok(builder.finish())
}

/// Removes the package; decides nothing if there is none. Needs a scope with the package. The
/// permission is that to manage the project, or that to clean up all.
///
/// # Errors
/// If the project does not exist.
pub fn package_deleted(
    context: &DecisionContext,
    snapshot: &Snapshot,
    permission: Permission,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, permission)?;
    let project = builder.project()?.id;
    if let Some(package) = snapshot.record::<Package>(project).cloned() {
        let payload = E::ArtifactsDeleted(event::ArtifactsDeleted {
            digest: package.digest.clone(),
            generated_at: package.generated_at,
        });
        builder.put_row(Row::NoRecord(Package::any_key(project)), &payload);
    }
    Ok(builder.finish())
}
