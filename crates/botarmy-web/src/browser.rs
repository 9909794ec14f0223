//! Browsers that are signed in: the cookie of the session, and what a request says of its browser.

use std::fmt;
use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use botarmy_domain::ports::Denial;
use botarmy_domain::{Browser, SessionText};

use crate::{ClientAddress, Problem};

/// Name of the cookie of a session. With this prefix a browser accepts it only over a way that it
/// trusts, for this host alone and for all of its paths.
pub const SESSION_COOKIE: &str = "__Host-botarmy";

/// Longest `User-Agent` to which a session is bound, in bytes; the rest of a longer one does not count.
const MAX_AGENT: usize = 1024;

/// Session that a request came with, an extension of the request. It is put there in one place, after the
/// session was found to be valid.
#[derive(Debug, Clone)]
pub struct Session(pub SessionText);

impl FromRequest for Session {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let session = request.extensions().get::<Self>().cloned();
        ready(session.ok_or_else(|| Denial::Required.into()))
    }
}

/// Sign-in that was refused, an extension of the response: it is counted and recorded like every other
/// wrong credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedSignIn {
    /// Name of the reason.
    pub code: &'static str,
    /// Whether a credential was guessed, so that it counts as a failed authentication of its address.
    pub is_guess: bool,
}

/// Returns the value of a cookie.
///
/// # Errors
/// A 400 if the request has two cookies of this name: it is not clear which is meant.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    // Another cookie may have characters that a header does not have.
    let values = headers.get_all(header::COOKIE).map(HeaderValue::as_bytes);
    let mut found = values
        .flat_map(|value| value.split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = found.next();
    if found.next().is_some() {
        let detail = format!("The request has two cookies with the name {name}.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail).with_code("two_credentials"));
    }
    Ok(value)
}

/// Pages from which a browser sends a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Pages of the same site.
    Strict,
    /// Also links, forms and redirections of other sites that only read.
    Lax,
}

/// Returns the header that sets a cookie as this server does: out of reach of scripts, for this host
/// alone, and only over a way that the browser trusts. Without an age it ends with the browser; with the
/// age 0 it is deleted.
///
/// # Panics
/// For a name or a value with characters other than visible ASCII.
#[must_use]
pub fn set_cookie(
    name: impl fmt::Display,
    value: &str,
    same_site: SameSite,
    max_age: Option<Duration>,
) -> HeaderValue {
    let age = max_age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
    let text = format!("{name}={value}; HttpOnly; SameSite={same_site:?}; Secure; Path=/{age}");
    let mut header = HeaderValue::from_str(&text).expect("a cookie of this server is ASCII");
    header.set_sensitive(true);
    header
}

/// Returns what a session is bound to.
#[must_use]
pub fn browser(headers: &HeaderMap, client: Option<ClientAddress>) -> Browser {
    let agent = headers.get(header::USER_AGENT).map(|agent| agent.as_bytes()).unwrap_or_default();
    let agent = &agent[..agent.len().min(MAX_AGENT)];
    Browser {
        agent: String::from_utf8_lossy(agent).into_owned(),
        address: client.map(|client| client.0),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn there_is_one_cookie_of_a_name_or_none() {
        let found = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::COOKIE, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            cookie(&headers, SESSION_COOKIE)
                .map(|value| value.map(str::to_owned))
                .map_err(|problem| problem.code())
        };
        for (values, expected) in [
            (&[][..], None),
            (&["a=b"], None),
            (&["__Host-botarmy=x"], Some("x")),
            (&["a=b; __Host-botarmy=x;c=d"], Some("x")),
            (&["lang=日本; __Host-botarmy=x"], Some("x")),
            (&["a=b", " __Host-botarmy=x=y "], Some("x=y")),
            (&["__Host-botarmy="], Some("")),
            (&["__host-botarmy=x; x__Host-botarmy=y; __Host-botarmy-login=z"], None),
        ] {
            assert_eq!(found(values), Ok(expected.map(str::to_owned)), "{values:?}");
        }
        for values in
            [&["__Host-botarmy=x; __Host-botarmy=x"][..], &["__Host-botarmy=x", "__Host-botarmy=y"]]
        {
            assert_eq!(found(values), Err(Some("two_credentials")), "{values:?}");
        }
    }

    #[test]
    fn a_cookie_is_deleted_with_the_attributes_that_it_was_set_with() {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let set = text(&set_cookie(SESSION_COOKIE, "x", SameSite::Strict, None));
        assert_eq!(set, "__Host-botarmy=x; HttpOnly; SameSite=Strict; Secure; Path=/");
        let deleted = set_cookie(SESSION_COOKIE, "", SameSite::Strict, Some(Duration::ZERO));
        let attributes = set.split_once("; ").unwrap().1;
        assert_eq!(text(&deleted), format!("__Host-botarmy=; {attributes}; Max-Age=0"));
        assert!(deleted.is_sensitive());
    }
}
