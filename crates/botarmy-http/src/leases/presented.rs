//! The lease that a call is about, with the secret that proves that the caller holds it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest};
use botarmy_domain::{DomainError, LeaseToken, PresentedLease};

use super::lease_name::LeaseName;
use crate::error::Problem;

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
    Ok(PresentedLease { lease, token })
}

/// Returns the bearer token of a request (RFC 6750, section 2.1). Credentials of another scheme are
/// meant for a proxy in front of the server.
fn bearer(request: &HttpRequest) -> Result<Option<LeaseToken>, Problem> {
    let mut found = None;
    for value in request.headers().get_all(header::AUTHORIZATION) {
        let value = value.as_bytes();
        let Some((scheme, rest)) = value.split_at_checked("Bearer".len()) else { continue };
        if !scheme.eq_ignore_ascii_case(b"Bearer") || !matches!(rest.first(), None | Some(b' ')) {
            continue;
        }
        if found.is_some() {
            return Err(Problem::bad_request("Send one token in Authorization, not two."));
        }
        let token = std::str::from_utf8(rest).ok();
        let token = token.and_then(|text| text.trim_start_matches(' ').parse().ok());
        found = Some(token.ok_or_else(|| {
            let detail = "The token in Authorization is not the token of a lease.".to_owned();
            Problem::from(DomainError::Unauthenticated { code: "token_invalid", detail })
        })?);
    }
    Ok(found)
}
