//! Answers: approvals and rejections as votes, amendments, and taking a vote back.

use serde_json::{Map, Value};

use super::{claimed, eligibility, pending, seat};
use crate::actor::Actor;
use crate::artifact::digest;
use crate::budget::BudgetKey;
use crate::caller::{Caller, Place};
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decide::consequences::{amend, approved, rejected, replace_subject};
use crate::decide::eligibility::{self, Seat, check_actions, check_free};
use crate::decide::gate;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E, ReplacedDocument};
use crate::hitl::{HitlRequest, Recorded, Reply, Response, Standing, Vote};
use crate::ids::{EventId, HitlRequestId};
use crate::scope::Snapshot;
use crate::vocabulary::{HitlAction, HitlStatus, Need, Permission, Verdict};

/// Applies a person's response to a request: an approval or a rejection counts as a vote, and the last
/// one that is needed decides. Decides nothing if the same person gave the same answer before. Needs a
/// scope with its task; a rejection needs everything open. The document of an amendment and the answer
/// to a schema have the form that is required: that is checked before the decision.
///
/// # Errors
/// A conflict if the request was decided already, has expired, is claimed by another person, or its
/// subject has changed; [`DomainError::Forbidden`] for people whom the policy does not let answer;
/// [`DomainError::PreconditionRequired`] without the digest that the policy asks for;
/// [`DomainError::BadRequest`] for an amendment without content.
pub fn respond(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    response: &Response,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    let caller = &context.caller;
    // Before anything else, so that a program learns nothing of what was answered.
    eligibility::check_person(caller)?;
    if is_replay(&builder, id, caller, response)? {
        return Ok(builder.finish());
    }
    let mut request = pending(&builder, id)?;
    check_content(&request, response)?;
    let seat = seat(&builder, &request, caller, response.verdict())?;
    check_subject(&request, response)?;
    check_policy(&request, response)?;
    check_claim(&request, caller, &builder)?;
    if let Some(link) = response.link {
        super::links::use_link(&mut request, link, response, builder.at(), caller)?;
    }
    check_release(&builder, &request, response, caller, &seat)?;
    let answer = Answer { caller, response, seat };
    match response.verdict() {
        Verdict::Approve | Verdict::Reject => vote(&mut builder, request, &answer)?,
        Verdict::RequestChanges => decide(&mut builder, request, &answer, None)?,
        Verdict::Amend if request.pinned_policy().policy.approvals() == 1 => {
            decide(&mut builder, request, &answer, None)?;
        }
        Verdict::Amend => amend_subject(&mut builder, &request, &answer)?,
    }
    Ok(builder.finish())
}

/// Returns whether the caller has given this very answer before, and it stands. One more approval of a person
/// who fills another place now is another vote.
fn is_replay(
    builder: &DecisionBuilder<'_>,
    id: HitlRequestId,
    caller: &Caller,
    response: &Response,
) -> Result<bool, DomainError> {
    let request = builder.request(id)?;
    let recorded = request.recorded(&caller.actor(), response);
    let Some(Recorded::Vote(entry)) = recorded.filter(|_| request.status() == HitlStatus::Pending)
    else {
        return Ok(recorded.is_some());
    };
    let vote = request.votes.iter().find(|vote| vote.entry == entry);
    let seat = seat(builder, &request, caller, response.verdict()).ok();
    Ok(vote.zip(seat).is_none_or(|(vote, seat)| {
        let own = caller.actor();
        let place = seat.on_behalf_of.as_ref().unwrap_or(&own);
        vote.place().is_same(place) && vote.groups == seat.groups
    }))
}

/// An answer that may be given.
struct Answer<'a> {
    caller: &'a Caller,
    response: &'a Response,
    seat: Seat,
}

/// Checks that an amendment has words or a document, and that there is something to replace.
fn check_content(request: &HitlRequest, response: &Response) -> Result<(), DomainError> {
    let (content, amended) = (response.content(), &response.amended_content);
    if response.action == HitlAction::Amend && content.is_none() && amended.is_none() {
        return Err(DomainError::BadRequest(
            "An amendment needs `content`, the changes to make, or `amended_content`, the \
             document to go on with."
                .to_owned(),
        ));
    }
    if request.planned.is_some() && response.verdict() == Verdict::Amend {
        return Err(DomainError::BadRequest(
            "The step has not run yet, so there is no document to replace: ask for changes with \
             `content`."
                .to_owned(),
        ));
    }
    if request.budget.is_none() && !eligibility::is_possible(request, response.verdict()) {
        let text = if request.response_schema.is_some() {
            "The question asks for an answer in a form: approve it with `response`, or reject it."
        } else {
            "Several people have to answer this question, so one cannot answer it for all: approve or \
             reject it, with the words in `content`."
        };
        return Err(DomainError::BadRequest(text.to_owned()));
    }
    if response.response.is_some() && request.response_schema.is_none() {
        let message = "the request does not ask for an answer with a schema; use `content`";
        return Err(DomainError::invalid("response", message));
    }
    let is_unanswered = response.response.is_none() && response.action == HitlAction::Approve;
    if request.response_schema.is_some() && is_unanswered {
        let message = "is needed: the request asks for an answer with the schema `response_schema`";
        return Err(DomainError::invalid("response", message));
    }
    Ok(())
}

/// Checks that a response is about the subject as it is now. Once the subject has changed, a
/// response that names no digest may be about the one before.
fn check_subject(request: &HitlRequest, response: &Response) -> Result<(), DomainError> {
    let digest = &request.subject.digest;
    let is_required = request.pinned_policy().policy.digest == Need::Required;
    let detail = match &response.subject_digest {
        Some(seen) if seen == digest => return Ok(()),
        Some(_) => {
            format!("What is reviewed has changed since it was shown; its digest is {digest} now.")
        }
        None if is_required => {
            let detail = format!(
                "The policy of the request asks for the digest of what was read: send it as \
                 `subject_digest` or in `If-Match`; it is {digest} now."
            );
            return Err(DomainError::PreconditionRequired { code: "digest_required", detail });
        }
        None if !request.subject_changed() => return Ok(()),
        None => format!(
            "The artifacts under review have changed since the request was opened: name the digest \
             that the answer is about in `subject_digest`; digest: {digest}."
        ),
    };
    Err(DomainError::conflict("subject_changed", detail))
}

/// Checks the comment and the bulk that the policy wants or does not want.
fn check_policy(request: &HitlRequest, response: &Response) -> Result<(), DomainError> {
    let policy = &request.pinned_policy().policy;
    let has_words = match response.verdict() {
        Verdict::RequestChanges => true,
        _ => response.comment().is_some() || response.content().is_some(),
    };
    if policy.comment.contains(&response.verdict()) && !has_words {
        let text = format!(
            "must not be blank: the policy \"{}\" wants a reason for `{}`",
            policy.name,
            response.verdict()
        );
        return Err(DomainError::invalid("comment", text));
    }
    if response.in_bulk && !policy.bulk && response.action == HitlAction::Approve {
        let detail =
            format!("The policy \"{}\" wants each request to be approved by itself.", policy.name);
        return Err(DomainError::Forbidden { code: "bulk_not_allowed", detail });
    }
    Ok(())
}

/// Checks that no other person has reserved the request.
fn check_claim(
    request: &HitlRequest,
    caller: &Caller,
    builder: &DecisionBuilder<'_>,
) -> Result<(), DomainError> {
    let eligibility = eligibility(builder, request)?;
    let claim = eligibility.claim(builder.at()).filter(|claim| !caller.is(&claim.by));
    let Some(claim) = claim else { return Ok(()) };
    Err(claimed(claim))
}

/// Checks that the caller may release the subject, if the response does that.
fn check_release(
    builder: &DecisionBuilder<'_>,
    request: &HitlRequest,
    response: &Response,
    caller: &Caller,
    seat: &Seat,
) -> Result<(), DomainError> {
    if !eligibility::releases(request, response.verdict()) {
        return Ok(());
    }
    eligibility(builder, request)?.check_release(caller, seat)?;
    let account = request.budget.as_ref().map(|question| question.account);
    if matches!(account, Some(BudgetKey::Day(..))) {
        // All projects take from it.
        caller.check(Permission::GateAnswer, Place::Installation)?;
    }
    Ok(())
}

/// Counts an approval or a rejection, which may decide the request.
fn vote(
    builder: &mut DecisionBuilder<'_>,
    mut request: HitlRequest,
    answer: &Answer<'_>,
) -> Result<(), DomainError> {
    let entry = builder.id_generator.event();
    let vote = new_vote(builder, &request, answer, entry, answer.response.action);
    check_free(&request, &answer.seat)?;
    let is_changed = place(&mut request, vote);
    let policy = request.pinned_policy();
    let standing = policy.policy.evaluate(&request.votes, &request.subject.digest, &policy.digest);
    if standing != Standing::Open {
        return decide(builder, request, answer, Some(entry));
    }
    if is_changed {
        check_actions(&request, answer.caller)?;
    }
    put_vote(builder, request, entry, answer);
    Ok(())
}

/// Makes the vote of an answer.
fn new_vote(
    builder: &DecisionBuilder<'_>,
    request: &HitlRequest,
    answer: &Answer<'_>,
    entry: EventId,
    action: HitlAction,
) -> Vote {
    Vote {
        entry,
        voter: answer.caller.actor(),
        on_behalf_of: answer.seat.on_behalf_of.clone(),
        action,
        groups: answer.seat.groups.clone(),
        auth: answer.caller.authentication(),
        via: builder.origin.via,
        subject_digest: request.subject.digest.clone(),
        policy_digest: request.pinned_policy().digest.clone(),
        content: answer.response.content().map(str::to_owned),
        comment: answer.response.comment().map(str::to_owned),
        at: builder.at(),
    }
}

/// Places a vote: a person has one, and so has a place. Returns whether there was one before.
fn place(request: &mut HitlRequest, vote: Vote) -> bool {
    let is_other =
        |other: &Vote| !other.voter.is_same(&vote.voter) && !other.place().is_same(vote.place());
    let before = request.votes.len();
    request.votes.retain(is_other);
    let is_changed = request.votes.len() < before;
    request.votes.push(vote);
    is_changed
}

/// Records the vote with this entry, the last one of the request, which does not decide it.
fn put_vote(
    builder: &mut DecisionBuilder<'_>,
    mut request: HitlRequest,
    entry: EventId,
    answer: &Answer<'_>,
) {
    let Some(vote) = request.votes.last().cloned() else { return };
    let content = vote.content.as_deref();
    request.history.push(builder.history(vote.action.as_str(), content, vote.comment.clone()));
    request.claim = None;
    let id = request.id;
    let payload = E::HitlVoteCast(event::HitlVoteCast {
        hitl_request_id: id,
        action: vote.action,
        status: request.status(),
        user_response: vote.content,
        response_comment: vote.comment,
        subject_digest: vote.subject_digest,
        policy_digest: vote.policy_digest,
        auth: vote.auth,
        via: vote.via,
        groups: vote.groups,
        on_behalf_of: vote.on_behalf_of,
        link_id: answer.response.link,
        needs: request.needs(),
        agent_type: request.agent,
        step: request.step.clone(),
    });
    builder.put_request_as(entry, request, &payload);
    gate::check_satisfiable(builder, id);
}

/// Decides a request with this answer, and applies the consequences. `entry` is the id of the log entry
/// that a vote names already.
fn decide(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequest,
    answer: &Answer<'_>,
    entry: Option<EventId>,
) -> Result<(), DomainError> {
    let (response, caller) = (answer.response, answer.caller);
    let entry = entry.unwrap_or_else(|| builder.id_generator.event());
    let amended = response.amended_content.clone().filter(|_| response.action == HitlAction::Amend);
    let comment = response.comment().map(str::to_owned);
    let reply = Reply {
        by: caller.name().to_owned(),
        principal: caller.principal(),
        entry: Some(entry),
        at: builder.at(),
        content: response.content().map(str::to_owned),
        comment: comment.clone(),
        amended_content: amended.clone().map(Value::Object),
        response: response.response.clone(),
    };
    let resumes = match response.action {
        HitlAction::Approve => true,
        HitlAction::Reject => false,
        HitlAction::Amend => {
            let is_reviewed = eligibility::reviews_amendments(&request, builder.project()?);
            amended.is_none() || !is_reviewed
        }
    };
    let question = request.question.clone();
    let mut decided = request;
    let action = response.action.as_str();
    decided.history.push(builder.history(action, response.content(), comment));
    decided.state = response.action.decides(reply);
    decided.claim = None;
    record(builder, decided.clone(), answer, entry, resumes);
    match response.action {
        HitlAction::Approve => approved(builder, &decided),
        HitlAction::Reject => rejected(builder, &decided, &format!("\"{question}\" was rejected")),
        HitlAction::Amend => amend(builder, &decided, response),
    }
}

/// Records the decision of a request.
fn record(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequest,
    answer: &Answer<'_>,
    entry: EventId,
    resumes: bool,
) {
    let response = answer.response;
    let reply = request.reply().cloned();
    let reply = reply.as_ref();
    let amended = reply.and_then(|reply| reply.amended_content.as_ref()).and_then(Value::as_object);
    let from = request.subject.artifacts.first().map(|artifact| artifact.digest.clone());
    let payload = E::HitlResponse(event::HitlResponse {
        hitl_request_id: request.id,
        kind: request.kind,
        action: response.action,
        status: request.status(),
        user_response: reply.and_then(|r| r.content.clone()),
        response_comment: reply.and_then(|r| r.comment.clone()),
        amended_content: reply.and_then(|r| r.amended_content.clone()),
        workflow_resumed: resumes,
        agent_type: request.agent,
        step: request.step.clone(),
        subject_digest: request.subject.digest.clone(),
        outcome: request.outcome(),
        policy_digest: Some(request.pinned_policy().digest.clone()),
        auth: Some(answer.caller.authentication()),
        via: builder.origin.via,
        groups: answer.seat.groups.clone(),
        on_behalf_of: answer.seat.on_behalf_of.clone(),
        link_id: response.link,
        response: reply.and_then(|r| r.response.clone()),
        replaced: amended.map(|document| ReplacedDocument { from, to: digest(document) }),
        decided_after_s: Some(builder.at().since(request.created_at).as_secs()),
    });
    builder.put_request_as(entry, request, &payload);
}

/// Makes the document of an amendment the subject of a request that several people have to approve. All
/// votes are void; that of the person who amends counts, unless the policy excludes it.
fn amend_subject(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    answer: &Answer<'_>,
) -> Result<(), DomainError> {
    let document: Map<String, Value> = answer.response.amended_content.clone().unwrap_or_default();
    check_actions(request, answer.caller)?;
    let mut request = replace_subject(builder, request, document, answer.response.link)?;
    if eligibility::reviews_amendments(&request, builder.project()?) {
        return Ok(());
    }
    let entry = builder.id_generator.event();
    let vote = new_vote(builder, &request, answer, entry, HitlAction::Approve);
    place(&mut request, vote);
    put_vote(builder, request, entry, answer);
    Ok(())
}

/// Takes the vote of the caller back.
///
/// # Errors
/// A conflict if the request is not pending, or the caller has no vote.
pub fn withdraw(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    eligibility::check_person(&context.caller)?;
    let mut request = pending(&builder, id)?;
    check_actions(&request, &context.caller)?;
    let own: Actor = context.caller.actor();
    let Some(index) = request.votes.iter().position(|vote| vote.voter.is_same(&own)) else {
        let detail =
            format!("You have not answered request {id}, so there is nothing to withdraw.");
        return Err(DomainError::conflict("no_vote", detail));
    };
    let vote = request.votes.remove(index);
    request.history.push(builder.history("withdraw", None, None));
    let payload = E::HitlVoteWithdrawn(event::HitlVoteWithdrawn {
        hitl_request_id: id,
        action: vote.action,
        needs: request.needs(),
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
    gate::check_satisfiable(&mut builder, id);
    Ok(builder.finish())
}
