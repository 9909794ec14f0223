//! Admission of requests: the one place that authenticates. It finds the caller and counts the request
//! against the caller's limits, before the request is routed and before its body is read.
//!
//! Checks come in this order: host (421), origin (403), credential (401), limits (429), route (404, 405),
//! body (413, 415, 400, 422), object (404), permission (403), state (409). The middleware around this one
//! does the first two, the domain the last three.

pub(crate) mod credentials;
mod limiter;
mod rate_limit_headers;
mod routes;
mod source;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use botarmy_domain::ports::Denial;
use botarmy_domain::{Caller, DomainError, PreviewToken, PrincipalKind, TicketText, Via};
use botarmy_web::{
    ClientAddress, Preview, REQUEST_ID, RefusedSignIn, SESSION_COOKIE, Session, accepts_html,
    browser, cookie, declared_way, is_page, named_user, preview_path,
};
use pin_project_lite::pin_project;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::Problem;
use crate::small_body::read_small_body;
use crate::trace::Trace;

use credentials::Credential;
use limiter::{Limiter, Slot};
use rate_limit_headers::Quota;
use routes::{Audience, LIVE, Policy, Routes};
use source::Source;

pub use limiter::{Concurrency, LimitSettings};
pub(crate) use rate_limit_headers::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Interval at which the caller of a request that waits is rechecked.
pub(crate) const RECHECK: Duration = Duration::from_millis(400);
/// Beginning of the paths of workers, whose requests name no user.
const WORKER: &str = "/api/v1/worker/";

/// State of the admission, shared by all threads of a server.
pub(crate) struct Admission {
    routes: Routes,
    limiter: Limiter,
}

impl Admission {
    pub(crate) fn new(endpoints: &[Endpoint], docs_public: bool, limits: &LimitSettings) -> Self {
        Self { routes: Routes::new(endpoints, docs_public), limiter: Limiter::new(limits) }
    }
}

/// A request that was admitted.
#[derive(Default)]
struct Admitted {
    /// Caller; none for a public operation, and for a lease token, which the decision checks.
    caller: Option<Caller>,
    /// Session that the caller was found by, if it was one.
    session: Option<Session>,
    /// Artifact that the caller may see a preview of, if that is all.
    preview: Option<Preview>,
    quota: Option<Quota>,
    /// Place among the requests of the caller, until the response has been sent.
    slot: Option<Slot>,
    has_lease_token: bool,
}

/// Admits one request, or refuses it.
pub(crate) async fn admit(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<Held<impl MessageBody + 'static>, BoxBody>>, actix_web::Error>
{
    let state = request.app_data::<Data<State>>().cloned().expect("the state belongs to the app");
    let admitted = match admission(&state, &request).await {
        Ok(admitted) => admitted,
        Err(problem) => return Ok(request.error_response(problem).map_into_right_body()),
    };
    let Admitted { caller, session, preview, quota, slot, has_lease_token } = admitted;
    if let Err(problem) = read_small_body(&mut request).await {
        return Ok(request.error_response(problem).map_into_right_body());
    }
    let source = Source::of(&request);
    let principal = caller.as_ref().and_then(Caller::principal);
    if let Some(caller) = caller {
        request.extensions_mut().insert(botarmy_web::Caller(caller));
    }
    if let Some(session) = session {
        request.extensions_mut().insert(session);
    }
    if let Some(preview) = preview {
        request.extensions_mut().insert(preview);
    }
    let mut response = next.call(request).await?;
    let problem = response.response().error().and_then(actix_web::Error::as_error::<Problem>);
    if let Some(code) = problem.and_then(Problem::code) {
        if response.status() == StatusCode::FORBIDDEN
            && let Some(principal) = principal
        {
            state.access.record_denial(code, principal.to_string());
        }
        // Only the decision knows the token of a lease.
        if has_lease_token && code == "token_invalid" {
            state.access.record_denial("lease_token_invalid", source.to_string());
            if let Err(problem) = state.failed(source) {
                let response = response.into_parts().0;
                let response = ServiceResponse::from_err(problem, response);
                return Ok(response.map_into_right_body());
            }
        }
    }
    let refused = response.response().extensions().get::<RefusedSignIn>().copied();
    if let Some(RefusedSignIn { code, is_guess }) = refused {
        state.access.record_denial(code, source.to_string());
        if is_guess && let Err(problem) = state.failed(source) {
            let response = ServiceResponse::from_err(problem, response.into_parts().0);
            return Ok(response.map_into_right_body());
        }
    }
    if let Some(quota) = quota {
        quota.write(response.headers_mut());
    }
    Ok(response.map_body(|_, body| EitherBody::left(Held { body, slot })))
}

/// Finds the caller of a request, and its place among the requests of that caller.
async fn admission(state: &State, request: &ServiceRequest) -> Result<Admitted, Problem> {
    if is_preflight(request) {
        return Ok(Admitted::default());
    }
    // The path as the router sees it.
    let path = request.match_info().as_str();
    let policy = state.admission.routes.policy(request.method(), path);
    // A browser adds the cookie of a session to every request, whichever page has sent it.
    if is_page(path) && !request.method().is_safe() {
        state.settings.origins.check_own(request.head())?;
        refuse_encoded(request.headers())?;
    }
    let found = match policy.audience {
        Audience::Public => return Ok(Admitted::default()),
        Audience::SignIns => {
            state.admission.limiter.login(Source::of(request), state.now_micros())?;
            return Ok(Admitted::default());
        }
        // A browser that is sent to the console.
        Audience::Callers if is_home(request) => return Ok(Admitted::default()),
        Audience::Sessions => session_of(state, request).await?,
        Audience::Previews => preview_of(state, request, path).await?,
        Audience::Callers | Audience::LeaseHolders => {
            credential_of(state, request, &policy).await?
        }
    };
    let via = match policy.audience {
        Audience::Sessions | Audience::Previews => Via::Console,
        _ => declared_way(request.headers())?,
    };
    let (mut session, mut preview) = (None, None);
    let caller = match found {
        Authenticated::Caller(caller) => caller,
        Authenticated::Person(caller, found) => {
            session = Some(found);
            caller
        }
        Authenticated::Viewer(caller, found) => {
            preview = Some(found);
            caller
        }
        Authenticated::LeaseToken => {
            return Ok(Admitted { has_lease_token: true, ..Admitted::default() });
        }
    };
    let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let caller = caller.with_request_id(request_id.map(str::to_owned)).with_via(via);
    let trace = request.extensions().get::<Trace>().map(|trace| trace.0);
    let caller = caller.with_trace(trace);
    let admitted = Admitted { session, preview, ..Admitted::default() };
    let Some(principal) = caller.principal() else {
        return Ok(Admitted { caller: Some(caller), ..admitted });
    };
    let now = state.now_micros();
    let (quota, slot) = state.admission.limiter.begin(principal, caller.kind(), &policy, now)?;
    Ok(Admitted { caller: Some(caller), quota, slot: Some(slot), ..admitted })
}

/// Result of a valid authentication.
enum Authenticated {
    Caller(Caller),
    /// A person with the cookie of a session.
    Person(Caller, Session),
    /// A person with the token of a preview.
    Viewer(Caller, Preview),
    /// The token of a lease, on a path that takes one.
    LeaseToken,
}

async fn credential_of(
    state: &State,
    request: &ServiceRequest,
    policy: &Policy,
) -> Result<Authenticated, Problem> {
    let headers = request.headers();
    let is_live = request.match_info().as_str() == LIVE;
    let credential = sent_credential(state, request, is_live)?;
    let was_sent = credential.is_some();
    let found = match credential {
        None if state.access.is_required() => Err(Denial::Required),
        None => return Ok(Authenticated::Caller(unproven(request)?)),
        Some(Credential::LeaseToken) if policy.audience == Audience::LeaseHolders => {
            return Ok(Authenticated::LeaseToken);
        }
        Some(Credential::LeaseToken) => Err(Denial::Invalid),
        Some(Credential::Key(key)) => state.access.authenticate(key),
        Some(Credential::Ticket(ticket)) => match ticket.parse::<TicketText>() {
            Ok(ticket) => state.access.redeem_ticket(&ticket).await,
            Err(_) => Err(Denial::Invalid),
        },
    };
    match found {
        Ok(caller) => {
            let caller = match caller.kind() {
                PrincipalKind::Service => {
                    let user = named_user(headers)?.map(str::to_owned);
                    caller.with_claimed_user(user)
                }
                // It counts for nothing, and a malformed one is a mistake all the same.
                PrincipalKind::Person | PrincipalKind::System => {
                    named_user(headers)?;
                    caller
                }
            };
            Ok(Authenticated::Caller(caller))
        }
        Err(denial) => Err(state.denied(denial, was_sent, Source::of(request))),
    }
}

/// Refuses the body of a form that is compressed: no browser sends one, and a small one can stand for very
/// much text.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING);
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let detail = "Send the form as it is, without Content-Encoding.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Returns the credential that the headers carry, if there is one.
fn sent_credential<'a>(
    state: &State,
    request: &'a ServiceRequest,
    takes_ticket: bool,
) -> Result<Option<Credential<'a>>, Problem> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let is_from_proxy = peer.is_some_and(|peer| state.settings.trusted_proxies.contains(peer));
    credentials::read(request.headers(), takes_ticket, is_from_proxy)
}

/// Returns the person who asks for a page. A key opens no page, so that nothing but a sign-in leads to
/// one; and the cookie of a session is looked at for pages alone.
async fn session_of(state: &State, request: &ServiceRequest) -> Result<Authenticated, Problem> {
    let headers = request.headers();
    let kept = cookie(headers, SESSION_COOKIE)?;
    let has_key = sent_credential(state, request, false)?.is_some();
    let text = match kept {
        Some(_) if has_key => return Err(credentials::two()),
        Some(text) => text,
        None if has_key || state.access.is_required() => return Err(no_session()),
        None => return Ok(Authenticated::Caller(unproven(request)?)),
    };
    let client = request.extensions().get::<ClientAddress>().copied();
    let (browser, source) = (browser(headers, client), Source::of(request));
    let found = match state.sessions.caller_of(text, &browser) {
        // Strangers do not have the server read its store as often as they like.
        Err(_) if !state.admission.limiter.is_failing(source, state.now_micros()) => {
            state.sessions.find_caller(text, &browser).await
        }
        found => found,
    };
    match (found, text.parse()) {
        (Ok(caller), Ok(text)) => Ok(Authenticated::Person(caller, Session(text))),
        (Ok(_), Err(_)) => Err(no_session()),
        (Err(denial), _) => Err(state.session_denied(denial, source)),
    }
}

/// Returns the person in whose session the token in the path of a preview was made. Cookies are not looked
/// at: the frame in which a preview runs has none, and what it shows must not depend on them.
async fn preview_of(
    state: &State,
    request: &ServiceRequest,
    path: &str,
) -> Result<Authenticated, Problem> {
    if sent_credential(state, request, false)?.is_some() {
        return Err(credentials::two());
    }
    let (token, _) = preview_path(path).unwrap_or_default();
    let token = token.parse::<PreviewToken>().map_err(|_| Denial::Invalid);
    let preview = token.as_ref().map(|token| Preview(token.artifact())).ok();
    let found = match &token {
        Ok(token) if token.session().is_none() && !state.access.is_required() => unproven(request),
        Ok(token) => {
            let client = request.extensions().get::<ClientAddress>().copied();
            let (browser, source) = (browser(request.headers(), client), Source::of(request));
            let found = match state.sessions.caller_of_preview(token, &browser) {
                // As for cookies: strangers do not have the server read its store.
                Err(_) if !state.admission.limiter.is_failing(source, state.now_micros()) => {
                    state.sessions.find_caller_of_preview(token, &browser).await
                }
                found => found,
            };
            found.map_err(|denial| state.preview_denied(denial, source))
        }
        Err(denial) => Err(state.preview_denied(*denial, Source::of(request))),
    };
    match (found?, preview) {
        (caller, Some(preview)) => Ok(Authenticated::Viewer(caller, preview)),
        (_, None) => Err(no_session()),
    }
}

/// Returns the 401 of a request for a page that has no session.
fn no_session() -> Problem {
    let detail = "Sign in at /console/login. Pages take the cookie of a session, and no key.";
    Problem::new(StatusCode::UNAUTHORIZED, detail).with_code("session_required")
}

/// Returns `true` for a browser that asks for the server itself.
fn is_home(request: &ServiceRequest) -> bool {
    request.method() == Method::GET
        && request.match_info().as_str() == "/"
        && accepts_html(request.headers())
}

/// Returns the caller of a request without a credential, on an open server.
fn unproven(request: &ServiceRequest) -> Result<Caller, Problem> {
    let name =
        if request.path().starts_with(WORKER) { None } else { named_user(request.headers())? };
    Ok(Caller::person(name.unwrap_or("anonymous")))
}

/// Returns `true` for the request with which a browser asks whether a page may send another. It carries
/// no credential, and CORS answers it.
fn is_preflight(request: &ServiceRequest) -> bool {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    request.method() == Method::OPTIONS
        && asked.is_some_and(|method| Method::from_bytes(method.as_bytes()).is_ok())
        && has(request.headers(), &header::ORIGIN)
}

fn has(headers: &HeaderMap, name: &header::HeaderName) -> bool {
    headers.contains_key(name)
}

impl State {
    fn now_micros(&self) -> u64 {
        u64::try_from(self.clock.now().micros()).unwrap_or(0)
    }

    /// Returns the caller as it is now, for a response that takes long.
    pub(crate) fn current(&self, caller: &Caller) -> Result<Caller, DomainError> {
        self.access.recheck(caller).map_err(|denial| {
            let detail = denial.to_string();
            DomainError::Unauthenticated { code: "key_invalid", detail }
        })
    }

    /// Returns when the credential of a caller has become invalid, or when its rights have changed. A
    /// caller without a credential stays as it is.
    pub(crate) async fn changed(&self, caller: &Caller) -> Result<(), Denial> {
        if caller.credential().is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(RECHECK).await;
            if self.access.recheck(caller)?.rights() != caller.rights() {
                return Ok(());
            }
        }
    }

    /// Records a denial, and returns its problem.
    fn denied(&self, denial: Denial, was_sent: bool, source: Source) -> Problem {
        let problem = Problem::from(denial);
        let Some(code) = problem.code() else { return problem };
        self.access.record_denial(code, source.to_string());
        // A request without a credential guesses none.
        if was_sent && let Err(limited) = self.failed(source) {
            return limited;
        }
        problem
    }

    /// Records the denial of a session, and returns its problem. One that has expired was not guessed.
    fn session_denied(&self, denial: Denial, source: Source) -> Problem {
        let (code, detail) = match denial {
            Denial::Required => return no_session(),
            Denial::Invalid => ("session_invalid", "Your session has ended. Sign in again."),
            Denial::Expired => ("session_expired", "Your session has expired. Sign in again."),
            Denial::Unavailable => return denial.into(),
        };
        self.access.record_denial(code, source.to_string());
        if denial == Denial::Invalid
            && let Err(limited) = self.failed(source)
        {
            return limited;
        }
        Problem::new(StatusCode::UNAUTHORIZED, detail).with_code(code)
    }

    /// Records the denial of a preview, and returns its problem.
    fn preview_denied(&self, denial: Denial, source: Source) -> Problem {
        let (code, detail) = match denial {
            Denial::Required | Denial::Invalid => {
                ("preview_invalid", "This preview has ended. Load the page of the console again.")
            }
            Denial::Expired => {
                ("preview_expired", "This preview has expired. Load the page of the console again.")
            }
            Denial::Unavailable => return denial.into(),
        };
        self.access.record_denial(code, source.to_string());
        if denial == Denial::Invalid
            && let Err(limited) = self.failed(source)
        {
            return limited;
        }
        Problem::new(StatusCode::UNAUTHORIZED, detail).with_code(code)
    }

    /// Counts a failed authentication, and returns an error above the limit of its source.
    fn failed(&self, source: Source) -> Result<(), Problem> {
        self.admission.limiter.failed(source, self.now_micros())
    }
}

pin_project! {
    /// The body of a response, with the place of its request among those of the caller.
    pub(crate) struct Held<B> {
        #[pin]
        body: B,
        slot: Option<Slot>,
    }
}

impl<B: MessageBody> MessageBody for Held<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}

#[cfg(test)]
mod tests;
