//! Sign-in with an OpenID provider through the pages of the real server.

use std::sync::Arc;

use botarmy_server::system::SystemClock;
use botarmy_tests::access::{FIRST_KEY, MODE, bearer, key};
use botarmy_tests::cookie_client::{CookieClient, Page};
use botarmy_tests::openid_provider::{CLIENT_ID, CLIENT_SECRET, Canned, OpenIdProvider, Signature};
use botarmy_tests::server::{TestServer, bare_client_builder};
use botarmy_tests::services;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};

const SESSION: &str = "__Host-botarmy";
const ATTEMPT: &str = "__Host-botarmy-login";

/// A server and the provider with which its people sign in.
struct World {
    provider: OpenIdProvider,
    server: TestServer,
    _settings: NamedTempFile,
}

impl World {
    async fn new() -> Self {
        let provider = OpenIdProvider::start(Arc::new(SystemClock)).await;
        let settings = settings_with(&provider);
        let server = server_with(&settings, &[]).await;
        Self { server, provider, _settings: settings }
    }

    fn login(&self) -> String {
        format!("{}/console/login", self.server.base)
    }

    /// Begins a sign-in, and returns the page or the provider's address to which it leads.
    async fn begin(&self, browser: &mut CookieClient) -> Page {
        let page = browser.open(&self.login()).await;
        assert_eq!(page.status, 200, "{}", page.body);
        browser.submit(&page, &self.login(), &[("openid", "1")]).await
    }

    /// Signs in with a new browser.
    async fn sign_in(&self) -> (CookieClient, Page) {
        let mut browser = CookieClient::default();
        let page = self.begin(&mut browser).await;
        (browser, page)
    }

    fn is_signed_in(&self, browser: &CookieClient) -> bool {
        browser.cookie(&self.server.base, SESSION).is_some()
    }

    async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/api/v1/access/{path}", self.server.base);
        let client = bare_client_builder().build().unwrap();
        let mut request = client.request(method, url).header("authorization", bearer());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn persons(&self, name: &str) -> Vec<Value> {
        let (status, answer) = self.api(Method::GET, "principals?limit=100", None).await;
        assert_eq!(status, 200, "{answer}");
        let all = answer["items"].as_array().unwrap();
        all.iter().filter(|one| one["name"] == name).cloned().collect()
    }

    async fn groups(&self, groups: &[&str]) {
        let claims = json!({ "name": "Ada", "groups": groups });
        self.provider.behave(|provider| provider.claims = claims);
    }
}

/// Writes a settings file with the provider.
fn settings_with(provider: &OpenIdProvider) -> NamedTempFile {
    let settings = NamedTempFile::with_suffix(".toml").unwrap();
    let text = format!(
        "[oidc]\nissuer = {:?}\nclient_id = {CLIENT_ID:?}\nclient_secret_env = \"ARMY_SECRET\"\n\
         [oidc.grants]\n\"army-admins\" = [\"admin\"]\n\"/eu/Readers\" = [\"viewer\"]\n",
        provider.issuer()
    );
    std::fs::write(&settings, text).unwrap();
    settings
}

/// Starts a server with this settings file and these additional variables.
async fn server_with(settings: &NamedTempFile, more: &[(&str, &str)]) -> TestServer {
    let mut variables = vec![
        (MODE, "keys"),
        (FIRST_KEY, key()),
        ("BOTARMY_CONFIG", settings.path().to_str().unwrap()),
        ("BOTARMY_LOG__LEVEL", "trace"),
        ("ARMY_SECRET", CLIENT_SECRET),
    ];
    variables.extend(more);
    TestServer::with(&variables).await
}

/// Passes every connection on to the next of these servers, in turn.
async fn in_turn(listener: TcpListener, bases: Vec<String>) {
    for n in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        let address = bases[n % bases.len()].trim_start_matches("http://").to_owned();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(address).await.unwrap();
            // Either side may end it.
            tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
        });
    }
}

fn roles(person: &Value) -> Vec<&str> {
    let grants = person["grants"].as_array().unwrap().iter();
    grants.map(|grant| grant["role"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_person_has_the_roles_of_its_groups_as_they_are_at_each_sign_in() {
    let world = World::new().await;
    // A local person with the same name is another person.
    let local = json!({ "name": "Ada", "kind": "person", "grants": [] });
    let (status, local) = world.api(Method::POST, "principals", Some(local)).await;
    assert_eq!(status, 201, "{local}");
    let (mut browser, page) = world.sign_in().await;
    assert_eq!((page.status, page.url.path()), (200, "/console/inbox"), "{}", page.body);
    assert!(page.body.contains("Ada"), "{}", page.body);
    assert!(world.is_signed_in(&browser));
    assert_eq!(browser.cookie(&world.server.base, ATTEMPT), None, "the attempt is over");
    assert_eq!(world.provider.complaints(), Vec::<String>::new());
    let persons = world.persons("Ada").await;
    let found = persons.iter().find(|one| one["id"] != local["id"]).expect("it was created");
    assert_eq!((persons.len(), roles(found)), (2, vec!["admin"]), "{persons:?}");
    assert!(roles(persons.iter().find(|one| one["id"] == local["id"]).unwrap()).is_empty());

    world.groups(&["/eu/Readers", "/eu/readers"]).await;
    world.sign_in().await;
    let persons = world.persons("Ada").await;
    let again = persons.iter().find(|one| one["id"] == found["id"]).unwrap();
    assert_eq!((persons.len(), roles(again)), (2, vec!["viewer"]), "{persons:?}");
    // Another person at the provider, with the same name.
    world.provider.behave(|provider| provider.subject = "another-ada".to_owned());
    world.sign_in().await;
    assert_eq!(world.persons("Ada").await.len(), 3);

    world.provider.behave(|provider| provider.subject = "ada".to_owned());
    world.groups(&["/eu/readers", "Army-Admins", "army-admins "]).await;
    let (second, page) = world.sign_in().await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(!world.is_signed_in(&second));
    let persons = world.persons("Ada").await;
    let after = persons.iter().find(|one| one["id"] == found["id"]).unwrap();
    assert!(roles(after).is_empty(), "names of groups are compared exactly: {persons:?}");
    let page = browser.open(&format!("{}/console/account", world.server.base)).await;
    assert_ne!(page.status, 500, "an open session has what its person has: {}", page.body);
}

#[tokio::test]
async fn a_sign_in_goes_on_at_whichever_replica_a_request_reaches() {
    let Some(database) = services::database().await else { return };
    let provider = OpenIdProvider::start(Arc::new(SystemClock)).await;
    let settings = settings_with(&provider);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("http://{}", listener.local_addr().unwrap());
    let store = database.url();
    let shared =
        [("BOTARMY_STORE__URL", store.as_str()), ("BOTARMY_HTTP__PUBLIC_URL", public.as_str())];
    let one = server_with(&settings, &shared).await;
    let other = server_with(&settings, &shared).await;
    tokio::spawn(in_turn(listener, vec![one.base.clone(), other.base.clone()]));

    let mut browser = CookieClient::without_reuse();
    let login = format!("{public}/console/login");
    let page = browser.open(&login).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let page = browser.submit(&page, &login, &[("openid", "1")]).await;
    assert_eq!((page.status, page.url.path()), (200, "/console/inbox"), "{}", page.body);
    assert!(page.body.contains("Ada"), "{}", page.body);
    assert_eq!(provider.complaints(), Vec::<String>::new());
    for _ in 0..4 {
        let page = browser.open(&format!("{public}/console/account")).await;
        assert_eq!((page.status, page.url.path()), (200, "/console/account"), "{}", page.body);
    }
    // Each of them has served the browser: the sign-in began on one and ended on the other.
    for server in [&one, &other] {
        let log = server.log.lock().unwrap().clone();
        let served = |method: &str, path: &str| {
            let parts = [format!("\"method\":\"{method}\""), format!("\"path\":\"{path}\"")];
            log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        };
        assert!(served("GET", "/console/account"), "it served no page");
        let began = served("POST", "/console/login");
        let ended = served("GET", "/console/login/callback");
        assert!(began != ended, "began {began}, ended {ended}");
    }
}

#[tokio::test]
async fn a_stranger_without_a_group_leaves_no_trace_but_the_denial() {
    let world = World::new().await;
    world.provider.behave(|provider| {
        provider.claims = json!({ "name": "Mallory", "groups": [] });
        provider.subject = "mallory".to_owned();
    });
    let (browser, page) = world.sign_in().await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(!world.is_signed_in(&browser));
    assert!(world.persons("Mallory").await.is_empty());
}

#[tokio::test]
async fn a_person_who_was_disabled_stays_out() {
    let world = World::new().await;
    world.sign_in().await;
    let id = world.persons("Ada").await[0]["id"].as_str().unwrap().to_owned();
    let disabled = Some(json!({ "disabled": true }));
    let (status, answer) =
        world.api(Method::PUT, &format!("principals/{id}/disabled"), disabled).await;
    assert!(status < 300, "{answer}");
    let (browser, page) = world.sign_in().await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(!world.is_signed_in(&browser));
    let person = &world.persons("Ada").await[0];
    assert_eq!(person["disabled"], true, "{person}");
}

#[tokio::test]
async fn an_answer_is_accepted_by_the_browser_that_began_and_once() {
    let world = World::new().await;
    let mut browser = CookieClient::default();
    let page = browser.open(&world.login()).await;
    let url = world.login().parse().unwrap();
    let origin = world.server.base.clone();
    let begun = browser.step(Method::POST, &url, Some(&[("openid", "1")]), Some(&origin)).await;
    assert_eq!(page.status, 200);
    let authorize = begun.onward().expect("it leads to the provider");
    let answer = browser.step(Method::GET, &authorize, None, Some(&origin)).await;
    let callback = answer.onward().expect("it leads back");
    let provider = world.provider.issuer().to_owned();
    let come_back = async |browser: &mut CookieClient, callback: &Url| {
        browser.step(Method::GET, callback, None, Some(&provider)).await
    };
    // The victim of a link with the attacker's code.
    let mut victim = CookieClient::default();
    let page = come_back(&mut victim, &callback).await;
    assert_eq!(page.status, 400, "{}", page.body);
    assert!(!world.is_signed_in(&victim));
    assert_eq!(world.provider.requests("/token"), 0, "the code was not used");
    // Another attempt of one's own.
    let mut other = CookieClient::default();
    other.step(Method::POST, &url, Some(&[("openid", "1")]), Some(&origin)).await;
    let page = come_back(&mut other, &callback).await;
    assert_eq!(page.status, 400, "{}", page.body);
    assert!(!world.is_signed_in(&other));
    come_back(&mut browser, &callback).await;
    assert!(world.is_signed_in(&browser));
    let session = browser.cookie(&world.server.base, SESSION);
    let page = come_back(&mut browser, &callback).await;
    assert_eq!(page.status, 400, "{}", page.body);
    assert_eq!(browser.cookie(&world.server.base, SESSION), session, "it stays signed in");
}

#[tokio::test]
async fn a_provider_that_lies_or_is_down_signs_nobody_in_and_nothing_secret_is_logged() {
    let world = World::new().await;
    let (browser, _) = world.sign_in().await;
    let attempt = browser.cookie(&world.server.base, SESSION).unwrap();
    for (lie, status) in [
        (json!({ "signature": "other" }), 502),
        (json!({ "callback": { "iss": "https://evil.example" } }), 502),
        (json!({ "callback": { "state": "x" } }), 400),
        (json!({ "callback": { "code": null, "error": "access_denied" } }), 403),
        (json!({ "token": 500 }), 503),
    ] {
        world.provider.behave(|provider| {
            provider.callback = lie.get("callback").cloned().unwrap_or_else(|| json!({}));
            provider.signature =
                if lie["signature"].is_null() { Signature::Valid } else { Signature::OtherKey };
            provider.canned.clear();
            if lie["token"].is_number() {
                let page = Canned::Body(500, "text/html", "<h1>down".to_owned());
                provider.canned.insert("/token", page);
            }
        });
        let (browser, page) = world.sign_in().await;
        assert_eq!(page.status, status, "{lie}: {}", page.body);
        assert!(!world.is_signed_in(&browser), "{lie}");
        assert!(!page.body.contains("<h1>down"), "{}", page.body);
    }
    let (status, me) = world.api(Method::GET, "me", None).await;
    assert_eq!((status, &me["name"]), (200, &json!("admin")), "keys go on working");
    let log = world.server.log.lock().unwrap().clone();
    assert!(log.contains("trace") || log.contains("TRACE"), "the log has everything");
    for secret in world.provider.secrets().iter().chain([&attempt]) {
        assert!(!log.contains(secret.as_str()), "the log has {secret}");
    }
}

#[tokio::test]
async fn a_server_starts_and_answers_without_its_provider() {
    let world = World::new().await;
    let World { provider, server, _settings } = world;
    let issuer = provider.issuer().to_owned();
    drop(provider);
    let mut browser = CookieClient::default();
    let login = format!("{}/console/login", server.base);
    let page = browser.open(&login).await;
    let page = browser.submit(&page, &login, &[("openid", "1")]).await;
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(page.body.contains("not available"), "{}", page.body);
    assert!(!page.url.as_str().starts_with(&issuer));
}
