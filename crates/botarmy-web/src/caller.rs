//! The caller of a request. Without authentication, the client's own statement is all there is.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, HttpRequest};
use botarmy_domain::text;

use crate::{Problem, REQUEST_ID};

/// The header in which a client names its user.
const USER_ID: &str = "X-User-Id";
/// The longest name of a user, in characters.
const MAX_USER_ID: usize = 128;

/// The person behind a request, `anonymous` where the client names no user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub botarmy_domain::Caller);

impl Caller {
    /// Returns the caller of this request.
    ///
    /// # Errors
    /// A 400 for a name that cannot be recorded as it is: nothing is ever recorded under another.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut names = request.headers().get_all(USER_ID);
        let user = match (names.next(), names.next()) {
            (None, _) => "anonymous",
            (Some(name), None) => user_name(name).map_err(refused)?,
            (Some(_), Some(_)) => return Err(refused("must be sent once")),
        };
        let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let caller = botarmy_domain::Caller::person(user);
        Ok(Self(caller.with_request_id(request_id.map(str::to_owned))))
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
    Ok(name)
}

fn refused(rule: &str) -> Problem {
    Problem::bad_request(format!("{USER_ID} {rule}: it is recorded as the name of the user."))
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}
