//! Answers to many requests, each of which is decided on its own.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::{
    CallKey, CallReply, Error, HitlRequestId, Permission, RequestDigest, Responded, Response,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::respond::{RespondBody, response};
use super::responded::{RespondAction, RespondedView};
use crate::State;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json};
use crate::idempotency::{self, Keyed, replayable, reply};

/// Largest number of requests in one call.
const MAX_ITEMS: usize = 100;

/// Answers to many requests.
///
/// Exactly one of the two lists is given. The document describes each alternative as a schema.
#[derive(Deserialize, ToSchema)]
pub(crate) struct BulkBody {
    /// Requests to answer, 1 to 100, each once.
    #[schema(value_type = Option<Vec<Uuid>>, required = false, min_items = 1, max_items = 100)]
    request_ids: Option<Vec<HitlRequestId>>,
    /// Requests to answer, 1 to 100, each once, with the digest of the subject that the person saw.
    #[schema(min_items = 1, max_items = 100)]
    items: Option<Vec<BulkItem>>,
    /// Answer to every request whose item has none of its own; needed with `request_ids`.
    action: Option<BulkAction>,
    /// Comment on every request whose item has none of its own.
    comment: Option<String>,
}

/// Answer to many requests. An amendment with a document belongs to a single request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BulkAction {
    /// The subject is accepted.
    Approve,
    /// The subject is refused.
    Reject,
    /// The work is done again with the words in the comment.
    RequestChanges,
}

impl From<BulkAction> for RespondAction {
    fn from(action: BulkAction) -> Self {
        match action {
            BulkAction::Approve => Self::Approve,
            BulkAction::Reject => Self::Reject,
            BulkAction::RequestChanges => Self::RequestChanges,
        }
    }
}

/// Request to answer.
#[derive(Deserialize, ToSchema)]
struct BulkItem {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    /// Answer to this request.
    action: Option<BulkAction>,
    /// Digest of the subject that the person saw. The response is refused with 409 if it has
    /// changed since, and also if it has changed since the request was opened and this is absent.
    subject_digest: Option<String>,
    /// Comment on this request.
    comment: Option<String>,
}

/// Results of the answers, in the order of the requests.
#[derive(Serialize, ToSchema)]
struct BulkView {
    results: Vec<BulkResult>,
    /// Number of requests that were decided as asked.
    succeeded: usize,
    /// Number of requests whose answer was refused.
    failed: usize,
}

/// Result of one answer.
#[derive(Serialize, ToSchema)]
struct BulkResult {
    #[schema(value_type = Uuid)]
    request_id: HitlRequestId,
    /// HTTP status that the route of a single request would respond with.
    status: u16,
    /// Effect of the response; null where it was refused.
    #[schema(value_type = Option<RespondedView>)]
    response: Option<Value>,
    /// Reason of the refusal; null where there was none.
    #[schema(value_type = Option<ProblemDocument>)]
    problem: Option<Value>,
    /// Body that the route of a single request would respond with: the effect or the reason.
    #[schema(value_type = Object)]
    body: Value,
}

impl BulkResult {
    fn of(request_id: HitlRequestId, done: Result<CallReply, Problem>) -> Self {
        match done {
            Ok(reply) => {
                let response: Option<Value> = serde_json::from_str(&reply.body).ok();
                let body = response.clone().unwrap_or_default();
                Self { request_id, status: reply.status, response, problem: None, body }
            }
            Err(problem) => {
                problem.log();
                let path = format!("/api/v1/hitl/{request_id}/respond");
                let status = actix_web::ResponseError::status_code(&problem).as_u16();
                let problem: Option<Value> = serde_json::from_str(&problem.body(&path)).ok();
                let body = problem.clone().unwrap_or_default();
                Self { request_id, status, response: None, problem, body }
            }
        }
    }
}

/// Approves or rejects the subjects of many requests, or asks for changes.
///
/// Every request is decided on its own: one that is refused changes nothing for the others. With an
/// `Idempotency-Key`, each decision is taken once; a repetition replays those that were taken, and
/// tries again what was refused.
#[utoipa::path(
    post, path = "/api/v1/hitl/bulk/respond", operation_id = "respond_to_requests",
    tag = "hitl", request_body = BulkBody,
    responses((status = 200, body = BulkView)),
)]
pub(super) async fn respond_to_many(
    state: Data<State>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<BulkBody>,
) -> Result<HttpResponse, Problem> {
    state.check_optional("comment", body.comment.as_deref())?;
    let items = items(body.request_ids, body.items)?;
    let answers = answers(&state, items, body.action, body.comment.as_deref())?;
    let call = keyed.call(&caller)?;
    let (_turn, is_known) = match &call {
        Some((key, request)) => {
            let (turn, is_known) = state.begin_parts(&caller, *key, request).await?;
            (Some(turn), is_known)
        }
        None => (None, false),
    };
    let mut results = Vec::with_capacity(answers.len());
    let mut decided_now = 0;
    for (n, (id, action, answer)) in (0..).zip(answers) {
        let part = call.as_ref().map(|(key, request)| (*key, key.part(n), request));
        let done = respond(&state, &caller, part, id, (action, answer)).await;
        decided_now += usize::from(matches!(&done, Ok((_, false))));
        results.push(BulkResult::of(id, done.map(|(reply, _)| reply)));
    }
    let succeeded = results.iter().filter(|result| result.response.is_some()).count();
    let failed = results.len() - succeeded;
    let view = BulkView { results, succeeded, failed };
    Ok(idempotency::response(reply(StatusCode::OK, &view), is_known && decided_now == 0))
}

/// Answers one of the requests. Returns the reply, and whether it was decided before.
async fn respond(
    state: &State,
    caller: &botarmy_domain::Caller,
    part: Option<(CallKey, CallKey, &RequestDigest)>,
    id: HitlRequestId,
    (action, answer): (RespondAction, Response),
) -> Result<(CallReply, bool), Problem> {
    let shape =
        move |responded: &Responded| reply(StatusCode::OK, &RespondedView::of(action, responded));
    let Some(part) = part else {
        let responded = state.gates.respond(id, answer, caller.clone()).await?;
        return Ok((shape(&responded), responded.replayed));
    };
    // The reply may have been kept before the caller lost the right to it.
    replayable::check_request(state, caller, Permission::GateAnswer, id).await?;
    let respond = async |caller| -> Result<Responded, Error> {
        state.gates.respond(id, answer, caller).await
    };
    state.once_in_parts(part, caller, shape, respond).await
}

/// Returns each request with its answer.
fn answers(
    state: &State,
    items: Vec<BulkItem>,
    action: Option<BulkAction>,
    comment: Option<&str>,
) -> Result<Vec<(HitlRequestId, RespondAction, Response)>, Problem> {
    let answer = |(n, item): (usize, BulkItem)| {
        state.check_optional(&format!("items[{n}].comment"), item.comment.as_deref())?;
        let action: RespondAction = match item.action.or(action) {
            Some(action) => action.into(),
            None => {
                return Err(Problem::invalid("action", "is required, unless each item has one"));
            }
        };
        let response = response(RespondBody {
            action,
            content: None,
            comment: item.comment.or_else(|| comment.map(str::to_owned)),
            amended_content: None,
            response: None,
            subject_digest: item.subject_digest,
        })?;
        Ok((item.request_id, action, Response { in_bulk: true, ..response }))
    };
    items.into_iter().enumerate().map(answer).collect()
}

/// Returns the requests to answer, each once.
fn items(
    ids: Option<Vec<HitlRequestId>>,
    items: Option<Vec<BulkItem>>,
) -> Result<Vec<BulkItem>, Problem> {
    let (field, items) = match (ids, items) {
        (Some(ids), None) => {
            let item = |request_id| BulkItem {
                request_id,
                action: None,
                subject_digest: None,
                comment: None,
            };
            ("request_ids", ids.into_iter().map(item).collect())
        }
        (None, Some(items)) => ("items", items),
        (Some(_), Some(_)) => return Err(Problem::invalid("items", "excludes request_ids")),
        (None, None) => {
            return Err(Problem::invalid("request_ids", "is required, unless there are items"));
        }
    };
    if !(1..=MAX_ITEMS).contains(&items.len()) {
        return Err(Problem::invalid(field, format!("must have 1 to {MAX_ITEMS} items")));
    }
    let mut known = BTreeSet::new();
    for (n, item) in items.iter().enumerate() {
        if !known.insert(item.request_id) {
            let field = if field == "items" {
                format!("items[{n}].request_id")
            } else {
                format!("request_ids[{n}]")
            };
            return Err(Problem::invalid(field, "occurs twice"));
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use botarmy_domain::hitl::{HitlState, Reply};
    use botarmy_domain::{DomainError, KeptReply, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, NOW, post, request, unknown};

    const BULK: &str = "/api/v1/hitl/bulk/respond";

    fn approved() -> Responded {
        let reply = Reply {
            by: "anonymous".to_owned(),
            at: NOW,
            content: None,
            comment: None,
            amended_content: None,
            principal: None,
            entry: None,
            response: None,
        };
        Responded {
            request: request(HitlState::Approved(reply)).into(),
            workflow_resumed: true,
            project_halted: false,
            replayed: false,
            entry: None,
            needs: botarmy_domain::hitl::Needs::default(),
            is_decided: true,
        }
    }

    #[actix_web::test]
    async fn every_request_gets_the_status_of_the_single_route() {
        let mut fakes = Fakes::default();
        let known = request(HitlState::Pending).id;
        fakes.gates.expect_respond().times(2).returning(move |id, response, _| {
            assert_eq!(response.comment.as_deref(), Some("Fine."));
            if id == known {
                assert_eq!(response.subject_digest.as_deref(), Some("d"));
                Ok(approved())
            } else {
                Err(DomainError::conflict("not_pending", "Request 1 was approved.").into())
            }
        });
        let body = json!({
            "items": [{"request_id": known, "subject_digest": "d"}, {"request_id": unknown()}],
            "action": "approve", "comment": "Fine.",
        });
        let answer = fakes.send(post(BULK, &body)).await;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!((&body["succeeded"], &body["failed"]), (&json!(1), &json!(1)));
        let results = &body["results"];
        assert_eq!((&results[0]["status"], &results[0]["problem"]), (&json!(200), &Value::Null));
        assert_eq!(results[0]["response"]["status"], "approved");
        assert_eq!((&results[1]["status"], &results[1]["response"]), (&json!(409), &Value::Null));
        assert_eq!(results[1]["problem"]["type"], "urn:botarmy:problem:not_pending");
    }

    #[actix_web::test]
    async fn a_bad_call_is_422_naming_the_field_and_decides_nothing() {
        let id = unknown();
        let many: Vec<_> = (0..101).map(|n| format!("{n:032x}")).collect();
        for (body, field) in [
            (json!({"action": "approve"}), "request_ids"),
            (json!({"action": "approve", "request_ids": []}), "request_ids"),
            (json!({"action": "approve", "request_ids": many}), "request_ids"),
            (json!({"action": "approve", "request_ids": [id, id]}), "request_ids[1]"),
            (
                json!({"action": "reject", "items": [{"request_id": id}, {"request_id": id}]}),
                "items[1].request_id",
            ),
            (
                json!({"action": "approve", "request_ids": [id], "items": [{"request_id": id}]}),
                "items",
            ),
            (json!({"action": "amend", "request_ids": [id]}), "action"),
            (json!({"request_ids": [id]}), "action"),
            (json!({"action": "approve", "items": [{"id": id}]}), "items[0].id"),
        ] {
            let answer = Fakes::default().send(post(BULK, &body)).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{body}");
        }
    }

    #[actix_web::test]
    async fn a_repetition_decides_only_what_is_left() {
        let id = request(HitlState::Pending).id;
        let body = json!({"action": "approve", "request_ids": [id, unknown()]});
        let caller = botarmy_domain::Caller::person("anonymous");
        let whole = caller.call_key("k");
        let object = body.as_object().unwrap();
        let digest = botarmy_domain::artifact::digest(object);
        let request = RequestDigest::of("POST", BULK, "", &digest);
        let mut fakes = Fakes::default();
        fakes.queries.expect_kept_reply().returning(move |_, key| {
            let body = "{\"status\":\"approved\"}".to_owned();
            let first = CallReply { status: 200, location: None, etag: None, body };
            let kept = |reply| KeptReply {
                key,
                request: request.clone(),
                reply,
                expires_at: Timestamp::from_micros(i64::MAX),
            };
            Ok(match key {
                _ if key == whole => Some(kept(None).into()),
                _ if key == whole.part(0) => Some(kept(Some(first)).into()),
                _ => None,
            })
        });
        fakes.gates.expect_respond().times(1).returning(move |asked, _, caller| {
            let call = caller.keyed_call().unwrap();
            assert_eq!((call.key(), call.whole()), (whole.part(1), Some(whole)));
            Err(DomainError::not_found("Request", asked).into())
        });
        let keyed = || post(BULK, &body).insert_header(("idempotency-key", "k"));
        let other = post(BULK, &json!({"action": "reject", "request_ids": [id]}))
            .insert_header(("idempotency-key", "\"k\""));
        let answers = fakes.send_all([keyed(), other]).await;
        assert_eq!((answers[0].status, answers[0].header("idempotency-replayed")), (200, "true"));
        let results = answers[0].json()["results"].clone();
        assert_eq!(results[0]["response"]["status"], "approved");
        assert_eq!(results[1]["status"], 404);
        assert_eq!((answers[1].status, answers[1].field().as_str()), (422, "Idempotency-Key"));
    }
}
