//! An attempt from its claim to the end of its lease.

use std::time::Duration;

use serde_json::Map;

use super::results::attempt_failed;
use crate::change::Decision;
use crate::claim::ExternalLease;
use crate::decide::budget;
use crate::decide::builder::DecisionBuilder;
use crate::decide::lease::held;
use crate::decide::refusals::sentence;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::TaskId;
use crate::lease::{Lease, LeaseHolder, WorkerId};
use crate::scope::Snapshot;
use crate::task::{Task, TaskError, TaskState};
use crate::usage::Usage;
use crate::vocabulary::{Permission, TaskStatus};

/// Code of an attempt whose inputs are not the released ones, byte for byte.
pub const RELEASED_BYTES_DIFFER: &str = "released_bytes_differ";

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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let project = builder.active_project()?.clone();
    let mut task = (*builder.task(id)?).clone();
    // Many tasks are claimed at once, each in the trace of the request that created it.
    builder.origin.trace = task.trace.or(builder.origin.trace);
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
    task.lease_taker = external.and_then(|_| context.caller.lease_taker());
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
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
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let task = held(&builder, id, holder)?;
    back_into_the_queue(&mut builder, &task, reason);
    Ok(builder.finish())
}

/// Ends an attempt without counting it as a failure.
pub(in crate::decide) fn back_into_the_queue(
    builder: &mut DecisionBuilder<'_>,
    task: &Task,
    reason: &str,
) {
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
