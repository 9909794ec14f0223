//! Revocation: refused within a second, on every server and on every connection.

use std::time::{Duration, Instant};

use botarmy_tests::server::{TIMEOUT, TestServer};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::world::{Keyed, NO_RUNNERS, client, principal, send};

/// Time within which a revocation has taken effect.
const AT_MOST: Duration = Duration::from_secs(1);

async fn accepts(server: &TestServer, key: &str) -> bool {
    let request = (&Method::GET, "/api/v1/access/me");
    let status = send(&client(), &server.base, Some(key), request, None).await.status().as_u16();
    assert!([200, 401].contains(&status), "{status}");
    status == 200
}

async fn revoke(server: &TestServer, keyed: &Keyed) {
    let path = format!("/api/v1/access/keys/{}", keyed.key_id);
    let (status, answer) = server.delete(&path).await;
    assert_eq!(status, 200, "{answer}");
}

/// Opens a live connection with a key.
async fn live(
    server: &TestServer,
    key: &str,
    query: &str,
) -> tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>> {
    let url = format!("{}/ws{query}", server.base.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    connect_async(request).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_requests_live_connections_and_waiting_workers_within_a_second() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = server.by_hand().await;
    let grants = json!([{"role": "viewer", "on": "all"}, {"role": "worker", "on": "all"}]);
    let keyed = principal(&server, "service", grants).await;
    let mut socket = live(&server, &keyed.key, &format!("?project_id={project}")).await;
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 30});
    let (http, base, key) = (client(), server.base.clone(), keyed.key.clone());
    let waiting = tokio::spawn(async move {
        let request = (&Method::POST, "/api/v1/worker/leases");
        send(&http, &base, Some(&key), request, Some(&poll)).await.status().as_u16()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "there is nothing to do");

    revoke(&server, &keyed).await;
    let since = Instant::now();
    assert!(!accepts(&server, &keyed.key).await, "the server that revoked it knows at once");
    let code = loop {
        match tokio::time::timeout(TIMEOUT, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    let closed = since.elapsed();
    assert_eq!(code, Some(4401));
    assert!(closed <= AT_MOST, "{closed:?}");
    tokio::time::sleep(AT_MOST.saturating_sub(since.elapsed())).await;
    // What comes now is not for the worker that waits.
    let task = server.submit(&project, "coder", "A greeting").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.task(&task).await["status"], "pending");
    drop(server);
    let _ = tokio::time::timeout(TIMEOUT, waiting).await;
}

#[tokio::test]
async fn a_narrower_grant_ends_a_subscription_and_a_disabled_principal_all_of_its_keys() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (mine, other) = (server.by_hand().await, server.by_hand().await);
    let keyed = principal(&server, "person", json!([{"role": "viewer", "on": "all"}])).await;
    let mut socket = live(&server, &keyed.key, &format!("?project_id={mine}")).await;
    let set = |what: &str| format!("/api/v1/access/principals/{}/{what}", keyed.principal);
    let grants = json!({"grants": [{"role": "viewer", "on": "project", "project_id": other}]});
    assert_eq!(server.put(&set("grants"), grants).await.0, 200);
    let since = Instant::now();
    let frame = loop {
        match tokio::time::timeout(TIMEOUT, socket.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) if text.contains("error") => break text,
            Some(Ok(_)) => {}
            ended => panic!("{ended:?}"),
        }
    };
    assert!(since.elapsed() <= AT_MOST, "{:?}: {frame}", since.elapsed());
    let path = format!("/api/v1/projects/{mine}");
    let response =
        send(&client(), &server.base, Some(&keyed.key), (&Method::GET, &path), None).await;
    assert_eq!(response.status(), 404);
    // Nothing of that project comes any more.
    server.submit(&mine, "coder", "Not for this caller").await;
    let until = Instant::now() + Duration::from_millis(500);
    while let Ok(next) = tokio::time::timeout_at(until.into(), socket.next()).await {
        let Some(Ok(Message::Text(text))) = next else { break };
        assert!(!text.contains(&mine) || text.contains("\"unsubscribed\""), "{text}");
    }
    assert_eq!(server.put(&set("disabled"), json!({"disabled": true})).await.0, 200);
    assert!(!accepts(&server, &keyed.key).await);
    assert_eq!(server.put(&set("disabled"), json!({"disabled": false})).await.0, 200);
    assert!(accepts(&server, &keyed.key).await);
}

#[tokio::test]
async fn a_rotated_key_works_for_the_overlap_and_an_expired_one_says_so() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let keyed = principal(&server, "service", json!([{"role": "viewer", "on": "all"}])).await;
    let path = format!("/api/v1/access/keys/{}/rotate", keyed.key_id);
    let (status, rotated) = server.post(&path, json!({"overlap_s": 1})).await;
    assert_eq!(status, 201, "{rotated}");
    let new = rotated["key"].as_str().unwrap();
    assert!(accepts(&server, &keyed.key).await && accepts(&server, new).await);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let request = (&Method::GET, "/api/v1/access/me");
    let response = send(&client(), &server.base, Some(&keyed.key), request, None).await;
    assert_eq!(response.status(), 401);
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "urn:botarmy:problem:key_expired");
    assert!(accepts(&server, new).await);
}
