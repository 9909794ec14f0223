//! Things that people do with a request beside answering it: reserving it, asking another person, more
//! time, escalating and reminding.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use botarmy_domain::hitl::{GateAct, MAX_EXTENSION_S};
use botarmy_domain::{HitlRequest, HitlRequestId, Permission};
use serde::Deserialize;
use utoipa::ToSchema;

use super::request_view::RequestView;
use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Segment};
use crate::idempotency::{Keyed, reply};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_claim, _, _>(claim, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_unclaim, _, _>(unclaim, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_delegate, _, _>(delegate, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_extend, _, _>(extend, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_escalate, _, _>(escalate, Permission::GateAnswer).keyed(),
        Endpoint::new::<__path_remind, _, _>(remind, Permission::GateAnswer).keyed(),
    ]
}

/// Does something with a request, and responds with the request as it is afterwards.
async fn act(
    state: &State,
    id: HitlRequestId,
    caller: botarmy_domain::Caller,
    keyed: &Keyed,
    act: GateAct,
) -> Result<HttpResponse, Problem> {
    let shape = |request: &Arc<HitlRequest>| reply(StatusCode::OK, &RequestView::of(request));
    let act = async |caller| state.gates.act(id, act, caller).await;
    state.once(keyed, caller, shape, act).await
}

/// Reserves a request for the caller: others cannot answer it for a while.
///
/// Reserving it again renews the reservation. A request that several people have to approve cannot be
/// reserved (409 `not_claimable`), nor one that another person has reserved (409 `claimed`).
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/claim", operation_id = "claim_request", tag = "hitl",
    params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn claim(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    act(&state, id, caller, &keyed, GateAct::Claim).await
}

/// Gives the reservation of a request up.
///
/// Without one, nothing happens. Those who manage the project may end that of another person.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/unclaim", operation_id = "unclaim_request", tag = "hitl",
    params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn unclaim(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    act(&state, id, caller, &keyed, GateAct::Unclaim).await
}

/// Person who answers in the place of the caller.
#[derive(Deserialize, ToSchema)]
struct DelegateBody {
    /// Name or id of the person.
    #[schema(min_length = 1)]
    to: String,
    /// Comment for that person.
    comment: Option<String>,
}

/// Asks another person to answer in the place of the caller.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/delegate", operation_id = "delegate_request",
    tag = "hitl", params(("request_id" = Uuid, Path)), request_body = DelegateBody,
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn delegate(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<DelegateBody>,
) -> Result<HttpResponse, Problem> {
    state.check_text("to", &body.to)?;
    state.check_optional("comment", body.comment.as_deref())?;
    let delegate = GateAct::Delegate { to: body.to, comment: body.comment };
    act(&state, id, caller, &keyed, delegate).await
}

/// Time that people get beyond the present deadline.
#[derive(Deserialize, ToSchema)]
struct ExtendBody {
    /// Time that is added, in seconds: 1 to 2,592,000, which is 30 days.
    #[schema(minimum = 1, maximum = 2_592_000)]
    by_s: u32,
    /// Reason.
    comment: Option<String>,
}

/// Extends the time in which people may answer a request.
///
/// The policy says how often that is possible.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/extend", operation_id = "extend_request", tag = "hitl",
    params(("request_id" = Uuid, Path)), request_body = ExtendBody,
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn extend(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
    Json(body): Json<ExtendBody>,
) -> Result<HttpResponse, Problem> {
    if !(1..=MAX_EXTENSION_S).contains(&body.by_s) {
        return Err(Problem::invalid("by_s", format!("must be 1 to {MAX_EXTENSION_S}")));
    }
    state.check_optional("comment", body.comment.as_deref())?;
    let extend = GateAct::Extend { by_s: body.by_s, comment: body.comment };
    act(&state, id, caller, &keyed, extend).await
}

/// Starts the next escalation of a request at once.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/escalate", operation_id = "escalate_request",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn escalate(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    act(&state, id, caller, &keyed, GateAct::Escalate).await
}

/// Reminds those who have not answered a request.
///
/// The reminder is a log entry, which live connections and webhooks pass on.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/remind", operation_id = "remind_of_request",
    tag = "hitl", params(("request_id" = Uuid, Path)),
    responses(
        (status = 200, body = RequestView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn remind(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    keyed: Keyed,
) -> Result<HttpResponse, Problem> {
    act(&state, id, caller, &keyed, GateAct::Remind).await
}
