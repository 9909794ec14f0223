//! Results that are refused while their worker keeps the lease.

use std::borrow::Cow;

use super::builder::DecisionBuilder;
use super::lease::held;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::TaskId;
use crate::lease::LeaseHolder;
use crate::scope::Snapshot;
use crate::task::{RefusedResult, Task, TaskState};
use crate::text::{clean, without_controls};
use crate::timestamp::Timestamp;
use crate::vocabulary::Permission;

/// Maximum number of refusals of one attempt that are recorded: a worker that sends one wrong result
/// after the other must not fill the log.
pub const MAX_REFUSALS: u32 = 10;
/// Maximum length of a recorded reason, in characters. It may quote names that the worker chose.
pub const MAX_REASON: usize = 2000;

/// Records with the attempt why its result was refused. The attempt goes on, and its lease lasts at
/// least to `until`: a refused result is a call of the worker. Decides nothing unless the reason
/// [is news](is_news).
///
/// # Errors
/// `lease_lost` if the lease is no longer held.
pub fn refuse_result(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    reason: &str,
    until: Timestamp,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let mut task = held(&builder, id, holder)?;
    if !is_news(&task, reason) {
        return Ok(builder.finish());
    }
    let reason = recorded(reason);
    let count = task.refused_result.as_ref().map_or(0, |before| before.count) + 1;
    let payload = E::TaskResultRefused(event::TaskResultRefused {
        agent_type: task.agent,
        attempt: task.attempt,
        worker: holder.worker.clone(),
        reason: reason.clone(),
        step: task.step().map(str::to_owned),
    });
    task.refused_result = Some(RefusedResult { reason, at: builder.at(), count });
    if let TaskState::Working { lease } = &mut task.state {
        lease.expires_at = lease.expires_at.max(until);
        lease.first_call_by = None;
    }
    builder.put_task(task, &payload);
    Ok(builder.finish())
}

/// Returns whether the refusal of a result would be recorded: its reason is not that of the refusal
/// before it, and the attempt has fewer than [`MAX_REFUSALS`].
#[must_use]
pub fn is_news(task: &Task, reason: &str) -> bool {
    let known =
        |before: &RefusedResult| before.count >= MAX_REFUSALS || before.reason == recorded(reason);
    !task.refused_result.as_ref().is_some_and(known)
}

/// Returns a reason in the form in which it is recorded.
fn recorded(reason: &str) -> String {
    let reason = without_controls(&clean(reason));
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

/// Returns a reason as a sentence.
pub(super) fn sentence(reason: &str) -> Cow<'_, str> {
    if reason.ends_with(['.', '!', '?', '…']) {
        reason.into()
    } else {
        format!("{reason}.").into()
    }
}
