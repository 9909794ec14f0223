//! Raising, answering and expiring human-in-the-loop requests.

use serde_json::Value;

use super::budget;
use super::builder::DecisionBuilder;
use super::consequences::{amend, approved, rejected};
use super::exclusion;
use super::gate::{self, GateTarget};
use crate::budget::BudgetKey;
use crate::caller::Place;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, HitlState, NewRequest, Reply, Response, Subject};
use crate::ids::HitlRequestId;
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::vocabulary::{HitlAction, HitlKind, HitlStatus, OnExpiry, Permission, PrincipalKind};

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
    if let Some(ttl_s) = new.ttl_s {
        request.ttl_s = ttl_s;
        request.expires_at = builder.at().after(std::time::Duration::from_secs(ttl_s.into()));
    }
    gate::open(&mut builder, request);
    Ok(builder.finish())
}

/// Applies a person's response to a request. Decides nothing if the same person gave the same answer
/// before. Needs a scope with its task; a rejection needs everything open. The document of an amendment
/// has the form that its step requires: the schema and the paths of source code are checked together,
/// before the decision, as they are for an agent.
///
/// # Errors
/// A conflict if the request was decided already, has expired, or its subject has changed;
/// [`DomainError::BadRequest`] for an amendment without content.
pub fn respond(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
    response: &Response,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::GateAnswer)?;
    if context.caller.kind() != PrincipalKind::Person {
        let detail =
            "Only a person answers a request to people; this credential belongs to a program.";
        return Err(DomainError::Forbidden { code: "persons_only", detail: detail.to_owned() });
    }
    let request = builder.request(id)?;
    if request.is_decided_with(context.caller.name(), response) {
        return Ok(builder.finish());
    }
    check_pending(&request, &builder)?;
    builder.open_project()?;
    let content = response.content.as_deref().and_then(non_blank).map(str::to_owned);
    let comment = response.comment.as_deref().and_then(non_blank).map(str::to_owned);
    let amended = response.amended_content.clone();
    if response.action == HitlAction::Amend && content.is_none() && amended.is_none() {
        return Err(DomainError::BadRequest(
            "An amendment needs `content`, the changes to make, or `amended_content`, the \
             document to go on with."
                .to_owned(),
        ));
    }
    check_subject(&request, response)?;
    let releases = match response.action {
        HitlAction::Approve => true,
        HitlAction::Amend => amended.is_some(),
        HitlAction::Reject => false,
    };
    if releases {
        exclusion::check(&request, builder.project()?, &context.caller)?;
        let account = request.budget.as_ref().map(|question| question.account);
        if matches!(account, Some(BudgetKey::Day(..))) {
            // All projects take from it.
            context.caller.check(Permission::GateAnswer, Place::Installation)?;
        }
    }
    let reply = Reply {
        by: context.caller.name().to_owned(),
        at: builder.at(),
        content: content.clone(),
        comment: comment.clone(),
        amended_content: (response.action == HitlAction::Amend)
            .then(|| amended.clone().map(Value::Object))
            .flatten(),
    };
    let mut decided = (*request).clone();
    decided.history.push(builder.history(response.action.as_str(), content.as_deref(), comment));
    decided.state = response.action.decides(reply);
    let resumes = match response.action {
        HitlAction::Approve => true,
        HitlAction::Reject => false,
        HitlAction::Amend => {
            amended.is_none() || !exclusion::reviews_amendments(&request, builder.project()?)
        }
    };
    record(&mut builder, decided.clone(), response.action, resumes);
    match response.action {
        HitlAction::Approve => approved(&mut builder, &decided)?,
        HitlAction::Reject => {
            rejected(&mut builder, &decided, &format!("\"{}\" was rejected", request.question))?;
        }
        HitlAction::Amend => amend(&mut builder, &decided, response)?,
    }
    Ok(builder.finish())
}

/// Checks that a response is about the subject as it is now. Once the subject has changed, a
/// response that names no digest may be about the one before.
fn check_subject(request: &HitlRequest, response: &Response) -> Result<(), DomainError> {
    let digest = &request.subject.digest;
    let detail = match &response.subject_digest {
        Some(seen) if seen == digest => return Ok(()),
        Some(_) => format!(
            "The artifacts under review have changed since they were shown; digest: {digest}."
        ),
        None if !request.subject_changed() => return Ok(()),
        None => format!(
            "The artifacts under review have changed since the request was opened: name the digest \
             that the answer is about in `subject_digest`; digest: {digest}."
        ),
    };
    Err(DomainError::conflict("subject_changed", detail))
}

fn check_pending(request: &HitlRequest, builder: &DecisionBuilder<'_>) -> Result<(), DomainError> {
    let detail = match (&request.state, request.reply()) {
        (HitlState::Pending, _)
            if request.expires_at > builder.at() || request.on_expiry == OnExpiry::KeepWaiting =>
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
        _ => format!("Request {} expired at {}.", request.id, request.expires_at),
    };
    Err(DomainError::conflict("not_pending", detail))
}

fn record(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequest,
    action: HitlAction,
    resumes: bool,
) {
    let reply = request.reply().cloned();
    let reply = reply.as_ref();
    let payload = E::HitlResponse(event::HitlResponse {
        hitl_request_id: request.id,
        kind: request.kind,
        action,
        status: request.status(),
        user_response: reply.and_then(|r| r.content.clone()),
        response_comment: reply.and_then(|r| r.comment.clone()),
        amended_content: reply.and_then(|r| r.amended_content.clone()),
        workflow_resumed: resumes,
        agent_type: request.agent,
        step: request.step.clone(),
        subject_digest: request.subject.digest.clone(),
    });
    builder.put_request(request, &payload);
}

/// Applies the expiry rule of a request: halts the project, extends the request or approves it.
/// Needs a scope with everything open.
///
/// # Errors
/// A conflict if the request is not pending or not due.
pub fn expire(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: HitlRequestId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    let mut request = (*builder.request(id)?).clone();
    if request.status() != HitlStatus::Pending || request.expires_at > builder.at() {
        return Err(DomainError::conflict(
            "not_due",
            format!("Request {id} is not due to expire."),
        ));
    }
    let expired_at = request.expires_at;
    // A question about a daily limit is moot once its day has ended; the next day has its own
    // account.
    let is_over = request.budget.is_some_and(
        |question| matches!(question.account, BudgetKey::Day(_, day) if day.end() <= builder.at()),
    );
    let (action, state) = match request.on_expiry {
        _ if is_over => ("expire", HitlState::Expired { at: builder.at() }),
        OnExpiry::Reject => ("expire", HitlState::Expired { at: builder.at() }),
        OnExpiry::KeepWaiting => {
            let ttl = std::time::Duration::from_secs(request.ttl_s.into());
            request.expires_at = builder.at().after(ttl);
            if let Some(BudgetKey::Day(_, day)) = request.budget.map(|question| question.account) {
                request.expires_at = request.expires_at.min(day.end());
            }
            ("extend", HitlState::Pending)
        }
        OnExpiry::Approve => {
            let reply = Reply {
                by: builder.origin.actor.clone(),
                at: builder.at(),
                content: None,
                comment: Some("nobody answered in time".to_owned()),
                amended_content: None,
            };
            ("approve", HitlState::Approved(reply))
        }
    };
    request.state = state;
    let comment = if is_over { "a new day has begun" } else { "nobody answered in time" };
    request.history.push(builder.history(action, None, Some(comment.to_owned())));
    let payload = E::HitlTimeout(event::HitlTimeout {
        hitl_request_id: id,
        status: request.status(),
        on_expiry: request.on_expiry,
        expired_at,
        expires_at: request.expires_at,
        agent_type: request.agent,
        comment: comment.to_owned(),
    });
    let on_expiry = request.on_expiry;
    builder.put_request(request.clone(), &payload);
    if is_over {
        budget::release(&mut builder, id);
        return Ok(builder.finish());
    }
    match on_expiry {
        OnExpiry::Reject => {
            let reason = format!("nobody answered \"{}\" in time", request.question);
            rejected(&mut builder, &request, &reason)?;
        }
        OnExpiry::KeepWaiting => {}
        OnExpiry::Approve => approved(&mut builder, &request)?,
    }
    Ok(builder.finish())
}
