//! Requests in the forms of two protocols: as an interrupt of AG-UI 1.0, and as a task of A2A 1.0 that
//! waits for input.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::decide::eligibility::GateView;
use botarmy_domain::{
    HitlKind, HitlRequest, HitlRequestId, HitlStatus, Permission, ProjectId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::respond::{RespondBody, answer};
use super::responded::RespondedView;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Segment};
use crate::idempotency::{Keyed, replayable};
use crate::{State, vocabulary};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_interrupt, _, _>(interrupt, Permission::ProjectRead),
        Endpoint::new::<__path_resume, _, _>(resume, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_a2a, _, _>(a2a, Permission::ProjectRead),
    ]
}

/// Interrupt of AG-UI.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InterruptView<'a> {
    /// Id of the request.
    #[schema(value_type = Uuid)]
    id: HitlRequestId,
    /// `confirmation` for a review, `input_required` for a question, and `botarmy:failure` for a failure.
    reason: &'static str,
    /// Question.
    message: &'a str,
    /// JSON Schema of `payload` in the answer.
    #[schema(value_type = Object)]
    response_schema: Value,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    metadata: InterruptMetadata<'a>,
}

/// Details of an interrupt that AG-UI has no members for.
#[derive(Serialize, ToSchema)]
struct InterruptMetadata<'a> {
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    #[schema(value_type = vocabulary::HitlKind)]
    kind: HitlKind,
    /// Digest of the subject. Sent back in the payload as `subject_digest`, it makes the server refuse an
    /// answer to a subject that has changed since.
    subject_digest: &'a str,
    /// Suggested answers.
    options: &'a [String],
}

/// Returns a pending request in the form of an interrupt of AG-UI 1.0.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/interrupt", operation_id = "get_request_interrupt",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = InterruptView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`not_pending`: the request is over"),
    ),
)]
async fn interrupt(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let GateView { request, allowed } = state.queries.gate(&caller, id).await?;
    check_pending(&request)?;
    let words: Vec<&str> = allowed.verdicts.iter().map(|verdict| verdict.as_str()).collect();
    Ok(HttpResponse::Ok().json(InterruptView {
        id,
        reason: match request.kind {
            HitlKind::Approval => "confirmation",
            HitlKind::Question => "input_required",
            HitlKind::Failure => "botarmy:failure",
        },
        message: &request.question,
        response_schema: payload_schema(&request, &words),
        expires_at: request.expires_at,
        metadata: InterruptMetadata {
            project_id: request.project_id,
            kind: request.kind,
            subject_digest: &request.subject.digest,
            options: &request.options,
        },
    }))
}

fn check_pending(request: &HitlRequest) -> Result<(), Problem> {
    if request.status() == HitlStatus::Pending {
        return Ok(());
    }
    let detail =
        format!("Request {} is {}, so it waits for no answer.", request.id, request.status());
    Err(Problem::new(StatusCode::CONFLICT, detail).with_code("not_pending"))
}

/// Returns the schema of an answer that gives one of these verdicts.
fn payload_schema(request: &HitlRequest, verdicts: &[&str]) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "action": {"type": "string"},
            "content": {"type": "string"},
            "comment": {"type": "string"},
            "subject_digest": {"type": "string", "const": request.subject.digest},
        },
        "required": ["action"],
    });
    if !verdicts.is_empty() {
        schema["properties"]["action"]["enum"] = json!(verdicts);
    }
    if let Some(response) = &request.response_schema {
        schema["properties"]["response"] = json!(response);
    }
    schema
}

/// Answer to an interrupt of AG-UI.
#[derive(Deserialize, ToSchema)]
struct ResumeBody {
    /// Id of the request; must be that of the path.
    #[serde(rename = "interruptId")]
    #[schema(rename = "interruptId", value_type = Option<Uuid>)]
    interrupt_id: Option<HitlRequestId>,
    status: ResumeStatus,
    /// Answer; needed with `resolved`.
    payload: Option<RespondBody>,
}

/// Result of an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ResumeStatus {
    /// The person answered.
    Resolved,
    /// The person gave no answer; the request goes on waiting.
    Cancelled,
}

/// Answers a request with an entry of `resume` of AG-UI 1.0.
///
/// `resolved` does the same as the route `respond` with the payload. `cancelled` changes nothing.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/resume", operation_id = "resume_request", tag = "hitl",
    params(("request_id" = Uuid, Path)), request_body = ResumeBody,
    responses(
        (status = 200, body = RespondedView),
        (status = 204, description = "The interrupt was cancelled, so the request goes on waiting"),
        (status = 400, body = ProblemDocument),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
        (status = 422, body = ProblemDocument),
        (status = 428, body = ProblemDocument),
    ),
)]
async fn resume(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<ResumeBody>,
) -> Result<HttpResponse, Problem> {
    if body.interrupt_id.is_some_and(|interrupt| interrupt != id) {
        return Err(Problem::invalid("interruptId", "must be the id of the request in the path"));
    }
    match (body.status, body.payload) {
        (ResumeStatus::Resolved, Some(payload)) => {
            answer(&state, id, caller, keyed, payload, None).await
        }
        (ResumeStatus::Resolved, None) => {
            Err(Problem::invalid("payload", "is needed with the status `resolved`"))
        }
        (ResumeStatus::Cancelled, Some(_)) => {
            Err(Problem::invalid("payload", "does not belong to the status `cancelled`"))
        }
        (ResumeStatus::Cancelled, None) => {
            replayable::check_request(&state, &caller, Permission::GateAnswer, id).await?;
            state.queries.request(&caller, id).await?;
            Ok(HttpResponse::NoContent().finish())
        }
    }
}

/// Task of A2A that waits for input.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct A2aTaskView {
    /// Id of the request.
    #[schema(value_type = Uuid)]
    id: HitlRequestId,
    /// Id of the project.
    #[schema(value_type = Uuid)]
    context_id: ProjectId,
    status: A2aStatusView,
}

/// Status of a task of A2A.
#[derive(Serialize, ToSchema)]
struct A2aStatusView {
    /// `TASK_STATE_INPUT_REQUIRED`.
    state: &'static str,
    message: A2aMessageView,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Message of A2A.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct A2aMessageView {
    /// Digest of the subject, which changes with the question and the documents.
    message_id: String,
    #[schema(value_type = Uuid)]
    task_id: HitlRequestId,
    #[schema(value_type = Uuid)]
    context_id: ProjectId,
    /// `ROLE_AGENT`.
    role: &'static str,
    /// The question as text; then, as data, the kind, the suggested answers, the digest of the subject
    /// and the schema of the answer.
    #[schema(value_type = Vec<Object>)]
    parts: Vec<Value>,
}

/// Returns a pending request in the form of a task of A2A 1.0 that waits for input.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/a2a", operation_id = "get_request_a2a_task",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = A2aTaskView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`not_pending`: the request is over"),
    ),
)]
async fn a2a(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let GateView { request, allowed } = state.queries.gate(&caller, id).await?;
    check_pending(&request)?;
    let words: Vec<&str> = allowed.verdicts.iter().map(|verdict| verdict.as_str()).collect();
    Ok(HttpResponse::Ok().json(task(&request, &words)))
}

fn task(request: &Arc<HitlRequest>, verdicts: &[&str]) -> A2aTaskView {
    let data = json!({
        "kind": request.kind,
        "options": request.options,
        "subject_digest": request.subject.digest,
        "response_schema": payload_schema(request, verdicts),
    });
    let message = A2aMessageView {
        message_id: request.subject.digest.clone(),
        task_id: request.id,
        context_id: request.project_id,
        role: "ROLE_AGENT",
        parts: vec![
            json!({"text": request.question, "mediaType": "text/plain"}),
            json!({"data": data, "mediaType": "application/json"}),
        ],
    };
    let state = "TASK_STATE_INPUT_REQUIRED";
    let status = A2aStatusView { state, message, timestamp: request.updated_at };
    A2aTaskView { id: request.id, context_id: request.project_id, status }
}
