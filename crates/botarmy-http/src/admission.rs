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
mod tickets;

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
use botarmy_domain::{Caller, DomainError, PrincipalKind};
use botarmy_web::{REQUEST_ID, named_user};
use pin_project_lite::pin_project;

use crate::State;
use crate::endpoint::Endpoint;
use crate::error::Problem;
use crate::small_body::read_small_body;

use credentials::Credential;
use limiter::{Limiter, Slot};
use rate_limit_headers::Quota;
use routes::{Audience, LIVE, Policy, Routes};
use source::Source;

pub use limiter::{Concurrency, LimitSettings};
pub(crate) use rate_limit_headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
pub(crate) use tickets::{TICKET_LIFETIME, Tickets};

/// Interval at which the caller of a request that waits is rechecked.
const RECHECK: Duration = Duration::from_millis(400);
/// Beginning of the paths of workers, whose requests name no user.
const WORKER: &str = "/api/v1/worker/";

/// State of the admission, shared by all threads of a server.
pub(crate) struct Admission {
    routes: Routes,
    limiter: Limiter,
    pub(crate) tickets: Tickets,
}

impl Admission {
    pub(crate) fn new(endpoints: &[Endpoint], docs_public: bool, limits: &LimitSettings) -> Self {
        Self {
            routes: Routes::new(endpoints, docs_public),
            limiter: Limiter::new(limits),
            tickets: Tickets::default(),
        }
    }
}

/// A request that was admitted.
#[derive(Default)]
struct Admitted {
    /// Caller; none for a public operation, and for a lease token, which the decision checks.
    caller: Option<Caller>,
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
    let admitted = match admission(&state, &request) {
        Ok(admitted) => admitted,
        Err(problem) => return Ok(request.error_response(problem).map_into_right_body()),
    };
    let Admitted { caller, quota, slot, has_lease_token } = admitted;
    if let Err(problem) = read_small_body(&mut request).await {
        return Ok(request.error_response(problem).map_into_right_body());
    }
    let source = Source::of(&request);
    let principal = caller.as_ref().and_then(Caller::principal);
    if let Some(caller) = caller {
        request.extensions_mut().insert(botarmy_web::Caller(caller));
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
    if let Some(quota) = quota {
        quota.write(response.headers_mut());
    }
    Ok(response.map_body(|_, body| EitherBody::left(Held { body, slot })))
}

/// Finds the caller of a request, and its place among the requests of that caller.
fn admission(state: &State, request: &ServiceRequest) -> Result<Admitted, Problem> {
    if is_preflight(request) {
        return Ok(Admitted::default());
    }
    // The path as the router sees it.
    let path = request.match_info().as_str();
    let policy = state.admission.routes.policy(request.method(), path);
    if policy.audience == Audience::Public {
        return Ok(Admitted::default());
    }
    let caller = match credential_of(state, request, &policy)? {
        Authenticated::Caller(caller) => caller,
        Authenticated::LeaseToken => {
            return Ok(Admitted { has_lease_token: true, ..Admitted::default() });
        }
    };
    let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let caller = caller.with_request_id(request_id.map(str::to_owned));
    let Some(principal) = caller.principal() else {
        return Ok(Admitted { caller: Some(caller), ..Admitted::default() });
    };
    let now = state.now_micros();
    let (quota, slot) = state.admission.limiter.begin(principal, caller.kind(), &policy, now)?;
    Ok(Admitted { caller: Some(caller), quota, slot: Some(slot), has_lease_token: false })
}

/// Result of a valid authentication.
enum Authenticated {
    Caller(Caller),
    /// The token of a lease, on a path that takes one.
    LeaseToken,
}

fn credential_of(
    state: &State,
    request: &ServiceRequest,
    policy: &Policy,
) -> Result<Authenticated, Problem> {
    let headers = request.headers();
    let is_live = request.match_info().as_str() == LIVE;
    let credential = credentials::read(headers, is_live)?;
    let was_sent = credential.is_some();
    let found = match credential {
        None if state.access.is_required() => Err(Denial::Required),
        None => return Ok(Authenticated::Caller(unproven(request)?)),
        Some(Credential::LeaseToken) if policy.audience == Audience::LeaseHolders => {
            return Ok(Authenticated::LeaseToken);
        }
        Some(Credential::LeaseToken) => Err(Denial::Invalid),
        Some(Credential::Key(key)) => state.access.authenticate(key),
        Some(Credential::Ticket(ticket)) => {
            let caller = state.admission.tickets.redeem(ticket, state.now_micros());
            caller.ok_or(Denial::Invalid).and_then(|caller| state.access.recheck(&caller))
        }
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

    /// Issues a ticket for a connection of this caller.
    pub(crate) fn issue_ticket(&self, caller: Caller) -> String {
        self.admission.tickets.issue(self.secrets.secret(), caller, self.now_micros())
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
