//! The lease that a call is about, with the secret that proves that the caller holds it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use botarmy_domain::{DomainError, LeaseToken, PresentedLease};

use super::lease_name::LeaseName;
use crate::admission::credentials;
use crate::error::Problem;
use crate::extract::Caller;

/// Name of the lease in the path and, from the header `Authorization`, its token.
pub(super) struct Presented(pub(super) PresentedLease);

impl FromRequest for Presented {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(presented(request).map(Self))
    }
}

fn presented(request: &HttpRequest) -> Result<PresentedLease, Problem> {
    let token = bearer(request)?;
    let name = request.match_info().get("lease").unwrap_or_default();
    let LeaseName(lease) = name.parse().map_err(|_| {
        let detail = "There is no lease of this name. Names are in the response of POST \
                      /api/v1/worker/leases.";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    // A request with a token has no caller: the token stands for itself.
    let caller = request.extensions().get::<Caller>().map(|caller| caller.0.clone());
    Ok(PresentedLease { lease, token, caller })
}

/// Returns the token of a lease, where the request carries one. What else it carries was checked before
/// it was routed.
fn bearer(request: &HttpRequest) -> Result<Option<LeaseToken>, Problem> {
    let value = request.headers().get(header::AUTHORIZATION);
    let text = value.and_then(|value| credentials::bearer(value.as_bytes()));
    let Some(text) = text.filter(|text| text.starts_with(credentials::LEASE_TOKEN)) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = "The token in Authorization is not the token of a lease.".to_owned();
        DomainError::Unauthenticated { code: "token_invalid", detail }.into()
    })
}
