//! Reminders, escalations and expiries that are due.

use super::eligibility;
use super::times::{escalate_now, remind_now};
use crate::budget::BudgetKey;
use crate::change::Decision;
use crate::decide::budget;
use crate::decide::builder::DecisionBuilder;
use crate::decide::consequences::{approved, rejected};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, HitlState, Reply, after_s};
use crate::ids::HitlRequestId;
use crate::scope::Snapshot;
use crate::vocabulary::{DueKind, OnExpiry, Permission};

/// Does everything that is due on a request: reminds people, asks more of them, and applies the expiry
/// rule. Several reminders that are due are one. `may_expire` is false for a while after a start of the
/// server: people could not answer before it. Needs a scope with everything open.
///
/// # Errors
/// The conflict `not_due` if nothing is due, as when another server did it.
pub fn due(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    may_expire: bool,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    loop {
        let request = builder.request(id)?;
        let kind = request.due().filter(|(at, _)| *at <= builder.at()).map(|(_, kind)| kind);
        match kind {
            Some(DueKind::Reminder) => {
                let overdue = request.reminders().take_while(|at| *at <= builder.at()).count();
                let overdue = u32::try_from(overdue).unwrap_or(u32::MAX);
                remind_now(&mut builder, (*request).clone(), Some(overdue));
            }
            Some(DueKind::Escalation) => escalate_now(&mut builder, (*request).clone(), false)?,
            Some(DueKind::Expiry) if may_expire => {
                expire(&mut builder, (*request).clone())?;
                return Ok(builder.finish());
            }
            _ => break,
        }
    }
    if builder.has_changes() {
        return Ok(builder.finish());
    }
    Err(DomainError::conflict("not_due", format!("Nothing is due on request {id}.")))
}

/// Applies the expiry rule of a request: halts the project, extends the request or approves it.
fn expire(builder: &mut DecisionBuilder<'_>, mut request: HitlRequest) -> Result<(), DomainError> {
    let (id, expired_at) = (request.id, request.expires_at);
    // A question about a daily limit is moot once its day has ended; the next day has its own
    // account.
    let is_over = request.budget.is_some_and(
        |question| matches!(question.account, BudgetKey::Day(_, day) if day.end() <= builder.at()),
    );
    let comment = if is_over { "a new day has begun" } else { "nobody answered in time" };
    // What several people have to approve, or too few may, is not approved by time either.
    let is_left = request.on_expiry == OnExpiry::Approve
        && (request.pinned_policy().policy.approvals() > 1
            || request.unsatisfiable
            || !eligibility(builder, &request)?.is_satisfiable());
    let rule = if is_left { OnExpiry::KeepWaiting } else { request.on_expiry };
    let (action, state) = match rule {
        _ if is_over => ("expire", HitlState::Expired { at: builder.at() }),
        OnExpiry::Reject => ("expire", HitlState::Expired { at: builder.at() }),
        OnExpiry::KeepWaiting => {
            request.schedule.answer_by.get_or_insert(expired_at);
            request.expires_at = after_s(builder.at(), request.ttl_s);
            if let Some(BudgetKey::Day(_, day)) = request.budget.map(|question| question.account) {
                request.expires_at = request.expires_at.min(day.end());
            }
            ("extend", HitlState::Pending)
        }
        OnExpiry::Approve => {
            let reply = Reply::new(&builder.origin.actor, builder.at());
            let reply = Reply { comment: Some(comment.to_owned()), ..reply };
            ("approve", HitlState::Approved(reply))
        }
    };
    request.state = state;
    request.history.push(builder.history(action, None, Some(comment.to_owned())));
    let payload = E::HitlTimeout(event::HitlTimeout {
        hitl_request_id: id,
        status: request.status(),
        on_expiry: rule,
        expired_at,
        expires_at: request.expires_at,
        agent_type: request.agent,
        comment: comment.to_owned(),
    });
    builder.put_request(request.clone(), &payload);
    if is_over {
        budget::release(builder, id);
        return Ok(());
    }
    match rule {
        OnExpiry::Reject => {
            let reason = format!("nobody answered \"{}\" in time", request.question);
            rejected(builder, &request, &reason)
        }
        OnExpiry::KeepWaiting => Ok(()),
        OnExpiry::Approve => approved(builder, &request),
    }
}
