//! The sessions of everyone, for administrators.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::CredentialId;
use botarmy_web::Problem;
use serde::Deserialize;

use super::people::check;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::Confirmed;
use crate::html::{self, Layout};
use crate::view::access::{self, PersonSession};

/// Path of the list.
const SESSIONS: &str = "/console/settings/sessions";
/// Number of sessions on a page.
const WINDOW: u32 = 100;

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    /// Session after which the page begins.
    after: Option<CredentialId>,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsTemplate {
    layout: Layout,
    frame: Frame,
    rows: Vec<PersonSession>,
    is_later: bool,
    next: Option<String>,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    check(context.caller())?;
    let query: ListQuery = context.query()?;
    let (console, caller) = (&context.console, context.caller());
    let found = console.sessions.sessions(caller, None, query.after, WINDOW).await?;
    let path = context.path(SESSIONS);
    let next = found.last_before_next().map(|last| format!("{path}?after={}", last.session.id));
    let (layout, frame) = context.frame(Section::Settings, "Sessions").await?;
    let frame = frame.below([("Settings", context.path("/console/settings"))]);
    context.respond(&SessionsTemplate {
        layout,
        frame,
        rows: access::sessions(&found.items, caller),
        is_later: query.after.is_some(),
        next,
    })
}

/// Ends a session.
pub(crate) async fn end(
    context: PageContext,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    let id: CredentialId = id.parse().map_err(|_| Problem::not_found("Session", id.as_str()))?;
    context.console.sessions.end_session(id, caller).await?;
    Ok(html::redirect(&context.path(SESSIONS)))
}
