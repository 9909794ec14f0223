//! Creation, start, pause, resumption, cancellation and completion of projects.

use std::sync::Arc;

use serde_json::json;

use super::builder::{DecisionBuilder, object};
use super::flow;
use crate::artifact::NewArtifact;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::ProjectId;
use crate::project::{Counts, NewProject, Plan, Project, ProjectState};
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::vocabulary::{AgentType, ArtifactType, ProjectStatus};
use crate::workflow::{Progress, Workflow};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 255;

/// Creates a project. With a workflow, it starts at once; the idea is the description or, without
/// one, the name.
///
/// # Errors
/// [`DomainError::Invalid`] for a name that is blank or too long.
pub fn create(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: ProjectId,
    new: &NewProject,
    workflow: Option<&Workflow>,
) -> Result<Decision, DomainError> {
    if non_blank(&new.name).is_none() {
        return Err(DomainError::invalid("name", "must not be blank"));
    }
    if new.name.chars().count() > MAX_NAME {
        return Err(DomainError::invalid("name", format!("must be at most {MAX_NAME} characters")));
    }
    if snapshot.project.is_some() {
        return Err(DomainError::conflict("exists", format!("Project {id} exists already.")));
    }
    let mut builder = DecisionBuilder::new(context, snapshot);
    let project = Project {
        id,
        name: new.name.clone(),
        description: new.description.clone(),
        oversight: new.oversight,
        state: ProjectState::Active,
        plan: None,
        created_at: builder.at(),
        updated_at: builder.at(),
    };
    let payload = E::ProjectCreated(event::ProjectCreated {
        name: project.name.clone(),
        description: project.description.clone(),
        oversight: project.oversight,
        workflow: workflow.map(|workflow| workflow.name.clone()),
        status: ProjectStatus::Active,
    });
    builder.put_project(project, &payload);
    if let Some(workflow) = workflow {
        begin(&mut builder, workflow, None)?;
    }
    Ok(builder.finish())
}

/// Starts a workflow in a project that has none.
///
/// # Errors
/// A conflict if it has one already or is not active.
pub fn start(
    context: &DecisionContext,
    snapshot: &Snapshot,
    workflow: &Workflow,
    idea: Option<&str>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    begin(&mut builder, workflow, idea)?;
    Ok(builder.finish())
}

fn begin(
    builder: &mut DecisionBuilder<'_>,
    workflow: &Workflow,
    idea: Option<&str>,
) -> Result<(), DomainError> {
    let project = builder.active_project()?.clone();
    if let Some(plan) = &project.plan {
        return Err(DomainError::conflict(
            "already_started",
            format!(
                "Project {} was already started with workflow `{}`.",
                project.id, plan.workflow.name
            ),
        ));
    }
    let idea = idea
        .and_then(non_blank)
        .or_else(|| project.description.as_deref().and_then(non_blank))
        .unwrap_or(&project.name)
        .to_owned();
    let digest = workflow.digest();
    let definition = Arc::new(workflow.clone());
    let payload = E::ProjectStarted(event::ProjectStarted {
        workflow: workflow.name.clone(),
        workflow_digest: digest.clone(),
        definition: Arc::clone(&definition),
        idea: idea.clone(),
    });
    let content = object(json!({"idea": idea}));
    let plan = Plan { workflow: definition, digest, idea, progress: Progress::start(workflow) };
    let started = Project { plan: Some(plan), ..(*project).clone() };
    builder.put_project(started, &payload);
    let input = NewArtifact::new(ArtifactType::UserInput, content);
    builder.store_artifact(project.id, AgentType::Orchestrator, input, None);
    flow::advance(builder)
}

/// Pauses the project; running tasks finish, and people may answer requests.
///
/// # Errors
/// A conflict if the project is not active.
pub fn pause(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut project = (**builder.active_project()?).clone();
    let by = context.caller.name().to_owned();
    project.state = ProjectState::Paused { at: builder.at(), by, emergency: None };
    let payload = E::ProjectPaused(event::ProjectPaused {
        status: ProjectStatus::Paused,
        paused_by: context.caller.name().to_owned(),
    });
    builder.put_project(project, &payload);
    Ok(builder.finish())
}

/// Resumes a paused project.
///
/// # Errors
/// A conflict if the project is not paused.
pub fn resume(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut project = (**builder.project()?).clone();
    if project.status() != ProjectStatus::Paused {
        return Err(DomainError::conflict(
            "project_not_paused",
            format!(
                "Project {} is {}; only a paused project can be resumed.",
                project.id,
                project.status()
            ),
        ));
    }
    if let ProjectState::Paused { by, emergency: Some(emergency), .. } = &project.state {
        return Err(DomainError::conflict(
            "emergency_stopped",
            format!(
                "Project {} was stopped by {by}: {}. Release the emergency stop instead.",
                project.id, emergency.reason
            ),
        ));
    }
    project.state = ProjectState::Active;
    let payload = E::ProjectResumed(event::ProjectResumed {
        status: ProjectStatus::Active,
        resumed_by: context.caller.name().to_owned(),
    });
    builder.put_project(project, &payload);
    flow::advance(&mut builder)?;
    Ok(builder.finish())
}

/// Cancels the project and everything open in it. Needs a scope with everything open.
///
/// # Errors
/// A conflict if the project has ended already.
pub fn cancel(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut project = (**builder.open_project()?).clone();
    project.state =
        ProjectState::Cancelled { at: builder.at(), by: context.caller.name().to_owned() };
    let payload = E::ProjectCancelled(event::ProjectCancelled {
        status: ProjectStatus::Cancelled,
        cancelled_by: context.caller.name().to_owned(),
    });
    builder.put_project(project, &payload);
    builder.close_everything("the project was cancelled");
    Ok(builder.finish())
}

/// Completes the project if no condition is unmet; decides nothing otherwise.
///
/// # Errors
/// If the project does not exist.
pub fn check_completion(
    context: &DecisionContext,
    snapshot: &Snapshot,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let project = builder.project()?.clone();
    if project.status() == ProjectStatus::Active && unmet(&project, &builder.counts).is_empty() {
        flow::complete(&mut builder, &project, Vec::new());
    }
    Ok(builder.finish())
}

/// Completes the project even if conditions are unmet, which are recorded; everything open is
/// cancelled. Decides nothing if the project is completed already. Needs a scope with everything
/// open.
///
/// # Errors
/// A conflict if the project ended in another way.
pub fn force_complete(
    context: &DecisionContext,
    snapshot: &Snapshot,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let project = builder.project()?.clone();
    match project.status() {
        ProjectStatus::Completed => return Ok(builder.finish()),
        ProjectStatus::Cancelled => {
            return Err(DomainError::conflict(
                "project_over",
                format!("Project {} is cancelled; nothing more can be done with it.", project.id),
            ));
        }
        _ => {}
    }
    let overridden = unmet(&project, &builder.counts);
    flow::complete(&mut builder, &project, overridden);
    builder.close_everything("the project was completed by force");
    Ok(builder.finish())
}

/// Returns the conditions that keep a project from being complete, one sentence each.
#[must_use]
pub fn unmet(project: &Project, counts: &Counts) -> Vec<String> {
    flow::unmet(project, counts)
}

/// Records an event about the server itself in the system log.
/// # Errors
/// Never.
/// None.
pub fn system_note(
    context: &DecisionContext,
    snapshot: &Snapshot,
    payload: &E,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    builder.note(payload, None);
    Ok(builder.finish())
}
