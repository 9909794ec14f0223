//! Work of people on a request beside answering: reserving it, asking another, and discussing it.

use super::{claimed, eligibility, pending, seat};
use crate::actor::Actor;
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{Delegate, GateClaim, GateComment, MAX_HOPS, after_s};
use crate::ids::{EventId, HitlRequestId};
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::vocabulary::{Permission, Verdict};

/// Largest number of remarks on a request, and of those of one party.
const MAX_COMMENTS: (usize, usize) = (200, 100);
/// Longest remark, in characters.
const MAX_COMMENT: usize = 4_000;

/// Reserves a request for the caller: others cannot answer it for a while. Reserving it again renews
/// the reservation.
///
/// # Errors
/// The conflict `claimed` if another person has it, and `not_claimable` where several people have to
/// approve.
pub fn claim(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = pending(&builder, id)?;
    let seat = seat(&builder, &request, &context.caller, Verdict::Approve)?;
    // It would keep those off who can release it.
    eligibility(&builder, &request)?.check_release(&context.caller, &seat)?;
    if request.pinned_policy().policy.approvals() > 1 {
        let detail = "Several people have to approve this request, so it cannot be claimed by one.";
        return Err(DomainError::conflict("not_claimable", detail));
    }
    let held = eligibility(&builder, &request)?.claim(builder.at()).cloned();
    if let Some(claim) = held.filter(|claim| !context.caller.is(&claim.by)) {
        return Err(claimed(&claim));
    }
    let until = after_s(builder.at(), builder.defaults.gates.claim_s);
    request.claim = Some(GateClaim { by: context.caller.actor(), until });
    let payload = E::HitlClaimed(event::HitlClaimed {
        hitl_request_id: id,
        until,
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    Ok(builder.finish())
}

/// Gives the reservation of a request up. Decides nothing if there is none. Those who manage the project
/// may end that of another person.
///
/// # Errors
/// The conflict `claimed` if another person has it.
pub fn unclaim(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = pending(&builder, id)?;
    let caller = &context.caller;
    let is_held = eligibility(&builder, &request)?.claim(builder.at()).is_some();
    if !request.claim.as_ref().is_some_and(|claim| caller.is(&claim.by)) {
        eligibility(&builder, &request)?.check_part(caller)?;
    }
    let Some(claim) = request.claim.take() else { return Ok(builder.finish()) };
    let is_manager = || caller.check(Permission::ProjectManage, builder.place()).is_ok();
    if is_held && !caller.is(&claim.by) && !is_manager() {
        return Err(claimed(&claim));
    }
    let payload = E::HitlUnclaimed(event::HitlUnclaimed {
        hitl_request_id: id,
        claimed_by: claim.by,
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    Ok(builder.finish())
}

/// Asks another person to answer in the place of the caller, or if the caller is not asked, in the place
/// that it answers in. A reservation of the caller ends with that.
///
/// # Errors
/// [`DomainError::Invalid`] for a person who does not exist or may not answer; a conflict for a place
/// that has passed through three people or comes back to one of them.
pub fn delegate(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    to: &str,
    comment: Option<&str>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = pending(&builder, id)?;
    let seat = eligibility(&builder, &request)?.place_to_delegate(&context.caller)?;
    let of = seat.on_behalf_of.unwrap_or_else(|| context.caller.actor());
    let to = person(&builder, to)?;
    let passed: Vec<_> =
        request.delegates.iter().filter(|one| one.of.is_same(&of)).map(|one| &one.to).collect();
    if to.is_same(&of) || passed.iter().any(|one| one.is_same(&to)) {
        let detail = if passed.last().is_some_and(|last| last.is_same(&to)) {
            format!("{} answers in the place of {} already.", to.name, of.name)
        } else {
            format!("The place of {} would come back to {}.", of.name, to.name)
        };
        return Err(DomainError::conflict("delegated_in_a_circle", detail));
    }
    if passed.len() >= MAX_HOPS {
        let detail = format!("The place of {} was delegated {} times.", of.name, passed.len());
        return Err(DomainError::conflict("too_many_delegations", detail));
    }
    let at = builder.at();
    request.delegates.push(Delegate { of: of.clone(), to: to.clone(), at });
    request.claim = request.claim.filter(|claim| !context.caller.is(&claim.by));
    let payload = E::HitlDelegated(event::HitlDelegated {
        hitl_request_id: id,
        of,
        to,
        comment: comment.and_then(non_blank).map(str::to_owned),
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    super::gate::check_satisfiable(&mut builder, id);
    Ok(builder.finish())
}

/// Records whether the people who may answer a request can still decide it, after they or their rights have
/// changed. Decides nothing if that is known.
///
/// # Errors
/// A conflict if it is not pending.
pub fn review_people(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    pending(&builder, id)?;
    super::gate::check_satisfiable(&mut builder, id);
    Ok(builder.finish())
}

/// Returns the person with this name or id, who may answer in the project. An open server knows no
/// people, so every name is one there.
fn person(builder: &DecisionBuilder<'_>, text: &str) -> Result<Actor, DomainError> {
    let Some(name) = non_blank(text) else {
        return Err(DomainError::invalid("to", "must not be blank"));
    };
    let Some(roster) = &builder.roster else {
        return Ok(Actor { name: name.to_owned(), principal: None });
    };
    let found = roster.find(name).filter(|person| person.may_answer(builder.place()));
    found.map(crate::hitl::Person::actor).ok_or_else(|| {
        let text = "must be the name or the id of a person who may answer requests of this project";
        DomainError::invalid("to", text)
    })
}

/// Adds a remark to the discussion of a request, which may be over. Everyone who may answer requests of the
/// project may do that, also those whom the policy does not ask, and programs: it decides nothing.
///
/// # Errors
/// A text that is blank or too long; a remark to answer that does not exist; the conflict
/// `too_many_comments`.
pub fn comment(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    text: &str,
    reply_to: Option<EventId>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let mut request = (*builder.request(id)?).clone();
    let text = non_blank(text).ok_or_else(|| DomainError::invalid("text", "must not be blank"))?;
    if text.chars().count() > MAX_COMMENT {
        return Err(DomainError::invalid(
            "text",
            format!("must be at most {MAX_COMMENT} characters"),
        ));
    }
    if let Some(reply_to) = reply_to
        && !request.comments.iter().any(|comment| comment.id == reply_to)
    {
        let text = format!("there is no comment {reply_to} on this request");
        return Err(DomainError::invalid("reply_to", text));
    }
    let by = builder.actor();
    let own = request.comments.iter().filter(|comment| comment.by.is_same(&by)).count();
    let all = request.comments.len();
    if all >= MAX_COMMENTS.0 || own >= MAX_COMMENTS.1 {
        let detail = format!(
            "Request {id} has {all} comments, {own} of them yours; the limits are {} and {}.",
            MAX_COMMENTS.0, MAX_COMMENTS.1
        );
        return Err(DomainError::conflict("too_many_comments", detail));
    }
    let entry = builder.id_generator.event();
    let at = builder.at();
    request.comments.push(GateComment { id: entry, by, at, text: text.to_owned(), reply_to });
    let payload = E::HitlCommented(event::HitlCommented {
        hitl_request_id: id,
        text: text.to_owned(),
        reply_to,
    });
    builder.put_request_as(entry, request, &payload);
    Ok(builder.finish())
}
