//! Human-in-the-loop requests: raising, reading and answering them. `hitl/bulk.rs` answers many at
//! once, `hitl/statistics.rs` counts them.

mod bulk;
mod responded;
mod statistics;

use std::cell::Cell;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::budget::BudgetQuestion;
use botarmy_domain::hitl::{HistoryEntry, HitlState, Review};
use botarmy_domain::{
    AgentType, ArtifactType, CallReply, ContextId, Error, HitlAction, HitlKind, HitlRequest,
    HitlRequestId, HitlStatus, NewRequest, Page, Permission, ProjectId, Responded, Response,
    TaskId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::artifacts::ArtifactView;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole, in_range};
use crate::idempotency::{Keyed, REPLAYED, reply};
use crate::paging::{self, List, Range};
use crate::{State, vocabulary};
use bulk::{__path_respond_to_many, respond_to_many};
use responded::RespondedView;
use statistics::{__path_statistics, statistics};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_raise, _, _>(raise, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_pending, _, _>(pending, Permission::ProjectRead),
        Endpoint::new::<__path_statistics, _, _>(statistics, Permission::ProjectRead),
        Endpoint::new::<__path_respond_to_many, _, _>(respond_to_many, Permission::GateAnswer)
            .keyed(),
        Endpoint::new::<__path_of_project, _, _>(of_project, Permission::ProjectRead),
        Endpoint::new::<__path_read, _, _>(read, Permission::ProjectRead),
        Endpoint::new::<__path_subject, _, _>(subject, Permission::ProjectRead),
        Endpoint::new::<__path_respond, _, _>(respond, Permission::GateAnswer).keyed(),
    ]
}

/// Human-in-the-loop request.
#[derive(Serialize, ToSchema)]
#[schema(as = HitlRequest)]
struct RequestView<'a> {
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
    fn of(request: &'a HitlRequest) -> Self {
        let reply = request.reply();
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
        }
    }
}

/// Request for a decision by a person.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewRequestBody {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// Task that the request is about.
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Question; must not be blank.
    #[schema(min_length = 1)]
    question: String,
    /// Suggested answers, in the order in which to show them.
    options: Option<Vec<String>>,
    /// Seconds until the request expires; the server's setting when absent.
    #[schema(minimum = 1, maximum = 31_536_000)]
    ttl_seconds: Option<u32>,
    /// Artifacts under review, of the same project.
    #[schema(value_type = Option<Vec<Uuid>>)]
    artifacts: Option<Vec<ContextId>>,
}

/// Raises a request to a person.
#[utoipa::path(
    post, path = "/api/v1/hitl", operation_id = "create_request",
    tag = "hitl", request_body = NewRequestBody,
    responses(
        (status = 201, body = RequestView, headers(("Location" = String))),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn raise(
    state: Data<State>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<NewRequestBody>,
) -> Result<HttpResponse, Problem> {
    state.check_text("question", &body.question)?;
    state.check_options(body.options.as_deref())?;
    let new = NewRequest {
        project_id: body.project_id,
        task_id: body.task_id,
        question: body.question,
        options: body.options.unwrap_or_default(),
        ttl_s: body.ttl_seconds,
        artifacts: body.artifacts.unwrap_or_default(),
    };
    let paths = state.clone();
    let shape = move |request: &Arc<HitlRequest>| CallReply {
        location: Some(paths.public_path(&format!("/api/v1/hitl/{}", request.id))),
        ..reply(StatusCode::CREATED, &RequestView::of(request))
    };
    let raise = async |caller| state.gates.raise_request(new, caller).await;
    state.once(&keyed, caller, shape, raise).await
}

/// Returns a request.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}", operation_id = "get_request",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses((status = 200, body = RequestView), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let request = state.queries.request(&caller, id).await?;
    Ok(HttpResponse::Ok().json(RequestView::of(&request)))
}

/// Filter of the requests of a project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ProjectQuery {
    /// Status to filter by.
    #[param(value_type = Option<vocabulary::HitlStatus>)]
    status_filter: Option<String>,
    /// Largest number of items; 1000 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// Cursor of the page; the `Link` header of the page before has it.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<HitlRequestId>,
}

/// Lists the requests of a project, newest first.
///
/// A page ends early when it would be large; the `Link` header names the next one. An unknown status
/// is answered with 400.
#[utoipa::path(
    get, path = "/api/v1/hitl/project/{project_id}/requests",
    operation_id = "list_project_requests",
    tag = "hitl",
    params(("project_id" = Uuid, Path), ProjectQuery),
    responses(
        (status = 200, body = [RequestView], headers(("Link" = String))),
        (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn of_project(
    state: Data<State>,
    Segment(project): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<ProjectQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let status = query.status_filter.as_deref().map(str::parse::<HitlStatus>).transpose();
    let status = status.map_err(|e| Problem::bad_request(format!("status_filter: {e}.")))?;
    let max = state.settings.page_max;
    let limit = in_range("limit", query.limit, max, 1..=max)?;
    let list = ProjectList { state: &state, caller: &caller, project, status };
    paging::respond_array(&state, &request, &list, Range { after: query.cursor, limit }).await
}

/// Requests of a project, newest first.
struct ProjectList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    project: ProjectId,
    status: Option<HitlStatus>,
}

impl List for ProjectList<'_> {
    type Item = Arc<HitlRequest>;
    type Cursor = HitlRequestId;

    async fn read(
        &self,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error> {
        self.state.queries.requests(self.caller, self.project, self.status, before, limit).await
    }

    fn cursor(request: &Arc<HitlRequest>) -> HitlRequestId {
        request.id
    }

    fn write(&self, request: &Arc<HitlRequest>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &RequestView::of(request))
    }
}

/// Page of pending requests.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PendingQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<HitlRequestId>,
}

/// Page of requests.
#[derive(Serialize, ToSchema)]
struct RequestPage<'a> {
    items: Vec<RequestView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<HitlRequestId>,
}

/// Lists the pending requests of all projects, oldest first.
#[utoipa::path(
    get, path = "/api/v1/hitl/pending", operation_id = "list_pending_requests",
    tag = "hitl", params(PendingQuery),
    responses((status = 200, body = RequestPage, headers(("Link" = String)))),
)]
async fn pending(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<PendingQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = PendingList { state: &state, caller: &caller };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

/// Pending requests, oldest first.
struct PendingList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
}

impl List for PendingList<'_> {
    type Item = Arc<HitlRequest>;
    type Cursor = HitlRequestId;

    async fn read(
        &self,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error> {
        self.state.queries.pending_requests(self.caller, after, limit).await
    }

    fn cursor(request: &Arc<HitlRequest>) -> HitlRequestId {
        request.id
    }

    fn write(&self, request: &Arc<HitlRequest>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &RequestView::of(request))
    }
}

/// Artifacts under review, with their content.
#[derive(Serialize, ToSchema)]
struct UnderReview<'a> {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    /// SHA-256 over the artifacts. Sent back as `subject_digest`, it makes the server refuse an answer
    /// to artifacts that have changed since.
    subject_digest: &'a str,
    artifacts: Vec<ArtifactView<'a>>,
}

/// Returns the artifacts under review.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/context", operation_id = "get_request_artifacts",
    tag = "hitl",
    params(("request_id" = Uuid, Path)),
    responses((status = 200, body = UnderReview), (status = 404, body = ProblemDocument)),
)]
async fn subject(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let Review { request, artifacts } = state.queries.review(&caller, id).await?;
    Ok(HttpResponse::Ok().json(UnderReview {
        request_id: id,
        project_id: request.project_id,
        subject_digest: &request.subject.digest,
        artifacts: artifacts.iter().map(|artifact| ArtifactView::of(artifact)).collect(),
    }))
}

/// Response to a request.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RespondBody {
    #[schema(value_type = vocabulary::HitlAction)]
    action: HitlAction,
    /// Text of the person; with `amend`, what should be different. A blank text counts as absent.
    content: Option<String>,
    /// Comment.
    comment: Option<String>,
    /// With `amend`: the document that replaces the one under review. It must match the schema of the
    /// step's output; what does not is named by JSON Pointers in a 422.
    #[schema(value_type = Option<Object>)]
    amended_content: Option<Map<String, Value>>,
    /// Digest of the artifacts that the person saw. The response is refused with 409 if they have
    /// changed since, and also if they have changed since the request was opened and this is absent.
    subject_digest: Option<String>,
}

/// Approves, rejects or amends the subject of a request.
///
/// The same answer by the same person gets the first response again, with `Idempotency-Replayed`.
/// Another answer to a decided request is refused with 409.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/respond", operation_id = "respond_to_request",
    tag = "hitl",
    params(("request_id" = Uuid, Path)), request_body = RespondBody,
    responses(
        (status = 200, body = RespondedView),
        (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
        (status = 422, body = ProblemDocument),
    ),
)]
async fn respond(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<RespondBody>,
) -> Result<HttpResponse, Problem> {
    let action = body.action;
    state.check_optional("content", body.content.as_deref())?;
    state.check_optional("comment", body.comment.as_deref())?;
    let response = Response {
        action,
        content: body.content,
        comment: body.comment,
        amended_content: body.amended_content,
        subject_digest: body.subject_digest,
    };
    let is_known = Cell::new(false);
    let shape =
        move |responded: &Responded| reply(StatusCode::OK, &RespondedView::of(action, responded));
    let respond = async |caller| {
        let responded = state.gates.respond(id, response, caller).await?;
        is_known.set(responded.replayed);
        Ok(responded)
    };
    let mut response = state.once(&keyed, caller, shape, respond).await?;
    if is_known.get() {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use botarmy_domain::hitl::Reply;
    use botarmy_domain::{DomainError, Page};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, artifact, get, no, post, project, raw, request, unknown};

    const AT: &str = "2027-01-15T08:00:00.000000Z";

    fn reply() -> Reply {
        Reply {
            by: "ada".to_owned(),
            at: NOW,
            content: Some("Shorter.".to_owned()),
            comment: Some("Please.".to_owned()),
            amended_content: None,
        }
    }

    fn path(rest: &str) -> String {
        format!("/api/v1/hitl/{}{rest}", request(HitlState::Pending).id)
    }

    async fn shown(state: HitlState) -> Value {
        let mut fakes = Fakes::default();
        fakes.queries.expect_request().returning(move |_, _| {
            let mut request = request(state.clone());
            for action in ["created", "subject_changed", "amend", "extend"] {
                request.history.push(HistoryEntry {
                    principal: None,
                    timestamp: NOW,
                    action: action.to_owned(),
                    user_id: "ada".to_owned(),
                    content: Some(json!({"user_content": "Shorter."})),
                    comment: None,
                });
            }
            Ok(request.into())
        });
        fakes.send(get(&path(""))).await.json()
    }

    #[actix_web::test]
    async fn a_pending_request_has_every_field() {
        let plan = artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"}));
        let subject = request(HitlState::Pending).subject;
        assert_eq!(
            shown(HitlState::Pending).await,
            json!({
                "request_id": request(HitlState::Pending).id, "project_id": project().id,
                "task_id": null, "step": null, "agent_type": "analyst", "kind": "approval",
                "question": "Good?", "options": ["yes"], "status": "pending",
                "user_response": null, "response_comment": null, "amended_content": null,
                "subject": {
                    "artifacts": [{
                        "context_id": plan.meta.id, "artifact_type": "project_plan",
                        "digest": plan.meta.digest,
                    }],
                    "digest": subject.digest,
                },
                "budget": null, "history": [{
                    "timestamp": AT, "action": "amend", "user_id": "ada",
                    "content": {"user_content": "Shorter."}, "comment": null,
                }],
                "previous_request_id": null, "responded_by": null,
                "created_at": AT, "updated_at": AT,
                "expires_at": "2027-01-15T08:01:00.000000Z", "responded_at": null,
            })
        );
    }

    #[actix_web::test]
    async fn an_amendment_is_shown_with_its_words_or_its_document() {
        let words = shown(HitlState::Amended(reply())).await;
        assert_eq!(
            words["amended_content"],
            json!({"amended_content": "Shorter.", "comment": "Please."})
        );
        assert_eq!(
            (&words["user_response"], &words["response_comment"], &words["responded_at"]),
            (&"amended".into(), &"Please.".into(), &AT.into())
        );
        let document = Reply { amended_content: Some(json!({"markdown": "x"})), ..reply() };
        let document = shown(HitlState::Amended(document)).await;
        assert_eq!(
            document["amended_content"],
            json!({"amended_content": {"markdown": "x"}, "comment": "Please."})
        );
        let approved = shown(HitlState::Approved(reply())).await;
        assert_eq!(
            (&approved["amended_content"], &approved["user_response"], &approved["responded_by"]),
            (&Value::Null, &"approved".into(), &"ada".into())
        );
    }

    #[actix_web::test]
    async fn an_answer_says_what_became_of_the_request() {
        let mut fakes = Fakes::default();
        fakes.gates.expect_respond().returning(|_, response, caller| {
            assert_eq!((response.action, caller.name()), (HitlAction::Amend, "anonymous"));
            assert_eq!(response.amended_content.unwrap()["markdown"], "x");
            let request = request(HitlState::Amended(reply())).into();
            let (workflow_resumed, project_halted, replayed) = (true, false, false);
            Ok(Responded { request, workflow_resumed, project_halted, replayed })
        });
        let body = json!({"action": "amend", "amended_content": {"markdown": "x"}});
        let answer = fakes.send(post(&path("/respond"), &body)).await;
        assert_eq!(
            answer.json(),
            json!({
                "request_id": request(HitlState::Pending).id, "action": "amend",
                "status": "amended", "workflow_resumed": true,
                "message": "The request was amended; work goes on with the amendment.",
            })
        );
    }

    #[actix_web::test]
    async fn a_bad_answer_is_422_naming_the_field() {
        for (body, field) in [
            (json!({}), "action"),
            (json!({"action": "shrug"}), "action"),
            (json!({"action": "amend", "amended_content": "text"}), "amended_content"),
            (json!({"action": "amend", "amended_content": [1]}), "amended_content"),
            (json!({"action": "approve", "comment": 7}), "comment"),
            (json!({"action": "approve", "subject_digest": {}}), "subject_digest"),
        ] {
            let answer = Fakes::default().send(post(&path("/respond"), &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn amending_with_nothing_is_400_and_a_decided_request_409() {
        for (refusal, status) in [
            (DomainError::BadRequest("An amendment needs content.".to_owned()), 400),
            (DomainError::conflict("not_pending", "Request 1 was approved by ada."), 409),
            (DomainError::conflict("subject_changed", "What is under review has changed."), 409),
            (DomainError::not_found("Request", unknown()), 404),
        ] {
            let detail = refusal.to_string();
            let mut fakes = Fakes::default();
            fakes.gates.expect_respond().returning(move |_, _, _| Err(refusal.clone().into()));
            let answer = fakes.send(post(&path("/respond"), &json!({"action": "amend"}))).await;
            assert_eq!(answer.status, status);
            let said = answer.json()["detail"].as_str().unwrap().trim_end_matches('.').to_owned();
            assert_eq!(said, detail.trim_end_matches('.'));
        }
    }

    #[actix_web::test]
    async fn the_requests_of_a_project_are_an_array_and_a_bad_filter_is_400() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_requests().times(1).returning(|_, _, status, _, limit| {
            assert_eq!((status, limit), (Some(HitlStatus::Pending), 1000));
            Ok(Page::first(vec![request(HitlState::Pending).into()], 1))
        });
        fakes.queries.expect_requests().times(1).returning(|_, id, _, _, _| Err(no("Project", id)));
        let list = format!("/api/v1/hitl/project/{}/requests", project().id);
        let filtered = |filter: &str| get(&format!("{list}?status_filter={filter}"));
        let answers =
            fakes.send_all([filtered("pending"), get(&list), filtered("open"), filtered("")]).await;
        assert_eq!(answers[0].json()[0]["status"], "pending");
        assert_eq!(answers[1].status, 404);
        assert!(answers[2..].iter().all(|answer| answer.status == 400));
    }

    #[actix_web::test]
    async fn pending_is_not_taken_for_an_id() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_pending_requests().returning(|_, after, limit| {
            assert_eq!((after, limit), (None, 1));
            let request = || request(HitlState::Pending).into();
            Ok(Page::first(vec![request(), request()], limit))
        });
        let answers = fakes
            .send_all([
                get("/api/v1/hitl/pending?limit=1"),
                get("/api/v1/hitl/pending?cursor=1"),
                get("/api/v1/hitl/soon"),
            ])
            .await;
        let body = answers[0].json();
        assert_eq!(
            (body["items"].as_array().unwrap().len(), &body["next_cursor"]),
            (1, &json!(request(HitlState::Pending).id))
        );
        assert_eq!((answers[1].status, answers[1].field().as_str()), (422, "cursor"));
        assert_eq!((answers[2].status, answers[2].field().as_str()), (422, "request_id"));
    }

    #[actix_web::test]
    async fn what_is_under_review_comes_with_its_digest() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_review().returning(|_, _| {
            let plan = artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"}));
            Ok(Review { request: request(HitlState::Pending).into(), artifacts: vec![plan] })
        });
        let body = fakes.send(get(&path("/context"))).await.json();
        assert_eq!(body["subject_digest"], request(HitlState::Pending).subject.digest);
        assert_eq!(body["artifacts"][0]["content"]["markdown"], "# Plan");
    }

    #[actix_web::test]
    async fn a_request_is_raised_by_hand() {
        let mut fakes = Fakes::default();
        fakes.gates.expect_raise_request().returning(|new, _| {
            assert_eq!((new.ttl_s, new.options.len()), (Some(60), 2));
            Ok(request(HitlState::Pending).into())
        });
        let body = json!({
            "project_id": project().id, "question": "Which?", "options": ["a", "b"],
            "ttl_seconds": 60,
        });
        let answer = fakes.send(post("/api/v1/hitl/", &body)).await;
        assert_eq!((answer.status, answer.header("location")), (201, path("").as_str()));
        for (body, field) in [
            (json!({"question": "x"}), "project_id"),
            (json!({"project_id": project().id}), "question"),
            (json!({"project_id": "7", "question": "x"}), "project_id"),
            (
                json!({"project_id": project().id, "question": "x", "ttl_seconds": -1}),
                "ttl_seconds",
            ),
            (json!({"project_id": project().id, "question": "x", "options": [1]}), "options[0]"),
        ] {
            let answer = Fakes::default().send(post("/api/v1/hitl", &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn an_unknown_request_is_404_and_a_malformed_id_422() {
        for rest in ["", "/context"] {
            let mut fakes = Fakes::default();
            fakes.queries.expect_request().returning(|_, id| Err(no("Request", id)));
            fakes.queries.expect_review().returning(|_, id| Err(no("Request", id)));
            let answer = fakes.send(get(&format!("/api/v1/hitl/{}{rest}", unknown()))).await;
            assert_eq!(answer.status, 404);
        }
        let answer = Fakes::default().send(raw("/api/v1/hitl/x/respond", "{}")).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "request_id"));
    }
}
