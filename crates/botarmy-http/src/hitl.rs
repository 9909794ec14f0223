//! Human-in-the-loop requests: raising and listing them. `hitl/respond.rs` answers one, `hitl/bulk.rs` many
//! at once; `hitl/acts.rs`, `hitl/comments.rs` and `hitl/links.rs` do the rest that people do with them.

mod acts;
mod bulk;
mod comments;
mod details;
mod diff;
mod interop;
mod links;
mod request_view;
mod respond;
mod responded;
mod statistics;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::hitl::{PendingQuery, Review, Selector};
use botarmy_domain::text::non_blank;
use botarmy_domain::{
    CallReply, ContextId, Error, HitlRequest, HitlRequestId, HitlStatus, NewRequest, Page,
    Permission, ProjectId, TaskId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::artifacts::ArtifactView;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Flag, Json, Query, Segment, Whole, in_range};
use crate::idempotency::{Keyed, reply};
use crate::paging::{self, List, Range};
use crate::{State, vocabulary};
use bulk::{__path_respond_to_many, respond_to_many};
use details::{__path_read, read};
use diff::{__path_diff, diff};
use request_view::RequestView;
use respond::{__path_respond, respond};
pub(crate) use responded::RespondAction;
use statistics::{__path_statistics, statistics};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let requests = vec![
        Endpoint::new::<__path_raise, _, _>(raise, Permission::ProjectRun).keyed(),
        Endpoint::new::<__path_pending, _, _>(pending, Permission::ProjectRead),
        Endpoint::new::<__path_statistics, _, _>(statistics, Permission::ProjectRead),
        Endpoint::new::<__path_respond_to_many, _, _>(respond_to_many, Permission::GateAnswer)
            .keyed(),
        Endpoint::new::<__path_of_project, _, _>(of_project, Permission::ProjectRead),
        Endpoint::new::<__path_read, _, _>(read, Permission::ProjectRead).uncompressed(),
        Endpoint::new::<__path_subject, _, _>(subject, Permission::ProjectRead),
        Endpoint::new::<__path_diff, _, _>(diff, Permission::ProjectRead).heavy(),
        Endpoint::new::<__path_respond, _, _>(respond, Permission::GateAnswer).keyed(),
    ];
    let others =
        [acts::endpoints(), comments::endpoints(), links::endpoints(), interop::endpoints()];
    requests.into_iter().chain(others.into_iter().flatten()).collect()
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
    /// Name of a policy of the project's workflow; one approval of anyone who may answer when absent.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_-]*$")]
    policy: Option<String>,
    /// People who are asked first, such as `user:ada`, `group:leads` or `role:reviewer`. People and groups
    /// that do not exist are refused.
    #[schema(value_type = Option<Vec<String>>, max_items = 20)]
    assignees: Option<Vec<Selector>>,
    /// JSON Schema (draft 2020-12) that `response` of an answer must match.
    #[schema(value_type = Option<Object>)]
    response_schema: Option<Map<String, Value>>,
}

/// Largest schema of an answer, in bytes: it is stored with the request and read whenever that is.
const MAX_SCHEMA: usize = 64 * 1024;

impl State {
    /// Returns an error for a schema of an answer that is larger than those may be.
    pub(crate) fn check_schema(&self, schema: Option<&Map<String, Value>>) -> Result<(), Problem> {
        let size = schema.map_or(0, |schema| Value::Object(schema.clone()).to_string().len());
        if size > MAX_SCHEMA {
            let message = format!("has {size} bytes; at most {MAX_SCHEMA} are possible");
            return Err(Problem::invalid("response_schema", message));
        }
        Ok(())
    }
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
    state.check_schema(body.response_schema.as_ref())?;
    let new = NewRequest {
        project_id: body.project_id,
        task_id: body.task_id,
        question: body.question,
        options: body.options.unwrap_or_default(),
        ttl_s: body.ttl_seconds,
        artifacts: body.artifacts.unwrap_or_default(),
        policy: body.policy,
        assignees: body.assignees.unwrap_or_default(),
        response_schema: body.response_schema,
    };
    let paths = state.clone();
    let shape = move |request: &Arc<HitlRequest>| CallReply {
        location: Some(paths.public_path(&format!("/api/v1/hitl/{}", request.id))),
        ..reply(StatusCode::CREATED, &RequestView::of(request))
    };
    let raise = async |caller| state.gates.raise_request(new, caller).await;
    state.once(&keyed, caller, shape, raise).await
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
struct PendingParameters {
    /// Whether to list only requests that you may answer.
    #[param(value_type = Option<bool>)]
    mine: Option<Flag>,
    /// Group that is asked, or whose approval a policy needs.
    #[param(min_length = 1, max_length = 128)]
    group: Option<String>,
    /// Name of the policy; empty for requests whose step names none.
    #[param(max_length = 64, pattern = "^[a-z0-9_-]*$")]
    policy: Option<String>,
    /// Whether to list only requests that people should have answered by now.
    #[param(value_type = Option<bool>)]
    overdue: Option<Flag>,
    /// Project whose requests to list; all projects when absent.
    #[param(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<HitlRequestId>,
}

impl PendingParameters {
    /// Returns the query.
    ///
    /// # Errors
    /// For a group or a policy that cannot exist.
    fn query(&self) -> Result<PendingQuery, Problem> {
        let is_group =
            |name: &String| non_blank(name).is_some() && !name.contains(char::is_control);
        if self.group.as_ref().is_some_and(|name| !is_group(name) || name.chars().count() > 128) {
            return Err(Problem::invalid("group", "must be the name of a group"));
        }
        let is_named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if self.policy.as_ref().is_some_and(|name| name.len() > 64 || !name.chars().all(is_named)) {
            return Err(Problem::invalid(
                "policy",
                "must be the name of a policy: lower-case letters, digits, `-` or `_`",
            ));
        }
        Ok(PendingQuery {
            project: self.project_id,
            policy: self.policy.clone(),
            group: self.group.clone(),
            mine: self.mine.is_some_and(|flag| flag.0),
            overdue: self.overdue.is_some_and(|flag| flag.0),
        })
    }
}

/// Page of requests.
#[derive(Serialize, ToSchema)]
struct RequestPage<'a> {
    items: Vec<RequestView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<HitlRequestId>,
}

/// Lists pending requests, oldest first.
///
/// Without a filter these are the pending requests of all projects. Several filters select the requests
/// that pass all of them.
#[utoipa::path(
    get, path = "/api/v1/hitl/pending", operation_id = "list_pending_requests",
    tag = "hitl", params(PendingParameters),
    responses(
        (status = 200, body = RequestPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn pending(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<PendingParameters>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = PendingList { state: &state, caller: &caller, query: query.query()? };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

/// Pending requests, oldest first.
struct PendingList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    query: PendingQuery,
}

impl List for PendingList<'_> {
    type Item = Arc<HitlRequest>;
    type Cursor = HitlRequestId;

    async fn read(
        &self,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, Error> {
        let query = self.query.clone();
        self.state.queries.pending_requests(self.caller, query, after, limit).await
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

#[cfg(test)]
mod tests {
    use botarmy_domain::decide::eligibility::Allowed;
    use botarmy_domain::decide::eligibility::GateView;
    use botarmy_domain::hitl::{HistoryEntry, HitlState, Reply};
    use botarmy_domain::{ArtifactType, DomainError, HitlAction, Page, Responded, Verdict};
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
            principal: None,
            entry: None,
            response: None,
        }
    }

    fn allowed() -> Allowed {
        Allowed {
            verdicts: vec![Verdict::Reject],
            comment: true,
            link: true,
            refusal: Some(DomainError::Forbidden {
                code: "separation_of_duties",
                detail: "You made it.".to_owned(),
            }),
            ..Allowed::default()
        }
    }

    fn path(rest: &str) -> String {
        format!("/api/v1/hitl/{}{rest}", request(HitlState::Pending).id)
    }

    async fn shown(state: HitlState) -> Value {
        let mut fakes = Fakes::default();
        fakes.queries.expect_gate().returning(move |_, _| {
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
            Ok(GateView { request: request.into(), allowed: allowed() })
        });
        fakes.send(get(&path(""))).await.json()
    }

    #[actix_web::test]
    async fn a_pending_request_has_every_field() {
        let plan = artifact(1, ArtifactType::ProjectPlan, json!({"markdown": "# Plan"}));
        let subject = request(HitlState::Pending).subject;
        let mut expected = json!({
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
        });
        let about_the_decision = json!({
                "outcome": null, "round": 1, "policy_name": null, "assignees": [],
                "needs": {"approvals": 1, "groups": {}},
                "claimed_by": null, "claimed_until": null,
                "due": {"at": "2027-01-15T08:01:00.000000Z", "what": "expiry"},
                "unsatisfiable": false,
                "policy": {
                    "name": "", "digest": botarmy_domain::hitl::PinnedPolicy::implicit().digest,
                    "approvals": 1, "rules": botarmy_domain::hitl::Policy::implicit(),
                },
                "votes": [], "candidates": ["role:reviewer", "role:admin"],
                "escalation": {"level": 0, "of": 0, "to": []}, "delegates": [],
                "allowed_actions": ["reject", "comment"],
                "refusal": {"code": "separation_of_duties", "detail": "You made it."},
                "response_schema": null, "amend_schema": null, "planned": null,
                "comment_count": 0,
        });
        let members = about_the_decision.as_object().unwrap().clone();
        expected.as_object_mut().unwrap().extend(members);
        assert_eq!(shown(HitlState::Pending).await, expected);
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
            Ok(Responded {
                request,
                workflow_resumed,
                project_halted,
                replayed,
                entry: None,
                needs: botarmy_domain::hitl::Needs::default(),
                is_decided: true,
            })
        });
        let body = json!({"action": "amend", "amended_content": {"markdown": "x"}});
        let answer = fakes.send(post(&path("/respond"), &body)).await;
        assert_eq!(
            answer.json(),
            json!({
                "request_id": request(HitlState::Pending).id, "action": "amend",
                "status": "amended", "workflow_resumed": true,
                "message": "The request was amended; work goes on with the amendment.",
                "outcome": "changes_requested", "needs": {"approvals": 0, "groups": {}},
                "entry": null,
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
        fakes.queries.expect_pending_requests().returning(|_, query, after, limit| {
            assert_eq!((query, after, limit), (PendingQuery::default(), None, 1));
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
    async fn filters_of_pending_requests_are_read_strictly() {
        let mut fakes = Fakes::default();
        fakes.queries.expect_pending_requests().returning(|_, query, _, _| {
            let (policy, group) = (query.policy.as_deref(), query.group.as_deref());
            assert_eq!((query.project, policy, group), (Some(project().id), Some(""), Some("qa")));
            assert_eq!((query.mine, query.overdue), (true, false));
            Ok(Page::default())
        });
        let list = |query: &str| get(&format!("/api/v1/hitl/pending?{query}"));
        let all = format!("mine=true&overdue=false&policy=&group=qa&project_id={}", project().id);
        let long = format!("group={}", "x".repeat(129));
        let bad = ["mine=yes", "mine=", "overdue=1", "policy=No%20Name", "group=", "group=%00"];
        let bad = bad.into_iter().chain([long.as_str(), "project_id=x", "asked=me"]);
        let answers = fakes.send_all([list(&all)].into_iter().chain(bad.map(list))).await;
        assert_eq!(answers[0].status, 200);
        let fields: Vec<_> = answers[1..].iter().map(crate::testing::Answer::field).collect();
        let expected = ["mine", "mine", "overdue", "policy", "group", "group", "group"];
        assert_eq!(fields, [expected.as_slice(), &["project_id", "asked"]].concat());
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
            fakes.queries.expect_gate().returning(|_, id| Err(no("Request", id)));
            fakes.queries.expect_review().returning(|_, id| Err(no("Request", id)));
            let answer = fakes.send(get(&format!("/api/v1/hitl/{}{rest}", unknown()))).await;
            assert_eq!(answer.status, 404);
        }
        let answer = Fakes::default().send(raw("/api/v1/hitl/x/respond", "{}")).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, "request_id"));
    }
}
