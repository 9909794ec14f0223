//! The sign-in page: with a key, a one-time code, or an OpenID provider.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use askama::Template;
use botarmy_domain::Caller;
use botarmy_domain::access::SignInLinkText;
use botarmy_domain::ports::SignIn;
use botarmy_web::{
    ClientAddress, Problem, SESSION_COOKIE, UnknownFields, browser, cookie, parse_query,
};
use serde::Deserialize;

use super::openid;
use super::people::secret;
use super::sign_in::{delete_session, keep_session, page, refused, start};
use crate::errors::SIGNED_IN;
use crate::guard::Visitor;
use crate::html::Layout;
use crate::{Console, form, html, next};

/// Beginning of the line in the file with the key of the administrator, which people paste whole.
const HEADER: &str = "Authorization: Bearer ";

#[derive(Default, Deserialize)]
struct LoginQuery {
    /// Page to return to.
    next: Option<String>,
    /// Present after a sign-out.
    signed_out: Option<String>,
}

/// Shows the sign-in page.
pub(crate) async fn show(
    console: Data<Console>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query: LoginQuery = parse_query(request.query_string(), UnknownFields::Reject)?;
    let is_signed_out = cookie(request.headers(), SESSION_COOKIE)?.is_none();
    let notice = query.signed_out.filter(|_| is_signed_out).map(|_| "You are signed out.");
    let next = next::own(query.next.as_deref().unwrap_or_default());
    let mut response = page(&console, StatusCode::OK, next, None, notice)?;
    if !console.access.is_required() && request.headers().contains_key(header::COOKIE) {
        // A session of the time before would be refused on every page.
        delete_session(&mut response);
    }
    Ok(response)
}

#[derive(Default, Deserialize)]
struct LoginForm {
    key: Option<String>,
    code: Option<String>,
    /// Present for a sign-in with the OpenID provider.
    openid: Option<String>,
    next: Option<String>,
    /// `yes` to sign in with a code in place of the person who is signed in.
    confirmed: Option<String>,
}

#[derive(Template)]
#[template(path = "switch.html")]
struct SwitchTemplate<'a> {
    layout: Layout,
    /// Name of the person who is signed in.
    name: &'a str,
    code: &'a str,
    next: &'a str,
}

/// Signs a person in, and leads to the page that was asked for.
pub(crate) async fn sign_in(
    console: Data<Console>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let form: LoginForm = form::read(&request, &body)?;
    let next = next::own(form.next.as_deref().unwrap_or_default());
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let proof = match (given(form.key), given(form.code), form.openid) {
        (Some(key), None, None) => SignIn::Key(pasted_key(&key).to_owned()),
        (None, Some(code), None) => SignIn::Link(pasted_code(&code).to_owned()),
        (None, None, Some(_)) => return openid::begin(&console, &request, next).await,
        (None, None, None) => {
            let error = Some("Enter a key or a one-time code.");
            return page(&console, StatusCode::UNPROCESSABLE_ENTITY, next, error, None);
        }
        _ => return Err(Problem::bad_request("Send one of the fields key, code and openid.")),
    };
    // A link can come from anyone. Who opens it must not become another person without noticing. What is
    // no code is refused, and not sent back: it may be a key.
    if let SignIn::Link(code) = &proof
        && code.parse::<SignInLinkText>().is_ok()
        && form.confirmed.as_deref() != Some("yes")
        && let Some(caller) = signed_in_person(&console, &request).await?
    {
        let layout = Layout::of(&console);
        return secret(&SwitchTemplate { layout, name: caller.name(), code, next });
    }
    match start(&console, &request, proof).await {
        Ok(started) => {
            let mut response = html::redirect(&console.path(&next::with_next(SIGNED_IN, next)));
            keep_session(&mut response, &started);
            Ok(response)
        }
        Err(refusal) => refused(&console, refusal, next),
    }
}

/// Returns the person whose session the browser has.
async fn signed_in_person(
    console: &Console,
    request: &HttpRequest,
) -> Result<Option<Caller>, Problem> {
    let headers = request.headers();
    let Some(kept) = cookie(headers, SESSION_COOKIE)? else { return Ok(None) };
    let client = request.extensions().get::<ClientAddress>().copied();
    // A session that this server cannot tell to be valid is not kept by asking.
    Ok(console.sessions.find_caller(kept, &browser(headers, client)).await.ok())
}

/// Leads on after a sign-in: the browser has sent the cookie of its session.
pub(crate) async fn signed_in(
    console: Data<Console>,
    _: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query: LoginQuery = parse_query(request.query_string(), UnknownFields::Reject)?;
    let next = next::own(query.next.as_deref().unwrap_or_default());
    Ok(html::redirect(&console.path(next)))
}

/// Returns the key in a text that was pasted: the key, or the whole line of `admin.header`.
fn pasted_key(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix(HEADER).unwrap_or(text).trim()
}

/// Returns the code in a text that was pasted: the code, or the whole link.
fn pasted_code(text: &str) -> &str {
    text.rsplit_once('#').map_or(text, |(_, code)| code).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_paste_more_than_the_credential() {
        assert_eq!(pasted_key(" Authorization: Bearer botarmy_k_x\n"), "botarmy_k_x");
        assert_eq!(pasted_key(" botarmy_k_x "), "botarmy_k_x");
        assert_eq!(pasted_code(" botarmy_l_x\n"), "botarmy_l_x");
        let link = "http://botarmy.localhost:8080/console/login#botarmy_l_x";
        assert_eq!(pasted_code(link), "botarmy_l_x");
    }
}
