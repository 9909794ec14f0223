//! Links with which a person answers one request without signing in.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::hitl::{AnswerLink, GateAct, NewLink};
use botarmy_domain::{
    CredentialId, Error, HitlAction, HitlRequest, HitlRequestId, Page, Permission, PrincipalId,
    Timestamp,
};
use botarmy_web::PublicUrl;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Json, Query, Segment, Whole};
use crate::paging::{self, List, Range};

/// Longest time for which a link can be used, in seconds: a year.
const MAX_TTL_S: u32 = 31_536_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Permission::ProjectRead),
        Endpoint::new::<__path_issue, _, _>(issue, Permission::GateAnswer),
        Endpoint::new::<__path_revoke, _, _>(revoke, Permission::GateAnswer),
    ]
}

/// Answer that can be given with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LinkAction {
    /// The subject is accepted.
    Approve,
    /// The subject is refused.
    Reject,
    /// The work is done again with the words of the person.
    RequestChanges,
}

impl From<HitlAction> for LinkAction {
    fn from(action: HitlAction) -> Self {
        match action {
            HitlAction::Approve => Self::Approve,
            HitlAction::Reject => Self::Reject,
            HitlAction::Amend => Self::RequestChanges,
        }
    }
}

impl From<LinkAction> for HitlAction {
    fn from(action: LinkAction) -> Self {
        match action {
            LinkAction::Approve => Self::Approve,
            LinkAction::Reject => Self::Reject,
            LinkAction::RequestChanges => Self::Amend,
        }
    }
}

/// Link, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = AnswerLink)]
struct LinkView<'a> {
    #[schema(value_type = Uuid)]
    id: CredentialId,
    /// Person who answers with it.
    person: &'a str,
    /// Principal of that person; null on an open server.
    #[schema(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
    /// Digest of the subject that it is about. It cannot be used for another one.
    subject_digest: &'a str,
    actions: Vec<LinkAction>,
    issued_by: &'a str,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Time of the answer that was given with it.
    #[schema(value_type = Option<String>, format = DateTime)]
    used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl<'a> LinkView<'a> {
    fn of(link: &'a AnswerLink) -> Self {
        Self {
            id: link.id,
            person: &link.person.name,
            principal_id: link.person.principal,
            subject_digest: &link.subject_digest,
            actions: link.actions.iter().copied().map(LinkAction::from).collect(),
            issued_by: &link.issued_by.name,
            issued_at: link.issued_at,
            expires_at: link.expires_at,
            used_at: link.used_at,
            revoked_at: link.revoked_at,
        }
    }
}

/// Page of links.
#[derive(Serialize, ToSchema)]
struct LinkPage<'a> {
    items: Vec<LinkView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<CredentialId>,
}

/// Page of a list of links.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LinkQuery {
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<CredentialId>,
}

/// Lists the links of a request, oldest first, without their secrets.
///
/// Links that expired or were revoked are left out once another was made.
#[utoipa::path(
    get, path = "/api/v1/hitl/{request_id}/links", operation_id = "list_request_links",
    tag = "hitl", params(("request_id" = Uuid, Path), LinkQuery),
    responses(
        (status = 200, body = LinkPage, headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn list(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    Query(query): Query<LinkQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let list = Links(state.queries.request(&caller, id).await?);
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Links(Arc<HitlRequest>);

impl List for Links {
    type Item = AnswerLink;
    type Cursor = CredentialId;

    async fn read(
        &self,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<AnswerLink>, Error> {
        let is_before = |link: &&AnswerLink| after.is_some_and(|after| link.id <= after);
        let rest = self.0.links.iter().skip_while(is_before);
        Ok(Page::first(rest.take(limit as usize + 1).cloned().collect(), limit))
    }

    fn cursor(link: &AnswerLink) -> CredentialId {
        link.id
    }

    fn write(&self, link: &AnswerLink, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &LinkView::of(link))
    }
}

/// Link to make.
#[derive(Deserialize, ToSchema)]
struct NewAnswerLinkBody {
    /// Name or id of the person who answers with it; the caller when absent. A link for another person
    /// needs the permission to manage access, because it proves who one is.
    person: Option<String>,
    /// Answers that can be given with it, at least one.
    #[schema(min_items = 1, max_items = 3)]
    actions: Vec<LinkAction>,
    /// Seconds for which it can be used: 1 to 31,536,000; until the request expires when absent.
    #[schema(minimum = 1, maximum = 31_536_000)]
    ttl_s: Option<u32>,
}

/// Link that was just made, with its address.
#[derive(Serialize, ToSchema)]
struct IssuedLinkView<'a> {
    /// Address to open, which has the secret. It is shown here once, and stored nowhere.
    url: String,
    #[serde(flatten)]
    link: LinkView<'a>,
}

/// Makes a link with which one person answers a request as it is now, once, without signing in.
///
/// The policy must allow links, and the server must have a public address. The response has the secret,
/// so it is not kept for a repetition: a repeated request makes another link.
#[utoipa::path(
    post, path = "/api/v1/hitl/{request_id}/links", operation_id = "create_request_link",
    tag = "hitl", params(("request_id" = Uuid, Path)), request_body = NewAnswerLinkBody,
    responses(
        (status = 201, body = IssuedLinkView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "`links_unavailable`: the server has no public address or no pages; `not_pending`; `too_many_links`"),
    ),
)]
async fn issue(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Caller(caller): Caller,
    Json(body): Json<NewAnswerLinkBody>,
) -> Result<HttpResponse, Problem> {
    if body.ttl_s.is_some_and(|ttl_s| !(1..=MAX_TTL_S).contains(&ttl_s)) {
        return Err(Problem::invalid("ttl_s", format!("must be 1 to {MAX_TTL_S}")));
    }
    let mut actions: Vec<HitlAction> = body.actions.into_iter().map(HitlAction::from).collect();
    actions.sort_unstable();
    actions.dedup();
    crate::idempotency::replayable::check_request(&state, &caller, Permission::GateAnswer, id)
        .await?;
    if let Err(problem) = state.check_links() {
        state.queries.request(&caller, id).await?;
        return Err(problem);
    }
    let new = NewLink { person: body.person, actions, ttl_s: body.ttl_s };
    let issued = state.gates.issue_link(id, new, caller).await?;
    let origin = state.settings.public_url.as_ref().map_or("", PublicUrl::origin);
    let path = state.public_path(&format!("/g/{}", issued.text.expose()));
    let view = IssuedLinkView { url: format!("{origin}{path}"), link: LinkView::of(&issued.link) };
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(view))
}

/// Revokes a link. One that was used or revoked already stays as it is.
#[utoipa::path(
    delete, path = "/api/v1/hitl/{request_id}/links/{link_id}",
    operation_id = "revoke_request_link", tag = "hitl",
    params(("request_id" = Uuid, Path), ("link_id" = Uuid, Path)),
    responses((status = 200, body = LinkView), (status = 404, body = ProblemDocument)),
)]
async fn revoke(
    state: Data<State>,
    Segment(id): Segment<HitlRequestId>,
    Segment(link_id): Segment<CredentialId, 1>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let request = state.gates.act(id, GateAct::RevokeLink(link_id), caller).await?;
    let link = request.links.iter().find(|link| link.id == link_id);
    let link = link.ok_or_else(|| Problem::not_found("Link", link_id))?;
    Ok(HttpResponse::Ok().json(LinkView::of(link)))
}
