//! Sessions of browsers: how they start and end, and everything that a stolen or planted cookie is
//! refused.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use botarmy_tests::access::{FIRST_KEY, MODE, key};
use botarmy_tests::browser::{Browser, COOKIE, Shown};
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder, command};
use botarmy_tests::services;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::world::{NO_RUNNERS, client, principal, unknown_key};

/// Time within which an end has taken effect.
const AT_MOST: Duration = Duration::from_secs(1);
/// Attributes of the cookie.
const ATTRIBUTES: &str = "HttpOnly; SameSite=Strict; Secure; Path=/";

/// Creates a person with this role on all projects, and a key.
async fn person(server: &TestServer, role: &str) -> super::world::Keyed {
    principal(server, "person", json!([{"role": role, "on": "all"}])).await
}

/// Creates a sign-in link for a principal; returns its code.
async fn link(server: &TestServer, principal: &str) -> String {
    let body = json!({"principal_id": principal});
    let (status, link) = server.post("/api/v1/access/links", body).await;
    assert_eq!(status, 201, "{link}");
    let code = link["code"].as_str().unwrap().to_owned();
    assert_eq!(link["url"], json!(format!("{}/console/login#{code}", server.base)));
    code
}

/// Waits until a browser is signed out.
async fn signed_out_after(browser: &mut Browser, since: Instant) -> Duration {
    while browser.is_signed_in().await {
        assert!(since.elapsed() < TIMEOUT, "the session goes on");
    }
    since.elapsed()
}

/// Returns the entries of this type in the log of the system, the newest first.
async fn entries(server: &TestServer, kind: &str) -> Vec<Value> {
    server.list(&format!("/api/v1/audit/events?event_type={kind}&limit=1000")).await
}

fn is_page(shown: &Shown) {
    assert_eq!(shown.header("content-type"), "text/html; charset=utf-8", "{}", shown.body);
    let policy = shown.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(shown.header("referrer-policy"), "same-origin");
    assert_eq!(shown.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert_eq!(shown.header("cache-control"), "private, no-cache");
    assert!(!shown.body.contains("style=") && !shown.body.contains("<style"), "{}", shown.body);
}

#[tokio::test]
async fn a_key_or_a_link_signs_a_person_in_and_the_page_says_who_it_is() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ada = person(&server, "reviewer").await;
    let mut browser = Browser::new(&server);
    for page in ["/console", "/console/inbox"] {
        let shown = browser.show(page).await;
        assert_eq!((shown.status, shown.header("location")), (303, "/console/login"));
    }
    is_page(&browser.show("/console/login").await);

    let shown = browser.sign_in(&[("key", &ada.key)]).await;
    assert_eq!((shown.status, shown.header("location")), (303, "/console/signed-in"));
    let set = shown.set_cookie().unwrap();
    assert!(set.starts_with("__Host-botarmy=botarmy_s_") && set.ends_with(ATTRIBUTES), "{set}");
    let shown = browser.show("/console/signed-in").await;
    assert_eq!((shown.status, shown.header("location")), (303, "/console/inbox"));
    let shown = browser.show("/console/account").await;
    assert_eq!(shown.status, 200);
    is_page(&shown);
    for text in ["Signed in with a key", "reviewer", "on all projects", "This browser"] {
        assert!(shown.body.contains(text), "{text}: {}", shown.body);
    }
    let mut other = Browser::new(&server);
    let code = link(&server, &ada.principal).await;
    assert_eq!(other.sign_in(&[("code", &code)]).await.status, 303);
    let shown = other.show("/console/account").await;
    assert!(shown.body.contains("Signed in with a one-time link"), "{}", shown.body);
    // Each sees both, and ends the other.
    assert_eq!(shown.body.matches("/end\"").count(), 1, "{}", shown.body);
    let action = shown.body.split("action=\"").find(|rest| rest.contains("/end\"")).unwrap();
    let action = action.split('"').next().unwrap();
    let ended = other.submit(action, &[("form_token", &shown.form_token())]).await;
    assert_eq!((ended.status, ended.header("location")), (303, "/console/account"));
    assert!(!browser.is_signed_in().await && other.is_signed_in().await);

    // The entry page of the server leads people to it, and programs nowhere.
    let shown = Browser::new(&server).show("/").await;
    assert_eq!((shown.status, shown.header("location")), (303, "/console/inbox"));
    let response = client().get(format!("{}/", server.base)).send().await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn a_program_is_not_signed_in_and_a_key_opens_no_page() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ci = principal(&server, "service", json!([{"role": "admin", "on": "all"}])).await;
    let shown = Browser::new(&server).sign_in(&[("key", &ci.key)]).await;
    assert_eq!((shown.status, shown.set_cookie()), (403, None));
    assert!(shown.body.contains("only people sign in"), "{}", shown.body);
    is_page(&shown);
    let bearer = format!("Bearer {}", key());
    let header = [("authorization", bearer.as_str())];
    let shown = Browser::new(&server).send(Method::GET, "/console", &header, None).await;
    assert_eq!((shown.status, shown.header("location")), (303, "/console/login"));
    let mut both = Browser::with_key(&server, key()).await;
    let shown = both.send(Method::GET, "/console", &header, None).await;
    assert_eq!(shown.status, 400, "two credentials");
    let twice = format!("{COOKIE}={}", both.cookie.clone().unwrap());
    let shown = both.send(Method::GET, "/console", &[("cookie", &twice)], None).await;
    assert_eq!(shown.status, 400, "two cookies");
    assert!(both.is_signed_in().await);
}

#[tokio::test]
async fn a_sign_in_never_adopts_a_cookie_that_was_there() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ada = person(&server, "viewer").await;
    let planted = format!("botarmy_s_{}", "A".repeat(43));
    let mut browser = Browser::new(&server);
    browser.cookie = Some(planted.clone());
    assert!(!browser.is_signed_in().await);
    assert_eq!(browser.sign_in(&[("key", &ada.key)]).await.status, 303);
    let first = browser.cookie.clone().unwrap();
    assert_ne!(first, planted);
    let mut attacker = Browser::new(&server);
    attacker.cookie = Some(planted);
    assert!(!attacker.is_signed_in().await, "the planted cookie stays worthless");
    // A second sign-in in the same browser starts another session.
    assert_eq!(browser.sign_in(&[("key", &ada.key)]).await.status, 303);
    assert_ne!(browser.cookie.clone().unwrap(), first);
    let (_, sessions) =
        server.get(&format!("/api/v1/access/sessions?principal_id={}", ada.principal)).await;
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2, "{sessions}");
}

#[tokio::test]
async fn the_cookie_is_worth_nothing_outside_of_the_console() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let browser = Browser::with_key(&server, key()).await;
    let cookie = format!("{COOKIE}={}", browser.cookie.clone().unwrap());
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let (client, mut refused, mut public) = (client(), 0, 0);
    let id = "0190a0b0-0000-7000-8000-00000000000a";
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_none() {
                continue;
            }
            let send = async |cookie: Option<&str>| {
                let method: Method = method.to_uppercase().parse().unwrap();
                let mut request = client.request(method, format!("{}{path}", server.base));
                request = request.header("user-agent", &browser.agent);
                request = request.header("origin", &server.base);
                if path == "/ws" {
                    request = request
                        .header("connection", "upgrade")
                        .header("upgrade", "websocket")
                        .header("sec-websocket-version", "13")
                        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
                }
                if let Some(cookie) = cookie {
                    request = request.header("cookie", cookie);
                }
                request.send().await.unwrap().status().as_u16()
            };
            let (with, without) = (send(Some(&cookie)).await, send(None).await);
            assert_eq!(with, without, "{method} {path}");
            if with == 401 {
                refused += 1;
            } else {
                public += 1;
            }
        }
    }
    println!("{refused} operations refuse the cookie, {public} are public");
    assert!(refused > 50 && public < 12, "{refused} {public}");
}

#[tokio::test]
async fn a_change_needs_the_form_token_of_its_session_and_a_page_of_the_server() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ada = person(&server, "viewer").await;
    let mut browser = Browser::with_key(&server, &ada.key).await;
    let mut other = Browser::with_key(&server, &ada.key).await;
    let (token, others) = (browser.token().await, other.token().await);
    assert_ne!(token, others);
    let base = server.base.clone();
    let port = base.rsplit(':').next().unwrap();
    let (localhost, next) =
        (format!("http://localhost:{port}"), format!("http://127.0.0.1:1{port}"));
    let good = [("form_token", token.as_str())];
    let own = ("origin", base.as_str());
    let same = ("sec-fetch-site", "same-origin");
    let paths = ["/console/logout", "/console/ticket", "/console/logout?everywhere=true"]
        .map(str::to_owned);
    let end = format!("/console/sessions/{}/end", uuid::Uuid::nil());
    for path in paths.iter().chain([&end]) {
        for (headers, form, what) in [
            (&[own, same][..], &[][..], "no token"),
            (&[own, same], &[("form_token", "")], "an empty token"),
            (&[own, same], &[("form_token", &token[1..])], "a shorter token"),
            (&[own, same], &[("form_token", others.as_str())], "the token of another session"),
            (&[], &good, "no origin"),
            (&[("origin", "null")], &good, "a page without an origin"),
            (&[("origin", "http://evil.example")], &good, "a foreign page"),
            (&[("origin", "http://localhost:3000")], &good, "a page that may call the API"),
            (&[("origin", localhost.as_str())], &good, "another name of the machine"),
            (&[("origin", next.as_str())], &good, "another port"),
            (&[("sec-fetch-site", "same-site")], &good, "another server of the site"),
            (&[("sec-fetch-site", "cross-site")], &good, "another site"),
            (&[("sec-fetch-site", "none")], &good, "no page"),
            (&[own, ("sec-fetch-site", "cross-site")], &good, "two that contradict"),
        ] {
            let shown = browser.send(Method::POST, path, headers, Some(form)).await;
            assert_eq!(shown.status, 403, "{path}: {what}: {}", shown.body);
            is_page(&shown);
            let id = shown.header("x-request-id");
            assert!(!id.is_empty() && shown.body.contains(id), "{}", shown.body);
        }
        // Neither a method that only reads nor a field in the query changes anything.
        let shown = browser.show(path).await;
        assert_eq!(shown.status, 405, "{path}");
        let joined = if path.contains('?') { '&' } else { '?' };
        let shown = browser.submit(&format!("{path}{joined}form_token={token}"), &[]).await;
        assert!(shown.status >= 400, "{path} {}", shown.status);
    }
    assert!(browser.is_signed_in().await && other.is_signed_in().await);
    // The sign-in itself is none that another site could do for a person.
    let mut foreign = Browser::new(&server);
    for headers in
        [&[("origin", "http://evil.example")][..], &[("sec-fetch-site", "cross-site")], &[]]
    {
        let form = [("key", ada.key.as_str())];
        let shown = foreign.send(Method::POST, "/console/login", headers, Some(&form)).await;
        assert_eq!((shown.status, shown.set_cookie()), (403, None), "{headers:?}");
    }
    // One of both is enough for an own page.
    let form: &[(&str, &str)] = &good;
    let shown = browser.send(Method::POST, "/console/ticket", &[own], Some(form)).await;
    assert_eq!(shown.status, 201, "{}", shown.body);
    let shown = browser.send(Method::POST, "/console/ticket", &[same], Some(form)).await;
    assert_eq!(shown.status, 201, "{}", shown.body);
}

#[tokio::test]
async fn a_sign_out_ends_the_session_and_deletes_the_cookie_as_it_was_set() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ada = person(&server, "viewer").await;
    let mut browser = Browser::with_key(&server, &ada.key).await;
    let mut other = Browser::with_key(&server, &ada.key).await;
    let before = browser.clone();
    let token = browser.token().await;
    let shown = browser.submit("/console/logout", &[("form_token", &token)]).await;
    assert_eq!((shown.status, shown.header("location")), (303, "/console/login?signed_out=here"));
    let deleted = format!("{COOKIE}=; {ATTRIBUTES}; Max-Age=0");
    assert_eq!(shown.set_cookie(), Some(deleted.as_str()));
    assert_eq!(shown.header("clear-site-data"), "\"cache\"");
    assert_eq!(browser.cookie, None);
    let shown = browser.show("/console/login?signed_out=here").await;
    assert!(shown.body.contains("You are signed out"), "{}", shown.body);
    let mut again = before.clone();
    assert!(!again.is_signed_in().await, "the cookie is worth nothing now");
    assert!(other.is_signed_in().await);

    let mut third = Browser::with_key(&server, &ada.key).await;
    let mut stranger = Browser::with_key(&server, key()).await;
    let token = other.token().await;
    let shown = other.submit("/console/logout?everywhere=true", &[("form_token", &token)]).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    assert!(!third.is_signed_in().await, "everywhere");
    assert!(stranger.is_signed_in().await, "another person is not concerned");
    let ended = entries(&server, "session_ended").await;
    assert_eq!(ended.len(), 3, "{ended:?}");
}

#[tokio::test]
async fn the_cookie_of_a_signed_out_session_ends_all_sessions_of_its_person() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let ada = person(&server, "viewer").await;
    let mut stolen = Browser::with_key(&server, &ada.key).await;
    let mut honest = Browser::with_key(&server, &ada.key).await;
    let mut stranger = Browser::with_key(&server, key()).await;
    let mut browser = stolen.clone();
    let token = browser.token().await;
    assert_eq!(browser.submit("/console/logout", &[("form_token", &token)]).await.status, 303);
    // Requests that were under way at the sign-out mean nothing.
    assert!(!stolen.is_signed_in().await);
    assert!(honest.is_signed_in().await);
    // The time after which an honest browser has deleted the cookie.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert!(!stolen.is_signed_in().await);
    let took = signed_out_after(&mut honest, Instant::now()).await;
    assert!(took <= AT_MOST, "{took:?}");
    assert!(stranger.is_signed_in().await);
    let ended = entries(&server, "session_ended").await;
    let reasons: Vec<_> = ended.iter().map(|entry| entry["event_data"].to_string()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("reused")), "{reasons:?}");
}

#[tokio::test]
async fn a_session_ends_unused_and_ends_in_the_end() {
    let idle = [("BOTARMY_ACCESS__SESSION_IDLE_S", "3")];
    let max = [("BOTARMY_ACCESS__SESSION_MAX_S", "3")];
    let (idle, max) = tokio::join!(TestServer::with(&idle), TestServer::with(&max));
    let mut unused = Browser::with_key(&idle, key()).await;
    let mut used = Browser::with_key(&idle, key()).await;
    let mut ends = Browser::with_key(&max, key()).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert!(used.is_signed_in().await && ends.is_signed_in().await);
    }
    while began.elapsed() < Duration::from_millis(3_500) {
        assert!(used.is_signed_in().await, "it was used all the time");
        let _ = ends.is_signed_in().await;
    }
    assert!(!unused.is_signed_in().await);
    assert!(!ends.is_signed_in().await, "use does not help");
}

#[tokio::test]
async fn the_eleventh_session_of_a_person_ends_the_first() {
    let server = TestServer::with(&[("BOTARMY_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    let ada = person(&server, "viewer").await;
    let mut browsers = Vec::new();
    for _ in 0..11 {
        browsers.push(Browser::with_key(&server, &ada.key).await);
    }
    let mut signed_in = Vec::new();
    for browser in &mut browsers {
        signed_in.push(browser.is_signed_in().await);
    }
    assert!(!signed_in[0] && signed_in[1..].iter().all(|is| *is), "{signed_in:?}");
    assert!(browsers[10].is_signed_in().await, "an old cookie is no sign of theft");
}

#[tokio::test]
async fn a_session_belongs_to_its_browser() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut browser = Browser::with_key(&server, key()).await;
    let mut thief = browser.clone();
    for agent in ["curl/8", "", "Mozilla/5.0 (X11; Linux x86_64) Test/2"] {
        agent.clone_into(&mut thief.agent);
        assert!(!thief.is_signed_in().await, "{agent}");
    }
    assert!(browser.is_signed_in().await);
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a live connection with a ticket of the console.
async fn live(server: &TestServer, browser: &mut Browser, project: &str) -> Result<Socket, u16> {
    let protocols = ticket(browser).await;
    live_with(&protocols, server, project).await
}

/// Returns the protocols with a ticket of the console.
async fn ticket(browser: &mut Browser) -> String {
    let token = browser.token().await;
    let shown = browser.submit("/console/ticket", &[("form_token", &token)]).await;
    assert_eq!(shown.status, 201, "{}", shown.body);
    let ticket: Value = serde_json::from_str(&shown.body).unwrap();
    let protocol = |n: usize| ticket["protocols"][n].as_str().unwrap().to_owned();
    [protocol(0), protocol(1)].join(", ")
}

async fn live_with(protocols: &str, server: &TestServer, project: &str) -> Result<Socket, u16> {
    let url = format!("{}/ws?project_id={project}", server.base.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_ticket_opens_one_connection_on_whichever_replica_it_reaches() {
    let Some(database) = services::database().await else { return };
    let store = database.url();
    let [coder, tester] = NO_RUNNERS;
    let settings = [("BOTARMY_STORE__URL", store.as_str()), coder, tester];
    let (one, other) = tokio::join!(TestServer::with(&settings), TestServer::with(&settings));
    let project = one.by_hand().await;
    for (issuer, opener) in [(&one, &other), (&other, &one), (&one, &one)] {
        // Its person, its key and its session are as new as the ticket.
        let ada = person(issuer, "viewer").await;
        let mut browser = Browser::with_key(issuer, &ada.key).await;
        let protocols = ticket(&mut browser).await;
        let opened = live_with(&protocols, opener, &project).await;
        assert!(opened.is_ok(), "{opened:?}");
        for server in [&one, &other] {
            let again = live_with(&protocols, server, &project).await;
            assert_eq!(again.err(), Some(401), "it was used");
        }
    }
}

#[tokio::test]
async fn a_session_has_the_rights_of_its_key_and_ends_with_it_on_every_connection() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (mine, other) = (server.by_hand().await, server.by_hand().await);
    let ada = person(&server, "admin").await;
    let grants = json!([{"role": "viewer", "on": "project", "project_id": mine}]);
    let body = json!({"principal_id": ada.principal, "name": "narrow", "grants": grants});
    let (status, narrow) = server.post("/api/v1/access/keys", body).await;
    assert_eq!(status, 201, "{narrow}");
    let mut browser = Browser::with_key(&server, narrow["key"].as_str().unwrap()).await;
    let shown = browser.show("/console/account").await;
    assert!(shown.body.contains("This session") && shown.body.contains(&mine), "{}", shown.body);
    assert_eq!(live(&server, &mut browser, &other).await.err(), Some(404));
    let mut socket = live(&server, &mut browser, &mine).await.unwrap();

    let path = format!("/api/v1/access/keys/{}", narrow["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).await.0, 200);
    let since = Instant::now();
    let code = loop {
        match tokio::time::timeout(TIMEOUT, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(_)) => {}
            ended => panic!("{ended:?}"),
        }
    };
    assert_eq!(code, Some(4401));
    assert!(since.elapsed() <= AT_MOST, "{:?}", since.elapsed());
    assert!(!browser.is_signed_in().await);
    // Another key of the same person still signs in.
    assert!(Browser::with_key(&server, &ada.key).await.is_signed_in().await);
}

#[tokio::test]
async fn a_sign_out_ends_the_live_connection_and_a_disabled_person_stays_out() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = server.by_hand().await;
    let ada = person(&server, "viewer").await;
    let mut browser = Browser::with_key(&server, &ada.key).await;
    let mut socket = live(&server, &mut browser, &project).await.unwrap();
    let token = browser.token().await;
    assert_eq!(browser.submit("/console/logout", &[("form_token", &token)]).await.status, 303);
    let since = Instant::now();
    while !matches!(
        tokio::time::timeout(TIMEOUT, socket.next()).await.unwrap(),
        Some(Ok(Message::Close(_))) | None
    ) {}
    assert!(since.elapsed() <= AT_MOST, "{:?}", since.elapsed());

    let mut browser = Browser::with_key(&server, &ada.key).await;
    let code = link(&server, &ada.principal).await;
    let set = format!("/api/v1/access/principals/{}/disabled", ada.principal);
    assert_eq!(server.put(&set, json!({"disabled": true})).await.0, 200);
    let took = signed_out_after(&mut browser, Instant::now()).await;
    assert!(took <= AT_MOST, "{took:?}");
    for form in [("key", ada.key.as_str()), ("code", code.as_str())] {
        let shown = Browser::new(&server).sign_in(&[form]).await;
        assert_eq!((shown.status, shown.set_cookie()), (401, None), "{}", shown.body);
    }
    // What was ended does not come back: neither the session nor the link.
    assert_eq!(server.put(&set, json!({"disabled": false})).await.0, 200);
    assert!(!browser.is_signed_in().await);
    assert_eq!(Browser::new(&server).sign_in(&[("code", code.as_str())]).await.status, 401);
    assert_eq!(Browser::new(&server).sign_in(&[("key", ada.key.as_str())]).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_once_also_for_two_at_once() {
    let server = TestServer::with(&[("BOTARMY_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    let ada = person(&server, "viewer").await;
    for _ in 0..20 {
        let code = link(&server, &ada.principal).await;
        let (mut one, mut other) = (Browser::new(&server), Browser::new(&server));
        let form = [("code", code.as_str())];
        let (first, second) = tokio::join!(one.sign_in(&form), other.sign_in(&form));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 401]);
        let late = Browser::new(&server).sign_in(&form).await;
        assert_eq!((late.status, late.set_cookie()), (401, None));
    }
    // The whole link can be pasted too.
    let code = link(&server, &ada.principal).await;
    let whole = format!("{}/console/login#{code}", server.base);
    assert_eq!(Browser::new(&server).sign_in(&[("code", &whole)]).await.status, 303);
}

#[tokio::test]
async fn a_link_for_another_person_needs_an_administrator() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (ada, boss) = (person(&server, "viewer").await, person(&server, "admin").await);
    let make = async |key: &str, body: Value| {
        let request = (&Method::POST, "/api/v1/access/links");
        let response =
            super::world::send(&client(), &server.base, Some(key), request, Some(&body)).await;
        response.status().as_u16()
    };
    assert_eq!(make(&ada.key, json!({})).await, 201, "for oneself");
    assert_eq!(make(&ada.key, json!({"principal_id": boss.principal})).await, 403);
    assert_eq!(make(&boss.key, json!({"principal_id": ada.principal})).await, 201);
    let ci = principal(&server, "service", json!([])).await;
    assert!(make(&boss.key, json!({"principal_id": ci.principal})).await >= 400, "a program");
    assert_eq!(make(&boss.key, json!({"principal_id": uuid::Uuid::nil()})).await, 404);
}

#[tokio::test]
async fn sign_ins_from_one_address_are_limited_and_refusals_are_recorded() {
    let server = TestServer::with(&[
        ("BOTARMY_LIMITS__FAILURES_BURST", "5"),
        ("BOTARMY_LIMITS__FAILURES_PER_MINUTE", "1"),
        ("BOTARMY_LIMITS__LOGINS_PER_MINUTE", "20"),
    ])
    .await;
    let mut signed_in = Browser::with_key(&server, key()).await;
    let mut statuses = Vec::new();
    for n in 100..110 {
        let shown = Browser::new(&server).sign_in(&[("key", &unknown_key(n))]).await;
        is_page(&shown);
        statuses.push(shown.status);
    }
    assert_eq!(statuses[..5], [401; 5], "{statuses:?}");
    assert_eq!(statuses[5..], [429; 5], "{statuses:?}");
    // A valid one is accepted all the same, up to the limit of sign-ins.
    let mut last = 0;
    for _ in 0..12 {
        let shown = Browser::new(&server).sign_in(&[("key", key())]).await;
        last = shown.status;
        if last != 303 {
            assert!(!shown.header("retry-after").is_empty());
            break;
        }
    }
    assert_eq!(last, 429);
    assert!(signed_in.is_signed_in().await, "who is signed in is not concerned");
    server
        .until(|server| async move {
            let denied = entries(server, "access_denied").await;
            denied.iter().any(|entry| entry.to_string().contains("sign_in_invalid"))
        })
        .await;
}

#[tokio::test]
async fn a_sign_in_leads_to_a_page_of_the_console_and_nowhere_else() {
    let server = TestServer::with(&[("BOTARMY_LIMITS__LOGINS_PER_MINUTE", "0")]).await;
    let mut browser = Browser::new(&server);
    let shown = browser.show("/console/projects/7?tab=log&q=a%20b").await;
    let login = "/console/login?next=/console/projects/7%3Ftab%3Dlog%26q%3Da%2520b";
    assert_eq!((shown.status, shown.header("location")), (303, login));
    let page = browser.show(login).await;
    let (_, next) = page.body.split_once("name=\"next\" value=\"").unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    assert_eq!(next, "/console/projects/7?tab=log&q=a%20b");
    let shown = browser.sign_in(&[("key", key()), ("next", &next)]).await;
    assert_eq!(shown.status, 303);
    let to = shown.header("location").to_owned();
    let shown = browser.show(&to).await;
    assert_eq!((shown.status, shown.header("location")), (303, next.as_str()));
    for evil in [
        "//evil.example",
        "///evil.example/console",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/console",
        "javascript:alert(1)",
        "/%5Cevil.example",
        "/console/..//evil.example",
        "/console/%2e%2e//evil.example",
        "/console\r\nlocation: //evil.example",
        "/api/v1/projects",
        "/console@evil.example",
    ] {
        let shown = browser.sign_in(&[("key", key()), ("next", evil)]).await;
        assert_eq!((shown.status, shown.header("location")), (303, "/console/signed-in"), "{evil}");
        let path =
            format!("/console/signed-in?{}", botarmy_tests::browser::urlencoded(&[("next", evil)]));
        let shown = browser.show(&path).await;
        assert_eq!((shown.status, shown.header("location")), (303, "/console/inbox"), "{evil}");
        let path =
            format!("/console/login?{}", botarmy_tests::browser::urlencoded(&[("next", evil)]));
        let shown = browser.show(&path).await;
        assert!(!shown.body.contains("evil"), "{evil}: {}", shown.body);
    }
}

#[tokio::test]
async fn errors_are_pages_with_the_id_of_the_request() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut browser = Browser::with_key(&server, key()).await;
    for (method, path, headers, status) in [
        (Method::GET, "/console/nothing", &[][..], 404),
        (Method::PUT, "/console", &[("sec-fetch-site", "same-origin")], 405),
        (Method::GET, "/console/account?x=1", &[], 422),
        (Method::GET, "/console", &[("host", "evil.example")], 421),
        (Method::GET, "/console?token=x", &[], 400),
    ] {
        let shown = browser.send(method, path, headers, None).await;
        assert_eq!(shown.status, status, "{path}");
        is_page(&shown);
        let id = shown.header("x-request-id");
        assert!(!id.is_empty() && shown.body.contains(id), "{}", shown.body);
    }
    // Without a session a page leads to the sign-in, anything else does not.
    let mut stranger = Browser::new(&server);
    assert_eq!(stranger.show("/console/nothing").await.status, 303);
    let shown = stranger.submit("/console/logout", &[("form_token", "x")]).await;
    assert_eq!(shown.status, 401);
    is_page(&shown);
    // A browser that did not keep the cookie is told so.
    let shown = stranger.show("/console/signed-in").await;
    assert_eq!(shown.status, 401);
    assert!(shown.body.contains("has not kept the cookie"), "{}", shown.body);
    // One that comes from another site has left the cookie out, and is sent here once more.
    let cross = [("sec-fetch-site", "cross-site")];
    let shown = stranger.send(Method::GET, "/console?x=1", &cross, None).await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains("content=\"0; url=/console?x=1\""), "{}", shown.body);
    // The name of links on this machine.
    let port = server.base.rsplit(':').next().unwrap();
    let host = format!("botarmy.localhost:{port}");
    let shown = browser.send(Method::GET, "/console/account", &[("host", &host)], None).await;
    assert_eq!(shown.status, 200);
}

#[tokio::test]
async fn files_are_kept_for_ever_under_names_that_change_with_them() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut browser = Browser::new(&server);
    let page = browser.show("/console/login").await;
    let links: Vec<_> = ["href=\"", "src=\""]
        .iter()
        .flat_map(|attribute| page.body.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .filter(|link| link.starts_with("/console/assets/"))
        .collect();
    assert_eq!(links.len(), 4, "{links:?}");
    for link in links {
        let shown = browser.show(&link).await;
        assert_eq!(shown.status, 200, "{link}");
        assert_eq!(shown.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(!shown.body.is_empty());
    }
    assert_eq!(browser.show("/console/assets/console.css").await.status, 404);
}

#[tokio::test]
async fn cookies_links_and_tokens_are_in_no_log_and_no_error() {
    let level = ("BOTARMY_LOG__LEVEL", "trace,h2=warn,mio=warn");
    let server = TestServer::with(&[&NO_RUNNERS[..], &[level]].concat()).await;
    let ada = person(&server, "admin").await;
    let code = link(&server, &ada.principal).await;
    let unused = link(&server, &ada.principal).await;
    let mut browser = Browser::new(&server);
    let mut secrets = vec![ada.key.clone(), code.clone(), unused.clone()];
    let mut received = String::new();
    for form in [
        &[("key", ada.key.as_str())][..],
        &[("code", &code), ("confirmed", "yes")],
        &[("code", &code)],
        &[("key", &unused)],
        &[("code", &ada.key)],
        &[(&ada.key, "x")],
        &[("key", &ada.key), ("code", &unused)],
        &[("key", &ada.key), (&unused, &unused)],
        &[("next", &unused)],
    ] {
        let shown = browser.sign_in(form).await;
        // The question whether to replace the person who is signed in has the code in its form, and no
        // cache keeps it.
        let asks = shown.body.contains("Sign in with this link?");
        assert!(!asks || shown.header("cache-control").contains("no-store"), "{:?}", shown.body);
        let asked = format!("name=\"code\" value=\"{code}\"");
        received += &shown.body.replace(&asked, "");
        received += shown.header("location");
        if let Some(cookie) = &browser.cookie {
            secrets.push(cookie.clone());
        }
    }
    let (token, cookie) = (browser.token().await, browser.cookie.clone().unwrap());
    let pages = ["/console/account", "/console/login", "/console/nothing", "/console/signed-in"];
    for path in pages {
        received += &browser.show(path).await.body.replace(&token, "");
        received += &browser.show(&format!("{path}?x={cookie}")).await.body;
        received += &browser.show(&format!("{path}/{cookie}")).await.body;
    }
    received += &browser.submit("/console/ticket", &[("form_token", &cookie)]).await.body;
    received += &browser.submit("/console/ticket", &[(&cookie, &token)]).await.body;
    let (_, sessions) = server.get("/api/v1/access/sessions").await;
    received += &sessions.to_string();
    let events = server.list("/api/v1/audit/events?limit=1000").await;
    received += &Value::from(events).to_string();
    secrets.push(token);
    let log = server.log.lock().unwrap().clone();
    let rows = std::fs::read(server.data_dir().join("botarmy.db")).unwrap();
    for secret in secrets {
        assert!(!log.contains(&secret), "the log has {secret}");
        assert!(!received.contains(&secret), "a response has {secret}");
        let is_there = rows.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!is_there, "the database has {secret}");
    }
}

#[tokio::test]
async fn an_open_server_needs_no_sign_in_and_its_pages_still_take_no_change_from_elsewhere() {
    let server = TestServer::with(&[(MODE, "open")]).await;
    let mut browser = Browser::new(&server);
    let shown = browser.show("/console/login").await;
    assert!(shown.body.contains("needs no sign-in"), "{}", shown.body);
    let shown = browser.show("/console/account").await;
    assert_eq!(shown.status, 200);
    assert!(shown.body.contains("anonymous"), "{}", shown.body);
    let shown = browser.submit("/console/ticket", &[]).await;
    assert_eq!(shown.status, 201, "{}", shown.body);
    let evil = [("origin", "http://evil.example")];
    let shown = browser.send(Method::POST, "/console/ticket", &evil, Some(&[])).await;
    assert_eq!(shown.status, 403);
    // A wrong cookie is refused, and deleted where it would be in the way.
    browser.cookie = Some("botarmy_s_x".to_owned());
    assert!(!browser.is_signed_in().await);
    browser.show("/console/login").await;
    assert_eq!(browser.cookie, None);
}

#[tokio::test]
async fn the_api_and_the_commands_list_and_end_sessions_and_make_links() {
    let mut server = TestServer::on_port(free_port(), &[(MODE, "keys"), (FIRST_KEY, key())]).await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let mut browser = Browser::with_key(&server, key()).await;
    let run = |arguments: &[&str]| {
        let mut command = command(server.data_dir());
        let output = command.env("BOTARMY_HTTP__PORT", &port).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    // The store is in use, so the server is asked, for which the key has to be in the file.
    let (code, _, said) = run(&["login"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("admin.header") && said.contains("/api/v1/access/links"), "{said}");
    let header = server.data_dir().join("admin.header");
    std::fs::write(&header, format!("Authorization: Bearer {}\n", key())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&header, mode).unwrap();
    let (code, link, said) = run(&["login"]);
    assert_eq!(code, Some(0), "{said}");
    let address = format!("http://botarmy.localhost:{port}/console/login#botarmy_l_");
    assert!(link.starts_with(&address), "{link}");
    let mut other = Browser::new(&server);
    assert_eq!(other.sign_in(&[("code", &link)]).await.status, 303);
    let (code, _, said) = run(&["login", "nobody"]);
    assert!(code == Some(1) && said.contains("there is no person"), "{said}");
    let (code, _, said) = run(&["sessions", "list"]);
    assert!(code == Some(1) && said.contains("uses this data folder"), "{said}");

    assert_eq!(server.terminate().await, Some(0));
    let folder = server.data_dir().to_owned();
    let run = |arguments: &[&str]| {
        let output = command(&folder).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, listed, said) = run(&["sessions", "list", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let with_key = listed.as_array().unwrap().iter().find(|one| one["started_with"] == "key");
    let id = with_key.unwrap()["id"].as_str().unwrap();
    assert_eq!(with_key.unwrap()["person"], "admin");
    assert!(run(&["sessions", "list"]).1.contains(id));
    assert!(run(&["sessions", "end", id]).1.contains("Ended the session"));
    let (code, said, _) = run(&["sessions", "end", id]);
    assert!(code == Some(0) && said.contains("had ended already"), "{said}");
    let (code, link, said) = run(&["login", "admin"]);
    assert_eq!(code, Some(0), "{said}");
    server.start_again().await;
    assert!(!browser.is_signed_in().await && other.is_signed_in().await);
    assert_eq!(browser.sign_in(&[("code", &link)]).await.status, 303);
}

/// Returns a port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_first_start_prints_a_link_that_signs_the_administrator_in() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        command(folder.path())
            .envs([(MODE, "keys"), ("BOTARMY_LOG__FORMAT", "text")])
            .args(["serve", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let printed = |child: &mut std::process::Child| {
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = out.lines().map_while(Result::ok);
        let until = lines.take_while(|line| !line.contains("/api/v1/hitl/pending"));
        until.collect::<Vec<_>>().join("\n")
    };
    let mut child = start();
    let text = printed(&mut child);
    let link = text.lines().find(|line| line.contains("/console/login#botarmy_l_"));
    let link = link.expect(&text).trim();
    let rest = link.strip_prefix("http://botarmy.localhost:").expect(link);
    let port = rest.split('/').next().unwrap();
    assert!(text.contains("admin.header"), "{text}");
    let client = bare_client_builder().redirect(reqwest::redirect::Policy::none());
    let base = format!("http://127.0.0.1:{port}");
    let code = link.split('#').nth(1).unwrap();
    let response = client
        .build()
        .unwrap()
        .post(format!("{base}/console/login"))
        .header("origin", &base)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("code={code}"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 303);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = start();
    let text = printed(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!text.contains("botarmy_l_"), "only the first start prints one: {text}");
    assert!(text.contains("botarmy-server login"), "{text}");
}

#[tokio::test]
async fn a_link_for_a_disabled_person_is_refused_as_documented() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let person = person(&server, "viewer").await;
    let path = format!("/api/v1/access/principals/{}/disabled", person.principal);
    assert_eq!(server.put(&path, json!({"disabled": true})).await.0, 200);
    let body = json!({"principal_id": person.principal});
    let (status, refused) = server.post("/api/v1/access/links", body).await;
    assert_eq!((status, &refused["type"]), (409, &json!("urn:botarmy:problem:person_disabled")));
}
