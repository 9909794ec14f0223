use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::test::TestRequest;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, ResponseError};
use botarmy_domain::ports::{MockAccess, WorkerLeases};
use botarmy_domain::{
    Browser, ContextId, CredentialId, DomainError, Error, Grant, HeartbeatReply, HeldLease, Leased,
    Outcome, Page, Permission, PresentedLease, PrincipalKind, Role, RunError, SessionText, Task,
    Timestamp, Via, WorkQuery,
};
use botarmy_web::{ErrorPage, ErrorPages, PageRequest, TrustedProxies};
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    Answer, Denials, Fakes, api_key, bearing, caller, get, key, path, post, principal, project,
    raw, send_all, with_keys,
};

fn admin() -> Caller {
    caller("ada", PrincipalKind::Person, &[Grant::on_all(Role::Admin)])
}

fn service() -> Caller {
    caller("ci", PrincipalKind::Service, &[Grant::on_all(Role::Admin)])
}

/// Returns an API that knows the first three keys: those of an administrator and of a service, and one
/// that has expired.
fn closed() -> (Fakes, Denials) {
    let (access, denials) =
        with_keys(&[Ok(admin()), Ok(service()), Err(Denial::Expired), Err(Denial::Unavailable)]);
    (Fakes { access: Some(access), ..Fakes::default() }, denials)
}

fn from(request: TestRequest, address: &str) -> TestRequest {
    request.peer_addr(SocketAddr::new(address.parse().unwrap(), 4711))
}

fn code(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    kind.trim_start_matches("urn:botarmy:problem:").to_owned()
}

fn of(answers: &[Answer]) -> Vec<(u16, String)> {
    answers.iter().map(|answer| (answer.status, code(answer))).collect()
}

#[actix_web::test]
async fn checks_come_in_their_order() {
    let host = ("host", "evil.example");
    let foreign = ("origin", "http://evil.example");
    let open = |request: TestRequest| bearing(request, &key(1));
    let cases = [
        // Each request has the mistakes of all that come after it.
        (raw("/nothing", "{").insert_header(host).insert_header(foreign), 421),
        (raw("/nothing", "{").insert_header(foreign), 403),
        (raw("/nothing", "{"), 401),
        (TestRequest::with_uri("/api/v1/projects").method(Method::DELETE), 401),
        (raw("/api/v1/projects", "{"), 401),
        (open(raw("/nothing", "{")), 404),
        (open(TestRequest::with_uri("/api/v1/projects").method(Method::DELETE)), 405),
        (open(raw("/api/v1/projects", "{")), 400),
        (open(post("/api/v1/projects", &json!({"name": 7}))), 422),
    ];
    let (fakes, _) = closed();
    let (requests, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let statuses: Vec<u16> = fakes.send_all(requests).await.iter().map(|a| a.status).collect();
    assert_eq!(statuses, expected);
}

#[actix_web::test]
async fn a_limit_comes_before_the_route_and_after_the_credential() {
    let (mut fakes, _) = closed();
    fakes.settings.limits.person_burst = 1;
    fakes.settings.limits.person_units_per_s = 1;
    let requests = [
        bearing(get("/nothing"), &key(1)),
        bearing(get("/nothing"), &key(1)),
        get("/nothing"),
        bearing(get("/livez"), &key(1)),
    ];
    let answers = fakes.send_all(requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 429, 401, 200]);
    assert_eq!(answers[1].header("retry-after"), "1");
    assert_eq!(answers[1].header("ratelimit-policy"), "\"units\";q=1;w=1");
    let problem = answers[1].json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["units"]));
}

#[actix_web::test]
async fn every_denial_has_its_code_and_its_challenge() {
    let (fakes, denials) = closed();
    let read = || from(get("/api/v1/projects"), "192.0.2.1");
    let requests = [
        read(),
        read().insert_header(("authorization", "Basic dTpw")),
        bearing(read(), &key(9)),
        bearing(read(), "nonsense"),
        bearing(read(), "botarmy_w_0123456789012345678901234567890123456789012"),
        bearing(read(), &key(3)),
        bearing(read(), &key(4)),
        bearing(read(), &key(1)).append_header(("authorization", "Bearer x")),
    ];
    let answers = fakes.send_all(requests).await;
    let expected = [
        (401, "key_required"),
        (401, "key_invalid"),
        (401, "key_invalid"),
        (401, "key_invalid"),
        (401, "key_invalid"),
        (401, "key_expired"),
        (503, "about:blank"),
        (400, "two_credentials"),
    ];
    assert_eq!(of(&answers), expected.map(|(status, code)| (status, code.to_owned())));
    let challenge = |n: usize| answers[n].header("www-authenticate");
    assert_eq!(challenge(0), "Bearer realm=\"botarmy\"");
    assert_eq!(challenge(2), "Bearer realm=\"botarmy\", error=\"invalid_token\"");
    assert_eq!(challenge(5), challenge(2));
    assert!(answers[0].json()["detail"].as_str().unwrap().contains("keys create"));
    assert!(!answers[6].header("retry-after").is_empty());
    let denials = denials.lock().unwrap();
    let reasons: Vec<_> = denials.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(
        reasons,
        ["key_required", "key_invalid", "key_invalid", "key_invalid", "key_invalid", "key_expired"]
    );
    assert!(denials.iter().all(|(_, source)| source == "192.0.2.1"));
}

#[actix_web::test]
async fn wrong_keys_of_every_kind_get_the_same_bytes() {
    let (fakes, _) = closed();
    let almost = format!("{}x", &key(1)[..58]);
    let wrong = [key(9), almost, "x".to_owned(), String::new(), key(1).to_uppercase()];
    let requests = wrong.map(|key| bearing(get("/api/v1/projects"), &key));
    let answers = fakes.send_all(requests).await;
    let parts = |answer: &Answer| {
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "x-request-id")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        headers.sort_by(|one, two| one.0.as_str().cmp(two.0.as_str()));
        (answer.status, headers, answer.body.clone())
    };
    assert_eq!(answers[0].status, 401);
    for answer in &answers {
        assert_eq!(parts(answer), parts(&answers[0]));
    }
}

#[actix_web::test]
async fn no_operation_but_a_public_one_answers_without_a_credential() {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    let (mut asked, mut requests) = (Vec::new(), Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        let uri = path.replace("{agent_type}", "coder").replace(['{', '}'], "");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            asked.push((format!("{method} {path}"), operation["security"] == json!([])));
            requests.push(TestRequest::with_uri(&uri).method(method));
        }
    }
    assert!(asked.iter().filter(|(_, is_public)| *is_public).count() >= 6);
    let (fakes, _) = closed();
    for ((name, is_public), answer) in asked.into_iter().zip(fakes.send_all(requests).await) {
        assert_eq!(answer.status != 401, is_public, "{name}: {}", answer.status);
    }
}

#[actix_web::test]
async fn a_public_operation_ignores_a_credential() {
    let (fakes, denials) = closed();
    let requests = [
        bearing(get("/livez"), &key(9)),
        bearing(get("/livez"), "x").append_header(("authorization", "Bearer y")),
        bearing(get("/health/"), &key(3)),
        bearing(get("/openapi.json"), &key(9)),
    ];
    assert!(fakes.send_all(requests).await.iter().all(|answer| answer.status == 200));
    assert!(denials.lock().unwrap().is_empty());
    let (mut fakes, _) = closed();
    fakes.settings.docs_public = false;
    let requests = [get("/openapi.json"), bearing(get("/openapi.json"), &key(1)), get("/livez")];
    let statuses: Vec<_> = fakes.send_all(requests).await.iter().map(|a| a.status).collect();
    assert_eq!(statuses, [401, 200, 200]);
}

#[actix_web::test]
async fn on_an_open_server_a_wrong_credential_is_refused_and_none_is_a_person() {
    let mut fakes = Fakes::default();
    fakes.queries.expect_projects().times(1).returning(|caller, _, _, limit| {
        assert_eq!((caller.name(), caller.principal()), ("bob", None));
        Ok(Page::first(Vec::new(), limit))
    });
    fakes.queries.expect_activities().returning(|_, _| Ok(Vec::new()));
    let list = || get("/api/v1/projects").insert_header(("x-user-id", "bob"));
    let lease = "botarmy_w_0123456789012345678901234567890123456789012";
    let requests = [list(), bearing(list(), &key(1)), bearing(list(), lease)];
    let answers = fakes.send_all(requests).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 401, 401]);
}

#[actix_web::test]
async fn a_service_names_a_user_and_a_person_does_not() {
    let claimed = |key: String, user: &'static str| async move {
        let (mut fakes, _) = closed();
        fakes.queries.expect_project().returning(|_, _| Ok(project().into()));
        let (names, seen) = std::sync::mpsc::channel();
        fakes.projects.expect_force_complete().returning(move |_, caller| {
            let proof = caller.origin().proof.unwrap();
            names.send((caller.name().to_owned(), proof.claimed_user.clone())).unwrap();
            assert_eq!(caller.request_id(), Some("r-1"));
            Ok(Vec::new())
        });
        let request = raw(&path("/force-complete"), "").insert_header(("x-request-id", "r-1"));
        let request = bearing(request, &key).insert_header(("x-user-id", user));
        (fakes.send(request).await.status, seen.try_recv().ok())
    };
    let name = |name: &str| name.to_owned();
    assert_eq!(claimed(key(2), "eve").await, (200, Some((name("ci"), Some(name("eve"))))));
    assert_eq!(claimed(key(1), "eve").await, (200, Some((name("ada"), None))));
    assert_eq!(claimed(key(1), " ").await, (400, None), "malformed, although it does not count");
    assert_eq!(claimed(key(2), " ").await, (400, None));
}

#[actix_web::test]
async fn the_way_of_a_request_is_what_its_client_says_or_rest() {
    for (said, way) in [
        (&[][..], Some(Via::Rest)),
        (&["terminal"], Some(Via::Terminal)),
        (&["mcp"], Some(Via::Mcp)),
        (&["console"], None),
        (&["rest"], None),
        (&["MCP"], None),
        (&[""], None),
        (&["mcp", "mcp"], None),
    ] {
        let (mut fakes, _) = closed();
        fakes.queries.expect_project().returning(|_, _| Ok(project().into()));
        let (ways, seen) = std::sync::mpsc::channel();
        fakes.projects.expect_force_complete().returning(move |_, caller| {
            ways.send(caller.origin().via).unwrap();
            Ok(Vec::new())
        });
        let request = bearing(raw(&path("/force-complete"), ""), &key(1));
        let request =
            said.iter().fold(request, |request, it| request.append_header(("botarmy-client", *it)));
        let answer = fakes.send(request).await;
        assert_eq!(answer.status, if way.is_some() { 200 } else { 400 }, "{said:?}");
        assert_eq!(seen.try_recv().ok().flatten(), way, "{said:?}");
        if way.is_none() {
            assert!(answer.json()["detail"].as_str().unwrap().contains("BotArmy-Client"));
        }
    }
}

#[actix_web::test]
async fn failures_are_limited_by_address_and_a_valid_key_works_from_there() {
    let (mut fakes, _) = closed();
    fakes.queries.expect_projects().returning(|_, _, _, limit| Ok(Page::first(Vec::new(), limit)));
    fakes.queries.expect_activities().returning(|_, _| Ok(Vec::new()));
    let read = |address, key: &str| bearing(from(get("/api/v1/projects"), address), key);
    let mut requests: Vec<_> = (0..12).map(|_| read("2001:db8::1", &key(9))).collect();
    requests.push(read("2001:db8::ffff", &key(9)));
    requests.push(read("2001:db8:0:1::1", &key(9)));
    requests.push(read("2001:db8::1", &key(1)));
    // Without a credential nothing is guessed.
    requests.push(from(get("/api/v1/projects"), "2001:db8::1"));
    let statuses: Vec<u16> = fakes.send_all(requests).await.iter().map(|a| a.status).collect();
    let expected = [vec![401; 10], vec![429, 429, 429, 401, 200, 401]].concat();
    assert_eq!(statuses, expected);
}

#[actix_web::test]
async fn a_forged_lease_token_counts_as_a_failure() {
    let (mut fakes, denials) = closed();
    fakes.leases.expect_heartbeat().returning(|_, _| {
        let detail = "No.".to_owned();
        Err(DomainError::Unauthenticated { code: "token_invalid", detail }.into())
    });
    let heartbeat = format!("/api/v1/worker/leases/{}/heartbeat", crate::leases::sample_token());
    let token = "botarmy_w_0123456789012345678901234567890123456789012";
    let requests = (0..12).map(|_| bearing(from(raw(&heartbeat, ""), "192.0.2.1"), token));
    let statuses: Vec<u16> = fakes.send_all(requests).await.iter().map(|a| a.status).collect();
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    assert_eq!(denials.lock().unwrap().len(), 12);
}

#[actix_web::test]
async fn a_call_about_a_lease_comes_with_its_token_or_with_a_caller() {
    let (mut fakes, _) = closed();
    let (calls, seen) = std::sync::mpsc::channel();
    fakes.leases.expect_heartbeat().returning(move |presented, _| {
        let caller = presented.caller.as_ref().map(|caller| caller.name().to_owned());
        calls.send((presented.token.is_some(), caller)).unwrap();
        Ok(HeartbeatReply { expires_at: crate::testing::NOW, cancel: false })
    });
    let heartbeat = format!("/api/v1/worker/leases/{}/heartbeat", crate::leases::sample_token());
    let token = "botarmy_w_0123456789012345678901234567890123456789012";
    let requests = [
        raw(&heartbeat, ""),
        bearing(raw(&heartbeat, ""), token),
        bearing(raw(&heartbeat, ""), &key(2)).insert_header(("x-user-id", "eve")),
        // A token is good for the calls about its lease only.
        bearing(raw("/api/v1/worker/leases", "{}"), token),
        bearing(get(&heartbeat), token),
        bearing(get("/api/v1/projects"), token),
    ];
    let statuses: Vec<u16> = fakes.send_all(requests).await.iter().map(|a| a.status).collect();
    assert_eq!(statuses, [401, 200, 200, 401, 401, 401]);
    let seen: Vec<_> = seen.try_iter().collect();
    assert_eq!(seen, [(true, None), (false, Some("ci".to_owned()))]);
}

/// Leases of a server that has no work.
struct NoWork;

#[async_trait::async_trait]
impl WorkerLeases for NoWork {
    async fn lease(&self, _: WorkQuery) -> Result<Vec<Leased>, Error> {
        std::future::pending().await
    }

    async fn requeue_undelivered(&self, _: Vec<HeldLease>) {}

    async fn heartbeat(
        &self,
        _: PresentedLease,
        _: Option<(String, Option<u8>)>,
    ) -> Result<HeartbeatReply, Error> {
        unreachable!("nothing was leased")
    }

    async fn finish(
        &self,
        _: PresentedLease,
        _: Result<Outcome, RunError>,
    ) -> Result<Arc<Task>, Error> {
        unreachable!("nothing was leased")
    }

    async fn refuse(&self, _: PresentedLease, _: String) {}
}

#[actix_web::test]
async fn a_request_that_waits_for_work_ends_with_its_key_and_with_other_rights() {
    let poll = json!({"worker_id": "w", "agents": ["coder"], "wait_s": 30});
    let other = caller("ci", PrincipalKind::Service, &[Grant::on_all(Role::Worker)]);
    for (now, status) in [(Err(Denial::Invalid), 401), (Ok(other), 204)] {
        let mut access = MockAccess::new();
        access.expect_is_required().return_const(true);
        access.expect_authenticate().returning(|_| Ok(service()));
        access.expect_recheck().returning(move |_| now.clone());
        access.expect_record_denial().returning(|_, _| ());
        let mut api = Fakes { access: Some(access), ..Fakes::default() }.api();
        api.leases = Arc::new(NoWork);
        let started = std::time::Instant::now();
        let request = bearing(post("/api/v1/worker/leases", &poll), &key(2));
        let answers = send_all(api, &|_| {}, [request]).await;
        assert_eq!(answers[0].status, status);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
}

#[actix_web::test]
async fn a_missing_permission_is_recorded_with_its_principal() {
    let viewer = caller("eve", PrincipalKind::Person, &[Grant::on_all(Role::Viewer)]);
    let own = caller("own", PrincipalKind::Person, &[Grant::on_own(Role::Admin)]);
    let principal = viewer.principal().unwrap();
    let (access, denials) = with_keys(&[Ok(viewer), Ok(own), Ok(admin())]);
    let fakes = Fakes { access: Some(access), ..Fakes::default() };
    let detailed = || get("/health/detailed");
    let requests = (1..=3).map(|n| bearing(detailed(), &key(n)));
    let answers = fakes.send_all(requests).await;
    assert_eq!(answers[2].status, 200);
    assert_eq!(
        of(&answers[..2]),
        [(403, "not_permitted".to_owned()), (403, "needs_all_projects".to_owned())]
    );
    let detail = answers[0].json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("system.read") && detail.contains("admin"), "{detail}");
    let denials = denials.lock().unwrap();
    assert_eq!((denials.len(), &denials[0]), (2, &("not_permitted", principal.to_string())));
}

#[actix_web::test]
async fn requests_one_after_the_other_are_not_at_the_same_time() {
    let (mut fakes, _) = closed();
    fakes.settings.limits.person.requests = 1;
    let requests = (0..10).map(|_| bearing(get("/health/detailed"), &key(1)));
    for answer in fakes.send_all(requests).await {
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").starts_with("\"units\";r=3"), "every response has it");
    }
}

#[actix_web::test]
async fn a_proxy_needs_access_control_or_a_name() {
    for header in ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host"] {
        let request = || get("/livez").insert_header((header, "x"));
        let answer = Fakes::default().send(request()).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (403, "proxied_without_access_control")
        );
        assert_eq!(closed().0.send(request()).await.status, 200, "{header}");
        let mut behind = Fakes::default();
        behind.settings.trusted_proxies = TrustedProxies::parse(["10.0.0.1"]).unwrap();
        assert_eq!(behind.send(request()).await.status, 200, "{header}");
    }
}

#[actix_web::test]
async fn a_preflight_needs_no_credential_and_a_refusal_can_be_read_by_its_page() {
    let origin = ("origin", "http://localhost:3000");
    let preflight = TestRequest::with_uri("/api/v1/projects")
        .method(Method::OPTIONS)
        .insert_header(origin)
        .insert_header(("access-control-request-method", "POST"))
        .insert_header(("access-control-request-headers", "authorization"));
    let (fakes, _) = closed();
    let options = TestRequest::with_uri("/api/v1/projects").method(Method::OPTIONS);
    let refused = get("/api/v1/projects").insert_header(origin);
    let answers = fakes.send_all([preflight, options, refused]).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 401, 401]);
    assert_eq!(answers[2].header("access-control-allow-origin"), origin.1);
    assert_eq!(answers[0].header("access-control-allow-credentials"), "");
    let exposed = answers[2].header("access-control-expose-headers");
    for name in ["www-authenticate", "retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}: {exposed}");
    }
}

#[actix_web::test]
async fn a_credential_is_not_taken_for_the_id_of_a_request_or_for_a_user() {
    let fresh = format!("{:032x}", 0xabc);
    let answer = Fakes::default().send(get("/livez").insert_header(("x-request-id", key(1)))).await;
    assert_eq!(answer.header("x-request-id"), fresh);
    let named = get("/api/v1/projects").insert_header(("x-user-id", key(1)));
    let answer = Fakes::default().send(named).await;
    assert_eq!(answer.status, 400);
    assert!(!String::from_utf8_lossy(&answer.body).contains(&key(1)[10..]));
}

#[actix_web::test]
async fn a_credential_in_a_query_is_refused_whatever_its_name() {
    let credential = key(1);
    let escaped = credential.replace('_', "%5F");
    for query in [format!("q={credential}"), format!("q={escaped}"), credential.clone()] {
        let (fakes, _) = closed();
        let answer = fakes.send(get(&format!("/api/v1/projects?{query}"))).await;
        assert_eq!(answer.status, 400, "{query}");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains(&credential[10..]), "{body}");
    }
}

/// Returns a route that answers with the name of its caller.
fn live(config: &mut ServiceConfig) {
    let name = |caller: botarmy_web::Caller| async move { caller.0.name().to_owned() };
    config.route("/ws", web::get().to(name));
}

#[actix_web::test]
async fn a_ticket_opens_one_connection_for_its_caller() {
    let (mut fakes, _) = closed();
    let access = fakes.access.as_mut().unwrap();
    let unused = Arc::new(std::sync::Mutex::new(None));
    let taken = Arc::clone(&unused);
    access.expect_issue_ticket().returning(move |caller| {
        *unused.lock().unwrap() = Some(caller.clone());
        Ok(TicketText::new([7; 32]))
    });
    access
        .expect_redeem_ticket()
        .withf(|ticket| *ticket == TicketText::new([7; 32]))
        .returning(move |_| taken.lock().unwrap().take().ok_or(Denial::Invalid));
    let (api, text) = (fakes.api(), TicketText::new([7; 32]));
    let ticket = text.expose().to_owned();
    let offer = format!("botarmy.v1, botarmy.ticket.{ticket}");
    let open = || get("/ws").insert_header(("sec-websocket-protocol", offer.as_str()));
    let issue = || bearing(raw("/api/v1/access/ticket", ""), &key(1));
    let requests = [
        open(),
        issue(),
        open(),
        open(),
        issue(),
        // It is no credential for anything else.
        get("/api/v1/projects").insert_header(("sec-websocket-protocol", offer.as_str())),
        bearing(get("/ws"), &ticket),
        bearing(open(), &key(1)),
        get("/ws"),
        bearing(get("/ws"), &key(2)),
    ];
    let answers = send_all(api, &live, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 201, 200, 401, 201, 401, 401, 400, 401, 200]);
    assert_eq!(answers[1].json()["ticket"], json!(ticket));
    assert_eq!(answers[1].json()["protocols"], json!(["botarmy.v1", offer.split(", ").last()]));
    assert_eq!(answers[1].header("cache-control"), "no-store");
    assert_eq!((&answers[2].body[..], &answers[9].body[..]), (&b"ada"[..], &b"ci"[..]));
}

#[actix_web::test]
async fn wrong_tickets_are_limited_and_a_valid_one_is_accepted_beside_them() {
    let mut access = MockAccess::new();
    access.expect_is_required().return_const(true);
    access.expect_record_denial().returning(|_, _| ());
    let right = TicketText::new([7; 32]);
    let valid = right.clone();
    access
        .expect_redeem_ticket()
        .returning(move |ticket| if *ticket == valid { Ok(admin()) } else { Err(Denial::Invalid) });
    let mut fakes = Fakes { access: Some(access), ..Fakes::default() };
    fakes.settings.limits.failures_burst = 3;
    let open = |ticket: &TicketText| {
        let offer = format!("botarmy.v1, botarmy.ticket.{}", ticket.expose());
        from(get("/ws").insert_header(("sec-websocket-protocol", offer)), "192.0.2.1")
    };
    let wrong = TicketText::new([8; 32]);
    let tickets = [&wrong, &wrong, &wrong, &wrong, &right, &wrong];
    let answers = send_all(fakes.api(), &live, tickets.map(open)).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 200, 429]);
}

#[actix_web::test]
async fn a_kept_reply_is_returned_only_to_a_caller_that_may_still_have_it() {
    use botarmy_domain::{CallReply, KeptReply, RequestDigest};
    let reply = |grants: Vec<Grant>| async move {
        let operator = caller("ada", PrincipalKind::Person, &grants);
        let path = path("/pause");
        let kept = KeptReply {
            key: operator.call_key("k-1"),
            request: RequestDigest::of("POST", &path, "", ""),
            reply: Some(CallReply {
                status: 200,
                location: None,
                etag: None,
                body: "{}".to_owned(),
            }),
            expires_at: crate::testing::NOW,
        };
        let (access, _) = with_keys(&[Ok(operator)]);
        let mut fakes = Fakes { access: Some(access), ..Fakes::default() };
        let kept = Arc::new(kept);
        fakes.queries.expect_kept_reply().returning(move |_, _| Ok(Some(Arc::clone(&kept))));
        fakes.queries.expect_project().returning(|caller, id| {
            let place = botarmy_domain::Place::Project { id, creator: None };
            caller.check(Permission::ProjectRead, place)?;
            Ok(project().into())
        });
        let request = bearing(raw(&path, ""), &key(1)).insert_header(("idempotency-key", "k-1"));
        fakes.send(request).await.status
    };
    let id = project().id;
    assert_eq!(reply(vec![Grant::on_all(Role::Operator)]).await, 200);
    assert_eq!(reply(vec![Grant::on_project(Role::Operator, id)]).await, 200);
    assert_eq!(reply(vec![Grant::on_project(Role::Viewer, id)]).await, 403);
    assert_eq!(reply(vec![Grant::on_own(Role::Operator)]).await, 404);
    assert_eq!(reply(vec![]).await, 403);
}

#[test]
fn a_key_of_the_tests_is_one() {
    let principal = principal("ada", PrincipalKind::Person, &[]);
    assert_eq!(api_key(&principal).principal, principal.id);
    assert_eq!(key(1).len(), 59);
}

/// Writes errors as texts, and serves one page.
struct Pages;

impl ErrorPages for Pages {
    fn page(&self, problem: &Problem, request: &PageRequest) -> ErrorPage {
        let body = format!("{} {} {}", problem.code().unwrap_or_default(), request.target, problem);
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static("text/html"))];
        ErrorPage { status: problem.status_code(), headers, body }
    }
}

const COOKIE: &str = "botarmy_s_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Returns an API with pages that knows one cookie, that of a person in the browser `x` on this machine.
fn with_pages() -> (Fakes, Denials) {
    let (mut fakes, denials) = closed();
    fakes.pages = Some(Arc::new(Pages));
    let found = |cookie: &str, browser: &Browser| {
        let is_own = browser.agent == "x" && browser.address.is_some_and(|one| one.is_loopback());
        match cookie {
            COOKIE if is_own => Ok(admin()),
            "expired" => Err(Denial::Expired),
            _ => Err(Denial::Invalid),
        }
    };
    fakes.sessions.expect_caller_of().returning(found);
    fakes.sessions.expect_find_caller().returning(found);
    (fakes, denials)
}

fn pages(config: &mut ServiceConfig) {
    let page = async |caller: botarmy_web::Caller, session: Option<Session>| {
        let token = session.map(|Session(text)| text.form_token().matches("x"));
        format!("{} {token:?}", caller.0.name())
    };
    let refused = async || {
        let mut response = HttpResponse::Unauthorized().content_type("text/html").body("no");
        let refused = RefusedSignIn { code: "sign_in_invalid", is_guess: true };
        response.extensions_mut().insert(refused);
        response
    };
    config
        .route("/console", web::to(page))
        .route("/console/panic", web::to(async || -> &'static str { panic!("on purpose") }))
        .service(
            web::resource("/console/login")
                .route(web::get().to(async || "sign in"))
                .route(web::post().to(refused)),
        );
}

fn browser_of(request: TestRequest, cookie: &str) -> TestRequest {
    let request = request.insert_header(("cookie", format!("__Host-botarmy={cookie}")));
    from(request.insert_header(("user-agent", "x")), "127.0.0.1")
}

#[actix_web::test]
async fn a_page_takes_the_cookie_of_a_session_and_nothing_else() {
    let (fakes, denials) = with_pages();
    let requests = [
        browser_of(get("/console"), COOKIE),
        browser_of(get("/console/"), COOKIE),
        browser_of(get("/console"), "y"),
        browser_of(get("/console"), "expired"),
        browser_of(get("/console"), COOKIE).insert_header(("user-agent", "y")),
        from(get("/console"), "127.0.0.1"),
        bearing(from(get("/console"), "127.0.0.1"), &key(1)),
        bearing(browser_of(get("/console"), COOKIE), &key(1)),
        browser_of(get("/console"), COOKIE)
            .append_header(("cookie", format!("__Host-botarmy={COOKIE}"))),
        browser_of(get("/api/v1/access/me"), COOKIE),
        browser_of(get("/nothing"), COOKIE),
        browser_of(get("/console/panic"), COOKIE),
    ];
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 401, 401, 401, 401, 401, 400, 400, 401, 401, 500]);
    let text = |n: usize| String::from_utf8_lossy(&answers[n].body).into_owned();
    assert_eq!(text(0), "ada Some(false)");
    for (n, code) in [
        (2, "session_invalid"),
        (3, "session_expired"),
        (4, "session_invalid"),
        (5, "session_required"),
        (6, "session_required"),
        (7, "two_credentials"),
        (8, "two_credentials"),
    ] {
        assert!(text(n).starts_with(&format!("{code} /console ")), "{}", text(n));
        assert_eq!(answers[n].header("content-type"), "text/html");
        assert!(!answers[n].header("x-request-id").is_empty());
    }
    assert_eq!(answers[9].header("content-type"), "application/problem+json");
    assert!(text(11).contains("/console/panic") && !text(11).contains("purpose"), "{}", text(11));
    assert_eq!(answers[11].header("content-type"), "text/html");
    assert!(!answers[11].header("x-request-id").is_empty());
    let reasons: Vec<_> = denials.lock().unwrap().iter().map(|(reason, _)| *reason).collect();
    let expected =
        ["session_invalid", "session_expired", "session_invalid", "key_required", "key_required"];
    assert_eq!(reasons, expected);
}

#[actix_web::test]
async fn a_change_of_a_page_comes_from_the_server_itself() {
    let own = ("origin", "http://127.0.0.1:8080");
    let host = ("host", "127.0.0.1:8080");
    let post = |path: &str| browser_of(TestRequest::post().uri(path), COOKIE).insert_header(host);
    let (fakes, _) = with_pages();
    let requests = [
        post("/console").insert_header(own),
        post("/console").insert_header(("sec-fetch-site", "same-origin")),
        post("/console"),
        post("/console").insert_header(("origin", "http://localhost:3000")),
        post("/console").insert_header(("origin", "http://evil.example")),
        post("/console").insert_header(own).insert_header(("sec-fetch-site", "same-site")),
        // Before anything is asked about the session.
        TestRequest::post().uri("/console").insert_header(host),
    ];
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 403, 403, 403, 403, 403]);
    assert!(answers[2..].iter().all(|answer| answer.header("content-type") == "text/html"));
}

#[actix_web::test]
async fn a_compressed_form_is_refused_before_it_is_expanded() {
    let sign_in = || {
        let post = TestRequest::post().uri("/console/login");
        from(post.insert_header(("sec-fetch-site", "same-origin")), "192.0.2.1")
    };
    let (fakes, denials) = with_pages();
    let requests = [
        sign_in().insert_header(("content-encoding", "gzip")),
        sign_in().insert_header(("content-encoding", "identity, deflate")),
        sign_in().insert_header(("content-encoding", "identity")),
    ];
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [415, 415, 401]);
    assert_eq!(denials.lock().unwrap().len(), 1);
}

#[actix_web::test]
async fn sign_ins_are_limited_by_address_and_refused_ones_count_as_guesses() {
    let sign_in = |address: &str| {
        let post = TestRequest::post().uri("/console/login");
        from(post.insert_header(("sec-fetch-site", "same-origin")), address)
    };
    let (mut fakes, denials) = with_pages();
    fakes.settings.limits.logins_per_minute = 5;
    fakes.settings.limits.failures_burst = 3;
    let requests = (0..7).map(|_| sign_in("192.0.2.1")).chain([sign_in("192.0.2.2")]);
    let requests = requests.chain([from(get("/console/login"), "192.0.2.1")]);
    let answers = send_all(fakes.api(), &pages, requests.collect::<Vec<_>>()).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429, 429, 401, 200]);
    let text = |n: usize| String::from_utf8_lossy(&answers[n].body).into_owned();
    assert!(text(3).contains("not valid") && text(6).contains("Too many sign-ins"), "{}", text(6));
    assert_eq!(denials.lock().unwrap()[0], ("sign_in_invalid", "192.0.2.1".to_owned()));
}

#[actix_web::test]
async fn only_a_browser_may_ask_for_the_server_itself_without_a_credential() {
    let (fakes, _) = with_pages();
    let html = ("accept", "text/html,*/*");
    let requests = [
        get("/").insert_header(html),
        get("/"),
        TestRequest::post().uri("/").insert_header(html),
        get("/nothing").insert_header(html),
    ];
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 401, 401, 401], "the page itself is not mounted here");
}

#[actix_web::test]
async fn a_forged_preview_has_the_store_read_only_until_its_failures_are_used_up() {
    let (mut fakes, _) = with_pages();
    fakes.settings.limits.failures_burst = 3;
    let denied = |_: &PreviewToken, _: &Browser| Err(Denial::Invalid);
    fakes.sessions.expect_caller_of_preview().times(10).returning(denied);
    fakes.sessions.expect_find_caller_of_preview().times(3).returning(denied);
    let text: SessionText = COOKIE.parse().unwrap();
    let id: CredentialId = "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap();
    let artifact: ContextId = "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap();
    let token = PreviewToken::new(&text, id, artifact, Timestamp::from_micros(0));
    let path = format!("/console/preview/{}/index.html", token.expose());
    let requests = (0..10).map(|_| from(get(&path), "192.0.2.1")).collect::<Vec<_>>();
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429, 429, 429, 429, 429]);
}

#[actix_web::test]
async fn a_stranger_has_the_store_read_only_until_its_failures_are_used_up() {
    let (mut fakes, _) = closed();
    fakes.settings.limits.failures_burst = 3;
    fakes.sessions.expect_caller_of().times(10).returning(|_, _| Err(Denial::Invalid));
    fakes.sessions.expect_find_caller().times(3).returning(|_, _| Err(Denial::Invalid));
    let requests = (0..10).map(|_| browser_of(get("/console"), COOKIE)).collect::<Vec<_>>();
    let answers = send_all(fakes.api(), &pages, requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429, 429, 429, 429, 429]);
}
