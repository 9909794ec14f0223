//! The form of a request in lists and as the result of a change.

use std::collections::BTreeMap;

use botarmy_domain::budget::BudgetQuestion;
use botarmy_domain::hitl::{HistoryEntry, HitlState, Needs, Selector};
use botarmy_domain::{
    AgentType, ArtifactType, ContextId, DueKind, HitlKind, HitlOutcome, HitlRequest, HitlRequestId,
    HitlStatus, ProjectId, TaskId, Timestamp,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::vocabulary;

/// Human-in-the-loop request.
#[derive(Serialize, ToSchema)]
#[schema(as = HitlRequest)]
pub(super) struct RequestView<'a> {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Step of the workflow that waits for the request.
    step: Option<&'a str>,
    /// Agent whose work is under review.
    #[schema(value_type = Option<vocabulary::AgentType>)]
    agent_type: Option<AgentType>,
    #[schema(value_type = vocabulary::HitlKind)]
    kind: HitlKind,
    question: &'a str,
    /// Suggested answers, in the order in which to show them.
    options: &'a [String],
    #[schema(value_type = vocabulary::HitlStatus)]
    status: HitlStatus,
    /// Decision: `approved`, `rejected` or `amended`. The person's text is in `amended_content` and in
    /// `history`.
    #[schema(value_type = Option<vocabulary::HitlStatus>)]
    user_response: Option<HitlStatus>,
    /// Comment of the person who decided.
    response_comment: Option<&'a str>,
    /// Amendment, when the request was amended.
    amended_content: Option<AmendedView<'a>>,
    /// Artifacts under review.
    subject: SubjectView<'a>,
    /// Limit in question, when the request asks to raise one.
    #[schema(value_type = Option<Object>)]
    budget: Option<&'a BudgetQuestion>,
    /// Answers to the request, oldest first: none while it is pending, unless the same was asked before
    /// the project was reopened.
    history: Vec<HistoryView<'a>>,
    /// Request that asked the same before the project was reopened.
    #[schema(value_type = Option<Uuid>)]
    previous_request_id: Option<HitlRequestId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    responded_at: Option<Timestamp>,
    /// Person who decided.
    responded_by: Option<&'a str>,
    /// Outcome; null while it is pending. It tells a wish for changes from a replaced document.
    #[schema(value_type = Option<vocabulary::HitlOutcome>)]
    outcome: Option<HitlOutcome>,
    /// Number of the review: 1, and one more after each wish for changes.
    round: u32,
    /// Name of the policy by which it is decided; null for that of steps which name none.
    policy_name: Option<&'a str>,
    /// People who are asked first, such as `user:ada` or `group:leads`.
    #[schema(value_type = Vec<String>)]
    assignees: &'a [Selector],
    /// Approvals that are missing.
    needs: NeedsView,
    /// Person who has reserved it.
    claimed_by: Option<&'a str>,
    /// Time at which the reservation ends. One that has passed reserves nothing.
    #[schema(value_type = Option<String>, format = DateTime)]
    claimed_until: Option<Timestamp>,
    /// Next thing that the server does by itself; null for a request that is not pending, and while its
    /// project is paused.
    due: Option<DueView>,
    /// Whether the people who may approve cannot fill the seats of the policy.
    unsatisfiable: bool,
}

/// Approvals that are missing.
#[derive(Serialize, ToSchema)]
pub(super) struct NeedsView {
    /// Number of people who still have to approve.
    pub(super) approvals: u32,
    /// Number of those who have to be in each group.
    pub(super) groups: BTreeMap<String, u32>,
}

impl From<Needs> for NeedsView {
    fn from(needs: Needs) -> Self {
        Self { approvals: needs.approvals, groups: needs.groups }
    }
}

/// Thing that becomes due.
#[derive(Serialize, ToSchema)]
struct DueView {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = vocabulary::DueKind)]
    what: DueKind,
}

/// Amendment.
#[derive(Serialize, ToSchema)]
struct AmendedView<'a> {
    /// Replacement document, or a text that says what should be different.
    #[schema(value_type = Object)]
    amended_content: Amended<'a>,
    comment: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Amended<'a> {
    Document(&'a Value),
    Words(Option<&'a str>),
}

/// Artifacts under review, with a digest over all of them.
#[derive(Serialize, ToSchema)]
struct SubjectView<'a> {
    artifacts: Vec<SubjectArtifactView<'a>>,
    /// SHA-256 over the artifacts. Sent back as `subject_digest`, it makes the server refuse an answer
    /// to artifacts that have changed since.
    digest: &'a str,
}

/// Artifact under review.
#[derive(Serialize, ToSchema)]
struct SubjectArtifactView<'a> {
    #[schema(value_type = Uuid)]
    context_id: ContextId,
    #[schema(value_type = vocabulary::ArtifactType)]
    artifact_type: ArtifactType,
    digest: &'a str,
}

/// Answer to a request.
#[derive(Serialize, ToSchema)]
struct HistoryView<'a> {
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// `approve`, `reject` or `amend`.
    action: &'a str,
    user_id: &'a str,
    /// Text of the answer, as `{"user_content": …}`.
    #[schema(value_type = Option<Object>)]
    content: Option<&'a Value>,
    comment: Option<&'a str>,
}

impl<'a> HistoryView<'a> {
    fn of(entry: &'a HistoryEntry) -> Self {
        Self {
            timestamp: entry.timestamp,
            action: &entry.action,
            user_id: &entry.user_id,
            content: entry.content.as_ref(),
            comment: entry.comment.as_deref(),
        }
    }
}

impl<'a> RequestView<'a> {
    pub(super) fn of(request: &'a HitlRequest) -> Self {
        let (reply, policy) = (request.reply(), &request.pinned_policy().policy);
        let is_pending = request.status() == HitlStatus::Pending;
        let needs = if is_pending { request.needs() } else { Needs::default() };
        let amended = match &request.state {
            HitlState::Amended(reply) => Some(AmendedView {
                amended_content: reply
                    .amended_content
                    .as_ref()
                    .map_or(Amended::Words(reply.content.as_deref()), Amended::Document),
                comment: reply.comment.as_deref(),
            }),
            _ => None,
        };
        let artifacts = request.subject.artifacts.iter().map(|artifact| SubjectArtifactView {
            context_id: artifact.context_id,
            artifact_type: artifact.artifact_type,
            digest: &artifact.digest,
        });
        Self {
            request_id: request.id,
            project_id: request.project_id,
            task_id: request.task_id,
            step: request.step.as_deref(),
            agent_type: request.agent,
            kind: request.kind,
            question: &request.question,
            options: &request.options,
            status: request.status(),
            user_response: reply.map(|_| request.status()),
            response_comment: reply.and_then(|reply| reply.comment.as_deref()),
            amended_content: amended,
            subject: SubjectView {
                artifacts: artifacts.collect(),
                digest: &request.subject.digest,
            },
            budget: request.budget.as_ref(),
            history: request.answers().map(HistoryView::of).collect(),
            previous_request_id: request.previous_request_id,
            created_at: request.created_at,
            updated_at: request.updated_at,
            expires_at: request.expires_at,
            responded_at: reply.map(|reply| reply.at),
            responded_by: reply.map(|reply| reply.by.as_str()),
            outcome: request.outcome(),
            round: request.round,
            policy_name: Some(policy.name.as_str()).filter(|name| !name.is_empty()),
            assignees: &request.assignees,
            needs: needs.into(),
            claimed_by: request.claim.as_ref().map(|claim| claim.by.name.as_str()),
            claimed_until: request.claim.as_ref().map(|claim| claim.until),
            due: request.due().map(|(at, what)| DueView { at, what }),
            unsatisfiable: request.unsatisfiable,
        }
    }
}
