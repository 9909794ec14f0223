//! The page with one's own name, roles and sessions, the person who answers in one's place, and the way
//! out.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use botarmy_domain::access::MAX_SESSIONS;
use botarmy_domain::ports::NewDelegation;
use botarmy_domain::{CredentialId, DomainError, Error, Principal, PrincipalId, Timestamp};
use botarmy_web::{Problem, UnknownFields, parse_query};
use serde::Deserialize;

use super::fields::FieldError;
use super::sign_in::delete_session;
use crate::Console;
use crate::context::PageContext;
use crate::errors::LOGIN;
use crate::frame::{Frame, Section};
use crate::guard::{Confirmed, Form, HasToken};
use crate::html::{self, Layout};
use crate::view::account::{AccountView, DelegationView, delegation, view};
use crate::view::icon::Icon;

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
    /// Whether the person can have another person answer.
    may_delegate: bool,
    delegation: Option<DelegationView>,
    typed: DelegationForm,
    error: Option<FieldError>,
    is_saved: bool,
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: AccountQuery = context.query()?;
    let parts = mark_of(context.console.access.principal_of(context.caller()).as_deref());
    let is_saved = context.visitor.has_mark(query.saved.as_deref(), &parts);
    respond(&context, DelegationForm::default(), None, is_saved).await
}

/// Returns the parts of the mark of a change of the delegation, which hold until the next one.
fn mark_of(person: Option<&Principal>) -> Vec<String> {
    let delegation = person.and_then(|person| person.delegation.as_ref());
    let parts = delegation.map(|one| (one.to, one.from.micros(), one.until.micros()));
    vec!["delegation".to_owned(), format!("{parts:?}")]
}

async fn respond(
    context: &PageContext,
    typed: DelegationForm,
    error: Option<FieldError>,
    is_saved: bool,
) -> Result<HttpResponse, Problem> {
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
    let standing = principal.as_ref().and_then(|person| person.delegation.clone());
    let standing = standing.filter(|one| one.until > context.now());
    let delegation = match standing {
        Some(one) => Some(delegation(&one, name_of(context, one.to).await?, context.now())),
        None => None,
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = AccountTemplate {
        layout,
        frame: frame.called("Account"),
        form_token: context.visitor.form_token(),
        account: view(caller, principal.as_deref(), &sessions),
        may_delegate: principal.is_some(),
        delegation,
        typed,
        error,
        is_saved,
    };
    html::respond(status, &page)
}

/// Returns the name of a person; `None` for those who may not read it.
async fn name_of(context: &PageContext, id: PrincipalId) -> Result<Option<String>, Problem> {
    match context.console.access.principal(context.caller(), id).await {
        Ok(person) => Ok(Some(person.name.clone())),
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Form with the person who answers in one's place. Times are in UTC, as browsers send them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct DelegationForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    /// `1` to end it.
    end: Option<String>,
}

impl HasToken for DelegationForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

impl DelegationForm {
    /// Returns the delegation that is asked for; `None` to end it.
    fn read(&self) -> Result<Option<NewDelegation>, FieldError> {
        if self.end.is_some() {
            return Ok(None);
        }
        let time = |name: &str, text: &str| {
            let text = text.trim();
            let whole = if text.len() == "2026-12-01T10:00".len() { ":00Z" } else { "Z" };
            Timestamp::parse(&format!("{text}{whole}")).map_err(|_| {
                (name.to_owned(), "must be a date and a time, such as 2026-12-24T08:00".to_owned())
            })
        };
        let from = Some(&self.from).filter(|text| !text.trim().is_empty());
        Ok(Some(NewDelegation {
            to: self.to.trim().to_owned(),
            from: from.map(|text| time("from", text)).transpose()?,
            until: time("until", &self.until)?,
        }))
    }
}

/// Sets or ends the delegation of the person.
pub(crate) async fn set_delegation(
    context: PageContext,
    Form { caller, fields }: Form<DelegationForm>,
) -> Result<HttpResponse, Problem> {
    let asked = match fields.read() {
        Ok(asked) => asked,
        Err(error) => return respond(&context, fields, Some(error), false).await,
    };
    match context.console.access.set_delegation(asked, caller).await {
        Ok(person) => {
            let mark = context.visitor.mark(&mark_of(Some(&person)));
            let mark = mark.map_or_else(String::new, |mark| format!("?saved={mark}"));
            Ok(html::redirect(&context.path(&format!("{ACCOUNT}{mark}"))))
        }
        Err(Error::Refused(DomainError::Invalid { field, message })) => {
            respond(&context, fields, Some((field.to_owned(), message)), false).await
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Default, Deserialize)]
struct AccountQuery {
    /// Mark of a change that the page confirms.
    saved: Option<String>,
}

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
