//! Members of a project: principals with roles on it by name, for those who manage the project.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::{DomainError, Error, Principal, PrincipalId, Role, Seen};
use botarmy_web::Problem;
use serde::Deserialize;

use super::fields::{FieldError, Fields, is_changed, seen};
use super::people::{field_error, status_of};
use super::project::{self as page, Loaded, Shared};
use crate::context::PageContext;
use crate::frame::Frame;
use crate::guard::Form;
use crate::html::{self, Layout};
use crate::view::access::{self, MemberView, RoleChoice};
use crate::view::icon::Icon;
use crate::view::project::Tab;

/// Number of members on a page.
const WINDOW: u32 = 100;

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    /// Member after whom the page begins.
    after: Option<PrincipalId>,
}

/// Form of a new member, as it is filled in.
#[derive(Default)]
struct NewView {
    principal: String,
    roles: BTreeSet<Role>,
}

#[derive(Template)]
#[template(path = "project/members.html")]
struct MembersTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    action: String,
    members: Vec<MemberView>,
    is_later: bool,
    next: Option<String>,
    principal: String,
    choices: Vec<RoleChoice>,
    /// Version of the roles of one that is no member yet.
    seen: Seen,
    error: Option<FieldError>,
}

/// Shows the members.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let query: ListQuery = context.query_beside_part()?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    list(&context, &loaded, query.after, NewView::default(), None).await
}

async fn list(
    context: &PageContext,
    loaded: &Loaded,
    after: Option<PrincipalId>,
    new: NewView,
    error: Option<FieldError>,
) -> Result<HttpResponse, Problem> {
    let project = loaded.project();
    let access = &context.console.access;
    let found = access.members(context.caller(), project.id, after, WINDOW).await?;
    let api = format!("/projects/{}/members", project.id);
    let shared = page::shared(context, loaded, Tab::Members, &api)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&shared.head, &shared.tabs]);
    }
    let action = loaded.path(context, "/members");
    let next = found.last_before_next().map(|last| format!("{action}?after={}", last.principal));
    let title = format!("Members of {}", project.name);
    let (layout, frame) = page::frame(context, loaded, &title, Some("Members")).await?;
    let status = error.as_ref().map_or(StatusCode::OK, status_of);
    let template = MembersTemplate {
        layout,
        frame,
        shared,
        action,
        members: found.items.iter().map(access::member).collect(),
        is_later: after.is_some(),
        next,
        principal: new.principal,
        choices: access::role_choices(&new.roles),
        seen: Seen::of_roles(&BTreeSet::new()),
        error,
    };
    html::respond(status, &template)
}

/// Sets the roles of a member, or of one that becomes a member.
pub(crate) async fn set_roles(
    context: PageContext,
    id: Path<String>,
    Form { caller, fields }: Form<Fields>,
) -> Result<HttpResponse, Problem> {
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let roles = fields.roles(&["principal", "seen"])?;
    let caller = caller.with_seen(seen(fields.get("seen"))?);
    let named = fields.get("principal").trim().to_owned();
    // The id of a local principal follows from its name.
    let principal = named.parse().unwrap_or_else(|_| Principal::local_id(&named));
    let project = loaded.project().id;
    let set = context.console.access.set_member_roles(project, principal, roles.clone(), caller);
    let error = match set.await {
        Ok(_) => return Ok(html::redirect(&loaded.path(&context, "/members"))),
        Err(Error::Refused(DomainError::NotFound { what: "Principal", .. })) => {
            let message = "is no person and no program here. A person who signs in with a provider is named by \
                           its id, which its account page shows";
            ("principal".to_owned(), message.to_owned())
        }
        Err(Error::Refused(error)) if is_changed(&error) => {
            let text = format!("{error} They are shown as they are now.");
            return list(&context, &loaded, None, NewView::default(), Some((String::new(), text)))
                .await;
        }
        Err(error) => field_error(error)?,
    };
    list(&context, &loaded, None, NewView { principal: named, roles }, Some(error)).await
}
