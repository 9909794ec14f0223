//! Creation, start, pause, resumption, cancellation and completion of projects.

use std::sync::Arc;

use serde_json::json;

use super::builder::{DecisionBuilder, object};
use super::{flow, gate};
use crate::artifact::NewArtifact;
use crate::caller::Caller;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::{HitlRequestId, ProjectId, TaskId};
use crate::project::{Counts, NewProject, Plan, Project, ProjectState};
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::task::{Task, TaskState};
use crate::text::non_blank;
use crate::vocabulary::{
    AgentType, ArtifactType, HitlKind, Permission, ProjectStatus, StepStatus, TaskStatus,
};
use crate::workflow::{Progress, Released, Workflow};

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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectCreate)?;
    let project = Project {
        id,
        name: new.name.clone(),
        description: new.description.clone(),
        creator: context.caller.principal(),
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
        creator: project.creator,
    });
    builder.put_project(project, &payload);
    if let Some(workflow) = workflow {
        begin(&mut builder, workflow, None, &context.caller)?;
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    begin(&mut builder, workflow, idea, &context.caller)?;
    Ok(builder.finish())
}

fn begin(
    builder: &mut DecisionBuilder<'_>,
    workflow: &Workflow,
    idea: Option<&str>,
    caller: &Caller,
) -> Result<(), DomainError> {
    builder.reopen_by_itself()?;
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
    let (starter, progress) = (Some(caller.actor()), Progress::start(workflow));
    let plan = Plan { workflow: definition, digest, idea, starter, progress };
    let started = Project { plan: Some(plan), ..(*project).clone() };
    builder.put_project(started, &payload);
    let input = NewArtifact::new(ArtifactType::UserInput, content);
    let stored = builder.store_artifact(project.id, AgentType::Orchestrator, input, None);
    let idea = Released { context_id: stored.id, digest: stored.digest, request_id: None };
    builder.update_plan(|plan| plan.progress.release(ArtifactType::UserInput, idea));
    flow::advance(builder)
}

/// Pauses the project; running tasks finish, and people may answer requests, whose times stand still.
/// Needs a scope with open requests.
///
/// # Errors
/// A conflict if the project is not active.
pub fn pause(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let mut project = (**builder.active_project()?).clone();
    let by = context.caller.name().to_owned();
    project.state = ProjectState::Paused { at: builder.at(), by, emergency: None };
    let payload = E::ProjectPaused(event::ProjectPaused {
        status: ProjectStatus::Paused,
        paused_by: context.caller.name().to_owned(),
        stops_clocks: true,
    });
    builder.put_project(project, &payload);
    gate::stop_clocks(&mut builder);
    Ok(builder.finish())
}

/// Resumes a paused project. Needs a scope with open requests.
///
/// # Errors
/// A conflict if the project is not paused.
pub fn resume(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
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
    gate::start_clocks(&mut builder);
    flow::advance(&mut builder)?;
    Ok(builder.finish())
}

/// Returns the tasks and requests of the steps that a halted project was in the middle of.
#[must_use]
pub fn interrupted(project: &Project) -> (Vec<TaskId>, Vec<HitlRequestId>) {
    let steps = project.plan.iter().flat_map(|plan| plan.progress.steps.values());
    let open = [StepStatus::Running, StepStatus::InReview, StepStatus::Failed];
    let steps: Vec<_> = steps.filter(|step| open.contains(&step.status)).collect();
    let tasks = steps.iter().filter_map(|step| step.task_id).collect();
    (tasks, steps.iter().filter_map(|step| step.request_id).collect())
}

/// Reopens a halted project. The request that halted it is asked again, with its history, and so are
/// the reviews that were open beside it; steps that were running start again. Needs a scope with
/// that request, its task, and what [`interrupted`] returns.
///
/// # Errors
/// [`DomainError::Invalid`] for a blank reason; a conflict if the project is not halted, or was
/// halted by another request.
pub fn reopen(
    context: &DecisionContext,
    snapshot: &Snapshot,
    rejected: Option<HitlRequestId>,
    reason: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let project = builder.project()?.clone();
    let ProjectState::Halted { request_id, .. } = &project.state else {
        let (id, status) = (project.id, project.status());
        let detail = format!("Project {id} is {status}; only a halted project can be reopened.");
        return Err(DomainError::conflict("project_not_halted", detail));
    };
    if request_id.is_some() && *request_id != rejected {
        let detail = format!("Project {} was halted once more meanwhile; try again.", project.id);
        return Err(DomainError::conflict("halted_again", detail));
    }
    let reason = non_blank(reason)
        .ok_or_else(|| DomainError::invalid("reason", "must not be blank"))?
        .to_owned();
    let payload = E::ProjectReopened(event::ProjectReopened {
        status: ProjectStatus::Active,
        reopened_by: context.caller.name().to_owned(),
        was: ProjectStatus::Halted,
        reason: Some(reason.clone()),
    });
    let active = Project { state: ProjectState::Active, ..(*project).clone() };
    builder.put_project(active, &payload);
    let rejected = rejected.map(|id| builder.request(id)).transpose()?;
    // The budget is asked about again by the next attempt.
    let rejected = rejected.filter(|request| request.budget.is_none());
    let mut asked = Vec::new();
    for step in project.plan.iter().flat_map(|plan| &plan.workflow.steps) {
        let progress = project.plan.as_ref().map(|plan| plan.progress.of(&step.name));
        let progress = progress.unwrap_or_default();
        match (progress.status, progress.request_id) {
            (StepStatus::InReview | StepStatus::Failed, Some(request_id)) => {
                let request = builder.request(request_id)?;
                let again = gate::ask_again(&mut builder, &request, &reason);
                asked.push(request_id);
                builder.update_plan(|plan| plan.progress.step(&step.name).request_id = Some(again));
            }
            (StepStatus::InReview | StepStatus::Failed, None) => {
                builder.update_plan(|plan| {
                    plan.progress.step(&step.name).status = StepStatus::Waiting;
                });
            }
            (StepStatus::Running, _) => {
                let asks = rejected.as_ref().filter(|request| {
                    request.kind == HitlKind::Question
                        && request.task_id.is_some()
                        && request.task_id == progress.task_id
                });
                // The task that asked waits for the answer again; every other one was cancelled.
                if asks.is_none() {
                    builder.update_plan(|plan| {
                        let progress = plan.progress.step(&step.name);
                        progress.status = StepStatus::Waiting;
                        progress.more_rounds += u32::from(step.repeat.is_some());
                    });
                }
            }
            _ => {}
        }
    }
    if let Some(request) = rejected.filter(|request| !asked.contains(&request.id)) {
        let again = gate::ask_again(&mut builder, &request, &reason);
        let task = request.task_id.and_then(|id| builder.task(id).ok());
        let waited = |task: &Arc<Task>| {
            request.kind == HitlKind::Question && task.status() == TaskStatus::Cancelled
        };
        if let Some(task) = task.filter(waited) {
            let state = TaskState::WaitingForHitl { request_id: again };
            builder.and_task(Task { state, ..(*task).clone() });
        }
    }
    flow::advance(&mut builder)?;
    Ok(builder.finish())
}

/// Cancels the project and everything open in it. Needs a scope with everything open.
///
/// # Errors
/// A conflict if the project has ended already.
pub fn cancel(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let project = builder.project()?.clone();
    if project.status() == ProjectStatus::Active && unmet(&project, &builder.counts).is_empty() {
        flow::complete(&mut builder, &project, Vec::new(), false);
    }
    Ok(builder.finish())
}

/// Completes the project for good even if conditions are unmet, which are recorded; everything open
/// is cancelled. Decides nothing if the project is completed for good already. Needs a scope with everything
/// open.
///
/// # Errors
/// A conflict if the project ended in another way.
pub fn force_complete(
    context: &DecisionContext,
    snapshot: &Snapshot,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectManage)?;
    let project = builder.project()?.clone();
    match project.status() {
        ProjectStatus::Completed if !project.reopens_by_itself() => return Ok(builder.finish()),
        ProjectStatus::Cancelled => {
            return Err(DomainError::conflict(
                "project_over",
                format!("Project {} is cancelled; nothing more can be done with it.", project.id),
            ));
        }
        _ => {}
    }
    let overridden = unmet(&project, &builder.counts);
    context.caller.check_seen(|| Seen::of_unmet(&overridden), "The conditions that are not met")?;
    flow::complete(&mut builder, &project, overridden, true);
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    builder.note(payload, None);
    Ok(builder.finish())
}
