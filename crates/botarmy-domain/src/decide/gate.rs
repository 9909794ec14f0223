//! Creation of human-in-the-loop requests.

use super::builder::DecisionBuilder;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, HitlState, REOPENED, Subject};
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::project::Project;
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, HitlKind, OnExpiry};
use crate::workflow::Step;

/// Maximum number of suggested answers.
const MAX_OPTIONS: usize = 20;

/// Subject of a request.
#[derive(Clone, Copy)]
pub(super) struct GateTarget<'a> {
    pub(super) task: Option<TaskId>,
    pub(super) step: Option<&'a Step>,
    pub(super) agent: Option<AgentType>,
}

pub(super) fn new_request(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    kind: HitlKind,
    question: String,
    options: Vec<String>,
    subject: Subject,
    target: GateTarget<'_>,
) -> HitlRequest {
    let step = target.step;
    let ttl_s = step.and_then(|step| step.gate_ttl_s).unwrap_or(builder.defaults.gate_ttl_s);
    // Only a reviewed result can be approved by expiry: a question would have no answer, and a
    // failure would remain one.
    let on_expiry = match step.and_then(|step| step.on_expiry).unwrap_or(builder.defaults.on_expiry)
    {
        OnExpiry::Approve if kind != HitlKind::Approval => OnExpiry::KeepWaiting,
        other => other,
    };
    HitlRequest {
        id: builder.id_generator.request(),
        project_id: project.id,
        task_id: target.task,
        step: step.map(|step| step.name.clone()),
        agent: target.agent,
        kind,
        question,
        options,
        subject,
        replaces: None,
        previous_request_id: None,
        budget: None,
        state: HitlState::Pending,
        history: vec![builder.history("created", None, None)],
        on_expiry,
        ttl_s,
        expires_at: builder.at().after(std::time::Duration::from_secs(ttl_s.into())),
        created_at: builder.at(),
        updated_at: builder.at(),
    }
}

/// Opens a new request.
pub(super) fn open(builder: &mut DecisionBuilder<'_>, request: HitlRequest) {
    open_after(builder, request, None);
}

/// Opens a new request for the question of an attempt, with the usage of the attempt.
pub(super) fn open_after(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequest,
    usage: Option<&Usage>,
) {
    let opened = event::HitlRequestCreated::Opened(event::RequestOpened {
        hitl_request_id: request.id,
        kind: request.kind,
        question: request.question.clone(),
        options: request.options.clone(),
        subject: request.subject.clone(),
        step: request.step.clone(),
        agent_type: request.agent,
        expires_at: request.expires_at,
        previous_request_id: request.previous_request_id,
        usage: usage.cloned(),
    });
    builder.put_request(request, &E::HitlRequestCreated(opened));
}

/// Asks the question of a request again after its project was reopened, with its history. Returns the
/// id of the new request.
pub(super) fn ask_again(
    builder: &mut DecisionBuilder<'_>,
    request: &HitlRequest,
    reason: &str,
) -> HitlRequestId {
    let mut again = HitlRequest {
        id: builder.id_generator.request(),
        previous_request_id: Some(request.id),
        state: HitlState::Pending,
        expires_at: builder.at().after(std::time::Duration::from_secs(request.ttl_s.into())),
        created_at: builder.at(),
        ..request.clone()
    };
    again.history.push(builder.history(REOPENED, None, Some(reason.to_owned())));
    let id = again.id;
    open(builder, again);
    id
}

/// Checks that the question is not blank and that the number of suggested answers is within the
/// limit.
pub(super) fn check_question(question: &str, options: &[String]) -> Result<(), DomainError> {
    if non_blank(question).is_none() {
        return Err(DomainError::invalid("question", "must not be blank"));
    }
    if options.len() > MAX_OPTIONS {
        return Err(DomainError::invalid("options", format!("must be at most {MAX_OPTIONS}")));
    }
    Ok(())
}

/// Checks that all of these artifacts exist and belong to the project.
pub(super) fn check_artifacts(
    snapshot: &Snapshot,
    project: ProjectId,
    field: &'static str,
    ids: &[ContextId],
) -> Result<(), DomainError> {
    let ours = |id| snapshot.artifacts.get(id).is_some_and(|found| found.project_id == project);
    match ids.iter().find(|id| !ours(id)) {
        None => Ok(()),
        Some(id) => Err(DomainError::invalid(
            field,
            format!("artifact {id} does not exist in project {project}"),
        )),
    }
}
