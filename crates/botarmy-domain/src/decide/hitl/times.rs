//! Times that people change: extending a request, and reminding and escalating by hand.

use std::time::Duration;

use super::{eligibility, pending, seat};
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, MAX_EXTENSION_S, after_s};
use crate::ids::HitlRequestId;
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::vocabulary::{Permission, Verdict};

/// Shortest time between two reminders by hand.
const REMINDER_PAUSE: Duration = Duration::from_secs(60);

/// Extends the time in which people may answer.
///
/// # Errors
/// A time of 0 or beyond 30 days; the conflict `too_many_extensions` beyond the number of the policy;
/// [`DomainError::Forbidden`] for those who may not answer.
pub fn extend(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    by_s: u32,
    comment: Option<&str>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = pending(&builder, id)?;
    seat(&builder, &request, &context.caller, Verdict::Approve)?;
    if by_s == 0 || by_s > MAX_EXTENSION_S {
        return Err(DomainError::invalid("by_s", format!("must be 1 to {MAX_EXTENSION_S}")));
    }
    let most = request.pinned_policy().policy.max_extensions;
    if request.schedule.extended >= most {
        let detail = format!("Request {id} was extended {most} times, which is the limit.");
        return Err(DomainError::conflict("too_many_extensions", detail));
    }
    let comment = comment.and_then(non_blank).map(str::to_owned);
    request.schedule.extended += 1;
    let from = request.expires_at.max(request.clock(builder.at()));
    request.expires_at = after_s(from, by_s);
    if request.schedule.answer_by.is_some() {
        request.schedule.answer_by = Some(request.expires_at);
    }
    request.history.push(builder.history("extend", None, comment.clone()));
    let payload = E::HitlExtended(event::HitlExtended {
        hitl_request_id: id,
        by_s,
        expires_at: request.expires_at,
        comment,
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    Ok(builder.finish())
}

/// Reminds those who have not answered, now.
///
/// # Errors
/// A conflict if they were reminded within the last minute; [`DomainError::Forbidden`] for those who may
/// neither answer nor manage the project.
pub fn remind(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let request = pending(&builder, id)?;
    eligibility(&builder, &request)?.check_part(&context.caller)?;
    let last = request.schedule.reminded_at.map(|at| at.after(REMINDER_PAUSE));
    if let Some(next) = last.filter(|next| *next > builder.at()) {
        let detail =
            format!("A reminder was sent less than a minute ago; the next may come at {next}.");
        return Err(DomainError::conflict("reminded_already", detail));
    }
    remind_now(&mut builder, request, None);
    Ok(builder.finish())
}

/// Records a reminder. `overdue` is the number of those that were due, of which it is the last; `None`
/// for one by hand.
pub(super) fn remind_now(
    builder: &mut DecisionBuilder<'_>,
    mut request: HitlRequest,
    overdue: Option<u32>,
) {
    request.schedule.reminded += overdue.unwrap_or(0);
    request.schedule.reminded_at = Some(builder.at());
    let payload = E::HitlReminded(event::HitlReminded {
        hitl_request_id: request.id,
        question: request.question.clone(),
        skipped: overdue.unwrap_or(1).saturating_sub(1),
        by_hand: overdue.is_none(),
        needs: request.needs(),
        expires_at: request.expires_at,
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
}

/// Asks the people of the next escalation, now.
///
/// # Errors
/// The conflict `no_escalation` if the policy has none, or no more; [`DomainError::Forbidden`] for those who
/// may neither answer nor manage the project.
pub fn escalate(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let request = pending(&builder, id)?;
    // The people of the escalation cannot bring it about themselves.
    eligibility(&builder, &request)?.check_part(&context.caller)?;
    escalate_now(&mut builder, request, true)?;
    Ok(builder.finish())
}

/// Applies the next escalation of a request: more people may answer, there may be more time, and
/// reminders begin anew.
pub(super) fn escalate_now(
    builder: &mut DecisionBuilder<'_>,
    mut request: HitlRequest,
    by_hand: bool,
) -> Result<(), DomainError> {
    let done = request.schedule.escalated;
    let next = request.pinned_policy().policy.escalate.get(done as usize).cloned();
    let Some(escalation) = next else {
        let detail = format!("The policy of request {} has no further escalation.", request.id);
        return Err(DomainError::conflict("no_escalation", detail));
    };
    request.schedule.escalated = done + 1;
    let now = request.clock(builder.at());
    request.schedule.remind_from = Some(now);
    request.schedule.reminded = 0;
    if let Some(ttl_s) = escalation.ttl_s {
        request.expires_at = request.expires_at.max(after_s(now, ttl_s));
    }
    let is_new = |selector: &&crate::hitl::Selector| !request.escalated_to.contains(selector);
    let added: Vec<_> = escalation.to.iter().filter(is_new).cloned().collect();
    request.escalated_to.extend(added);
    let delegates = eligibility(builder, &request)?.standing_delegates(builder.at());
    request.delegates.extend(delegates.iter().cloned());
    request.unsatisfiable = !eligibility(builder, &request)?.is_satisfiable();
    request.history.push(builder.history("escalate", None, None));
    let payload = E::HitlEscalated(event::HitlEscalated {
        hitl_request_id: request.id,
        question: request.question.clone(),
        level: request.schedule.escalated,
        to: escalation.to,
        delegates,
        by_hand,
        unsatisfiable: request.unsatisfiable,
        expires_at: request.expires_at,
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    Ok(())
}
