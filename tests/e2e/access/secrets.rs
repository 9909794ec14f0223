//! Credentials are in no log, error, answer, export or back-up, wherever a client puts them.

use std::path::Path;

use botarmy_tests::dice::Dice;
use botarmy_tests::server::{TestServer, bare, command};
use botarmy_tests::services::{self, PostgresServer};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{NO_RUNNERS, client, principal, send};
use crate::say;

/// Returns the paths of all operations with ids that do not exist.
fn paths() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found = vec![(Method::GET, "/nothing".to_owned()), (Method::PUT, "/livez".to_owned())];
    for (path, item) in document["paths"].as_object().unwrap() {
        let id = "0190a0b0-0000-7000-8000-00000000000a";
        let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    found
}

/// Returns a credential that nothing has, with the form of a key or of a lease's token, or with none.
pub(super) fn random(dice: &mut Dice, kind: u64) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = |length| -> String {
        (0..length).map(|_| char::from(digits[dice.below(62) as usize])).collect()
    };
    match kind {
        0 => {
            let mut bytes = [0; 32];
            bytes.iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
            botarmy_domain::KeySecret::new(bytes).text().expose().to_owned()
        }
        1 => format!("botarmy_k_{}", text(49)),
        2 => format!("botarmy_w_{}", text(43)),
        _ => text(40),
    }
}

/// Returns a file of the folder that has one of these texts, and the text.
fn file_with(folder: &Path, texts: &[String]) -> Option<(String, String)> {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = file_with(&path, texts) {
                return Some(found);
            }
            continue;
        }
        if path.ends_with("admin.header") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        // Credentials are ASCII, and stay what they are.
        let content = String::from_utf8_lossy(&bytes);
        if let Some(text) = texts.iter().find(|text| content.contains(text.as_str())) {
            return Some((path.display().to_string(), text.clone()));
        }
    }
    None
}

#[tokio::test]
async fn on_sqlite_a_credential_is_nowhere_whatever_a_client_does_with_it() {
    let mut used = use_credentials(&[]).await;
    let backup = tempfile::tempdir().unwrap();
    let to = backup.path().join("backup.db");
    let data = used.server.data_dir().to_owned();
    let (code, said) = say(command(&data).args(["store", "backup", "--to"]).arg(&to));
    assert_eq!(code, Some(0), "{said}");
    used.server.terminate().await;
    let copy = tempfile::tempdir().unwrap();
    copy_store(&address(&data), &address(copy.path()));
    used.check(&[&data, backup.path(), copy.path()]);
}

#[tokio::test]
async fn on_postgres_a_credential_is_nowhere_whatever_a_client_does_with_it() {
    let Some((mut postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    let mut used = use_credentials(&[("BOTARMY_STORE__URL", url.as_str())]).await;
    let folder = tempfile::tempdir().unwrap();
    let dump = services::postgres_tool("pg_dump").unwrap().arg(&url).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    std::fs::write(folder.path().join("dump.sql"), &dump.stdout).unwrap();
    let text = String::from_utf8_lossy(&dump.stdout);
    assert!(text.contains("key_created"), "the dump has the log");
    // Every failure of the database, too.
    postgres.stop();
    let (client, paths) = (client(), paths());
    let (base, key) = (&used.server.base, &used.key);
    let asked = paths.iter().map(|(method, path)| {
        let client = &client;
        async move {
            let response = send(client, base, Some(key), (method, path), None).await;
            (response.status(), response.text().await.unwrap())
        }
    });
    let answers = futures_util::future::join_all(asked).await;
    let unavailable = answers.iter().filter(|(status, _)| *status == 503).count();
    used.received.extend(answers.into_iter().map(|(_, text)| text));
    assert!(unavailable > 20, "{unavailable}");
    postgres.start_again().await;
    used.server.terminate().await;
    let copy = tempfile::tempdir().unwrap();
    copy_store(&url, &address(copy.path()));
    let data = used.server.data_dir().to_owned();
    used.check(&[&data, folder.path(), copy.path()]);
}

fn address(folder: &Path) -> String {
    format!("sqlite:{}", folder.display())
}

/// Copies a database to a data folder.
fn copy_store(from: &str, to: &str) {
    let (code, said) = say(bare().args(["store", "copy", "--from", from, "--to", to]));
    assert_eq!(code, Some(0), "{said}");
}

/// A server to which credentials were sent, and everything that it answered.
struct Used {
    server: TestServer,
    /// Key that is valid.
    key: String,
    sent: Vec<String>,
    received: String,
}

impl Used {
    /// Checks that no credential is in the log, in a response, or in a file of these folders.
    fn check(&self, folders: &[&Path]) {
        let log = self.server.log.lock().unwrap().clone();
        assert!(log.len() > 100_000, "the log is detailed: {} bytes", log.len());
        for secret in &self.sent {
            assert!(!log.contains(secret.as_str()), "the log has {secret}");
            assert!(!self.received.contains(secret.as_str()), "a response has {secret}");
        }
        // All of them at once: the files are large.
        for folder in folders {
            if let Some((file, secret)) = file_with(folder, &self.sent) {
                panic!("{file} has {secret}");
            }
        }
    }
}

/// Sends credentials to every route of a server, in every place of a request, and uses valid ones.
#[expect(clippy::cast_possible_truncation, reason = "the numbers are below 256")]
async fn use_credentials(variables: &[(&str, &str)]) -> Used {
    let detailed = [("BOTARMY_LOG__LEVEL", "trace,h2=warn,mio=warn")];
    let server = TestServer::with(&[&NO_RUNNERS[..], &detailed, variables].concat()).await;
    let client = client();
    let mut dice = Dice::new();
    let (mut sent, mut received) = (Vec::new(), String::new());
    for (n, (method, path)) in (0_u64..).zip(paths()) {
        for place in 0..9 {
            // In a path only what can be recognised is not repeated.
            let kind = if place == 8 { n % 3 } else { n % 4 };
            let secret = random(&mut dice, kind);
            let mut url = format!("{}{path}", server.base);
            let mut body = json!({"name": "x"});
            if place == 8 {
                url = format!("{url}/{secret}");
            }
            if place == 2 {
                let name = ["token", "key", "access_token", "api_key"][dice.below(4) as usize];
                url = format!("{url}?{name}={secret}");
            }
            let mut request = client.request(method.clone(), url);
            request = match place {
                0 => request.bearer_auth(&secret),
                1 => request.basic_auth("ada", Some(&secret)),
                3 => request.header("cookie", format!("__Host-botarmy={secret}")),
                4 => {
                    // Two of them, which is refused.
                    let request = request.header("authorization", format!("Bearer {secret}"));
                    request.header("authorization", format!("Bearer {secret}x"))
                }
                5 => request.header("x-api-key", &secret).header("proxy-authorization", &secret),
                6 => {
                    let protocols = format!("botarmy.v1, botarmy.ticket.{secret}");
                    request.header("sec-websocket-protocol", protocols)
                }
                // A body that is refused, beside a credential that is.
                7 => request.bearer_auth(&secret).header("content-type", "text/plain"),
                _ => request,
            };
            if method != Method::GET {
                body["unknown"] = json!(1);
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            let response = request.send().await.unwrap();
            received += &format!("{:?}\n", response.headers());
            received += &response.text().await.unwrap();
            sent.push(secret);
        }
    }
    println!("credentials sent: {}", sent.len());

    // Real ones, which are used and then found nowhere.
    let keyed = principal(&server, "service", json!([{"role": "admin", "on": "all"}])).await;
    sent.push(keyed.key.clone());
    let rotate = format!("/api/v1/access/keys/{}/rotate", keyed.key_id);
    let (_, rotated) = server.post(&rotate, json!({})).await;
    sent.push(rotated["key"].as_str().unwrap().to_owned());
    let (_, ticket) = server.post("/api/v1/access/ticket", json!({})).await;
    sent.push(ticket["ticket"].as_str().unwrap().to_owned());
    let project = server.by_hand().await;
    server.submit(&project, "coder", "A greeting").await;
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 0});
    let (_, leased) = server.post("/api/v1/worker/leases", poll).await;
    let token = leased["leases"][0]["token"].as_str().unwrap().to_owned();
    assert_eq!(
        server.say(&leased["leases"][0], "complete", json!({"output": {"a": 1}})).await.0,
        200
    );
    sent.push(token);
    for path in [
        "/api/v1/access/keys",
        "/api/v1/access/principals",
        "/api/v1/access/me",
        "/api/v1/audit/events?limit=1000",
        "/api/v1/audit/system/export",
        &format!("/api/v1/audit/projects/{project}/export"),
        &format!("/api/v1/projects/{project}/tasks"),
        "/health/detailed",
    ] {
        let response =
            send(&client, &server.base, Some(&keyed.key), (&Method::GET, path), None).await;
        assert_eq!(response.status(), 200, "{path}");
        received += &response.text().await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    Used { server, key: keyed.key, sent, received }
}
