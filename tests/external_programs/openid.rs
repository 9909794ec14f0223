//! Whole sign-ins with two OpenID providers from registries: npm's `oidc-provider`, a certified
//! implementation, and PyPI's `oidc-provider-mock`.

use std::process::Command;
use std::time::{Duration, Instant};

use botarmy_tests::cookie_client::{CookieClient, Page};
use botarmy_tests::external_programs::{node_modules, openid_mock};
use botarmy_tests::server::{TestServer, http_client};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::alone;
use crate::program::Program;

/// Longest duration of a whole sign-in.
const LIMIT: Duration = Duration::from_millis(500);
const SECRET: &str = "s3cr3t of the client";

/// A provider that runs until the end of the test.
struct Provider {
    issuer: String,
    scopes: &'static str,
    /// Name of the field into which people write who they are.
    field: &'static [(&'static str, &'static str)],
    /// Path below which the claims of people are set.
    people: &'static str,
    _program: Program,
}

async fn node_provider() -> Option<Provider> {
    let folder = node_modules()?;
    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/external_programs/openid_provider.mjs"));
    command.arg(folder);
    let (program, issuer) = Program::start(command, "serving on ").await;
    Some(Provider {
        issuer,
        scopes: "openid,profile,groups",
        field: &[("prompt", "login"), ("login", "ada"), ("password", "any")],
        people: "people",
        _program: program,
    })
}

async fn python_provider() -> Option<Provider> {
    let folder = openid_mock()?;
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/external_programs/openid_provider_mock.py"));
    let (program, issuer) = Program::start(command, "serving on ").await;
    Some(Provider {
        issuer,
        scopes: "openid,profile",
        field: &[("sub", "ada")],
        people: "users",
        _program: program,
    })
}

impl Provider {
    async fn put(&self, path: &str, body: String) {
        let request = reqwest_client().put(format!("{}/{path}", self.issuer));
        let answer = request.header("content-type", "application/json").body(body).send().await;
        assert_eq!(answer.unwrap().status(), 204, "{path}");
    }

    async fn set_groups(&self, groups: &[&str]) {
        let claims = json!({ "name": "Ada Lovelace", "groups": groups }).to_string();
        self.put(&format!("{}/ada", self.people), claims).await;
    }

    /// Starts a server whose people sign in here.
    async fn server(&self) -> (TestServer, NamedTempFile) {
        let settings = NamedTempFile::with_suffix(".toml").unwrap();
        let text = "[oidc.grants]\n\"army-admins\" = [\"admin\"]\nreaders = [\"viewer\"]\n";
        std::fs::write(&settings, text).unwrap();
        let server = TestServer::with(&[
            ("BOTARMY_CONFIG", settings.path().to_str().unwrap()),
            ("BOTARMY_OIDC__ISSUER", &self.issuer),
            ("BOTARMY_OIDC__CLIENT_ID", "botarmy"),
            ("BOTARMY_OIDC__CLIENT_SECRET_ENV", "ARMY_SECRET"),
            ("BOTARMY_OIDC__SCOPES", self.scopes),
            ("BOTARMY_LOG__LEVEL", "trace"),
            ("ARMY_SECRET", SECRET),
        ])
        .await;
        (server, settings)
    }

    /// Signs in with a new browser, and returns it with the page at the end.
    async fn sign_in(&self, server: &TestServer) -> (CookieClient, Page) {
        let mut browser = CookieClient::default();
        let page = browser.open(&format!("{}/console/login", server.base)).await;
        let login = format!("{}/console/login", server.base);
        let page = browser.submit(&page, &login, &[("openid", "1")]).await;
        assert!(page.url.as_str().starts_with(&self.issuer), "{}: {}", page.url, page.body);
        let page = browser.submit(&page, &page.form(), self.field).await;
        (browser, page)
    }
}

fn reqwest_client() -> reqwest::Client {
    botarmy_tests::server::bare_client_builder().build().unwrap()
}

/// Returns the persons with this name.
async fn persons(server: &TestServer, name: &str) -> Vec<Value> {
    let url = format!("{}/api/v1/access/principals?limit=100", server.base);
    let answer: Value = http_client().get(url).send().await.unwrap().json().await.unwrap();
    let all = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    all.iter().filter(|one| one["name"] == name).cloned().collect()
}

fn roles(person: &Value) -> Vec<&str> {
    person["grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["role"].as_str().unwrap())
        .collect()
}

async fn people_sign_in_with(provider: &Provider, name: &str) {
    let (server, _settings) = provider.server().await;
    if name == "oidc-provider" {
        let callback = format!("{}/console/login/callback", server.base);
        provider.put("client", callback).await;
    }
    provider.set_groups(&["army-admins", "readers", "others"]).await;
    let (browser, page) = provider.sign_in(&server).await;
    assert_eq!((page.status, page.url.path()), (200, "/console/inbox"), "{}", page.body);
    assert!(page.body.contains("Ada Lovelace"), "{}", page.body);
    assert!(browser.cookie(&server.base, "__Host-botarmy").is_some());
    let found = persons(&server, "Ada Lovelace").await;
    let [person] = &found[..] else { panic!("{found:?}") };
    assert_eq!(roles(person), ["viewer", "admin"], "{person}");

    // The provider, its keys and the connections are known now, as they are for everyone but the first.
    provider.set_groups(&["readers"]).await;
    let started = Instant::now();
    let (_, page) = provider.sign_in(&server).await;
    let took = started.elapsed();
    println!("{name}: a whole sign-in takes {took:?}");
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(took <= LIMIT, "{name}: {took:?}");
    let again = persons(&server, "Ada Lovelace").await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0]["id"], person["id"]);
    assert_eq!(roles(&again[0]), ["viewer"], "the role of the group is gone");

    provider.set_groups(&["others"]).await;
    let (browser, page) = provider.sign_in(&server).await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(browser.cookie(&server.base, "__Host-botarmy").is_none());
    let none = persons(&server, "Ada Lovelace").await;
    assert_eq!(none.len(), 1);
    assert!(roles(&none[0]).is_empty(), "{none:?}");

    let log = server.log.lock().unwrap().clone();
    for secret in [SECRET, "s3cr3t+of", "s3cr3t%20of", "eyJ"] {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}

#[tokio::test]
async fn people_sign_in_with_oidc_provider() {
    let Some(provider) = node_provider().await else { return };
    let _alone = alone().await;
    people_sign_in_with(&provider, "oidc-provider").await;
}

#[tokio::test]
async fn people_sign_in_with_oidc_provider_mock() {
    let Some(provider) = python_provider().await else { return };
    let _alone = alone().await;
    people_sign_in_with(&provider, "oidc-provider-mock").await;
}
