//! The page with one's own name, roles and sessions, and the way out.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use botarmy_domain::CredentialId;
use botarmy_domain::access::MAX_SESSIONS;
use botarmy_web::{Problem, UnknownFields, parse_query};
use serde::Deserialize;

use super::sign_in::delete_session;
use crate::Console;
use crate::context::PageContext;
use crate::errors::LOGIN;
use crate::frame::{Frame, Section};
use crate::guard::Confirmed;
use crate::html::{self, Layout};
use crate::view::account::{AccountView, view};

/// Path of the page.
const ACCOUNT: &str = "/console/account";

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

#[derive(Template)]
#[template(path = "account.html")]
struct AccountTemplate<'a> {
    layout: Layout,
    frame: Frame,
    form_token: &'a str,
    account: AccountView,
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let (console, caller) = (&context.console, context.caller());
    let principal = console.access.principal_of(caller);
    let sessions = match caller.principal() {
        Some(id) => {
            // One person has no more than these.
            let most = u32::try_from(MAX_SESSIONS).unwrap_or(u32::MAX);
            console.sessions.sessions(caller, Some(id), None, most).await?.items
        }
        None => Vec::new(),
    };
    let (layout, frame) = context.frame(Section::Account, caller.name()).await?;
    context.respond(&AccountTemplate {
        layout,
        frame: frame.called("Account"),
        form_token: context.visitor.form_token(),
        account: view(caller, principal.as_deref(), &sessions),
    })
}

#[derive(Default, Deserialize)]
struct NoQuery {}

#[derive(Default, Deserialize)]
struct SignOutQuery {
    /// `true` if all sessions of the person end.
    everywhere: Option<String>,
}

/// Ends the session, or all sessions of the person, and then deletes the cookie.
pub(crate) async fn sign_out(
    console: Data<Console>,
    request: HttpRequest,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let query: SignOutQuery = parse_query(request.query_string(), UnknownFields::Reject)?;
    let everywhere = match query.everywhere.as_deref() {
        None => false,
        Some("true") => true,
        Some(_) => return Err(Problem::invalid("everywhere", "must be `true`, or be left out")),
    };
    console.sessions.sign_out(caller, everywhere).await?;
    let whence = if everywhere { "everywhere" } else { "here" };
    let mut response = html::redirect(&console.path(&format!("{LOGIN}?signed_out={whence}")));
    delete_session(&mut response);
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// Ends one of the sessions.
pub(crate) async fn end_session(
    console: Data<Console>,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let id: CredentialId = id.parse().map_err(|_| Problem::not_found("Session", id.as_str()))?;
    console.sessions.end_session(id, caller).await?;
    Ok(html::redirect(&console.path(ACCOUNT)))
}
