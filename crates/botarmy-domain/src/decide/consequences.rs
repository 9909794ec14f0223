//! Consequences of the answer to a request, whether a person gave it or its expiry did.

use serde_json::{Value, json};

use super::builder::{DecisionBuilder, object};
use super::{budget, eligibility, flow, gate, tasks};
use crate::actor::Actor;
use crate::artifact::{ArtifactRef, NewArtifact};
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, Response, SUBJECT_CHANGED, Subject};
use crate::ids::{ContextId, CredentialId};
use crate::task::{Answer, Task, TaskState};
use crate::vocabulary::{AgentType, ArtifactType, HitlAction, HitlKind, StepStatus, TaskStatus};
use crate::workflow::Released;

/// Applies the consequences of an approval.
pub(super) fn approved(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
) -> Result<(), DomainError> {
    if let Some(question) = &request.budget {
        budget::raise(builder, request.id, question);
        return flow::advance(builder);
    }
    match request.kind {
        HitlKind::Approval if request.planned.is_some() => clear(builder, request),
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

/// Lets a step begin that a person has approved before it runs.
fn clear(builder: &mut DecisionBuilder<'_>, request: &HitlRequest) {
    let (Some(step), Some(planned)) = (&request.step, &request.planned) else { return };
    let cleared = flow::planned_digest(planned, &request.subject.artifacts);
    builder.update_plan(|plan| {
        let progress = plan.progress.step(step);
        progress.status = StepStatus::Waiting;
        progress.request_id = None;
        progress.changes_asked = 0;
        progress.cleared = Some(cleared);
    });
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
pub(super) fn rejected(
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
pub(super) fn amend(
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
            if let Some(step) = step {
                add_amender(builder, request, step)?;
            }
            if let (Some(step), HitlKind::Approval) = (step, kind) {
                let replaces = request.replaces.is_some();
                let is_last = request.round >= request.pinned_policy().policy.max_rounds;
                builder.update_plan(|plan| plan.progress.step(step).changes_asked += 1);
                if is_last && !replaces {
                    flow::ask_about_rounds(builder, request, step, feedback)?;
                    return flow::advance(builder);
                }
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

/// Remembers the person who answers as one of those who change the result of a step, if another person
/// has to approve it then.
fn add_amender(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    step: &str,
) -> Result<(), DomainError> {
    if !eligibility::reviews_amendments(request, builder.project()?) {
        return Ok(());
    }
    let actor = builder.actor();
    add_amenders(builder, step, vec![actor]);
    Ok(())
}

fn add_amenders(builder: &mut DecisionBuilder<'_>, step: &str, actors: Vec<Actor>) {
    builder.update_plan(|plan| {
        let amenders = &mut plan.progress.step(step).amenders;
        for actor in actors {
            if !amenders.contains(&actor) {
                amenders.push(actor);
            }
        }
    });
}

/// Makes a document of a person the subject of a pending request. All votes on the one before are void.
/// Returns the request.
pub(super) fn replace_subject(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    document: serde_json::Map<String, Value>,
    link: Option<CredentialId>,
) -> Result<HitlRequest, DomainError> {
    let (stored, passed) = store_document(builder, request, document)?;
    if let Some(step) = request.step.as_deref() {
        add_amender(builder, request, step)?;
    }
    change_subject(builder, request, &stored, passed, link)
}

/// Makes an artifact the subject of a pending request. All votes on the one before are void. `passed` is
/// the value of the loop's `until` key in it, where the step is tested in a loop. `link` is that with
/// which the artifact came.
pub(super) fn change_subject(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    stored: &ArtifactRef,
    passed: Option<bool>,
    link: Option<CredentialId>,
) -> Result<HitlRequest, DomainError> {
    let mut request = request.clone();
    let (previous, voided) = (request.subject.digest.clone(), request.votes.len());
    request.subject = Subject::of([stored]);
    request.votes.clear();
    request.claim = None;
    if let Some(replacement) = &mut request.replaces {
        replacement.passed = passed;
    }
    request.seal();
    request.history.push(builder.history(SUBJECT_CHANGED, None, None));
    if let (None, Some(step)) = (&request.replaces, request.step.clone()) {
        let by = (stored.id, stored.digest.as_str());
        builder.update_plan(|plan| plan.progress.replaced(&plan.workflow, &step, by, passed));
    }
    let payload = E::HitlSubjectChanged(event::HitlSubjectChanged {
        hitl_request_id: request.id,
        question: request.question.clone(),
        subject: request.subject.clone(),
        previous_digest: previous,
        voided: u32::try_from(voided).unwrap_or(u32::MAX),
        expires_at: request.expires_at,
        replaces: request.replaces,
        agent_type: request.agent,
        link_id: link,
    });
    let id = request.id;
    builder.put_request(request, &payload);
    gate::check_satisfiable(builder, id);
    Ok((*builder.request(id)?).clone())
}

/// Stores a document of a person as the result of the step of a request. Returns it with the value of
/// the loop's `until` key, where the step is tested in a loop.
fn store_document(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    document: serde_json::Map<String, Value>,
) -> Result<(ArtifactRef, Option<bool>), DomainError> {
    let project = builder.project()?.clone();
    let plan = project.plan.as_ref();
    let step = request.step.as_deref().and_then(|step| plan?.workflow.step(step));
    let output = step.map_or(ArtifactType::AgentOutput, |step| step.output);
    let agent = step.map(|step| step.agent).or(request.agent);
    let verdict = step.and_then(|step| plan?.workflow.verdict(&step.name, &document));
    let mut new = NewArtifact::new(output, document);
    let by = builder.origin.actor.clone();
    new.metadata = object(json!({"amended_by": by, "hitl_request_id": request.id}));
    let agent = agent.unwrap_or(AgentType::Orchestrator);
    Ok((builder.store_artifact(project.id, agent, new, request.task_id), verdict))
}

/// Stores a replacement document as the artifact, and completes the step or opens another review, where
/// another person has to approve it. Without a step, the task stays completed.
fn replace(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    step: Option<&str>,
    document: serde_json::Map<String, Value>,
) -> Result<(), DomainError> {
    let (stored, passed) = store_document(builder, request, document)?;
    if let Some(step) = step {
        let project = builder.project()?.clone();
        let definition = project.plan.as_ref().and_then(|plan| plan.workflow.step(step));
        if let (true, Some(definition)) =
            (eligibility::reviews_amendments(request, &project), definition)
        {
            // The amendment may keep what others made, so they are asked no more than the amender is.
            let makers = eligibility::excluded_makers(request, &project);
            add_amender(builder, request, step)?;
            add_amenders(builder, step, makers);
            flow::review_amendment(builder, &project, definition, request, &stored, passed);
            return Ok(());
        }
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
) -> Result<ContextId, DomainError> {
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
        let given = reply.response.clone().or_else(|| reply.amended_content.clone());
        given.or_else(|| reply.content.clone().map(Value::String))
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
    feedback: Option<ContextId>,
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
