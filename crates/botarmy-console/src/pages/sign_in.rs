//! The parts that every way to sign in shares: the page, the start of a session, and its cookie.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use askama::Template;
use botarmy_domain::ports::{SignIn, SignInRefusal, StartedSession};
use botarmy_web::{
    ClientAddress, Problem, REQUEST_ID, RETRY_AFTER_S, RefusedSignIn, SESSION_COOKIE, SameSite,
    browser, set_cookie,
};

use crate::Console;
use crate::html::{self, Layout};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate<'a> {
    layout: Layout,
    next: &'a str,
    has_provider: bool,
    is_required: bool,
    /// Reason for which the last attempt failed.
    error: Option<&'a str>,
    /// Something that the person should know.
    notice: Option<&'a str>,
}

/// Renders the sign-in page.
pub(super) fn page(
    console: &Console,
    status: StatusCode,
    next: &str,
    error: Option<&str>,
    notice: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let page = LoginTemplate {
        layout: Layout::of(console),
        next,
        has_provider: console.provider.is_some(),
        is_required: console.access.is_required(),
        error,
        notice,
    };
    html::respond(status, &page)
}

/// Starts a session for the browser of this request.
pub(super) async fn start(
    console: &Console,
    request: &HttpRequest,
    proof: SignIn,
) -> Result<StartedSession, SignInRefusal> {
    let client = request.extensions().get::<ClientAddress>().copied();
    let browser = browser(request.headers(), client);
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    console.sessions.sign_in(proof, &browser, id.map(str::to_owned)).await
}

/// Adds the cookie of a session that was just started.
pub(super) fn keep_session(response: &mut HttpResponse, started: &StartedSession) {
    let cookie = set_cookie(SESSION_COOKIE, started.text.expose(), SameSite::Strict, None);
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// Has the browser delete the cookie of the session.
pub(super) fn delete_session(response: &mut HttpResponse) {
    let cookie = set_cookie(SESSION_COOKIE, "", SameSite::Strict, Some(Duration::ZERO));
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// Returns the sign-in page with the reason of a refusal.
///
/// # Errors
/// A 503 or a 500 where the server is the reason.
pub(super) fn refused(
    console: &Console,
    refusal: SignInRefusal,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let (code, text) = (refusal.code(), refusal.to_string());
    let (status, is_guess) = match refusal {
        SignInRefusal::Invalid | SignInRefusal::Expired => (StatusCode::UNAUTHORIZED, true),
        SignInRefusal::NotAPerson | SignInRefusal::NoMappedGroup | SignInRefusal::Disabled => {
            (StatusCode::FORBIDDEN, false)
        }
        SignInRefusal::Unavailable => return Err(Problem::unavailable(text, RETRY_AFTER_S)),
        SignInRefusal::Other(error) => return Err(error.into()),
    };
    let mut response = page(console, status, next, Some(&text), None)?;
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"botarmy\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response.extensions_mut().insert(RefusedSignIn { code, is_guess });
    Ok(response)
}
