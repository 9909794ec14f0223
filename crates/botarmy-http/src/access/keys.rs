//! API keys of principals.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::{IssuedKey, Lifetime, NewKey, UsedKey};
use botarmy_domain::{ApiKey, CredentialId, Error, Page, Permission, PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::grants::{GrantBody, GrantView, grants};
use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, JsonOrDefault, Query, Segment, Whole};
use crate::paging::{self, List, Range};

/// Longest lifetime of a key that is not unlimited, in days.
const MAX_DAYS: u32 = 3650;
/// Longest overlap of two keys, in seconds: 30 days.
const MAX_OVERLAP_S: u32 = 30 * 86_400;
/// Overlap when none is given: a day.
const OVERLAP_S: u32 = 86_400;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::AccessManage),
        Endpoint::new::<__path_create, _, _>(create, Permission::AccessManage),
        Endpoint::new::<__path_read, _, _>(read, Permission::AccessManage),
        Endpoint::new::<__path_revoke, _, _>(revoke, Permission::AccessManage),
        Endpoint::new::<__path_rotate, _, _>(rotate, Permission::AccessManage),
    ]
}

/// API key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct KeyView<'a> {
    #[schema(value_type = Uuid)]
    id: CredentialId,
    #[schema(value_type = Uuid)]
    principal_id: PrincipalId,
    /// Name that its owner gave it.
    name: &'a str,
    /// Last four characters of the random part of the key.
    hint: &'a str,
    /// Grants to which it narrows those of its principal; null for all of them.
    grants: Option<Vec<GrantView>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Time from which it is refused; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// Key that took its place.
    #[schema(value_type = Option<Uuid>)]
    replaced_by: Option<CredentialId>,
    /// Time of its last use, to the minute; null if it was never used.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

impl<'a> KeyView<'a> {
    fn of(key: &'a ApiKey, last_used_at: Option<Timestamp>) -> Self {
        let grants = key.grants.as_deref();
        Self {
            id: key.id,
            principal_id: key.principal,
            name: &key.name,
            hint: &key.hint,
            grants: grants.map(|grants| grants.iter().map(|g| GrantView::from(*g)).collect()),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            replaced_by: key.replaced_by,
            last_used_at,
        }
    }
}

/// Page of keys.
#[derive(Serialize, ToSchema)]
struct KeyPage<'a> {
    items: Vec<KeyView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<CredentialId>,
}

/// Filter and page of a list of keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Principal to filter by.
    #[param(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<CredentialId>,
}

/// Lists keys in the order of their ids, also those that were revoked.
#[utoipa::path(
    get, path = "/api/v1/access/keys", operation_id = "list_keys", tag = "access",
    params(ListQuery), responses((status = 200, body = KeyPage, headers(("Link" = String)))),
)]
async fn list(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Keys { state: &state, caller: &caller, principal: query.principal_id };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Keys<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    principal: Option<PrincipalId>,
}

impl List for Keys<'_> {
    type Item = UsedKey;
    type Cursor = CredentialId;

    async fn read(&self, after: Option<CredentialId>, limit: u32) -> Result<Page<UsedKey>, Error> {
        self.state.access.keys(self.caller, self.principal, after, limit).await
    }

    fn cursor(used: &UsedKey) -> CredentialId {
        used.key.id
    }

    fn write(&self, used: &UsedKey, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &KeyView::of(&used.key, used.last_used_at))
    }
}

/// Returns a key, without its secret.
#[utoipa::path(
    get, path = "/api/v1/access/keys/{key_id}", operation_id = "get_key", tag = "access",
    params(("key_id" = Uuid, Path)),
    responses((status = 200, body = KeyView), (status = 404, body = ProblemDocument)),
)]
async fn read(
    state: Data<State>,
    Segment(id): Segment<CredentialId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let used = state.access.key(&caller, id).await?;
    Ok(HttpResponse::Ok().json(KeyView::of(&used.key, used.last_used_at)))
}

/// Key to create.
#[derive(Deserialize, ToSchema)]
struct NewKeyBody {
    /// Principal that the key is for.
    #[schema(value_type = Uuid)]
    principal_id: PrincipalId,
    /// Name by which its owner recognises it; at most 128 characters.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Grants to which it narrows those of its principal; all of them when absent.
    grants: Option<Vec<GrantBody>>,
    /// Days until it expires; as the server is configured when absent.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<u32>,
    /// Whether it never expires.
    never: Option<bool>,
}

/// Key that was just created, with its secret.
#[derive(Serialize, ToSchema)]
struct IssuedKeyView<'a> {
    /// Text that its owner sends as `Authorization: Bearer KEY`. It is shown here once, and stored
    /// nowhere.
    key: &'a str,
    #[serde(flatten)]
    details: KeyView<'a>,
}

/// Creates a key for a principal.
///
/// The response has the secret, so it is not kept for a repetition: a repeated request creates another
/// key. A key whose response was lost is revoked.
#[utoipa::path(
    post, path = "/api/v1/access/keys", operation_id = "create_key", tag = "access",
    request_body = NewKeyBody,
    responses((status = 201, body = IssuedKeyView), (status = 404, body = ProblemDocument)),
)]
async fn create(
    state: Data<State>,
    Caller(caller): Caller,
    Json(body): Json<NewKeyBody>,
) -> Result<HttpResponse, Problem> {
    let new = NewKey {
        principal: body.principal_id,
        name: body.name,
        grants: body.grants.map(grants).transpose()?,
        lifetime: lifetime(body.expires_in_days, body.never)?,
    };
    Ok(issued(&state.access.create_key(new, caller).await?))
}

fn lifetime(days: Option<u32>, never: Option<bool>) -> Result<Lifetime, Problem> {
    match (days, never.unwrap_or(false)) {
        (Some(_), true) => {
            Err(Problem::invalid("expires_in_days", "contradicts `never`; send one of them"))
        }
        (None, true) => Ok(Lifetime::Unlimited),
        (None, false) => Ok(Lifetime::Default),
        (Some(days), false) if (1..=MAX_DAYS).contains(&days) => {
            Ok(Lifetime::For(Duration::from_secs(u64::from(days) * 86_400)))
        }
        (Some(_), false) => {
            Err(Problem::invalid("expires_in_days", format!("must be 1 to {MAX_DAYS}")))
        }
    }
}

fn issued(issued: &IssuedKey) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(IssuedKeyView { key: issued.text.expose(), details: KeyView::of(&issued.key, None) })
}

/// Revokes a key for ever. It is refused within a second, by every server.
///
/// One that was revoked already stays as it is. The last one with which an administrator can manage
/// access is not revoked (409): create another key first, or rotate it.
#[utoipa::path(
    delete, path = "/api/v1/access/keys/{key_id}", operation_id = "revoke_key", tag = "access",
    params(("key_id" = Uuid, Path)),
    responses(
        (status = 200, body = KeyView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`last_admin`"),
    ),
)]
async fn revoke(
    state: Data<State>,
    Segment(id): Segment<CredentialId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let key = state.access.revoke_key(id, caller).await?;
    Ok(HttpResponse::Ok().json(KeyView::of(&key, None)))
}

/// Time for which the old key still works, and lifetime of the new one.
#[derive(Default, Deserialize, ToSchema)]
struct RotateBody {
    /// Seconds until the old key expires; a day when absent, 0 for at once.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_s: Option<u32>,
    /// Days until the new key expires. Without this and `never`, it has the lifetime of the old one.
    #[schema(minimum = 1, maximum = 3650)]
    expires_in_days: Option<u32>,
    /// Whether the new key never expires.
    never: Option<bool>,
}

/// Creates a key that takes the place of another.
///
/// It has the name and the grants of the old one, which works for a while longer, and its lifetime if
/// none is given. The response has the
/// secret, so it is not kept for a repetition. A key that was replaced already cannot be rotated (409).
#[utoipa::path(
    post, path = "/api/v1/access/keys/{key_id}/rotate", operation_id = "rotate_key",
    tag = "access", params(("key_id" = Uuid, Path)), request_body = RotateBody,
    responses(
        (status = 201, body = IssuedKeyView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument),
    ),
)]
async fn rotate(
    state: Data<State>,
    Segment(id): Segment<CredentialId>,
    Caller(caller): Caller,
    JsonOrDefault(body): JsonOrDefault<RotateBody>,
) -> Result<HttpResponse, Problem> {
    let overlap_s = body.overlap_s.unwrap_or(OVERLAP_S);
    if overlap_s > MAX_OVERLAP_S {
        return Err(Problem::invalid("overlap_s", format!("must be 0 to {MAX_OVERLAP_S}")));
    }
    let overlap = Duration::from_secs(overlap_s.into());
    let lifetime = lifetime(body.expires_in_days, body.never)?;
    let lifetime = (lifetime != Lifetime::Default).then_some(lifetime);
    Ok(issued(&state.access.rotate_key(id, overlap, lifetime, caller).await?))
}
