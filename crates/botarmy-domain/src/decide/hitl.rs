//! Human-in-the-loop requests: raising one by hand, and everything that people and time do with it.

mod answer;
mod due;
mod links;
mod people;
mod times;

use super::builder::DecisionBuilder;
use super::eligibility::{Eligibility, Seat};
use super::gate::{self, GateTarget};
use crate::caller::Caller;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::hitl::{GateClaim, HitlRequest, HitlState, NewRequest, Subject, after_s};
use crate::ids::HitlRequestId;
use crate::scope::Snapshot;
use crate::vocabulary::{HitlKind, OnExpiry, Permission, Verdict};

pub use answer::{respond, withdraw};
pub use due::due;
pub use links::{check_link, issue_link, link_of, revoke_link};
pub use people::{claim, comment, delegate, review_people, unclaim};
pub use times::{escalate, extend, remind};

/// Maximum time to live of a request, in seconds: one year.
const MAX_TTL_S: u32 = 365 * 86_400;

/// Raises a request by hand. Needs a scope with its task and artifacts.
///
/// # Errors
/// An invalid field, or a project that has ended.
pub fn raise(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    new: &NewRequest,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectRun)?;
    builder.reopen_by_itself()?;
    let project = builder.open_project()?.clone();
    gate::check_question(&new.question, &new.options)?;
    if new.ttl_s.is_some_and(|ttl| ttl == 0 || ttl > MAX_TTL_S) {
        return Err(DomainError::invalid("ttl_seconds", format!("must be 1 to {MAX_TTL_S}")));
    }
    gate::check_artifacts(snapshot, project.id, "artifacts", &new.artifacts)?;
    let task = new.task_id.map(|task_id| {
        let found = snapshot.tasks.get(&task_id).filter(|task| task.project_id == project.id);
        found.ok_or_else(|| {
            let detail = format!("task {task_id} does not exist in project {}", project.id);
            DomainError::invalid("task_id", detail)
        })
    });
    let task = task.transpose()?;
    let refs = new.artifacts.iter().filter_map(|id| snapshot.artifacts.get(id));
    let target = GateTarget { task: new.task_id, step: None, agent: task.map(|task| task.agent) };
    let mut request = gate::new_request(
        &mut builder,
        &project,
        HitlKind::Question,
        new.question.clone(),
        new.options.clone(),
        Subject::of(refs.map(AsRef::as_ref)),
        target,
    );
    request.id = id;
    if let Some(policy) = &new.policy {
        gate::apply_policy(&builder, &mut request, policy)?;
    }
    if let Some(ttl_s) = new.ttl_s {
        request.ttl_s = ttl_s;
        request.expires_at = after_s(builder.at(), ttl_s);
    }
    request.response_schema.clone_from(&new.response_schema);
    gate::check_schema(&request)?;
    gate::add_assignees(&builder, &mut request, &new.assignees)?;
    gate::open(&mut builder, request);
    Ok(builder.finish())
}

/// Returns the facts about the people who answer a request.
///
/// # Errors
/// If its project is not in the scope.
fn eligibility<'a>(
    builder: &'a DecisionBuilder<'_>,
    request: &'a HitlRequest,
) -> Result<Eligibility<'a>, DomainError> {
    let project = builder.project()?;
    let (settings, roster) = (&*builder.defaults.gates, builder.roster.as_deref());
    Ok(Eligibility { request, project, settings, roster })
}

/// Returns the place that the caller takes among those who answer a request in this way.
///
/// # Errors
/// As [`Eligibility::seat`].
fn seat(
    builder: &DecisionBuilder<'_>,
    request: &HitlRequest,
    caller: &Caller,
    verdict: Verdict,
) -> Result<Seat, DomainError> {
    eligibility(builder, request)?.seat(caller, verdict)
}

/// Returns the error for a request that another person has reserved.
fn claimed(claim: &GateClaim) -> DomainError {
    let detail = format!("{} has claimed the request until {}.", claim.by.name, claim.until);
    DomainError::conflict("claimed", detail)
}

/// Returns a request of an open project that is pending, to be changed.
///
/// # Errors
/// A conflict if it was decided, has expired or was cancelled, or if its project has ended.
fn pending(builder: &DecisionBuilder<'_>, id: HitlRequestId) -> Result<HitlRequest, DomainError> {
    let request = builder.request(id)?;
    check_pending(&request, builder)?;
    builder.open_project()?;
    Ok((*request).clone())
}

/// Checks that a request waits, and that its time is not over. Right after a start people can answer all
/// the same: they could not before.
fn check_pending(request: &HitlRequest, builder: &DecisionBuilder<'_>) -> Result<(), DomainError> {
    let detail = match (&request.state, request.reply()) {
        (HitlState::Pending, _)
            if request.schedule.paused_at.is_some()
                || request.expires_at > builder.at()
                || builder.in_grace
                || request.on_expiry == OnExpiry::KeepWaiting =>
        {
            return Ok(());
        }
        (_, Some(reply)) => {
            format!(
                "Request {} was {} by {} at {}.",
                request.id,
                request.status(),
                reply.by,
                reply.at
            )
        }
        (HitlState::Cancelled { at, reason }, _) => {
            format!("Request {} was cancelled at {at}: {reason}.", request.id)
        }
        (HitlState::Expired { at }, _) => format!("Request {} expired at {at}.", request.id),
        _ => format!("Request {} is {}.", request.id, request.status()),
    };
    Err(DomainError::conflict("not_pending", detail))
}
