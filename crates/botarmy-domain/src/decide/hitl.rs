//! Raising, answering and expiring human-in-the-loop requests.

use serde_json::{Value, json};

use super::artifacts::check_source;
use super::builder::{DecisionBuilder, object};
use super::flow;
use super::gate::{self, GateTarget};
use super::{budget, tasks};
use crate::artifact::NewArtifact;
use crate::budget::BudgetKey;
use crate::change::Decision;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, HitlState, NewRequest, Reply, Response, Subject};
use crate::ids::HitlRequestId;
use crate::scope::Snapshot;
use crate::task::{Answer, Task, TaskState};
use crate::text::non_blank;
use crate::vocabulary::{
    AgentType, ArtifactType, HitlAction, HitlKind, HitlStatus, OnExpiry, StepStatus, TaskStatus,
};
use crate::workflow::Released;

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
    let mut builder = DecisionBuilder::new(context, snapshot);
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

/// Applies a person's response to a request. Needs a scope with its task; a rejection needs
/// everything open.
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
    let mut builder = DecisionBuilder::new(context, snapshot);
    let request = builder.request(id)?;
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
    let resumes = response.action != HitlAction::Reject;
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

/// Applies the consequences of an approval.
fn approved(builder: &mut DecisionBuilder<'_>, request: &HitlRequest) -> Result<(), DomainError> {
    if let Some(question) = &request.budget {
        budget::raise(builder, request.id, question);
        return flow::advance(builder);
    }
    match request.kind {
        HitlKind::Approval => {
            if let Some((step, artifact)) =
                request.step.as_deref().zip(request.subject.artifacts.first())
            {
                let (id, digest) = (artifact.context_id, artifact.digest.clone());
                let result = Released { context_id: id, digest, request_id: Some(request.id) };
                release(builder, request, step, result, None);
            }
        }
        HitlKind::Question => answer_task(builder, request, HitlAction::Approve),
        HitlKind::Failure => retry_work(builder, request, None),
    }
    flow::advance(builder)
}

/// Releases the approved result of a step, and finishes the step if it waits for the answer. `passed`
/// is the value of the loop's `until` key in a document that replaced the one under review.
fn release(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    step: &str,
    result: Released,
    passed: Option<bool>,
) {
    builder.update_plan(|plan| {
        let by = (result.context_id, result.digest.as_str());
        match &request.replaces {
            None => {
                if passed.is_some() || plan.progress.of(step).artifact != Some(result.context_id) {
                    plan.progress.replaced(&plan.workflow, step, by, passed);
                }
                plan.progress.finish(&plan.workflow, step, result);
            }
            Some(replacement) => {
                plan.progress.replaced(&plan.workflow, step, by, passed.or(replacement.passed));
                if let Some(step) = plan.workflow.step(step) {
                    plan.progress.release(step.output, result);
                }
            }
        }
    });
}

/// Applies the consequences of a rejection: in a workflow it halts the project. Where there is no
/// workflow, the task that waits for the answer gets it, and everything else continues. A document
/// that would have replaced an approved one is left aside.
fn rejected(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    reason: &str,
) -> Result<(), DomainError> {
    if request.replaces.is_some() {
        return flow::advance(builder);
    }
    if builder.project()?.plan.is_some() {
        return builder.halt(request.id, reason);
    }
    if request.budget.is_some() {
        budget::refuse(builder, request.id);
    } else if request.kind == HitlKind::Question {
        answer_task(builder, request, HitlAction::Reject);
    }
    flow::advance(builder)
}

/// Applies the consequences of an amendment.
fn amend(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    response: &Response,
) -> Result<(), DomainError> {
    if let Some(question) = &request.budget {
        budget::amend(builder, request.id, question, response.amended_content.as_ref())?;
        return flow::advance(builder);
    }
    let step = request.step.as_deref();
    match (&response.amended_content, step, request.kind) {
        (Some(document), step, HitlKind::Approval) => {
            replace(builder, request, step, document.clone())?;
        }
        (_, _, HitlKind::Question) => answer_task(builder, request, HitlAction::Amend),
        (_, step, kind) => {
            let feedback = feedback(builder, request)?;
            if let (Some(step), HitlKind::Approval) = (step, kind) {
                let replaces = request.replaces.is_some();
                builder.update_plan(|plan| {
                    let progress = plan.progress.step(step);
                    let is_over = matches!(progress.status, StepStatus::Done | StepStatus::Skipped);
                    if is_over || !replaces {
                        progress.status = StepStatus::Waiting;
                        progress.request_id = None;
                    }
                    progress.feedback.push(feedback);
                });
            } else {
                retry_work(builder, request, Some(feedback));
            }
        }
    }
    flow::advance(builder)
}

/// Stores a replacement document as the artifact and completes the step. Without a step, the task
/// stays completed.
fn replace(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    step: Option<&str>,
    document: serde_json::Map<String, Value>,
) -> Result<(), DomainError> {
    let project = builder.project()?.clone();
    let definition =
        step.and_then(|step| project.plan.as_ref().and_then(|plan| plan.workflow.step(step)));
    let output = definition.map_or(ArtifactType::AgentOutput, |step| step.output);
    let agent = definition.map(|step| step.agent).or(request.agent);
    check_source("amended_content", output, &document)?;
    let verdict = document.clone();
    let mut new = NewArtifact::new(output, document);
    let by = builder.origin.actor.clone();
    new.metadata = object(json!({"amended_by": by, "hitl_request_id": request.id}));
    let agent = agent.unwrap_or(AgentType::Orchestrator);
    let stored = builder.store_artifact(project.id, agent, new, request.task_id);
    if let Some(step) = step {
        let passed = project.plan.as_ref().and_then(|plan| plan.workflow.verdict(step, &verdict));
        let result =
            Released { context_id: stored.id, digest: stored.digest, request_id: Some(request.id) };
        release(builder, request, step, result, passed);
    }
    Ok(())
}

/// Stores a person's answer as an artifact, so that the next attempt is shown it.
fn feedback(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
) -> Result<crate::ids::ContextId, DomainError> {
    let reply = request.reply().cloned();
    let (content, comment, amended) = reply
        .map(|reply| (reply.content, reply.comment, reply.amended_content))
        .unwrap_or_default();
    let document = object(json!({
        "user_content": content, "comment": comment, "amended_content": amended,
        "hitl_request_id": request.id, "step": request.step,
    }));
    let new = NewArtifact::new(ArtifactType::HitlResponse, document);
    let project = builder.project()?.id;
    Ok(builder.store_artifact(project, AgentType::Orchestrator, new, request.task_id).id)
}

/// Requeues the task that asked, together with the answer.
fn answer_task(builder: &mut DecisionBuilder<'_>, request: &HitlRequest, action: HitlAction) {
    let Some(task) = request.task_id.and_then(|id| builder.task(id).ok()) else { return };
    if !matches!(&task.state, TaskState::WaitingForHitl { request_id } if *request_id == request.id)
    {
        return;
    }
    let reply = request.reply();
    let content = reply.and_then(|reply| {
        reply.amended_content.clone().or_else(|| reply.content.clone().map(Value::String))
    });
    let unanswered = || Some("nobody answered in time".to_owned());
    let mut task = (*task).clone();
    task.answers.push(Answer {
        question_id: request.id,
        action,
        comment: reply.map_or_else(unanswered, |reply| reply.comment.clone()),
        content,
    });
    task.state = TaskState::Pending { last_error: None };
    task.ready_at = builder.at();
    builder.and_task(task);
}

/// Retries work that failed or was not good enough: the task, or another round of the loop.
fn retry_work(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    feedback: Option<crate::ids::ContextId>,
) {
    let task = request.task_id.and_then(|id| builder.task(id).ok());
    let review_low_confidence = request.kind == HitlKind::Approval && request.step.is_none();
    let done = |status| {
        status == TaskStatus::Failed || review_low_confidence && status == TaskStatus::Completed
    };
    if let Some(task) = task.filter(|task| done(task.status())) {
        let mut task: Task = (*task).clone();
        task.context_ids.extend(feedback);
        if let Some(text) = request.reply().and_then(|reply| reply.content.as_deref()) {
            task.instructions = format!("{}\n\n{text}", task.instructions);
        }
        tasks::try_again(builder, &task);
    } else if let Some(step) = &request.step {
        builder.update_plan(|plan| {
            let progress = plan.progress.step(step);
            progress.status = StepStatus::Waiting;
            progress.request_id = None;
            progress.more_rounds += 1;
            progress.no_progress = None;
            progress.feedback.extend(feedback);
        });
    }
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
    let mut builder = DecisionBuilder::new(context, snapshot);
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
