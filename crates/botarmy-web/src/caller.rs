//! The caller of a request, as it was found when the request arrived.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use botarmy_domain::ports::Denial;
use botarmy_domain::{Via, text};

use crate::{Problem, has_credential};

/// The header in which a client names its user.
const USER_ID: &str = "X-User-Id";
/// The header in which a client says which program it is.
const CLIENT: &str = "BotArmy-Client";
/// The longest name of a user, in characters.
const MAX_USER_ID: usize = 128;

/// The caller of a request, an extension of the request. It is put there in one place, before the
/// request is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub botarmy_domain::Caller);

impl Caller {
    /// Returns the caller of this request.
    ///
    /// # Errors
    /// A 401 for a request whose caller was not found.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(|| Denial::Required.into())
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// Returns the user whom a client names in `X-User-Id`.
///
/// # Errors
/// A 400 for a name that cannot be recorded as it is: nothing is ever recorded under another.
pub fn named_user(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut names = headers.get_all(USER_ID);
    match (names.next(), names.next()) {
        (None, _) => Ok(None),
        (Some(name), None) => user_name(name).map(Some).map_err(refused),
        (Some(_), Some(_)) => Err(refused("must be sent once")),
    }
}

/// Returns the way by which a request of the API came, as its header `BotArmy-Client` says.
///
/// # Errors
/// A 400 for a program that is not known: the log would name a way that was not taken.
pub fn declared_way(headers: &HeaderMap) -> Result<Via, Problem> {
    let mut clients = headers.get_all(CLIENT);
    match (clients.next().map(HeaderValue::as_bytes), clients.next()) {
        (None, _) => Ok(Via::Rest),
        (Some(b"terminal"), None) => Ok(Via::Terminal),
        (Some(b"mcp"), None) => Ok(Via::Mcp),
        _ => Err(Problem::bad_request(format!(
            "{CLIENT} must be sent once with `terminal` or `mcp`, or be left out: it is recorded as \
             the way by which the request came."
        ))),
    }
}

/// Returns the name in the header, without surrounding white space.
fn user_name(value: &HeaderValue) -> Result<&str, &'static str> {
    let name = std::str::from_utf8(value.as_bytes()).map_err(|_| "must be UTF-8")?;
    let name = text::non_blank(name).ok_or("must have a visible character, or be left out")?;
    if name.chars().count() > MAX_USER_ID {
        return Err("must have at most 128 characters");
    }
    if name.chars().any(|c| c.is_control() || text::is_bidi(c)) {
        return Err("must not have control characters or marks of writing direction");
    }
    if has_credential(name) {
        return Err("must not have a credential in it");
    }
    Ok(name)
}

fn refused(rule: &str) -> Problem {
    Problem::bad_request(format!("{USER_ID} {rule}: it is recorded as the name of the user."))
}
