//! The pages against mocked ports. Cookies, limits and the order of checks belong to `botarmy-http`; here
//! the caller is put into the request as it would do it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::to_bytes;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, HttpMessage};
use botarmy_domain::access::{
    Browser, LoginAttempt, Narrowing, OpenIdIdentity, OpenIdSubject, SessionText,
};
use botarmy_domain::ports::{
    BegunLogin, MockAccess, MockGates, MockIdentityProvider, MockLogQueries, MockOperations,
    MockProjects, MockQueries, MockSessions, MockTasks, ProviderError, SignIn, SignInRefusal,
    StartedSession, UsedSession,
};
use botarmy_domain::{
    Authentication, Caller, CredentialId, Grant, Page, Principal, PrincipalKind, Rights, Role,
    Seen, Stop, TicketText, Timestamp,
};
use botarmy_web::{ErrorPages, PageRequest, Problem, RefusedSignIn, Session};
use uuid::Uuid;

use super::*;

mod access;
mod gates;
mod operators;
mod projects;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn ada() -> Principal {
    Principal {
        id: Principal::local_id("ada"),
        kind: PrincipalKind::Person,
        name: "ada <b>".to_owned(),
        openid: None,
        groups: ["reviewers".to_owned()].into(),
        grants: vec![Grant::on_all(Role::Reviewer), Grant::on_own(Role::Operator)],
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn session(n: u128) -> botarmy_domain::access::Session {
    botarmy_domain::access::Session {
        id: CredentialId::from_uuid(Uuid::from_u128(n)),
        principal: ada().id,
        place: 0,
        digest: text().digest(),
        started_with: if n == 1 { Authentication::Key } else { Authentication::Link },
        narrowing: Narrowing {
            key: None,
            grants: (n == 1).then(|| vec![Grant::on_all(Role::Viewer)]),
        },
        browser: Browser::default().binding(),
        started_at: NOW,
        expires_at: NOW,
        ended: None,
    }
}

fn text() -> SessionText {
    SessionText::new([7; 32])
}

fn caller() -> Caller {
    let (principal, session) = (ada(), session(1));
    let rights = Rights::of(&principal.grants, session.narrowing.grants.as_deref());
    Caller::proven(&principal, Authentication::Session, session.id, rights)
}

/// Returns the person with this role on all projects.
fn caller_with(role: Role) -> Caller {
    let rights = Rights::of(&[Grant::on_all(role)], None);
    Caller::proven(&ada(), Authentication::Session, session(1).id, rights)
}

fn started() -> StartedSession {
    StartedSession { session: Arc::new(session(1)), caller: caller(), text: text() }
}

mod once;
mod requests;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Console on mocks. A call that a test does not expect panics.
struct Fakes {
    access: MockAccess,
    sessions: MockSessions,
    queries: MockQueries,
    logs: MockLogQueries,
    gates: MockGates,
    projects: MockProjects,
    tasks: MockTasks,
    operations: MockOperations,
    /// Emergency stops in force.
    stops: Vec<Stop>,
    /// Role of the person on all projects; that of `caller()` if there is none.
    role: Option<Role>,
    provider: Option<MockIdentityProvider>,
    public_url: Option<PublicUrl>,
}

impl Default for Fakes {
    fn default() -> Self {
        let mut access = MockAccess::new();
        access.expect_is_required().return_const(true);
        access.expect_principal_of().returning(|_| Some(Arc::new(ada())));
        Self {
            access,
            sessions: MockSessions::new(),
            queries: MockQueries::new(),
            logs: MockLogQueries::new(),
            gates: MockGates::new(),
            projects: MockProjects::new(),
            tasks: MockTasks::new(),
            operations: MockOperations::new(),
            stops: Vec::new(),
            role: None,
            provider: None,
            public_url: None,
        }
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    refused: Option<RefusedSignIn>,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap()).collect()
    }
}

impl Fakes {
    /// Returns fakes on which no request waits.
    fn idle() -> Self {
        let mut fakes = Self::default();
        fakes.queries.expect_pending_requests().returning(|_, _, _, _| Ok(Page::default()));
        fakes
    }

    fn console(mut self) -> Console {
        let stops = self.stops;
        self.queries.expect_emergency_stops().returning(move |_| Ok(stops.clone()));
        Console {
            access: Arc::new(self.access),
            sessions: Arc::new(self.sessions),
            queries: Arc::new(self.queries),
            logs: Arc::new(self.logs),
            gates: Arc::new(self.gates),
            projects: Arc::new(self.projects),
            tasks: Arc::new(self.tasks),
            operations: Arc::new(self.operations),
            runners: Arc::new([(AgentType::Coder, "the <model>".to_owned())].into()),
            clock: Arc::new(StoppedClock),
            body_limit: 1024 * 1024,
            text_limit: 512 * 1024,
            provider: self.provider.map(|provider| Arc::new(provider) as _),
            public_url: self.public_url,
            has_tls: false,
        }
    }

    async fn send(self, request: TestRequest, is_signed_in: bool) -> Answer {
        let person = self.role.map_or_else(caller, caller_with);
        self.send_as(request, is_signed_in.then_some(person)).await
    }

    async fn send_as(self, request: TestRequest, caller: Option<Caller>) -> Answer {
        let console = self.console();
        let service = init_service(App::new().configure(|config| routes(config, &console))).await;
        let request = request.insert_header(("host", "localhost:8080")).to_request();
        if let Some(caller) = caller {
            request.extensions_mut().insert(botarmy_web::Caller(caller));
            request.extensions_mut().insert(Session(text()));
        }
        let response = match try_call_service(&service, request).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let refused = response.extensions().get::<RefusedSignIn>().copied();
        let body = to_bytes(response.into_body()).await.map_err(|_| "the body ended").unwrap();
        Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap(), refused }
    }
}

/// Returns a result, the longest time for which it held the thread that serves, and the time that it took.
async fn held<T>(work: impl Future<Output = T>) -> (T, Duration, Duration) {
    let mut work = std::pin::pin!(work);
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    std::future::poll_fn(move |context| {
        let asked = Instant::now();
        let polled = work.as_mut().poll(context);
        longest = longest.max(asked.elapsed());
        polled.map(|result| (result, longest, began.elapsed()))
    })
    .await
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

/// Returns the person with the session of the tests.
fn visitor() -> crate::guard::Visitor {
    let request = TestRequest::default().to_http_request();
    request.extensions_mut().insert(botarmy_web::Caller(caller()));
    request.extensions_mut().insert(Session(text()));
    crate::guard::Visitor::of(&request).unwrap()
}

fn form(path: &str, body: &str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(body.to_owned())
}

#[actix_web::test]
async fn the_page_of_a_person_shows_roles_and_sessions_and_escapes_names() {
    let mut fakes = Fakes::idle();
    fakes.sessions.expect_sessions().returning(|_, principal, _, limit| {
        assert_eq!((principal, limit), (Some(ada().id), 10));
        let used = |n| UsedSession {
            session: Arc::new(session(n)),
            name: "ada".to_owned(),
            last_used_at: NOW,
        };
        Ok(Page::first(vec![used(1), used(2)], limit))
    });
    let answer = fakes.send(get("/console/account"), true).await;
    assert_eq!(answer.status, 200);
    let body = answer.body;
    assert!(body.contains("ada &#60;b&#62;") && !body.contains("<b>ada"), "{body}");
    for text in ["reviewer", "on all projects", "on your own projects", "viewer", "reviewers"] {
        assert!(body.contains(text), "{text}: {body}");
    }
    assert_eq!(body.matches("This browser").count(), 1);
    assert_eq!(body.matches("/end\"").count(), 1, "{body}");
    let token = format!("name=\"form_token\" value=\"{}\"", text().form_token().expose());
    assert_eq!(body.matches(&token).count(), 5, "{body}");
    assert!(!body.contains(text().expose()));
}

#[actix_web::test]
async fn without_a_caller_there_is_no_page_and_without_the_token_no_change() {
    assert_eq!(Fakes::default().send(get("/console/account"), false).await.status, 401);
    for path in ["/console/logout", "/console/ticket", "/console/sessions/x/end"] {
        let signed_out = Fakes::default().send(form(path, "form_token=x"), false).await;
        assert_eq!(signed_out.status, 401, "{path}");
        for body in ["", "form_token=", "form_token=x", "form_token=x&form_token=y"] {
            let answer = Fakes::default().send(form(path, body), true).await;
            assert!([403, 422].contains(&answer.status), "{path} {body}: {}", answer.status);
        }
        let token = text().form_token();
        let json = TestRequest::post()
            .uri(path)
            .insert_header(("content-type", "application/json"))
            .set_payload(format!("form_token={}", token.expose()));
        assert_eq!(Fakes::default().send(json, true).await.status, 415, "{path}");
    }
    let body = format!("form_token={}", text().form_token().expose());
    let mut fakes = Fakes::default();
    let ticket = TicketText::new([7; 32]);
    let issued = ticket.clone();
    fakes.access.expect_issue_ticket().returning(move |caller| {
        assert_eq!(caller.name(), ada().name);
        Ok(issued.clone())
    });
    let answer = fakes.send(form("/console/ticket", &body), true).await;
    assert_eq!(answer.status, 201);
    let protocol = format!("\"botarmy.ticket.{}\"", ticket.expose());
    assert!(answer.body.contains(&protocol), "{}", answer.body);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
}

#[actix_web::test]
async fn a_refused_sign_in_says_why_and_is_counted_only_if_it_was_a_guess() {
    for (refusal, status, guess) in [
        (SignInRefusal::Invalid, 401, Some(true)),
        (SignInRefusal::Expired, 401, Some(true)),
        (SignInRefusal::NotAPerson, 403, Some(false)),
        (SignInRefusal::NoMappedGroup, 403, Some(false)),
        (SignInRefusal::Disabled, 403, Some(false)),
        (SignInRefusal::Unavailable, 503, None),
    ] {
        let (text, code) = (refusal.to_string(), refusal.code());
        let mut fakes = Fakes::default();
        let refusal = std::sync::Mutex::new(Some(refusal));
        fakes.sessions.expect_sign_in().returning(move |proof, _, _| {
            assert_eq!(proof, SignIn::Key("botarmy_k_x".to_owned()));
            Err(refusal.lock().unwrap().take().unwrap())
        });
        let answer = fakes.send(form("/console/login", "key=botarmy_k_x"), false).await;
        assert_eq!(answer.status, status, "{text}");
        assert!(answer.body.contains(&text), "{}", answer.body);
        assert!(answer.cookies().is_empty());
        let expected = guess.map(|is_guess| RefusedSignIn { code, is_guess });
        assert_eq!(answer.refused, expected, "{text}");
    }
    for body in ["key=&code=", "", "key=+"] {
        let answer = Fakes::default().send(form("/console/login", body), false).await;
        assert_eq!(answer.status, 422, "{body}");
    }
    let both = form("/console/login", "key=x&code=y");
    assert_eq!(Fakes::default().send(both, false).await.status, 400);
}

fn provider(finished: Result<OpenIdIdentity, ProviderError>) -> MockIdentityProvider {
    let mut provider = MockIdentityProvider::new();
    provider.expect_begin().returning(|uri| {
        assert_eq!(uri, "http://localhost:8080/console/login/callback");
        let attempt = LoginAttempt::new([9; 32]);
        Ok(BegunLogin { url: "https://idp.example/auth?a=1&b=\"".to_owned(), attempt })
    });
    provider.expect_finish().returning(move |_, attempt, answer| {
        assert_eq!(*attempt, LoginAttempt::new([9; 32]));
        assert_eq!(answer.code.as_deref(), Some("c"));
        assert_eq!(answer.iss.as_deref(), Some("https://idp.example"));
        finished.clone()
    });
    provider
}

fn identity() -> OpenIdIdentity {
    let subject =
        OpenIdSubject { issuer: "https://idp.example".to_owned(), subject: "1".to_owned() };
    OpenIdIdentity { subject, name: "Ada".to_owned(), groups: Vec::new() }
}

const CALLBACK: &str =
    "/console/login/callback?code=c&state=s&iss=https://idp.example&session_state=unknown";

#[actix_web::test]
async fn a_sign_in_with_a_provider_leaves_and_comes_back() {
    let fakes = Fakes { provider: Some(provider(Ok(identity()))), ..Fakes::default() };
    let begin = form("/console/login", "openid=1&next=/console/x?y=1%2B");
    let answer = fakes.send(begin, false).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let refresh = "content=\"0; url=https://idp.example/auth?a=1&#38;b=&#34;\"";
    assert!(answer.body.contains(refresh), "{}", answer.body);
    let attempt = LoginAttempt::new([9; 32]);
    let value = format!("{}./console/x?y=1+", attempt.expose());
    let cookie = format!(
        "__Host-botarmy-login={value}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"
    );
    assert_eq!(answer.cookies(), [cookie.as_str()]);

    let mut fakes = Fakes { provider: Some(provider(Ok(identity()))), ..Fakes::default() };
    fakes.sessions.expect_sign_in().returning(|proof, _, _| {
        assert_eq!(proof, SignIn::OpenId(identity()));
        Ok(started())
    });
    let back = get(CALLBACK).insert_header(("cookie", format!("__Host-botarmy-login={value}")));
    let answer = fakes.send(back, false).await;
    // No redirection: the browser would leave the new cookie out, since another site sent it here.
    assert_eq!(answer.status, 200, "{}", answer.body);
    let url = "url=/console/signed-in?next=/console/x%3Fy%3D1%2B\"";
    assert!(answer.body.contains(url), "{}", answer.body);
    let set =
        format!("__Host-botarmy={}; HttpOnly; SameSite=Strict; Secure; Path=/", text().expose());
    let gone = "__Host-botarmy-login=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
    assert_eq!(answer.cookies(), [set.as_str(), gone]);
}

#[actix_web::test]
async fn what_a_provider_does_not_confirm_starts_no_session() {
    let attempt = LoginAttempt::new([9; 32]);
    let cookie = format!("__Host-botarmy-login={}./console", attempt.expose());
    for (error, status) in [
        (ProviderError::ForeignState, 400),
        (ProviderError::Denied("access_denied".to_owned()), 403),
        (ProviderError::Untrusted("the nonce is wrong".to_owned()), 502),
        (ProviderError::Unavailable("no answer".to_owned()), 503),
    ] {
        let (text, code) = (error.to_string(), error.code());
        let fakes = Fakes { provider: Some(provider(Err(error))), ..Fakes::default() };
        let request = get(CALLBACK).insert_header(("cookie", cookie.clone()));
        let answer = fakes.send(request, false).await;
        assert_eq!(answer.status, status);
        assert!(answer.body.contains(&text), "{}", answer.body);
        assert_eq!(answer.refused, Some(RefusedSignIn { code, is_guess: false }));
        assert!(answer.cookies()[0].starts_with("__Host-botarmy-login=;"));
        assert_eq!(answer.cookies().len(), 1);
    }
    // Without the cookie of the attempt nothing is asked of the provider.
    for cookie in ["", "__Host-botarmy-login=", "__Host-botarmy-login=x./console"] {
        let fakes = Fakes { provider: Some(MockIdentityProvider::new()), ..Fakes::default() };
        let answer = fakes.send(get(CALLBACK).insert_header(("cookie", cookie)), false).await;
        assert_eq!(answer.status, 400, "{cookie}");
    }
    assert_eq!(Fakes::default().send(get(CALLBACK), false).await.status, 404, "there is none");
    let none = form("/console/login", "openid=1");
    assert_eq!(Fakes::default().send(none, false).await.status, 404);
}

#[actix_web::test]
async fn below_a_public_address_all_links_have_its_path() {
    let url = || Some("https://army.example/bot".parse().unwrap());
    let fakes = Fakes { public_url: url(), ..Fakes::default() };
    let page = fakes.send(get("/console/login?next=/console/x"), false).await;
    let links: Vec<_> = ["href=\"", "src=\"", "action=\""]
        .iter()
        .flat_map(|attribute| page.body.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|link| !link.starts_with('#'))
        .collect();
    assert!(links.len() >= 5, "{links:?}");
    assert!(links.iter().all(|link| link.starts_with("/bot/console/")), "{links:?}");
    let home = get("/").insert_header(("accept", "text/html"));
    let fakes = Fakes { public_url: url(), ..Fakes::default() };
    assert_eq!(fakes.send(home, false).await.header(header::LOCATION), "/bot/console/inbox");
    assert_eq!(Fakes::default().send(get("/"), false).await.status, 404);
}

#[test]
fn a_request_without_a_session_is_led_to_the_sign_in_if_it_is_for_a_page() {
    const REQUEST: &str = "/console/requests/1?edit=1";
    let console = Fakes::default().console();
    let page = |method: Method, target: &str, is_cross_site, code: &'static str| {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "No.").with_code(code);
        let request = PageRequest {
            method,
            target: target.to_owned(),
            is_cross_site,
            referer: Some(format!("http://botarmy.localhost:8080/bot{REQUEST}")),
            request_id: "r-1".to_owned(),
        };
        let page = console.page(&problem, &request);
        let find = |name| page.headers.iter().find(|(known, _)| *known == name);
        let text = |name| find(name).map_or("", |(_, value)| value.to_str().unwrap()).to_owned();
        (page.status.as_u16(), text(header::LOCATION), text(header::SET_COOKIE), page.body)
    };
    let (status, location, cookie, _) =
        page(Method::GET, "/console/a?b=c", false, "session_required");
    assert_eq!((status, location.as_str()), (303, "/console/login?next=/console/a%3Fb%3Dc"));
    assert_eq!(cookie, "", "there was none");
    let (_, _, cookie, _) = page(Method::GET, "/console", false, "session_expired");
    assert!(cookie.starts_with("__Host-botarmy=; ") && cookie.ends_with("Max-Age=0"), "{cookie}");
    let (status, location, _, body) =
        page(Method::GET, "/console//evil.example", true, "session_required");
    assert_eq!((status, location.as_str()), (200, ""));
    assert!(body.contains("content=\"0; url=/console/inbox\""), "{body}");
    let (status, _, _, body) = page(Method::POST, "/console/logout", false, "session_required");
    assert!(status == 401 && body.contains("r-1"), "{body}");
    assert!(body.contains("href=\"/console/login?next=/console/requests/1%3Fedit%3D1\""), "{body}");
    assert!(body.contains("nothing was recorded"), "{body}");
}

#[actix_web::test]
async fn a_page_that_the_browser_has_is_not_sent_again_and_every_page_has_the_policy() {
    let answer = Fakes::idle().send(get("/console/settings"), true).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let tag = answer.header(header::ETAG).to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "private, no-cache");
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let again = get("/console/settings").insert_header(("if-none-match", tag.as_str()));
    let again = Fakes::idle().send(again, true).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(again.header(header::ETAG), tag);
    let other = get("/console/settings").insert_header(("if-none-match", "\"x\""));
    assert_eq!(Fakes::idle().send(other, true).await.status, 200);
}

#[actix_web::test]
async fn settings_are_kept_in_a_cookie_and_change_the_next_page() {
    let token = text().form_token();
    let fields = |rest: &str| format!("form_token={}&{rest}", token.expose());
    let body = fields("theme=dark&zone=utc&shortcuts=off");
    let answer = Fakes::default().send(form("/console/settings", &body), true).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert_eq!(answer.header(header::LOCATION), "/console/settings?saved=1");
    let cookie = answer.cookies()[0].split(';').next().unwrap().to_owned();
    let page = get("/console/settings?saved=1").insert_header(("cookie", cookie));
    let page = Fakes::idle().send(page, true).await.body;
    for part in
        ["data-theme=\"dark\"", " data-utc", "value=\"off\" checked", "keeps these settings"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(" data-shortcuts"), "{page}");
    for rest in ["theme=red&zone=utc&shortcuts=on", "theme=dark&zone=mars&shortcuts=on"] {
        let answer = Fakes::default().send(form("/console/settings", &fields(rest)), true).await;
        assert_eq!(answer.status, 422, "{rest}");
    }
    let without = form("/console/settings", "theme=dark&zone=utc&shortcuts=on");
    assert_eq!(Fakes::default().send(without, true).await.status, 403);
}

/// The filter `safe` switches escaping off. HTML is written as it is from types that make it so.
#[test]
fn no_template_switches_escaping_off() {
    let mut folders =
        vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for word in ["|safe", "| safe", "escape none", "autoescape"] {
                assert!(!text.contains(word), "{}: {word}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 5);
}
