//! Answers to one request.

use std::cell::Cell;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::hitl::GateAct;
use botarmy_domain::text::non_blank;
use botarmy_domain::{HitlAction, HitlRequest, HitlRequestId, Responded, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::responded::{RespondAction, RespondedView};
use crate::State;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Segment};
use crate::idempotency::{Keyed, REPLAYED, reply};

/// Response to a request.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RespondBody {
    pub(super) action: RespondAction,
    /// Text of the person; with `request_changes`, and with `amend` without a document, what should be
    /// different. A blank text counts as absent.
    pub(super) content: Option<String>,
    /// Comment. With `request_changes`, it takes the place of an absent `content`.
    pub(super) comment: Option<String>,
    /// With `amend`: the document that replaces the one under review. It must match the schema of the
    /// step's output; what does not is named by JSON Pointers in a 422.
    #[schema(value_type = Option<Object>)]
    pub(super) amended_content: Option<Map<String, Value>>,
    /// Answer in the form that `response_schema` of the request asks for: any JSON value.
    #[schema(value_type = Option<Value>)]
    pub(super) response: Option<Value>,
    /// Digest of the subject that the person saw; `If-Match` may have it in its place. The response is
    /// refused with 409 if the subject has changed since, and also if it has changed since the request
    /// was opened and this is absent. Where the policy asks for it, its absence is a 428.
    pub(super) subject_digest: Option<String>,
}

/// Approves, rejects or amends the subject of a request, asks for changes, or takes a vote back.
///
/// The same answer by the same person gets the first response again, with `Idempotency-Replayed`.
/// Another answer to a decided request is refused with 409. Where the policy of the request asks for
/// several people, an answer that does not decide counts as a vote: `outcome` is null then, and `needs`
/// has what is missing.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/respond", operation_id = "respond_to_request",
    tag = "hitl",
    params(
        ("request_id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "Digest of the subject that the person saw, in quotation marks: the `ETag` of the request"),
    ),
    request_body = RespondBody,
    responses(
        (status = 200, body = RespondedView),
        (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
        (status = 422, body = ProblemDocument),
        (status = 428, body = ProblemDocument),
    ),
)]
pub(super) async fn respond(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<RespondBody>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let seen = if_match(request.headers())?;
    answer(&state, id, caller, keyed, body, seen).await
}

/// Takes an answer to a request. `seen` is the digest in the headers.
pub(super) async fn answer(
    state: &State,
    id: HitlRequestId,
    caller: botarmy_domain::Caller,
    keyed: Keyed,
    mut body: RespondBody,
    seen: Option<String>,
) -> Result<HttpResponse, Problem> {
    state.check_optional("content", body.content.as_deref())?;
    state.check_optional("comment", body.comment.as_deref())?;
    body.subject_digest = one_digest(body.subject_digest, seen)?;
    if body.action == RespondAction::Withdraw {
        return withdraw(state, id, caller, keyed, &body).await;
    }
    let action = body.action;
    let response = response(body)?;
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

/// Takes the vote of the caller back.
async fn withdraw(
    state: &State,
    id: HitlRequestId,
    caller: botarmy_domain::Caller,
    keyed: Keyed,
    body: &RespondBody,
) -> Result<HttpResponse, Problem> {
    let given = [
        ("content", body.content.is_some()),
        ("comment", body.comment.is_some()),
        ("amended_content", body.amended_content.is_some()),
        ("response", body.response.is_some()),
    ];
    if let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        let message = "does not belong to `withdraw`, which records no text; send a comment with \
                       POST /api/v1/hitl/{request_id}/comments";
        return Err(Problem::invalid(field, message));
    }
    let shape =
        |request: &Arc<HitlRequest>| reply(StatusCode::OK, &RespondedView::withdrawn(request));
    let withdraw = async |caller| state.gates.act(id, GateAct::Withdraw, caller).await;
    state.once(&keyed, caller, shape, withdraw).await
}

/// Returns the response as the domain has it.
pub(super) fn response(body: RespondBody) -> Result<Response, Problem> {
    let RespondBody { action, mut content, mut comment, amended_content, .. } = body;
    let action = match action {
        RespondAction::Approve => HitlAction::Approve,
        RespondAction::Reject => HitlAction::Reject,
        RespondAction::Amend | RespondAction::Withdraw => HitlAction::Amend,
        RespondAction::RequestChanges => {
            if amended_content.is_some() {
                let message = "belongs to `amend`; `request_changes` takes words in `content`";
                return Err(Problem::invalid("amended_content", message));
            }
            if content.as_deref().and_then(non_blank).is_none() {
                content = comment.take();
            }
            HitlAction::Amend
        }
    };
    Ok(Response {
        content,
        comment,
        amended_content,
        subject_digest: body.subject_digest,
        response: body.response,
        ..Response::new(action)
    })
}

/// Returns the digest in `If-Match`.
fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH);
    let (value, is_one) = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), other) => (value, other.is_none()),
    };
    let text = value.to_str().unwrap_or_default().trim();
    let digest = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match digest.filter(|digest| is_one && !digest.is_empty() && !digest.contains(['"', ','])) {
        Some(digest) => Ok(Some(digest.to_owned())),
        None => Err(Problem::bad_request(
            "If-Match must have one digest in quotation marks: the `ETag` of the request.",
        )),
    }
}

/// Returns the digest that a response names, in its body or its headers.
fn one_digest(body: Option<String>, header: Option<String>) -> Result<Option<String>, Problem> {
    match (body, header) {
        (Some(body), Some(header)) if body != header => {
            Err(Problem::invalid("subject_digest", "differs from the digest in If-Match"))
        }
        (body, header) => Ok(body.or(header)),
    }
}
