//! The standing delegation of the caller: another person who answers requests in its place.

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::hitl::Delegation;
use botarmy_domain::ports::NewDelegation;
use botarmy_domain::{PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::Problem;
use crate::extract::{Caller, Json};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_read, _, _>(read, Requires::AnyCaller),
        Endpoint::new::<__path_set, _, _>(set, Requires::AnyCaller),
        Endpoint::new::<__path_end, _, _>(end, Requires::AnyCaller),
    ]
}

/// Standing delegation of a person.
#[derive(Serialize, ToSchema)]
struct OwnDelegationView {
    /// Null without one.
    delegation: Option<DelegationView>,
}

/// Person who answers requests in the place of another for a time.
#[derive(Serialize, ToSchema)]
struct DelegationView {
    /// Person who answers.
    #[schema(value_type = Uuid)]
    to: PrincipalId,
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

fn view(delegation: Option<&Delegation>) -> HttpResponse {
    let delegation =
        delegation.map(|one| DelegationView { to: one.to, from: one.from, until: one.until });
    HttpResponse::Ok().json(OwnDelegationView { delegation })
}

/// Returns the standing delegation of the caller.
#[utoipa::path(
    get, path = "/api/v1/people/me/delegation", operation_id = "get_own_delegation",
    tag = "access", responses((status = 200, body = OwnDelegationView)),
)]
async fn read(state: Data<State>, Caller(caller): Caller) -> HttpResponse {
    let principal = state.access.principal_of(&caller);
    view(principal.as_ref().and_then(|principal| principal.delegation.as_ref()))
}

/// Standing delegation to set.
#[derive(Deserialize, ToSchema)]
struct DelegationBody {
    /// Name or id of the person who answers.
    #[schema(min_length = 1)]
    to: String,
    /// Time from which it applies; at once when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Time at which it ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Sets the standing delegation of the caller, in place of the one before.
///
/// It applies to requests that are opened or escalated while it lasts. Only a person with an account has
/// one.
#[utoipa::path(
    put, path = "/api/v1/people/me/delegation", operation_id = "set_own_delegation",
    tag = "access", request_body = DelegationBody,
    responses((status = 200, body = OwnDelegationView)),
)]
async fn set(
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<DelegationBody>,
) -> Result<HttpResponse, Problem> {
    state.check_text("to", &body.to)?;
    let new = NewDelegation { to: body.to, from: body.from, until: body.until };
    let principal = state.access.set_delegation(Some(new), caller).await?;
    Ok(view(principal.delegation.as_ref()))
}

/// Ends the standing delegation of the caller. Without one, nothing happens.
#[utoipa::path(
    delete, path = "/api/v1/people/me/delegation", operation_id = "end_own_delegation",
    tag = "access", responses((status = 200, body = OwnDelegationView)),
)]
async fn end(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    let principal = state.access.set_delegation(None, caller).await?;
    Ok(view(principal.delegation.as_ref()))
}
