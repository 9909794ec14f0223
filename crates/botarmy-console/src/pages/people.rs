//! People and programs, for administrators: the list with the form for a new one, and the page of each.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::access::MAX_SESSIONS;
use botarmy_domain::ports::{NewPrincipal, PrincipalChange};
use botarmy_domain::{
    Caller, DomainError, Error, Permission, Place, Principal, PrincipalId, PrincipalKind, Seen,
};
use botarmy_web::{Problem, origin_of};
use serde::Deserialize;

use super::fields::{FieldError, Fields, is_changed, seen};
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::errors::LOGIN;
use crate::frame::{Frame, Section};
use crate::guard::{Confirmed, Form};
use crate::html::{self, Layout};
use crate::view::access::{self, GrantRow, KeyView, Owners, PersonSession, PrincipalView};
use crate::view::icon::Icon;
use crate::view::time::TimeView;

/// Path of the list.
pub(super) const PEOPLE: &str = "/console/settings/people";
/// Number of principals on a page.
const WINDOW: u32 = 100;
/// Number of keys on the page of a principal.
const MAX_KEYS: u32 = 50;

/// Checks that a person may manage access, before anything else is looked at.
pub(super) fn check(caller: &Caller) -> Result<(), Problem> {
    Ok(caller.check(Permission::AccessManage, Place::Installation)?)
}

/// Returns the error of a field that leads back to the form, or the problem that does not.
pub(super) fn field_error(error: Error) -> Result<FieldError, Problem> {
    match error {
        Error::Refused(DomainError::Invalid { field, message }) => Ok((field.to_owned(), message)),
        Error::Refused(
            DomainError::Conflict { detail, .. } | DomainError::Forbidden { detail, .. },
        ) => Ok((String::new(), detail)),
        // The caller may manage access, so this is about grants that it cannot pass on.
        Error::Refused(refused @ DomainError::NotPermitted { .. }) => {
            Ok((String::new(), refused.to_string()))
        }
        error => Err(error.into()),
    }
}

/// Returns the status of a page that shows this error of a field again.
pub(super) fn status_of(error: &FieldError) -> StatusCode {
    if error.0.is_empty() { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY }
}

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    /// Principal after which the page begins.
    after: Option<PrincipalId>,
    /// `worker` if the form begins with a program that is a worker.
    new: Option<String>,
}

/// Form of a new principal, as it is filled in.
struct NewView {
    name: String,
    is_program: bool,
    groups: String,
    grants: Vec<GrantRow>,
}

#[derive(Template)]
#[template(path = "people/list.html")]
struct ListTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    rows: Vec<PrincipalView>,
    is_later: bool,
    next: Option<String>,
    new: NewView,
    /// Whether the form is open.
    is_open: bool,
    error: Option<FieldError>,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    check(context.caller())?;
    let query: ListQuery = context.query()?;
    let is_worker = match query.new.as_deref() {
        None | Some("") => false,
        Some("worker") => true,
        Some(_) => return Err(Problem::invalid("new", "must be worker, or be left out")),
    };
    let mut grants = access::grant_rows(&[]);
    for row in &mut grants {
        row.all = is_worker && row.role == "worker";
    }
    let new = NewView { name: String::new(), is_program: is_worker, groups: String::new(), grants };
    list(&context, query.after, new, is_worker, None).await
}

async fn list(
    context: &PageContext,
    after: Option<PrincipalId>,
    new: NewView,
    is_open: bool,
    error: Option<FieldError>,
) -> Result<HttpResponse, Problem> {
    let found = context.console.access.principals(context.caller(), after, WINDOW).await?;
    let path = context.path(PEOPLE);
    let next = found.last_before_next().map(|last| format!("{path}?after={}", last.id));
    let api = ApiSource::new(context, "/access/principals")?;
    let (layout, frame) = context.frame(Section::Settings, "People and programs").await?;
    let frame = frame.below([("Settings", context.path("/console/settings"))]);
    let status = error.as_ref().map_or(StatusCode::OK, status_of);
    let template = ListTemplate {
        layout,
        frame,
        api,
        rows: found.items.iter().map(|one| access::principal(one)).collect(),
        is_later: after.is_some(),
        next,
        new,
        is_open,
        error,
    };
    html::respond(status, &template)
}

/// Creates a person or a program.
pub(crate) async fn create(
    context: PageContext,
    Form { caller, fields }: Form<Fields>,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    fields.check_names(&["name", "kind", "groups"])?;
    let kind = match fields.get("kind") {
        "person" => PrincipalKind::Person,
        "service" => PrincipalKind::Service,
        _ => return Err(Problem::invalid("kind", "must be person or service")),
    };
    let error = match fields.grants() {
        Err(error) => error,
        Ok(grants) => {
            let name = fields.get("name").to_owned();
            let new = NewPrincipal { name, kind, groups: fields.list("groups"), grants };
            match context.console.access.create_principal(new, caller).await {
                Ok(made) => return Ok(html::redirect(&path_of(&context, made.id))),
                Err(error) => field_error(error)?,
            }
        }
    };
    let new = NewView {
        name: fields.get("name").to_owned(),
        is_program: kind == PrincipalKind::Service,
        groups: fields.get("groups").to_owned(),
        grants: fields.grant_rows(),
    };
    list(&context, None, new, true, Some(error)).await
}

fn path_of(context: &PageContext, id: PrincipalId) -> String {
    context.path(&format!("{PEOPLE}/{id}"))
}

fn principal_id(text: &str) -> Result<PrincipalId, Problem> {
    text.parse().map_err(|_| Problem::not_found("Principal", text))
}

#[derive(Default, Deserialize)]
struct OneQuery {
    /// Mark of the change, after one.
    saved: Option<String>,
}

#[derive(Template)]
#[template(path = "people/one.html")]
struct OneTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    person: PrincipalView,
    grants: Vec<GrantRow>,
    groups: String,
    /// Versions of the roles and of the groups that are shown.
    seen_roles: Seen,
    seen_groups: Seen,
    keys: Vec<KeyView>,
    sessions: Vec<PersonSession>,
    is_saved: bool,
    error: Option<FieldError>,
}

/// Shows a person or a program.
pub(crate) async fn one(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    check(context.caller())?;
    let query: OneQuery = context.query()?;
    let found = context.console.access.principal(context.caller(), principal_id(&id)?).await?;
    let filled = Filled::of(&found);
    let is_saved = context.visitor.has_mark(query.saved.as_deref(), &changed(&found));
    one_page(&context, &found, filled, is_saved, None).await
}

/// Returns the parts of the mark of a change, which hold until the next one.
fn changed(principal: &Principal) -> [String; 2] {
    [principal.id.to_string(), principal.updated_at.to_string()]
}

/// Forms of the page, as they are filled in.
struct Filled {
    grants: Vec<GrantRow>,
    groups: String,
}

impl Filled {
    fn of(principal: &Principal) -> Self {
        let groups = principal.groups.iter().cloned().collect::<Vec<_>>();
        Self { grants: access::grant_rows(&principal.grants), groups: groups.join(", ") }
    }
}

async fn one_page(
    context: &PageContext,
    found: &Arc<Principal>,
    filled: Filled,
    is_saved: bool,
    error: Option<FieldError>,
) -> Result<HttpResponse, Problem> {
    let (console, caller) = (&context.console, context.caller());
    let owners = Owners::from([(found.id, found.name.clone())]);
    let keys = console.access.keys(caller, Some(found.id), None, MAX_KEYS).await?;
    let now = context.now();
    let sessions = if found.kind == PrincipalKind::Person {
        // One person has no more than these.
        let most = u32::try_from(MAX_SESSIONS).unwrap_or(u32::MAX);
        console.sessions.sessions(caller, Some(found.id), None, most).await?.items
    } else {
        Vec::new()
    };
    let api = ApiSource::new(context, "/access/principals")?;
    let (layout, frame) = context.frame(Section::Settings, found.name.clone()).await?;
    let frame = frame.below([
        ("Settings", context.path("/console/settings")),
        ("People and programs", context.path(PEOPLE)),
    ]);
    let status = error.as_ref().map_or(StatusCode::OK, status_of);
    let template = OneTemplate {
        layout,
        frame,
        api,
        person: access::principal(found),
        grants: filled.grants,
        groups: filled.groups,
        seen_roles: Seen::of_grants(&found.grants),
        seen_groups: Seen::of_groups(&found.groups),
        keys: keys.iter().map(|used| access::key(used, &owners, now)).collect(),
        sessions: access::sessions(&sessions, caller),
        is_saved,
        error,
    };
    html::respond(status, &template)
}

/// Changes roles, groups or the state of a person or a program.
pub(crate) async fn change(
    context: PageContext,
    path: Path<(String, String)>,
    Form { caller, fields }: Form<Fields>,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    let (id, word) = path.into_inner();
    let id = principal_id(&id)?;
    let access = &context.console.access;
    let found = access.principal(&caller, id).await?;
    let none = PrincipalChange::default();
    let (change, known): (Result<_, FieldError>, &[&str]) = match word.as_str() {
        "roles" => {
            let change = |grants| PrincipalChange { grants: Some(grants), ..none };
            (fields.grants().map(change), &["seen"])
        }
        "groups" => {
            let groups = Some(fields.list("groups"));
            (Ok(PrincipalChange { groups, ..none }), &["groups", "seen"])
        }
        "disable" => (Ok(PrincipalChange { disabled: Some(true), ..none }), &[]),
        "enable" => (Ok(PrincipalChange { disabled: Some(false), ..none }), &[]),
        "delete" => (Ok(PrincipalChange { deleted: true, ..none }), &[]),
        _ => return Err(Problem::not_found("Page", &word)),
    };
    fields.check_names(known)?;
    if caller.principal() == Some(id) && matches!(word.as_str(), "disable" | "delete") {
        let detail =
            "You would sign yourself out and could not undo it. Ask another administrator.";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let caller =
        if known.contains(&"seen") { caller.with_seen(seen(fields.get("seen"))?) } else { caller };
    let error = match change {
        Err(error) => error,
        Ok(change) => {
            let is_deleted = change.deleted;
            match access.change_principal(id, change, caller).await {
                Ok(_) if is_deleted => return Ok(html::redirect(&context.path(PEOPLE))),
                Ok(now) => {
                    let mark = context.visitor.mark(&changed(&now));
                    let mark = mark.map_or_else(String::new, |mark| format!("?saved={mark}"));
                    return Ok(html::redirect(&format!("{}{mark}", path_of(&context, id))));
                }
                Err(Error::Refused(error)) if is_changed(&error) => {
                    let found = access.principal(context.caller(), id).await?;
                    let text =
                        format!("{error} They are shown as they are now. Change them again.");
                    let error = Some((String::new(), text));
                    return one_page(&context, &found, Filled::of(&found), false, error).await;
                }
                Err(error) => field_error(error)?,
            }
        }
    };
    let mut filled = Filled::of(&found);
    match word.as_str() {
        "roles" => filled.grants = fields.grant_rows(),
        "groups" => fields.get("groups").clone_into(&mut filled.groups),
        _ => {}
    }
    one_page(&context, &found, filled, false, Some(error)).await
}

#[derive(Template)]
#[template(path = "people/link.html")]
struct LinkTemplate {
    layout: Layout,
    frame: Frame,
    name: String,
    back: String,
    url: String,
    expires: TimeView,
}

/// Creates a link with which a person signs in once. It is shown in this response, and nowhere else.
pub(crate) async fn link(
    context: PageContext,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    check(&caller)?;
    let id = principal_id(&id)?;
    let console = &context.console;
    let found = console.access.principal(&caller, id).await?;
    let issued = match console.sessions.create_link(id, caller).await {
        Ok(issued) => issued,
        Err(error) => {
            let error = field_error(error)?;
            return one_page(&context, &found, Filled::of(&found), false, Some(error)).await;
        }
    };
    let head = context.request.head();
    let origin = origin_of(head, console.public_url.as_ref(), console.has_tls)?;
    let url = format!("{origin}{}#{}", context.path(LOGIN), issued.text.expose());
    let (layout, frame) = context.frame(Section::Settings, "Sign-in link").await?;
    let back = path_of(&context, id);
    let frame = frame.below([
        ("People and programs", context.path(PEOPLE)),
        (found.name.as_str(), back.clone()),
    ]);
    let template = LinkTemplate {
        layout,
        frame,
        name: found.name.clone(),
        back,
        url,
        expires: TimeView::relative(issued.link.expires_at, context.now()),
    };
    secret(&template)
}

/// Returns a response with a secret, which nothing may keep.
pub(super) fn secret(page: &impl Template) -> Result<HttpResponse, Problem> {
    let mut response = html::respond(StatusCode::OK, page)?;
    let value = header::HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    Ok(response)
}
