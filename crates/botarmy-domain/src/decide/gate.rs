//! Creation of human-in-the-loop requests.

use std::sync::Arc;

use super::builder::DecisionBuilder;
use super::eligibility::Eligibility;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{
    HitlRequest, HitlState, MAX_ASSIGNEES, PinnedPolicy, Policy, REOPENED, Schedule, Selector,
    Subject, after_s,
};
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::project::{Project, ProjectState};
use crate::scope::Snapshot;
use crate::text::non_blank;
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{AgentType, HitlKind, OnExpiry, Role};
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
    let policy = policy_of(builder, project, kind, step);
    let times = policy.as_ref().map(|pinned| &pinned.policy);
    let ttl_s = times.and_then(|policy| policy.ttl_s);
    let ttl_s = ttl_s.or_else(|| step.and_then(|step| step.gate_ttl_s));
    let ttl_s = ttl_s.unwrap_or(builder.defaults.gate_ttl_s);
    let on_expiry = times.and_then(|policy| policy.on_expiry);
    let on_expiry = on_expiry.or_else(|| step.and_then(|step| step.on_expiry));
    let approvals = times.map_or(1, Policy::approvals);
    let may_approve = kind == HitlKind::Approval
        && approvals == 1
        && builder.defaults.gates.allow_expiry_approval;
    // Only a reviewed result can be approved by expiry: a question would have no answer, and a
    // failure would remain one.
    let on_expiry = match on_expiry.unwrap_or(builder.defaults.on_expiry) {
        OnExpiry::Approve if !may_approve => OnExpiry::KeepWaiting,
        other => other,
    };
    let ids = (builder.id_generator.request(), project.id);
    HitlRequest {
        task_id: target.task,
        step: step.map(|step| step.name.clone()),
        agent: target.agent,
        options,
        assignees: times.map(|policy| policy.assignees.clone()).unwrap_or_default(),
        policy,
        history: vec![builder.history("created", None, None)],
        on_expiry,
        ..HitlRequest::new(ids, kind, question, subject, (builder.at(), ttl_s))
    }
}

/// Returns the policy of a new request, with what the server and the step add to it. Results and actions
/// under review have one; `None` stands for that of a step that names none.
fn policy_of(
    builder: &DecisionBuilder<'_>,
    project: &Project,
    kind: HitlKind,
    step: Option<&Step>,
) -> Option<Arc<PinnedPolicy>> {
    if kind != HitlKind::Approval {
        return None;
    }
    let plan = project.plan.as_ref();
    let named = step.and_then(|step| plan?.workflow.policy_of(step)).cloned();
    let exclude = step.map(|step| step.exclude.as_slice()).unwrap_or_default();
    pin(builder, named, exclude)
}

/// Returns a policy as a request keeps it; `None` for that of a step that names none.
fn pin(
    builder: &DecisionBuilder<'_>,
    named: Option<Policy>,
    exclude: &[crate::vocabulary::Exclusion],
) -> Option<Arc<PinnedPolicy>> {
    let implicit = &PinnedPolicy::implicit().policy;
    let policy = named.unwrap_or_else(|| implicit.clone());
    let policy = policy.with_floor(exclude, &builder.defaults.gates);
    (policy != *implicit).then(|| Arc::new(PinnedPolicy::new(policy)))
}

/// Applies a policy of the workflow to a request that a person or an agent raises.
///
/// # Errors
/// [`DomainError::Invalid`] for a policy that the workflow does not have, or one of what is about to be
/// done.
pub(super) fn apply_policy(
    builder: &DecisionBuilder<'_>,
    request: &mut HitlRequest,
    name: &str,
) -> Result<(), DomainError> {
    let project = builder.project()?;
    let plan = project.plan.as_ref();
    let policy = plan.and_then(|plan| plan.workflow.policy(name)).cloned().ok_or_else(|| {
        let known: Vec<_> =
            plan.iter().flat_map(|plan| &plan.workflow.policies).map(|one| &*one.name).collect();
        let text = format!(
            "the workflow of the project has no policy `{name}`; it has: {}",
            known.join(", ")
        );
        DomainError::invalid("policy", text)
    })?;
    if let Some(ttl_s) = policy.ttl_s {
        request.ttl_s = ttl_s;
        request.expires_at = after_s(builder.at(), ttl_s);
    }
    if let Some(on_expiry) = policy.on_expiry.filter(|one| *one != OnExpiry::Approve) {
        request.on_expiry = on_expiry;
    }
    request.assignees.clone_from(&policy.assignees);
    request.policy = pin(builder, Some(policy), &[]);
    Ok(())
}

/// Checks that one person gives the answer if it has a form: several would give several.
pub(super) fn check_schema(request: &HitlRequest) -> Result<(), DomainError> {
    if request.response_schema.is_none() || request.pinned_policy().policy.approvals() == 1 {
        return Ok(());
    }
    let text = "cannot be used with a policy by which several people have to approve";
    Err(DomainError::invalid("response_schema", text))
}

/// Adds the people who are asked first.
///
/// # Errors
/// [`DomainError::Invalid`] for people and groups that do not exist where all are known, and for too many.
pub(super) fn add_assignees(
    builder: &DecisionBuilder<'_>,
    request: &mut HitlRequest,
    assignees: &[Selector],
) -> Result<(), DomainError> {
    let roster = builder.roster.as_deref().filter(|roster| roster.is_complete());
    for assignee in assignees {
        let is_known = match assignee {
            Selector::User(name) => roster.is_none_or(|roster| roster.find(name).is_some()),
            Selector::Group(group) => roster.is_none_or(|roster| {
                roster.people().iter().any(|person| person.groups.contains(group))
            }),
            Selector::Role(role) => *role != Role::Worker,
        };
        if !is_known {
            let text = format!("`{assignee}` is nobody on this server");
            return Err(DomainError::invalid("assignees", text));
        }
        if !request.assignees.contains(assignee) {
            request.assignees.push(assignee.clone());
        }
    }
    if request.assignees.len() > MAX_ASSIGNEES {
        return Err(DomainError::invalid("assignees", format!("must be at most {MAX_ASSIGNEES}")));
    }
    Ok(())
}

/// Opens a new request.
pub(super) fn open(builder: &mut DecisionBuilder<'_>, request: HitlRequest) {
    open_after(builder, request, None);
}

/// Opens a new request for the question of an attempt, with the usage of the attempt.
pub(super) fn open_after(
    builder: &mut DecisionBuilder<'_>,
    mut request: HitlRequest,
    usage: Option<&Usage>,
) {
    let project = builder.project().ok().cloned();
    if let Some(project) = &project {
        if let ProjectState::Paused { .. } = project.state {
            request.stop_clock(builder.at());
        }
        let eligibility = Eligibility {
            request: &request,
            project,
            settings: &builder.defaults.gates,
            roster: builder.roster.as_deref(),
        };
        request.delegates = eligibility.standing_delegates(builder.at());
    }
    request.seal();
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
        policy: request.policy.clone(),
        planned: request.planned.clone(),
        response_schema: request.response_schema.clone(),
        replaces: request.replaces,
        round: (request.round > 1).then_some(request.round),
        clock_stopped: request.schedule.paused_at.is_some(),
        assignees: request.assignees.clone(),
        delegates: request.delegates.clone(),
    });
    let (id, has_policy) = (request.id, request.policy.is_some());
    builder.put_request(request, &E::HitlRequestCreated(opened));
    if has_policy {
        check_satisfiable(builder, id);
    }
}

/// Records whether the people who may still approve a request cannot fill the seats of its policy, if that
/// is not what was recorded. Does nothing else: a request is never approved because of it.
pub(super) fn check_satisfiable(builder: &mut DecisionBuilder<'_>, id: HitlRequestId) {
    let (Ok(request), Ok(project)) = (builder.request(id), builder.project()) else { return };
    let eligibility = Eligibility {
        request: &request,
        project,
        settings: &builder.defaults.gates,
        roster: builder.roster.as_deref(),
    };
    let unsatisfiable = !eligibility.is_satisfiable();
    if request.unsatisfiable == unsatisfiable {
        return;
    }
    let mut request = (*request).clone();
    request.unsatisfiable = unsatisfiable;
    let payload = E::HitlUnsatisfiable(event::HitlUnsatisfiable {
        hitl_request_id: request.id,
        unsatisfiable,
        needs: request.needs(),
        agent_type: request.agent,
    });
    builder.put_request(request, &payload);
}

/// Stops the clocks of all pending requests, because the project is paused.
pub(super) fn stop_clocks(builder: &mut DecisionBuilder<'_>) {
    change_clocks(builder, HitlRequest::stop_clock);
}

/// Starts the clocks of all pending requests again, because the project goes on.
pub(super) fn start_clocks(builder: &mut DecisionBuilder<'_>) {
    change_clocks(builder, HitlRequest::start_clock);
}

fn change_clocks(builder: &mut DecisionBuilder<'_>, change: fn(&mut HitlRequest, Timestamp)) {
    for request in builder.open_requests() {
        let mut changed = (*request).clone();
        change(&mut changed, builder.at());
        if changed != *request {
            builder.and_request(changed);
        }
    }
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
        escalated_to: Vec::new(),
        delegates: Vec::new(),
        votes: Vec::new(),
        claim: None,
        comments: Vec::new(),
        links: Vec::new(),
        unsatisfiable: false,
        schedule: Schedule::default(),
        state: HitlState::Pending,
        expires_at: after_s(builder.at(), request.ttl_s),
        created_at: builder.at(),
        ..request.clone()
    };
    if let (HitlKind::Approval, Ok(project)) = (request.kind, builder.project()) {
        let plan = project.plan.as_ref();
        let step = request.step.as_deref().and_then(|step| plan?.workflow.step(step));
        // It is a new request, so the rules of the server as they are now apply.
        again.policy = policy_of(builder, project, request.kind, step);
    }
    let may_approve = again.pinned_policy().policy.approvals() == 1
        && builder.defaults.gates.allow_expiry_approval;
    if again.on_expiry == OnExpiry::Approve && !may_approve {
        again.on_expiry = OnExpiry::KeepWaiting;
    }
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
