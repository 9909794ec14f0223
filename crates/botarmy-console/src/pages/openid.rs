//! Sign-in with an OpenID provider: the way there, and the way back.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::access::LoginAttempt;
use botarmy_domain::ports::{
    BegunLogin, Callback, IdentityProvider, ProviderError, SignIn, SignInRefusal,
};
use botarmy_web::{
    Problem, RefusedSignIn, SameSite, UnknownFields, cookie, origin_of, parse_query, set_cookie,
};
use serde::Deserialize;

use super::sign_in::{keep_session, page, refused, start};
use crate::errors::SIGNED_IN;
use crate::html::{self, Layout, Onward};
use crate::{Console, next};

/// Cookie of a sign-in that has begun: the attempt, a dot, and the page to return to. The provider sends
/// the browser back from another site, so it is sent with such a navigation too.
const COOKIE: &str = "__Host-botarmy-login";
/// Time that a person has to sign in with the provider.
const LIFETIME: Duration = Duration::from_secs(600);
/// Path of the way back.
const CALLBACK: &str = "/console/login/callback";

/// Sends the browser to the provider.
pub(super) async fn begin(
    console: &Console,
    request: &HttpRequest,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let provider = provider(console)?;
    let begun = provider.begin(&redirect_uri(console, request)?).await;
    let BegunLogin { url, attempt } = match begun {
        Ok(begun) => begun,
        Err(error) => return failed(console, &error, next),
    };
    let onward = Onward {
        layout: Layout::of(console),
        url: &url,
        title: "To your sign-in provider",
        link: "Continue to the sign-in provider",
    };
    let mut response = html::respond(StatusCode::OK, &onward)?;
    let value = format!("{}.{next}", attempt.expose());
    let cookie = set_cookie(COOKIE, &value, SameSite::Lax, Some(LIFETIME));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Parameters with which a provider sends the browser back. Others that it adds have no meaning here
/// (RFC 6749, section 4.1.2).
#[derive(Default, Deserialize)]
struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Finishes a sign-in.
pub(crate) async fn callback(
    console: Data<Console>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let provider = provider(&console)?;
    let kept = cookie(request.headers(), COOKIE)?;
    let (attempt, next) = kept.and_then(|kept| kept.split_once('.')).unwrap_or_default();
    let next = next::own(next);
    let mut response = match attempt.parse::<LoginAttempt>() {
        Ok(attempt) => finish(&console, &provider, &request, &attempt, next).await?,
        Err(_) => failed(&console, &ProviderError::ForeignState, next)?,
    };
    let gone = set_cookie(COOKIE, "", SameSite::Lax, Some(Duration::ZERO));
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}

async fn finish(
    console: &Console,
    provider: &Arc<dyn IdentityProvider>,
    request: &HttpRequest,
    attempt: &LoginAttempt,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let query: CallbackQuery = parse_query(request.query_string(), UnknownFields::Ignore)?;
    let CallbackQuery { code, state, iss, error } = query;
    let answer = Callback { code, state, iss, error };
    let identity = provider.finish(&redirect_uri(console, request)?, attempt, answer).await;
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) => return failed(console, &error, next),
    };
    let started = match start(console, request, SignIn::OpenId(identity)).await {
        Ok(started) => started,
        Err(refusal) => return refused_person(console, refusal, next),
    };
    let url = console.path(&next::with_next(SIGNED_IN, next));
    let onward = Onward {
        layout: Layout::of(console),
        url: &url,
        title: "You are signed in",
        link: "Continue to the console",
    };
    let mut response = html::respond(StatusCode::OK, &onward)?;
    keep_session(&mut response, &started);
    Ok(response)
}

/// Returns the sign-in page with the reason of a refusal. No credential was guessed: the provider has
/// confirmed the person.
fn refused_person(
    console: &Console,
    refusal: SignInRefusal,
    next: &str,
) -> Result<HttpResponse, Problem> {
    let mut response = refused(console, refusal, next)?;
    if let Some(refused) = response.extensions_mut().get_mut::<RefusedSignIn>() {
        refused.is_guess = false;
    }
    Ok(response)
}

/// Returns the sign-in page with the reason for which the provider did not confirm a person.
fn failed(console: &Console, error: &ProviderError, next: &str) -> Result<HttpResponse, Problem> {
    let status = match error {
        ProviderError::ForeignState => StatusCode::BAD_REQUEST,
        ProviderError::Denied(_) => StatusCode::FORBIDDEN,
        ProviderError::Untrusted(_) => StatusCode::BAD_GATEWAY,
        ProviderError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    tracing::warn!(code = error.code(), %error, "A sign-in with the OpenID provider failed");
    let mut response = page(console, status, next, Some(&error.to_string()), None)?;
    let refused = RefusedSignIn { code: error.code(), is_guess: false };
    response.extensions_mut().insert(refused);
    Ok(response)
}

fn provider(console: &Console) -> Result<Arc<dyn IdentityProvider>, Problem> {
    let detail = "People do not sign in with an OpenID provider here; see the settings [oidc].";
    console.provider.clone().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, detail))
}

/// Returns the address to which the provider sends the browser back: that under which the browser has
/// asked for the sign-in, since the cookie of the attempt belongs to it.
fn redirect_uri(console: &Console, request: &HttpRequest) -> Result<String, Problem> {
    let origin = origin_of(request.head(), console.public_url.as_ref(), console.has_tls)?;
    Ok(format!("{origin}{}", console.path(CALLBACK)))
}
