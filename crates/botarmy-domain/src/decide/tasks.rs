//! Life cycle of a task: submission, cancellation and retry. `tasks/attempts.rs` has the attempts at
//! it, and `tasks/results.rs` what comes of them.

mod attempts;
mod results;

use std::sync::Arc;

use super::builder::DecisionBuilder;
use super::flow;
use super::gate;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::TaskId;
use crate::scope::Snapshot;
use crate::task::{DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY, MAX_PRIORITY, NewTask, Task, TaskState};
use crate::text::non_blank;
use crate::vocabulary::{Permission, StepStatus, TaskStatus};

pub(super) use attempts::back_into_the_queue;
pub use attempts::{RELEASED_BYTES_DIFFER, claim, expire_lease, refuse_inputs, requeue};
pub use results::{Inquiry, Work, ask, complete, fail, is_repetition};

/// Maximum number of context artifacts of a task.
const MAX_CONTEXT: usize = 1000;
/// Maximum number of attempts of a task.
const MAX_ATTEMPTS: u32 = 10;

/// Submits a task. Needs a scope with the context artifacts.
///
/// # Errors
/// An invalid field, or a project that is not active.
pub fn submit(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    new: &NewTask,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    builder.reopen_by_itself()?;
    let project = builder.active_project()?.clone();
    if non_blank(&new.instructions).is_none() {
        return Err(DomainError::invalid("instructions", "must not be blank"));
    }
    let priority = new.priority.unwrap_or(DEFAULT_PRIORITY);
    if priority > MAX_PRIORITY {
        return Err(DomainError::invalid("priority", format!("must be 0 to {MAX_PRIORITY}")));
    }
    let max_attempts = new.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS);
    if !(1..=MAX_ATTEMPTS).contains(&max_attempts) {
        return Err(DomainError::invalid("max_attempts", format!("must be 1 to {MAX_ATTEMPTS}")));
    }
    if new.context_ids.len() > MAX_CONTEXT {
        return Err(DomainError::invalid("context_ids", format!("must be at most {MAX_CONTEXT}")));
    }
    gate::check_artifacts(snapshot, project.id, "context_ids", &new.context_ids)?;
    let (turn, now) = (builder.take_turn(), builder.at());
    let task = Task {
        context_ids: new.context_ids.clone(),
        priority,
        max_attempts,
        ..Task::new(id, project.id, new.agent, new.instructions.clone(), turn, now)
    };
    let payload = E::TaskCreated(event::TaskCreated::from(&task));
    builder.put_task(task, &payload);
    Ok(builder.finish())
}

/// Cancels a task and its open requests. Needs a scope with everything open.
///
/// # Errors
/// A conflict if the task has ended, or is a step that its workflow requires.
pub fn cancel(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    let task = builder.task(id)?;
    builder.open_project()?;
    if task.status().is_final() && task.status() != TaskStatus::Failed {
        return Err(DomainError::conflict(
            "task_over",
            format!("Task {id} is {}; it cannot be cancelled any more.", task.status()),
        ));
    }
    if let Some(step) = task.step() {
        return Err(DomainError::conflict(
            "task_is_a_step",
            format!("Task {id} is the step \"{step}\" of a workflow; cancel the project instead."),
        ));
    }
    builder.cancel_task(&task, "cancelled on request");
    cancel_requests_about(&mut builder, &task, "the task was cancelled");
    flow::advance(&mut builder)?;
    Ok(builder.finish())
}

/// Grants a failed task another round of attempts. Needs a scope with everything open.
///
/// # Errors
/// A conflict if the task has not failed.
pub fn retry(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    builder.open_project()?;
    let task = builder.task(id)?;
    if task.status() != TaskStatus::Failed {
        return Err(DomainError::conflict(
            "task_not_failed",
            format!("Task {id} is {}; only a failed task can be tried again.", task.status()),
        ));
    }
    try_again(&mut builder, &task);
    cancel_requests_about(&mut builder, &task, "the task is tried again");
    Ok(builder.finish())
}

/// Requeues a failed task with all its attempts. Its validation error stays, so that the next attempt
/// is shown why the last result was refused.
pub(super) fn try_again(builder: &mut DecisionBuilder<'_>, task: &Task) {
    let mut task = task.clone();
    task.failures = 0;
    task.unconfirmed = 0;
    task.ready_at = builder.at();
    let payload = E::TaskRetryScheduled(event::TaskRetryScheduled {
        agent_type: task.agent,
        status: TaskStatus::Pending,
        attempt: task.attempt,
        failures: None,
        max_attempts: None,
        error: task.error().cloned(),
        retry_at: task.ready_at,
        usage: None,
        step: task.step().map(str::to_owned),
    });
    task.state = TaskState::Pending { last_error: task.error().cloned() };
    if let Some(name) = task.step() {
        builder.update_plan(|plan| {
            let progress = plan.progress.step(name);
            progress.status = StepStatus::Running;
            progress.request_id = None;
        });
    }
    builder.put_task(task, &payload);
}

/// Cancels the open requests of a task, and a budget request that it waited for unless other tasks
/// wait for it too: one budget request serves all of them.
fn cancel_requests_about(builder: &mut DecisionBuilder<'_>, task: &Task, reason: &str) {
    let awaited = match task.state {
        TaskState::WaitingForHitl { request_id } => Some(request_id),
        _ => None,
    };
    for request in builder.open_requests() {
        let waits = |task: &Arc<Task>| matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request.id);
        let is_about = request.task_id == Some(task.id) || awaited == Some(request.id);
        if is_about && !builder.open_tasks().iter().any(waits) {
            builder.cancel_request(&request, reason);
        }
    }
}
