//! The credential of a request, as its headers carry it.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};

use botarmy_web::TICKET_PROTOCOL;

use crate::error::Problem;

/// Prefix of the tokens of leases.
pub(crate) const LEASE_TOKEN: &str = "botarmy_w_";

/// Credential of a request. Nothing is known of its validity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    /// An API key, or text in its place.
    Key(&'a str),
    /// The token of a lease. The handler reads it together with the name of the lease.
    LeaseToken,
    /// A ticket for a WebSocket.
    Ticket(&'a str),
}

/// Returns the credential of a request: the bearer token in `Authorization` (RFC 6750, section 2.1), or
/// for a WebSocket a ticket among its protocols. A header of another scheme or without one is a key that
/// is not valid, and not an anonymous request. Another scheme is meant for a proxy in front of the server,
/// and is ignored, if the request comes from one that is known, or beside a ticket: a browser sends the
/// credentials of the proxy with every request.
///
/// # Errors
/// A 400 for more than one credential.
pub(super) fn read(
    headers: &HeaderMap,
    takes_ticket: bool,
    is_from_proxy: bool,
) -> Result<Option<Credential<'_>>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (value, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(two());
    }
    let value = value.filter(|value| !is_from_proxy || !has_other_scheme(value.as_bytes()));
    let bearer = value.map(|value| bearer(value.as_bytes()));
    let mut ticket = None;
    for protocol in takes_ticket.then(|| protocols(headers)).into_iter().flatten() {
        let text = protocol.strip_prefix(TICKET_PROTOCOL);
        if text.is_some_and(|text| ticket.replace(text).is_some()) {
            return Err(two());
        }
    }
    match (bearer.map(|text| text.unwrap_or_default()), ticket) {
        (Some(_), Some(_)) if bearer.flatten().is_some() => Err(two()),
        (_, Some(ticket)) => Ok(Some(Credential::Ticket(ticket))),
        (None, None) => Ok(None),
        (Some(text), None) if text.starts_with(LEASE_TOKEN) => Ok(Some(Credential::LeaseToken)),
        (Some(text), None) => Ok(Some(Credential::Key(text))),
    }
}

/// Returns the bearer token of a header; the empty text for what cannot be one.
pub(crate) fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, rest) = value.split_at_checked("Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") || !matches!(rest.first(), None | Some(b' ')) {
        return None;
    }
    Some(std::str::from_utf8(rest).unwrap_or_default().trim_matches(' '))
}

/// Returns whether the value of the header has a scheme, and not that of bearer tokens.
fn has_other_scheme(value: &[u8]) -> bool {
    let has_scheme = value.iter().position(|byte| *byte == b' ').is_some_and(|at| at > 0);
    has_scheme && bearer(value).is_none()
}

/// Returns the protocols that a client of a WebSocket offers.
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// Returns the 400 of a request with more than one credential.
pub(super) fn two() -> Problem {
    let detail = "Send one credential. This request has two, and it is not clear which is meant.";
    Problem::new(StatusCode::BAD_REQUEST, detail).with_code("two_credentials")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_credential_is_a_bearer_token_or_a_ticket_and_there_is_one() {
        const A: HeaderName = header::AUTHORIZATION;
        const P: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;
        for (pairs, expected) in [
            (&[][..], Ok(None)),
            (&[(A, "Basic dTpw")], Ok(Some(Credential::Key("")))),
            (&[(A, "Bearerx")], Ok(Some(Credential::Key("")))),
            (&[(A, "botarmy_k_x")], Ok(Some(Credential::Key("")))),
            (&[(A, "")], Ok(Some(Credential::Key("")))),
            (&[(A, "Basic a"), (P, "botarmy.ticket.t")], Ok(Some(Credential::Ticket("t")))),
            (&[(A, "Bearer")], Ok(Some(Credential::Key("")))),
            (&[(A, "bEARER  x ")], Ok(Some(Credential::Key("x")))),
            (&[(A, "Bearer a, Bearer b")], Ok(Some(Credential::Key("a, Bearer b")))),
            (&[(A, "Bearer botarmy_w_x")], Ok(Some(Credential::LeaseToken))),
            (&[(P, "botarmy.v1")], Ok(None)),
            (&[(P, "botarmy.v1,botarmy.ticket.t")], Ok(Some(Credential::Ticket("t")))),
            (&[(P, "botarmy.v1"), (P, "botarmy.ticket.t")], Ok(Some(Credential::Ticket("t")))),
            (&[(A, "Bearer a"), (A, "Bearer a")], Err(())),
            (&[(A, "Basic a"), (A, "Bearer a")], Err(())),
            (&[(A, "Bearer a"), (P, "botarmy.ticket.t")], Err(())),
            (&[(P, "botarmy.ticket.t, botarmy.ticket.t")], Err(())),
        ] {
            let headers = headers(pairs);
            assert_eq!(read(&headers, true, false).map_err(|_| ()), expected, "{pairs:?}");
        }
        for (value, expected) in [
            ("Basic dTpw", None),
            ("Digest username=\"u\"", None),
            ("Bearer x", Some(Credential::Key("x"))),
            ("botarmy_k_x", Some(Credential::Key(""))),
            (" ", Some(Credential::Key(""))),
        ] {
            let behind_proxy = headers(&[(A, value)]);
            assert_eq!(read(&behind_proxy, true, true).map_err(|_| ()), Ok(expected), "{value}");
        }
        let ticket = headers(&[(P, "botarmy.ticket.t")]);
        assert_eq!(
            read(&ticket, false, false).map_err(|_| ()),
            Ok(None),
            "a ticket opens a socket only"
        );
    }
}
