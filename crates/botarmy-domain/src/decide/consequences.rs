//! Consequences of the answer to a request, whether a person gave it or its expiry did.

use serde_json::{Value, json};

use super::builder::{DecisionBuilder, object};
use super::{budget, exclusion, flow, tasks};
use crate::artifact::NewArtifact;
use crate::error::DomainError;
use crate::hitl::{HitlRequest, Response};
use crate::ids::ContextId;
use crate::task::{Answer, Task, TaskState};
use crate::vocabulary::{
    AgentType, ArtifactType, Exclusion, HitlAction, HitlKind, StepStatus, TaskStatus,
};
use crate::workflow::{Released, Step};

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
                add_amender(builder, step);
            }
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

/// Remembers the person who answers as one of those who change the result of a step, if the step wants
/// another person to approve it.
fn add_amender(builder: &mut DecisionBuilder<'_>, step: &str) {
    let actor = builder.actor();
    builder.update_plan(|plan| {
        let wants_another = |step: &Step| step.exclude.contains(&Exclusion::Amender);
        let amenders = &mut plan.progress.step(step).amenders;
        if plan.workflow.step(step).is_some_and(wants_another) && !amenders.contains(&actor) {
            amenders.push(actor);
        }
    });
}

/// Stores a replacement document as the artifact, and completes the step or opens another review, where
/// another person has to approve it. Without a step, the task stays completed.
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
    let verdict = document.clone();
    let mut new = NewArtifact::new(output, document);
    let by = builder.origin.actor.clone();
    new.metadata = object(json!({"amended_by": by, "hitl_request_id": request.id}));
    let agent = agent.unwrap_or(AgentType::Orchestrator);
    let stored = builder.store_artifact(project.id, agent, new, request.task_id);
    if let Some(step) = step {
        let passed = project.plan.as_ref().and_then(|plan| plan.workflow.verdict(step, &verdict));
        if let (true, Some(definition)) =
            (exclusion::reviews_amendments(request, &project), definition)
        {
            add_amender(builder, step);
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
