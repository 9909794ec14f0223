//! Access control: the caller itself, principals, keys, sessions, and tickets for live connections.

mod delegation;
mod grants;
mod keys;
mod principals;
mod sessions;

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_domain::{
    Authentication, CredentialId, Permission, PrincipalId, PrincipalKind, ProjectId,
};
use botarmy_web::Ticket;
use serde::Serialize;
use utoipa::ToSchema;

use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::Problem;
use crate::extract::Caller;
use crate::vocabulary;

use grants::GrantView;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let own = vec![
        Endpoint::new::<__path_me, _, _>(me, Requires::AnyCaller),
        Endpoint::new::<__path_ticket, _, _>(ticket, Requires::AnyCaller),
    ];
    let groups = [
        own,
        delegation::endpoints(),
        principals::endpoints(),
        keys::endpoints(),
        sessions::endpoints(),
    ];
    groups.into_iter().flatten().collect()
}

/// The caller of this request.
#[derive(Serialize, ToSchema)]
struct CallerView<'a> {
    /// Principal; null on an open server.
    #[schema(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
    /// Name, as the log records it.
    name: &'a str,
    #[schema(value_type = vocabulary::PrincipalKind)]
    kind: PrincipalKind,
    /// Groups that the principal is in.
    groups: &'a BTreeSet<String>,
    /// Proof of its identity.
    #[schema(value_type = vocabulary::Authentication)]
    auth: Authentication,
    /// Key or session that the request came with; null without one.
    #[schema(value_type = Option<Uuid>)]
    credential_id: Option<CredentialId>,
    /// Grants of the principal, before its key narrows them.
    grants: Vec<GrantView>,
    /// Permissions of this caller.
    permissions: Vec<PermissionView>,
}

/// Permission, and where the caller has it.
#[derive(Serialize, ToSchema)]
struct PermissionView {
    #[schema(value_type = vocabulary::Permission)]
    permission: Permission,
    /// Whether the caller has it on all projects and on the installation.
    everywhere: bool,
    /// Whether the caller has it on the projects that it creates.
    own: bool,
    /// Projects on which the caller has it by name.
    #[schema(value_type = Vec<Uuid>)]
    project_ids: Vec<ProjectId>,
}

impl PermissionView {
    /// Returns the view of a permission, or `None` if the caller has it nowhere.
    fn of(permission: Permission, caller: &botarmy_domain::Caller) -> Option<Self> {
        let reach = caller.reach(permission).ok()?;
        let sights = reach.sights();
        let named: BTreeSet<_> = sights.iter().flat_map(|sight| &sight.projects).collect();
        let project_ids = named.into_iter().copied().filter(|id| reach.sees(*id, None)).collect();
        let is_own = !sights.is_empty() && sights.iter().all(|sight| sight.creator.is_some());
        Some(Self { permission, everywhere: reach.is_everything(), own: is_own, project_ids })
    }
}

/// Returns the caller of this request, with its permissions.
#[utoipa::path(
    get, path = "/api/v1/access/me", operation_id = "get_caller", tag = "access",
    responses((status = 200, body = CallerView)),
)]
async fn me(state: Data<State>, Caller(caller): Caller) -> HttpResponse {
    let principal = state.access.principal_of(&caller);
    let grants = principal.iter().flat_map(|principal| &principal.grants);
    let permissions = Permission::ALL.iter();
    HttpResponse::Ok().json(CallerView {
        principal_id: caller.principal(),
        name: caller.name(),
        kind: caller.kind(),
        groups: caller.groups(),
        auth: caller.authentication(),
        credential_id: caller.credential(),
        grants: grants.map(|grant| GrantView::from(*grant)).collect(),
        permissions: permissions.filter_map(|one| PermissionView::of(*one, &caller)).collect(),
    })
}

/// Issues a ticket with which a page opens one WebSocket.
///
/// The ticket is good once, for 30 seconds, on every server of the same database.
#[utoipa::path(
    post, path = "/api/v1/access/ticket", operation_id = "create_ticket", tag = "access",
    responses((status = 201, body = Ticket)),
)]
async fn ticket(state: Data<State>, Caller(caller): Caller) -> Result<HttpResponse, Problem> {
    Ok(Ticket::created(&state.access.issue_ticket(&caller).await?))
}

#[cfg(test)]
mod tests;
