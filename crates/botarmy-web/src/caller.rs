//! The caller of a request. Without authentication, the client's own statement is all there is.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::{Problem, REQUEST_ID};

/// The header in which a client names its user.
const USER_ID: &str = "x-user-id";
/// The longest name of a user, in bytes.
const MAX_USER_ID: usize = 128;

/// The person behind a request, `anonymous` where the client names no user, or one that is not
/// printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub botarmy_domain::Caller);

impl Caller {
    /// Returns the caller of this request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let user = text(USER_ID).map(str::trim).filter(|user| {
            (1..=MAX_USER_ID).contains(&user.len())
                && user.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        });
        let request_id = text(REQUEST_ID.as_str()).map(str::to_owned);
        let caller = botarmy_domain::Caller::person(user.unwrap_or("anonymous"));
        Self(caller.with_request_id(request_id))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
