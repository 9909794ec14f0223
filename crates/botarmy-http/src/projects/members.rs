//! Members of a project: principals that have roles on this one project.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::Member;
use botarmy_domain::{Error, Page, Permission, PrincipalId, PrincipalKind, ProjectId, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole};
use crate::paging::{self, List, Range};
use crate::vocabulary;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::ProjectManage),
        Endpoint::new::<__path_set_roles, _, _>(set_roles, Permission::ProjectManage),
    ]
}

/// Principal with its roles on one project.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberView<'a> {
    #[schema(value_type = Uuid)]
    principal_id: PrincipalId,
    /// Name, as the log records it.
    name: &'a str,
    #[schema(value_type = vocabulary::PrincipalKind)]
    kind: PrincipalKind,
    /// Roles on this project by name; none after the last one was taken away.
    #[schema(value_type = Vec<vocabulary::Role>)]
    roles: &'a BTreeSet<Role>,
}

impl<'a> From<&'a Member> for MemberView<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            principal_id: member.principal,
            name: &member.name,
            kind: member.kind,
            roles: &member.roles,
        }
    }
}

/// Page of members.
#[derive(Serialize, ToSchema)]
struct MemberPage<'a> {
    items: Vec<MemberView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<PrincipalId>,
}

/// Page of a list of members.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<PrincipalId>,
}

/// Lists the principals that have roles on a project by name, in the order of their ids.
///
/// Those that have roles on all projects, or on the projects that they create, are not among them.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/members", operation_id = "list_members",
    tag = "access", params(("project_id" = Uuid, Path), ListQuery),
    responses(
        (status = 200, body = MemberPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn list(
    state: Data<State>,
    Segment(project): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Members { state: &state, caller: &caller, project };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Members<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    project: ProjectId,
}

impl List for Members<'_> {
    type Item = Member;
    type Cursor = PrincipalId;

    async fn read(&self, after: Option<PrincipalId>, limit: u32) -> Result<Page<Member>, Error> {
        self.state.access.members(self.caller, self.project, after, limit).await
    }

    fn cursor(member: &Member) -> PrincipalId {
        member.principal
    }

    fn write(&self, member: &Member, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &MemberView::from(member))
    }
}

/// Roles of a member.
#[derive(Deserialize, ToSchema)]
struct MemberRolesBody {
    /// All roles that the principal is to have on the project by name; none to take them away.
    #[schema(value_type = Vec<vocabulary::Role>)]
    roles: BTreeSet<Role>,
}

/// Sets the roles that a principal has on a project, in place of those that it has there by name.
///
/// A role that is new is one that the caller holds on the project, or `worker`. The other grants of the
/// principal stay as they are. A principal that is no member yet is named by its id, which
/// `GET /api/v1/access/me` tells it.
#[utoipa::path(
    put, path = "/api/v1/projects/{project_id}/members/{principal_id}",
    operation_id = "set_member_roles", tag = "access",
    params(("project_id" = Uuid, Path), ("principal_id" = Uuid, Path)),
    request_body = MemberRolesBody,
    responses((status = 200, body = MemberView), (status = 404, body = ProblemDocument)),
)]
async fn set_roles(
    state: Data<State>,
    Segment(project): Segment<ProjectId>,
    Segment(principal): Segment<PrincipalId, 1>,
    Caller(caller): Caller,
    Json(body): Json<MemberRolesBody>,
) -> Result<HttpResponse, Problem> {
    let member = state.access.set_member_roles(project, principal, body.roles, caller).await?;
    Ok(HttpResponse::Ok().json(MemberView::from(&member)))
}
