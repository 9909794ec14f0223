//! One request with its policy, its votes, and what the caller may do with it.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use botarmy_domain::decide::eligibility::{Allowed, GateView};
use botarmy_domain::hitl::{Delegate, PlannedAction, Policy, Selector, Vote};
use botarmy_domain::{
    AgentType, ArtifactType, Authentication, ContextId, DomainError, EventId, HitlAction,
    HitlRequest, HitlRequestId, Timestamp, Via,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::request_view::RequestView;
use super::responded::RespondAction;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Segment};
use crate::{State, vocabulary};

/// Human-in-the-loop request with everything about its decision.
#[derive(Serialize, ToSchema)]
#[schema(as = HitlRequestDetails)]
struct DetailsView<'a> {
    #[serde(flatten)]
    request: RequestView<'a>,
    policy: PolicyView<'a>,
    /// Votes on the present subject, one of each person.
    votes: Vec<VoteView<'a>>,
    /// People who may answer, such as `user:ada`, `group:leads` or `role:reviewer`; those who were added
    /// by an escalation are in `escalation`.
    #[schema(value_type = Vec<String>)]
    candidates: &'a [Selector],
    escalation: EscalationView<'a>,
    /// People who answer in the place of others.
    delegates: Vec<DelegateView<'a>>,
    /// Things that the caller may do now: `approve`, `reject`, `request_changes`, `amend`, `withdraw`,
    /// `claim`, `unclaim`, `delegate`, `extend`, `remind`, `escalate`, `comment`, `link`.
    allowed_actions: Vec<&'static str>,
    /// Reason for which the caller may not answer, or not approve; null where there is none.
    refusal: Option<RefusalView>,
    /// JSON Schema (draft 2020-12) of `response` in an answer.
    #[schema(value_type = Option<Object>)]
    response_schema: Option<&'a Map<String, Value>>,
    /// JSON Schema of `amended_content` in an answer: that of the output of the step.
    #[schema(value_type = Option<Object>)]
    amend_schema: Option<&'a Map<String, Value>>,
    /// Task that is about to begin, where its step is reviewed before it runs.
    planned: Option<PlannedView<'a>>,
    /// Number of remarks in the discussion.
    comment_count: usize,
}

/// Policy by which a request is decided, as it was when the request was opened.
#[derive(Serialize, ToSchema)]
struct PolicyView<'a> {
    /// Name in the workflow; empty for that of steps which name none.
    name: &'a str,
    /// SHA-256 of the canonical JSON of `rules`.
    digest: &'a str,
    /// Number of people who have to approve.
    approvals: u32,
    /// All of its rules, with the names that they have in a workflow file. The settings of the server
    /// are merged into them.
    #[schema(value_type = Object)]
    rules: &'a Policy,
}

/// Approval or rejection of one person.
#[derive(Serialize, ToSchema)]
struct VoteView<'a> {
    /// Log entry that recorded it.
    #[schema(value_type = Uuid)]
    entry_id: EventId,
    voter: &'a str,
    /// Person in whose place the voter voted.
    on_behalf_of: Option<&'a str>,
    #[schema(value_type = RespondAction)]
    action: HitlAction,
    /// Groups of the person whose place it is, at the time of the vote.
    groups: &'a BTreeSet<String>,
    #[schema(value_type = vocabulary::Authentication)]
    auth: Authentication,
    /// Way by which the vote came.
    #[schema(value_type = Option<vocabulary::Via>)]
    via: Option<Via>,
    subject_digest: &'a str,
    content: Option<&'a str>,
    comment: Option<&'a str>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl<'a> VoteView<'a> {
    fn of(vote: &'a Vote) -> Self {
        Self {
            entry_id: vote.entry,
            voter: &vote.voter.name,
            on_behalf_of: vote.on_behalf_of.as_ref().map(|of| of.name.as_str()),
            action: vote.action,
            groups: &vote.groups,
            auth: vote.auth,
            via: vote.via,
            subject_digest: &vote.subject_digest,
            content: vote.content.as_deref(),
            comment: vote.comment.as_deref(),
            at: vote.at,
        }
    }
}

/// Escalation of a request.
#[derive(Serialize, ToSchema)]
struct EscalationView<'a> {
    /// Number of escalations so far.
    level: u32,
    /// Number of escalations that the policy has.
    of: usize,
    /// People who may answer since then.
    #[schema(value_type = Vec<String>)]
    to: &'a [Selector],
}

/// Person who answers in the place of another.
#[derive(Serialize, ToSchema)]
struct DelegateView<'a> {
    of: &'a str,
    to: &'a str,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl<'a> DelegateView<'a> {
    fn of(delegate: &'a Delegate) -> Self {
        Self { of: &delegate.of.name, to: &delegate.to.name, at: delegate.at }
    }
}

/// Task that is about to begin.
#[derive(Serialize, ToSchema)]
struct PlannedView<'a> {
    #[schema(value_type = vocabulary::AgentType)]
    agent_type: AgentType,
    instructions: &'a str,
    #[schema(value_type = vocabulary::ArtifactType)]
    output: ArtifactType,
    /// Artifacts with the words of people that it is shown beside its inputs.
    #[schema(value_type = Vec<Uuid>)]
    feedback: &'a [ContextId],
}

impl<'a> PlannedView<'a> {
    fn of(planned: &'a PlannedAction) -> Self {
        Self {
            agent_type: planned.agent,
            instructions: &planned.instructions,
            output: planned.output,
            feedback: &planned.feedback,
        }
    }
}

/// Reason for which a caller may not answer.
#[derive(Serialize, ToSchema)]
struct RefusalView {
    /// Code that an answer would be refused with, such as `separation_of_duties`.
    code: Option<&'static str>,
    /// Sentence for people.
    detail: String,
}

impl From<DomainError> for RefusalView {
    fn from(error: DomainError) -> Self {
        let problem = Problem::from(error);
        Self { code: problem.code(), detail: problem.to_string() }
    }
}

impl State {
    /// Returns an error (409) unless links to this server can be made.
    pub(super) fn check_links(&self) -> Result<(), Problem> {
        let detail = if self.settings.public_url.is_none() {
            "A link needs the address under which people reach the server: set http.public_url."
        } else if self.pages.is_none() {
            "This server was built without pages, so nothing would answer at the link."
        } else {
            return Ok(());
        };
        let status = actix_web::http::StatusCode::CONFLICT;
        Err(Problem::new(status, detail).with_code("links_unavailable"))
    }

    /// Returns the things that a caller may do, in words.
    pub(super) fn allowed_actions(&self, allowed: &Allowed) -> Vec<&'static str> {
        let verdicts = allowed.verdicts.iter().map(|verdict| verdict.as_str());
        let others = [
            ("withdraw", allowed.withdraw),
            ("claim", allowed.claim),
            ("unclaim", allowed.unclaim),
            ("delegate", allowed.delegate),
            ("extend", allowed.extend),
            ("remind", allowed.remind),
            ("escalate", allowed.escalate),
            ("comment", allowed.comment),
            ("link", allowed.link && self.check_links().is_ok()),
        ];
        let others = others.into_iter().filter_map(|(word, is_allowed)| is_allowed.then_some(word));
        verdicts.chain(others).collect()
    }

    /// Returns the schema of the document that may replace the subject of a request.
    async fn amend_schema(
        &self,
        caller: &botarmy_domain::Caller,
        request: &HitlRequest,
    ) -> Result<Option<Map<String, Value>>, Problem> {
        let Some(step) = request.step.as_deref().filter(|_| request.planned.is_none()) else {
            return Ok(None);
        };
        let project = self.queries.project(caller, request.project_id).await?;
        let step = project.plan.as_ref().and_then(|plan| plan.workflow.step(step));
        Ok(step.and_then(|step| step.output_schema.clone()))
    }
}

/// Returns a request, its policy and votes, and what the caller may do with it.
///
/// The `ETag` is the digest of the subject: send it as `If-Match` with an answer, which is refused if the
/// subject has changed since.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}", operation_id = "get_request",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = DetailsView, headers(("ETag" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
pub(super) async fn read(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let GateView { request, allowed } = state.queries.gate(&caller, id).await?;
    let amend_schema = state.amend_schema(&caller, &request).await?;
    let pinned = request.pinned_policy();
    let policy = &pinned.policy;
    let view = DetailsView {
        request: RequestView::of(&request),
        policy: PolicyView {
            name: &policy.name,
            digest: &pinned.digest,
            approvals: policy.approvals(),
            rules: policy,
        },
        votes: request.votes.iter().map(VoteView::of).collect(),
        candidates: &policy.candidates,
        escalation: EscalationView {
            level: request.schedule.escalated,
            of: policy.escalate.len(),
            to: &request.escalated_to,
        },
        delegates: request.delegates.iter().map(DelegateView::of).collect(),
        allowed_actions: state.allowed_actions(&allowed),
        refusal: allowed.refusal.map(RefusalView::from),
        response_schema: request.response_schema.as_ref(),
        amend_schema: amend_schema.as_ref(),
        planned: request.planned.as_ref().map(PlannedView::of),
        comment_count: request.comments.len(),
    };
    let etag = format!("\"{}\"", request.subject.digest);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(view))
}
