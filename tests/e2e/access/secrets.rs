//! Credentials are in no log, error, answer, export or back-up, wherever a client puts them.

use std::path::Path;

use botarmy_tests::dice::Dice;
use botarmy_tests::server::{TestServer, command};
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
        for method in ["get", "post", "put", "delete"] {
            if item.get(method).is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    found
}

/// Returns a credential that nothing has, with the form of a key or of a lease's token, or with none.
fn random(dice: &mut Dice, kind: u64) -> String {
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

/// Returns whether a file of the folder has this text.
fn file_with(folder: &Path, text: &str) -> Option<String> {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("admin.header") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            return Some(path.display().to_string());
        }
    }
    None
}

#[tokio::test]
#[expect(clippy::cast_possible_truncation, reason = "the numbers are below 256")]
async fn a_credential_is_nowhere_whatever_a_client_does_with_it() {
    let server = TestServer::with(
        &[&NO_RUNNERS[..], &[("BOTARMY_LOG__LEVEL", "trace,h2=warn,mio=warn")]].concat(),
    )
    .await;
    let client = client();
    let mut dice = Dice::new();
    let (mut sent, mut received) = (Vec::new(), String::new());
    for (n, (method, path)) in (0_u64..).zip(paths()) {
        for place in 0..5 {
            let secret = random(&mut dice, n % 4);
            let mut url = format!("{}{path}", server.base);
            let mut body = json!({"name": "x"});
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
    let backup = tempfile::tempdir().unwrap();
    let to = backup.path().join("backup.db");
    let (code, said) = say(command(server.data_dir()).args(["store", "backup", "--to"]).arg(&to));
    assert_eq!(code, Some(0), "{said}");
    let log = server.log.lock().unwrap().clone();
    for secret in &sent {
        // The hint of a key is shown, and is not the key.
        assert!(!log.contains(secret.as_str()), "the log has {secret}");
        assert!(!received.contains(secret.as_str()), "a response has {secret}");
        assert_eq!(file_with(server.data_dir(), secret), None, "{secret}");
        assert_eq!(file_with(backup.path(), secret), None, "{secret}");
    }
}
