//! Life cycle of a task: submission, claim, completion, failure, question, requeueing, cancellation
//! and retry.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::budget;
use super::builder::DecisionBuilder;
use super::flow;
use super::gate::{self, GateTarget};
use super::lease::held;
use super::refusals::sentence;
use super::remarks::Remarks;
use crate::artifact::{NewArtifact, digest};
use crate::change::Decision;
use crate::claim::ExternalLease;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::Subject;
use crate::ids::TaskId;
use crate::lease::{Lease, LeaseHolder, WorkerId};
use crate::outcome::{Question, RunError};
use crate::scope::Snapshot;
use crate::task::{
    DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY, MAX_PRIORITY, NewTask, Task, TaskError, TaskState,
};
use crate::text::non_blank;
use crate::usage::Usage;
use crate::vocabulary::{ArtifactType, HitlKind, StepStatus, TaskStatus};

/// Maximum number of context artifacts of a task.
const MAX_CONTEXT: usize = 1000;
/// Code of an attempt whose inputs are not the released ones, byte for byte.
pub const RELEASED_BYTES_DIFFER: &str = "released_bytes_differ";
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
    let mut builder = DecisionBuilder::new(context, snapshot);
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

/// Starts a task that is pending and ready, in an active project.
///
/// # Errors
/// A conflict if it is not.
pub fn claim(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    worker: &WorkerId,
    lease: Duration,
    external: Option<&ExternalLease>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let project = builder.active_project()?.clone();
    let mut task = (*builder.task(id)?).clone();
    if task.status() != TaskStatus::Pending || task.ready_at > builder.at() {
        return Err(DomainError::conflict(
            "not_ready",
            format!("Task {id} is not ready to be started."),
        ));
    }
    // What was released since the task was created replaces what it was created with.
    let inputs = project.plan.as_ref().and_then(|plan| plan.context_of(&task));
    let replaced = inputs.filter(|inputs| inputs.all != task.context_ids);
    if let Some((inputs, handoff)) = replaced.clone().zip(task.handoff.as_mut()) {
        handoff.context_ids = inputs.handed_over;
        task.context_ids = inputs.all;
    }
    task.attempt += 1;
    task.refused_result = None;
    task.started_at = Some(builder.at());
    let mut lease = Lease {
        worker: worker.clone(),
        fence: task.attempt,
        started_at: builder.at(),
        expires_at: builder.at().after(lease),
        first_call_by: None,
    };
    task.lease_token = external.map(|terms| {
        limit_first_lease(&mut lease, &task, terms);
        terms.secret.token(id, &lease.holder()).digest(worker)
    });
    task.state = TaskState::Working { lease };
    let payload = E::TaskStarted(event::TaskStarted {
        agent_type: task.agent,
        status: TaskStatus::Working,
        attempt: task.attempt,
        worker: worker.clone(),
        step: task.step().map(str::to_owned),
        context_ids: replaced.map(|inputs| inputs.all),
    });
    builder.put_task(task, &payload);
    Ok(builder.finish())
}

/// Lets the first lease of an external worker expire at the end of the longest attempt, and before
/// that if no call comes in time.
fn limit_first_lease(lease: &mut Lease, task: &Task, terms: &ExternalLease) {
    let limit = task.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
    let end = lease.started_at.after(limit.unwrap_or(terms.attempt_timeout));
    lease.expires_at = lease.expires_at.min(end);
    // A worker that never sends heartbeats needs longer than that for every attempt. It gets twice
    // the time with each, so that it is not given the same task forever.
    let patience = terms.first_call.saturating_mul(1 << task.unconfirmed.min(16));
    let first_call_by = lease.started_at.after(patience);
    if first_call_by < lease.expires_at {
        lease.expires_at = first_call_by;
        lease.first_call_by = Some(first_call_by);
    }
}

/// Result of an attempt that finished.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// Report of the agent about its work.
    pub output: Map<String, Value>,
    /// Artifacts that were produced.
    pub artifacts: Vec<NewArtifact>,
    /// Confidence of the agent, 0 to 1, where known.
    pub confidence: Option<f64>,
    /// Usage of the attempt.
    pub usage: Usage,
}

/// Accepts finished work: stores the artifacts and advances the workflow.
///
/// The result of a step is the artifact of its output type; if the agent returned none, its output
/// becomes that artifact. Decides nothing if work of the same attempt was accepted already.
///
/// # Errors
/// `lease_lost` if the lease is no longer held.
pub fn complete(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    work: &Work,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let task = builder.task(id)?;
    if is_repetition(&task, holder, work)? {
        return Ok(builder.finish());
    }
    let mut task = held(&builder, id, holder)?;
    let project = builder.open_project()?.clone();

    let mut new = work.artifacts.clone();
    let expected = task.output_type.unwrap_or(ArtifactType::AgentOutput);
    if !work.output.is_empty() && !new.iter().any(|artifact| artifact.artifact_type == expected) {
        new.push(NewArtifact::new(expected, work.output.clone()));
    }
    if task.output_type.is_some() && !new.iter().any(|a| a.artifact_type == expected) {
        let error = RunError::InvalidOutput {
            detail: format!("The agent returned no {expected}."),
            usage: Box::new(work.usage.clone()),
        };
        return fail(context, snapshot, id, holder, &error);
    }
    let threshold = builder.defaults.confidence_threshold;
    let remarks = Remarks::of(&work.output, work.confidence, threshold);
    let mut result = None;
    let mut made = Vec::new();
    for new in new {
        let is_result = new.artifact_type == expected;
        let plan = project.plan.as_ref();
        let passed = plan.zip(task.step());
        let passed = passed.and_then(|(plan, step)| plan.workflow.verdict(step, &new.content));
        let stored = builder.store_artifact(project.id, task.agent, new, Some(id));
        made.push(stored.id);
        if is_result {
            result = Some((stored, passed));
        }
    }
    task.usage.add(&work.usage);
    task.unconfirmed = 0;
    task.validation_error = None;
    task.refused_result = None;
    let payload = E::TaskCompleted(event::TaskCompleted {
        agent_type: task.agent,
        status: TaskStatus::Completed,
        attempt: task.attempt,
        output: work.output.clone(),
        artifacts: made.clone(),
        confidence: work.confidence,
        usage: work.usage.clone(),
        step: task.step().map(str::to_owned),
    });
    task.state = TaskState::Completed {
        at: builder.at(),
        output: Value::Object(work.output.clone()),
        artifacts: made,
        result_digest: Some(digest(work)),
    };
    builder.put_task(task.clone(), &payload);
    budget::settle(&mut builder, &task, &work.usage);
    match result {
        Some((artifact, passed)) if task.step().is_some() => {
            flow::step_made(&mut builder, &task, &artifact, passed, &remarks)?;
        }
        result => {
            if remarks.low_confidence.is_some() {
                let made = result.as_ref().map(|(made, _)| made);
                flow::review_low_confidence(&mut builder, &project, &task, made, &remarks);
            }
        }
    }
    flow::advance(&mut builder)?;
    Ok(builder.finish())
}

/// Returns whether this very result was accepted already from the same attempt.
///
/// # Errors
/// `already_completed` if the attempt was completed with another result.
pub fn is_repetition(task: &Task, holder: &LeaseHolder, work: &Work) -> Result<bool, DomainError> {
    let TaskState::Completed { at, output, result_digest, .. } = &task.state else {
        return Ok(false);
    };
    if task.attempt != holder.fence {
        return Ok(false);
    }
    let is_same = match result_digest {
        Some(accepted) => *accepted == digest(work),
        None => output.as_object() == Some(&work.output),
    };
    if is_same {
        return Ok(true);
    }
    let detail = format!(
        "Task {} was completed at {at} with another result, which stands; this one is not stored.",
        task.id
    );
    Err(DomainError::conflict("already_completed", detail))
}

/// Accepts a failure: schedules another attempt or asks a person.
///
/// # Errors
/// `lease_lost` if the lease is no longer held.
pub fn fail(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    error: &RunError,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut task = held(&builder, id, holder)?;
    let attempted = task.clone();
    task.usage.add(error.usage());
    let validation_error = task.validation_error.take();
    let (code, message, again) = match error.clone() {
        RunError::Retryable { code, detail, after, .. } => {
            // The validation error has not been corrected yet; the next attempt is shown it again.
            task.validation_error = validation_error;
            (code, detail, Some(after))
        }
        RunError::Terminal { code, detail, .. } => (code, detail, None),
        RunError::InvalidOutput { detail, .. } => {
            let again = validation_error.is_none().then(|| {
                task.validation_error = Some(detail.clone());
                Some(Duration::ZERO)
            });
            ("unfit_output".to_owned(), detail, again)
        }
    };
    attempt_failed(&mut builder, task, TaskError { code, message }, again)?;
    budget::settle(&mut builder, &attempted, error.usage());
    Ok(builder.finish())
}

/// Records that an attempt failed. `again` is the minimum delay before the next attempt, or `None`
/// if another attempt would fail too.
fn attempt_failed(
    builder: &mut DecisionBuilder<'_>,
    mut task: Task,
    error: TaskError,
    again: Option<Option<Duration>>,
) -> Result<(), DomainError> {
    task.failures += 1;
    task.unconfirmed = 0;
    if let Some(after) = again.filter(|_| task.failures < task.max_attempts) {
        let wait = backoff(builder, task.failures).max(after.unwrap_or_default());
        task.ready_at = builder.at().after(wait);
        let payload = E::TaskRetryScheduled(event::TaskRetryScheduled {
            agent_type: task.agent,
            status: TaskStatus::Pending,
            attempt: task.attempt,
            failures: Some(task.failures),
            max_attempts: Some(task.max_attempts),
            error: Some(error.clone()),
            retry_at: task.ready_at,
            usage: Some(task.usage.clone()),
            step: task.step().map(str::to_owned),
        });
        task.state = TaskState::Pending { last_error: Some(error) };
        builder.put_task(task, &payload);
        return Ok(());
    }
    let payload = E::TaskFailed(event::TaskFailed {
        agent_type: task.agent,
        status: TaskStatus::Failed,
        attempt: task.attempt,
        failures: task.failures,
        error: error.message.clone(),
        code: error.code.clone(),
        usage: task.usage.clone(),
        step: task.step().map(str::to_owned),
    });
    let project = builder.project()?.clone();
    let (refusal, refuse) = match project.plan {
        Some(_) => ("halt the project", "Halt"),
        None => ("leave it failed", "Leave it"),
    };
    let question = format!(
        "{} failed: {} Approve to try again, amend to change the instructions, or reject to \
         {refusal}.",
        task.step()
            .map_or_else(|| format!("The {} task", task.agent), |step| format!("\"{step}\"")),
        error.message
    );
    task.state = TaskState::Failed { at: builder.at(), error };
    builder.put_task(task.clone(), &payload);
    let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
    let target = GateTarget { task: Some(task.id), step, agent: Some(task.agent) };
    let options = ["Try again", "Change the instructions", refuse].map(str::to_owned).to_vec();
    let kind = HitlKind::Failure;
    let request =
        gate::new_request(builder, &project, kind, question, options, Subject::of([]), target);
    let request_id = request.id;
    gate::open(builder, request);
    if let Some(name) = task.step() {
        builder.update_plan(|plan| {
            let progress = plan.progress.step(name);
            progress.status = StepStatus::Failed;
            progress.request_id = Some(request_id);
        });
    }
    Ok(())
}

/// Returns the delay before the next attempt: 1, 2, 4, … times the base plus up to a quarter, so
/// that retries of several tasks do not coincide.
fn backoff(builder: &DecisionBuilder<'_>, failures: u32) -> Duration {
    let wait = builder.defaults.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let share = u32::try_from(builder.id_generator.jitter() % 256).unwrap_or(0);
    wait + wait * share / 1024
}

/// Question of an agent that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// The question.
    pub question: Question,
    /// Usage so far.
    pub usage: Usage,
    /// Opaque text that the agent gets back with the answer.
    pub session: Option<String>,
}

/// Opens a request for the question of a task, which holds no lease while it waits. Needs a scope
/// with the artifacts that the question is about.
///
/// # Errors
/// `lease_lost` if the lease is no longer held; an invalid question.
pub fn ask(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    inquiry: &Inquiry,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut task = held(&builder, id, holder)?;
    let project = builder.open_project()?.clone();
    let question = &inquiry.question;
    gate::check_question(&question.question, &question.options)?;
    gate::check_artifacts(snapshot, project.id, "artifacts", &question.artifacts)?;
    let refs = question.artifacts.iter().filter_map(|id| snapshot.artifacts.get(id));
    let subject = Subject::of(refs.map(AsRef::as_ref));
    let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
    let target = GateTarget { task: Some(id), step, agent: Some(task.agent) };
    let request = gate::new_request(
        &mut builder,
        &project,
        HitlKind::Question,
        question.question.clone(),
        question.options.clone(),
        subject,
        target,
    );
    task.usage.add(&inquiry.usage);
    task.unconfirmed = 0;
    task.refused_result = None;
    task.session.clone_from(&inquiry.session);
    task.state = TaskState::WaitingForHitl { request_id: request.id };
    gate::open_after(&mut builder, request, Some(&inquiry.usage));
    builder.and_task(task.clone());
    budget::settle(&mut builder, &task, &inquiry.usage);
    Ok(builder.finish())
}

/// Fails an attempt whose inputs are not the released ones, and asks a person. Another attempt would
/// be given the same, so none is made.
///
/// # Errors
/// `lease_lost` if the lease is no longer held.
pub fn refuse_inputs(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    detail: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let task = held(&builder, id, holder)?;
    let note = event::Note(Map::from_iter([
        ("code".to_owned(), RELEASED_BYTES_DIFFER.into()),
        ("message".to_owned(), detail.into()),
    ]));
    builder.note(&E::SystemError(note), Some(id));
    let error = TaskError { code: RELEASED_BYTES_DIFFER.to_owned(), message: detail.to_owned() };
    let attempted = task.clone();
    attempt_failed(&mut builder, task, error, None)?;
    budget::settle(&mut builder, &attempted, &Usage::default());
    Ok(builder.finish())
}

/// Requeues a task whose lease has expired. If its holder never made a call, the lease may not have
/// reached it, and the attempt is not counted as a failure.
///
/// # Errors
/// A conflict if the lease has not expired or does not exist.
pub fn expire_lease(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let mut task = (*builder.task(id)?).clone();
    let expired = task.lease().filter(|lease| lease.expires_at <= builder.at()).cloned();
    let lease = expired.ok_or_else(|| {
        DomainError::conflict("lease_alive", format!("Task {id} has no expired lease."))
    })?;
    if lease.is_unconfirmed() {
        task.unconfirmed += 1;
        back_into_the_queue(&mut builder, &task, "its worker made no call about it");
        return Ok(builder.finish());
    }
    let payload = E::TaskLeaseExpired(event::TaskLeaseExpired {
        agent_type: task.agent,
        status: None,
        attempt: task.attempt,
        worker: Some(lease.worker.clone()),
        reason: "expired".to_owned(),
        step: task.step().map(str::to_owned),
    });
    builder.note(&payload, Some(id));
    let mut message = format!("The worker {} fell silent.", lease.worker);
    if let Some(refused) = &task.refused_result {
        let reason = sentence(&refused.reason).into_owned();
        message.push_str(&format!(" Its last result was refused: {reason}"));
        // The next attempt is shown it, as after an invalid output of an agent on a server.
        task.validation_error = Some(reason);
    }
    let error = TaskError { code: "lease_lapsed".to_owned(), message };
    attempt_failed(&mut builder, task, error, Some(None))?;
    Ok(builder.finish())
}

/// Requeues a task whose holder cannot continue because the server is stopping or was killed. Not
/// counted as a failure of the attempt.
///
/// # Errors
/// `lease_lost` if the lease is no longer held.
pub fn requeue(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    reason: &str,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot);
    let task = held(&builder, id, holder)?;
    back_into_the_queue(&mut builder, &task, reason);
    Ok(builder.finish())
}

/// Ends an attempt without counting it as a failure.
pub(super) fn back_into_the_queue(builder: &mut DecisionBuilder<'_>, task: &Task, reason: &str) {
    let mut task = task.clone();
    let payload = E::TaskLeaseExpired(event::TaskLeaseExpired {
        agent_type: task.agent,
        status: Some(TaskStatus::Pending),
        attempt: task.attempt,
        worker: task.lease().map(|lease| lease.worker.clone()),
        reason: reason.to_owned(),
        step: task.step().map(str::to_owned),
    });
    task.state = TaskState::Pending { last_error: None };
    task.ready_at = builder.at();
    builder.put_task(task, &payload);
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
    let mut builder = DecisionBuilder::new(context, snapshot);
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
    let mut builder = DecisionBuilder::new(context, snapshot);
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

/// Requeues a failed task with all its attempts.
pub(super) fn try_again(builder: &mut DecisionBuilder<'_>, task: &Task) {
    let mut task = task.clone();
    task.failures = 0;
    task.unconfirmed = 0;
    task.validation_error = None;
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
