//! Result of an attempt: finished work, a failure, or a question to a person.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::artifact::{NewArtifact, digest};
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decide::gate::{self, GateTarget};
use crate::decide::lease::held;
use crate::decide::remarks::Remarks;
use crate::decide::{budget, flow};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::Subject;
use crate::ids::TaskId;
use crate::lease::LeaseHolder;
use crate::outcome::{Question, RunError};
use crate::scope::Snapshot;
use crate::task::{Task, TaskError, TaskState};
use crate::usage::Usage;
use crate::vocabulary::{ArtifactType, HitlKind, Permission, StepStatus, TaskStatus};

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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let mut task = held(&builder, id, holder)?;
    let attempted = task.clone();
    task.usage.add(error.usage());
    // A validation error that has not been corrected stays; the next attempt is shown it again.
    let (code, message, again) = match error.clone() {
        RunError::Retryable { code, detail, after, .. } => (code, detail, Some(after)),
        RunError::Terminal { code, detail, .. } => (code, detail, None),
        RunError::InvalidOutput { detail, .. } => {
            // Without failures, it is the one that a person saw before this round of attempts.
            let is_first = task.validation_error.is_none() || task.failures == 0;
            task.validation_error = Some(detail.clone());
            ("unfit_output".to_owned(), detail, is_first.then_some(Some(Duration::ZERO)))
        }
    };
    attempt_failed(&mut builder, task, TaskError { code, message }, again)?;
    budget::settle(&mut builder, &attempted, error.usage());
    Ok(builder.finish())
}

/// Records that an attempt failed. `again` is the minimum delay before the next attempt, or `None`
/// if another attempt would fail too.
pub(super) fn attempt_failed(
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let mut task = held(&builder, id, holder)?;
    let project = builder.open_project()?.clone();
    let question = &inquiry.question;
    gate::check_question(&question.question, &question.options)?;
    gate::check_artifacts(snapshot, project.id, "artifacts", &question.artifacts)?;
    let refs = question.artifacts.iter().filter_map(|id| snapshot.artifacts.get(id));
    let subject = Subject::of(refs.map(AsRef::as_ref));
    let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
    let target = GateTarget { task: Some(id), step, agent: Some(task.agent) };
    let mut request = gate::new_request(
        &mut builder,
        &project,
        HitlKind::Question,
        question.question.clone(),
        question.options.clone(),
        subject,
        target,
    );
    if let Some(policy) = &question.policy {
        gate::apply_policy(&builder, &mut request, policy)?;
    }
    request.response_schema.clone_from(&question.response_schema);
    gate::check_schema(&request)?;
    gate::add_assignees(&builder, &mut request, &question.assignees)?;
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
