//! Principals: the persons and programs that hold grants.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::{NewPrincipal, PrincipalChange};
use botarmy_domain::{Error, Page, Permission, Principal, PrincipalId, PrincipalKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::grants::{GrantBody, GrantView, grants};
use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole};
use crate::paging::{self, List, Range};
use crate::vocabulary;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::AccessManage),
        Endpoint::new::<__path_create, _, _>(create, Permission::AccessManage),
        Endpoint::new::<__path_set_grants, _, _>(set_grants, Permission::AccessManage),
        Endpoint::new::<__path_set_groups, _, _>(set_groups, Permission::AccessManage),
        Endpoint::new::<__path_set_disabled, _, _>(set_disabled, Permission::AccessManage),
        Endpoint::new::<__path_remove, _, _>(remove, Permission::AccessManage),
    ]
}

/// Person or program that holds grants.
#[derive(Serialize, ToSchema)]
#[schema(as = Principal)]
struct PrincipalView<'a> {
    #[schema(value_type = Uuid)]
    id: PrincipalId,
    #[schema(value_type = vocabulary::PrincipalKind)]
    kind: PrincipalKind,
    /// Name, as the log records it.
    name: &'a str,
    /// Groups that it is in.
    groups: Vec<&'a str>,
    grants: Vec<GrantView>,
    /// Whether its credentials are refused for now.
    disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> PrincipalView<'a> {
    fn of(principal: &'a Principal) -> Self {
        Self {
            id: principal.id,
            kind: principal.kind,
            name: &principal.name,
            groups: principal.groups.iter().map(String::as_str).collect(),
            grants: principal.grants.iter().map(|grant| GrantView::from(*grant)).collect(),
            disabled: principal.disabled,
            created_at: principal.created_at,
            updated_at: principal.updated_at,
        }
    }
}

/// Page of principals.
#[derive(Serialize, ToSchema)]
struct PrincipalPage<'a> {
    items: Vec<PrincipalView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<PrincipalId>,
}

/// Page of a list of principals.
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

/// Lists principals, in the order of their ids. Those that were deleted are left out.
#[utoipa::path(
    get, path = "/api/v1/access/principals", operation_id = "list_principals",
    tag = "access", params(ListQuery),
    responses((status = 200, body = PrincipalPage, headers(("Link" = String)))),
)]
async fn list(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Principals { state: &state, caller: &caller };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Principals<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
}

impl List for Principals<'_> {
    type Item = Arc<Principal>;
    type Cursor = PrincipalId;

    async fn read(
        &self,
        after: Option<PrincipalId>,
        limit: u32,
    ) -> Result<Page<Arc<Principal>>, Error> {
        self.state.access.principals(self.caller, after, limit).await
    }

    fn cursor(principal: &Arc<Principal>) -> PrincipalId {
        principal.id
    }

    fn write(&self, principal: &Arc<Principal>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &PrincipalView::of(principal))
    }
}

/// Kind of a new principal.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NewKind {
    /// A human.
    Person,
    /// A program.
    Service,
}

/// Principal to create.
#[derive(Deserialize, ToSchema)]
struct NewPrincipalBody {
    /// Name, at most 128 characters, without slashes, invisible characters and repeated spaces. No other principal has or
    /// had it, or one that looks like it, and the log gives it to no part of the server.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    kind: NewKind,
    /// Groups; none when absent.
    #[schema(value_type = Option<Vec<vocabulary::GroupName>>, max_items = 64)]
    groups: Option<Vec<String>>,
    /// Grants; none when absent.
    grants: Option<Vec<GrantBody>>,
}

/// Creates a principal.
///
/// Its grants are such as the caller holds. It has no key yet. The name of a principal is taken for
/// ever, so a repetition is refused (409).
#[utoipa::path(
    post, path = "/api/v1/access/principals", operation_id = "create_principal",
    tag = "access", request_body = NewPrincipalBody,
    responses(
        (status = 201, body = PrincipalView),
        (status = 409, body = ProblemDocument, description = "The name is taken"),
    ),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<NewPrincipalBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewPrincipal {
        name: body.name,
        kind: match body.kind {
            NewKind::Person => PrincipalKind::Person,
            NewKind::Service => PrincipalKind::Service,
        },
        groups: body.groups.unwrap_or_default(),
        grants: grants(body.grants.unwrap_or_default())?,
    };
    let principal = state.access.create_principal(new, caller).await?;
    Ok(HttpResponse::Created().json(PrincipalView::of(&principal)))
}

/// Grants of a principal.
#[derive(Deserialize, ToSchema)]
struct GrantsBody {
    /// All grants that the principal is to have.
    grants: Vec<GrantBody>,
}

/// Sets the grants of a principal, in place of all that it has.
///
/// A grant that is new is one that the caller holds, and its project exists. The last administrator with
/// a valid key keeps its grant (409).
#[utoipa::path(
    put, path = "/api/v1/access/principals/{principal_id}/grants", operation_id = "set_grants",
    tag = "access", params(("principal_id" = Uuid, Path)), request_body = GrantsBody,
    responses(
        (status = 200, body = PrincipalView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn set_grants(
    state: Data<State>,
    Segment(id): Segment<PrincipalId>,
    Caller(caller): Caller,
    Json(body): Json<GrantsBody>,
) -> Result<HttpResponse, Problem> {
    let grants = Some(grants(body.grants)?);
    change(&state, id, PrincipalChange { grants, ..PrincipalChange::default() }, caller).await
}

/// Groups of a principal.
#[derive(Deserialize, ToSchema)]
struct GroupsBody {
    /// All groups that the principal is to be in.
    #[schema(value_type = Vec<vocabulary::GroupName>, max_items = 64)]
    groups: Vec<String>,
}

/// Sets the groups of a principal, in place of all that it is in.
#[utoipa::path(
    put, path = "/api/v1/access/principals/{principal_id}/groups", operation_id = "set_groups",
    tag = "access", params(("principal_id" = Uuid, Path)), request_body = GroupsBody,
    responses((status = 200, body = PrincipalView), (status = 404, body = ProblemDocument)),
)]
async fn set_groups(
    state: Data<State>,
    Segment(id): Segment<PrincipalId>,
    Caller(caller): Caller,
    Json(body): Json<GroupsBody>,
) -> Result<HttpResponse, Problem> {
    let groups = Some(body.groups);
    change(&state, id, PrincipalChange { groups, ..PrincipalChange::default() }, caller).await
}

/// Whether a principal is disabled.
#[derive(Deserialize, ToSchema)]
struct DisabledBody {
    disabled: bool,
}

/// Disables a principal, or enables it again.
///
/// Its credentials are refused within a second, and the sessions of a person end for good. The last
/// administrator with a valid key cannot be disabled (409).
#[utoipa::path(
    put, path = "/api/v1/access/principals/{principal_id}/disabled", operation_id = "set_disabled",
    tag = "access", params(("principal_id" = Uuid, Path)), request_body = DisabledBody,
    responses(
        (status = 200, body = PrincipalView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn set_disabled(
    state: Data<State>,
    Segment(id): Segment<PrincipalId>,
    Caller(caller): Caller,
    Json(body): Json<DisabledBody>,
) -> Result<HttpResponse, Problem> {
    let disabled = Some(body.disabled);
    change(&state, id, PrincipalChange { disabled, ..PrincipalChange::default() }, caller).await
}

/// Deletes a principal for ever, and revokes its keys.
///
/// The log keeps its name, which no other principal gets. The last administrator with a valid key cannot
/// be deleted (409).
#[utoipa::path(
    delete, path = "/api/v1/access/principals/{principal_id}", operation_id = "delete_principal",
    tag = "access", params(("principal_id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn remove(
    state: Data<State>,
    Segment(id): Segment<PrincipalId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let change = PrincipalChange { deleted: true, ..PrincipalChange::default() };
    state.access.change_principal(id, change, caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn change(
    state: &State,
    id: PrincipalId,
    change: PrincipalChange,
    caller: botarmy_domain::Caller,
) -> Result<HttpResponse, Problem> {
    let principal = state.access.change_principal(id, change, caller).await?;
    Ok(HttpResponse::Ok().json(PrincipalView::of(&principal)))
}
