//! Sessions of browsers, and the one-time links with which they start.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::UsedSession;
use botarmy_domain::{
    AddressClass, Authentication, CredentialId, Error, Page, Permission, PrincipalId, Timestamp,
};
use botarmy_web::origin_of;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::grants::GrantView;
use crate::State;
use crate::endpoint::{Endpoint, Requires};
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, JsonOrDefault, Query, Segment, Whole};
use crate::paging::{self, List, Range};
use crate::vocabulary;

/// Path of the sign-in page.
const LOGIN: &str = "/console/login";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_list, _, _>(list, Requires::AnyCaller),
        Endpoint::new::<__path_end, _, _>(end, Requires::AnyCaller),
        Endpoint::new::<__path_create_link, _, _>(create_link, Requires::AnyCaller),
    ]
}

/// Session of a browser, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView<'a> {
    #[schema(value_type = Uuid)]
    id: CredentialId,
    /// Person who signed in.
    #[schema(value_type = Uuid)]
    principal_id: PrincipalId,
    /// Name of the person.
    name: &'a str,
    /// Whether the request itself came with this session.
    is_current: bool,
    /// Proof with which the person signed in.
    #[schema(value_type = vocabulary::Authentication)]
    started_with: Authentication,
    /// Key that the session ends with; null without one.
    #[schema(value_type = Option<Uuid>)]
    key_id: Option<CredentialId>,
    /// Grants to which it narrows those of the person; null for all of them.
    grants: Option<Vec<GrantView>>,
    /// Class of the address to which the session is bound.
    #[schema(value_type = vocabulary::AddressClass)]
    address: AddressClass,
    /// Time of the sign-in.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Time of the last use, to the minute.
    #[schema(value_type = String, format = DateTime)]
    last_used_at: Timestamp,
    /// Time from which it is refused, however much it is used.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl<'a> SessionView<'a> {
    fn of(used: &'a UsedSession, caller: &botarmy_domain::Caller) -> Self {
        let session = &used.session;
        let grants = session.narrowing.grants.as_deref();
        Self {
            id: session.id,
            principal_id: session.principal,
            name: &used.name,
            is_current: caller.credential() == Some(session.id),
            started_with: session.started_with,
            key_id: session.narrowing.key,
            grants: grants.map(|grants| grants.iter().map(|g| GrantView::from(*g)).collect()),
            address: session.browser.address,
            started_at: session.started_at,
            last_used_at: used.last_used_at,
            expires_at: session.expires_at,
        }
    }
}

/// Page of sessions.
#[derive(Serialize, ToSchema)]
struct SessionPage<'a> {
    items: Vec<SessionView<'a>>,
    /// Cursor of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<CredentialId>,
}

/// Filter and page of a list of sessions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Person to filter by.
    #[param(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
    /// Largest number of items.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<CredentialId>,
}

/// Lists the sessions that may be used, in the order of their ids.
///
/// A caller with the permission `access.manage` sees all of them, every other caller its own.
#[utoipa::path(
    get, path = "/api/v1/access/sessions", operation_id = "list_sessions", tag = "access",
    params(ListQuery), responses((status = 200, body = SessionPage, headers(("Link" = String)))),
)]
async fn list(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<ListQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let limit = state.page(query.limit)?;
    let sees_all = caller.rights().has_globally(Permission::AccessManage);
    let own = caller.principal().filter(|_| !sees_all);
    let list = Sessions { state: &state, caller: &caller, principal: query.principal_id.or(own) };
    paging::respond(&state, &request, &list, Range { after: query.cursor, limit }).await
}

struct Sessions<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    principal: Option<PrincipalId>,
}

impl List for Sessions<'_> {
    type Item = UsedSession;
    type Cursor = CredentialId;

    async fn read(
        &self,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<UsedSession>, Error> {
        self.state.sessions.sessions(self.caller, self.principal, after, limit).await
    }

    fn cursor(used: &UsedSession) -> CredentialId {
        used.session.id
    }

    fn write(&self, used: &UsedSession, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &SessionView::of(used, self.caller))
    }
}

/// Ends a session. Its cookie is refused within a second, by every server.
///
/// A caller ends its own sessions, and those of others with the permission `access.manage`.
#[utoipa::path(
    delete, path = "/api/v1/access/sessions/{session_id}", operation_id = "revoke_session",
    tag = "access", params(("session_id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemDocument)),
)]
async fn end(
    state: Data<State>,
    Segment(id): Segment<CredentialId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    state.sessions.end_session(id, caller).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sign-in link to create.
#[derive(Default, Deserialize, ToSchema)]
struct NewLinkBody {
    /// Person who signs in with it; the caller when absent.
    #[schema(value_type = Option<Uuid>)]
    principal_id: Option<PrincipalId>,
}

/// Sign-in link that was just created, with its secret.
#[derive(Serialize, ToSchema)]
struct LinkView<'a> {
    #[schema(value_type = Uuid)]
    id: CredentialId,
    /// Person who signs in with it.
    #[schema(value_type = Uuid)]
    principal_id: PrincipalId,
    /// Address to open in the browser, with the code. It is shown here once, and stored nowhere.
    url: String,
    /// One-time code, to be pasted into the sign-in page.
    code: &'a str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Time from which it is refused.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Creates a link with which a person signs in to the console once, within ten minutes.
///
/// A link for the caller itself gives at most the rights of the credential that the caller has now. For
/// another person, the caller needs the permission `access.manage` and all grants of that person. The
/// response has the secret, so it is not kept for a repetition.
#[utoipa::path(
    post, path = "/api/v1/access/links", operation_id = "create_sign_in_link", tag = "access",
    request_body = NewLinkBody,
    responses(
        (status = 201, body = LinkView),
        (status = 404, body = ProblemDocument),
        (status = 409, body = ProblemDocument, description = "The person is disabled"),
    ),
)]
async fn create_link(
    state: Data<State>,
    Caller(caller): Caller,
    request: HttpRequest,
    JsonOrDefault(body): JsonOrDefault<NewLinkBody>,
) -> Result<HttpResponse, Problem> {
    let person = body.principal_id.or_else(|| caller.principal()).ok_or_else(|| {
        Problem::invalid("principal_id", "is required: this server has no sign-in")
    })?;
    let settings = &state.settings;
    let origin = origin_of(request.head(), settings.public_url.as_ref(), settings.has_tls)?;
    let issued = state.sessions.create_link(person, caller).await?;
    let (link, code) = (&issued.link, issued.text.expose());
    let view = LinkView {
        id: link.id,
        principal_id: link.principal,
        url: format!("{origin}{}#{code}", state.public_path(LOGIN)),
        code,
        created_at: link.created_at,
        expires_at: link.expires_at,
    };
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(view))
}
