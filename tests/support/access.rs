//! Access to the servers under test. They need keys, as those of users do, and all of them have the same
//! first key, which every client of the tests sends by default.

use std::sync::LazyLock;

use botarmy_domain::{Grant, KeySecret, Principal, PrincipalId, Role};
use serde_json::{Value, json};

use crate::server::{TestServer, bare_client_builder};

/// Access mode of servers for which a test sets none.
const TESTED: &str = "keys";

/// Setting of the access mode. A test that sets it tries credentials itself: the methods of
/// [`TestServer`] send none then, and there is no first key.
pub const MODE: &str = "BOTARMY_ACCESS__MODE";
/// Setting of the first key.
pub const FIRST_KEY: &str = "BOTARMY_ACCESS__FIRST_KEY";

/// Settings without the limits for callers: all clients of a test are one person at one address.
pub const UNLIMITED: [(&str, &str); 6] = [
    ("BOTARMY_LIMITS__PERSON_UNITS_PER_S", "0"),
    ("BOTARMY_LIMITS__PERSON_REQUESTS", "0"),
    ("BOTARMY_LIMITS__PERSON_POLLS", "0"),
    ("BOTARMY_LIMITS__PERSON_STREAMS", "0"),
    ("BOTARMY_LIMITS__PERSON_HEAVY", "0"),
    ("BOTARMY_LIMITS__FAILURES_PER_MINUTE", "0"),
];

/// Returns the settings with the limits that users have, from the file of the defaults.
///
/// # Panics
/// If the file has none.
#[must_use]
pub fn default_limits() -> Vec<(String, String)> {
    let file = include_str!("../../config/default.toml");
    let (_, section) = file.split_once("\n[limits]\n").unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let settings = lines.filter_map(|line| line.split_once(" = "));
    let settings = settings.filter(|(name, _)| !name.starts_with('#'));
    let variable = |name: &str| format!("BOTARMY_LIMITS__{}", name.to_uppercase());
    let found: Vec<_> = settings.map(|(name, value)| (variable(name), value.to_owned())).collect();
    assert!(found.len() >= UNLIMITED.len());
    found
}

/// Key of the administrator of every server under test.
static KEY: LazyLock<String> = LazyLock::new(|| KeySecret::new([7; 32]).text().expose().to_owned());

/// Returns whether the servers under test need keys. `BOTARMY_TEST_ACCESS=open` runs the tests
/// against open servers.
#[must_use]
pub fn needs_keys() -> bool {
    std::env::var("BOTARMY_TEST_ACCESS").as_deref().unwrap_or(TESTED) == "keys"
}

/// Returns the key of the administrator of every server under test.
#[must_use]
pub fn key() -> &'static str {
    &KEY
}

/// Returns the value of the header `Authorization` with the key of the administrator.
#[must_use]
pub fn bearer() -> String {
    format!("Bearer {}", *KEY)
}

/// Returns the header with the key of the administrator as a line of a request that is written by hand;
/// nothing if the servers are open.
#[must_use]
pub fn header_line() -> String {
    if needs_keys() { format!("Authorization: {}\r\n", bearer()) } else { String::new() }
}

/// Returns the settings of a server under test.
#[must_use]
pub fn variables() -> Vec<(&'static str, String)> {
    if needs_keys() {
        let limits = UNLIMITED.iter().map(|(name, value)| (*name, (*value).to_owned()));
        limits.chain([(MODE, "keys".to_owned()), (FIRST_KEY, KEY.clone())]).collect()
    } else {
        vec![(MODE, "open".to_owned())]
    }
}

/// Returns the variable from which programs outside of the tests take the key.
#[must_use]
pub fn environment() -> Option<(&'static str, &'static str)> {
    needs_keys().then(|| ("BOTARMY_KEY", key()))
}

/// Returns the name under which the log records what [`TestServer`] and its clients do.
#[must_use]
pub fn actor() -> &'static str {
    if needs_keys() { "admin" } else { "anonymous" }
}

/// Returns the name of an external worker of [`TestServer`], as the log records it.
#[must_use]
pub fn worker(name: &str) -> String {
    if needs_keys() { format!("external/admin/{name}") } else { format!("external/{name}") }
}

/// Returns a client of the person with this name, who may do everything. It is created if needed.
///
/// # Panics
/// If it is refused.
pub async fn client_of(server: &TestServer, name: &str) -> reqwest::Client {
    let mut headers = reqwest::header::HeaderMap::new();
    if needs_keys() {
        let grants = [Grant::on_all(Role::Admin), Grant::on_all(Role::Worker)];
        let person = json!({"name": name, "kind": "person", "grants": grants});
        let (status, made) = server.post("/api/v1/access/principals", person).await;
        assert!([201, 409].contains(&status), "{made}");
        let key = json!({"principal_id": Principal::local_id(name), "name": "a key"});
        let (status, key) = server.post("/api/v1/access/keys", key).await;
        assert_eq!(status, 201, "{key}");
        let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
        headers.insert("authorization", bearer.parse().unwrap());
    } else {
        headers.insert("x-user-id", name.parse().unwrap());
    }
    bare_client_builder().default_headers(headers).build().unwrap()
}

/// Waits until a server knows the key of a client that another server has created. It may take a second.
///
/// # Panics
/// If it takes longer.
pub async fn knows(server: &TestServer, client: &reqwest::Client) {
    let began = std::time::Instant::now();
    while client.get(format!("{}/api/v1/access/me", server.base)).send().await.unwrap().status()
        == 401
    {
        assert!(began.elapsed() < std::time::Duration::from_secs(1), "the key is not known");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Returns the id of the administrator.
#[must_use]
pub fn admin() -> PrincipalId {
    Principal::local_id("admin")
}

/// Gives the administrator the role of a worker too, so that tests need one key only. Returns whether
/// the server did it.
pub async fn let_admin_work(server: &TestServer) -> bool {
    let path = format!("/api/v1/access/principals/{}/grants", admin());
    server.put(&path, worker_grants()).await.0 == 200
}

/// Returns the request that gives the administrator the role of a worker too.
#[must_use]
pub fn worker_grants() -> Value {
    json!({"grants": [Grant::on_all(Role::Admin), Grant::on_all(Role::Worker)]})
}
