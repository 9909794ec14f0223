//! The client against servers that answer as they are told.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Client, ClientError, ClientKind, Configuration, Connection, Heard, Key};

/// Starts a server that gives these answers, one for each connection, and returns a client of it and
/// the requests that it got.
async fn server(answers: Vec<String>) -> (Client, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            // The head, and a body that is sent with it.
            while !request[..length].windows(4).any(|part| part == b"\r\n\r\n") {
                length += socket.read(&mut request[length..]).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender.send(String::from_utf8_lossy(&request[..length]).into_owned()).unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (client(&format!("http://{address}/base/")), requests)
}

fn client(server: &str) -> Client {
    let connection = Connection {
        server: server.to_owned(),
        key: Some(Key::parse("k_1").unwrap()),
        ca_file: None,
        allow_http: false,
    };
    let configuration = Configuration::new(ClientKind::Terminal, || "new-key".to_owned());
    Client::new(connection, configuration).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_request_has_its_key_and_is_repeated_under_the_same_idempotency_key() {
    let busy = answer("503 Service Unavailable", "retry-after: 0\r\n", "{}");
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_owned();
    let (client, mut requests) =
        server(vec![busy, broken, answer("201 Created", "", r#"{"id":"x"}"#)]).await;
    let made = client.post(&["projects", "a/b c"], &json!({"name": "n"})).await.unwrap();
    assert_eq!(made, json!({"id": "x"}));
    for _ in 0..3 {
        let request = requests.recv().await.unwrap();
        assert!(request.starts_with("POST /base/api/v1/projects/a%2Fb%20c HTTP/1.1"), "{request}");
        for header in [
            "authorization: Bearer k_1",
            "botarmy-client: terminal",
            "idempotency-key: new-key",
            "content-type: application/json",
        ] {
            assert!(request.lines().any(|line| line.eq_ignore_ascii_case(header)), "{request}");
        }
    }
}

#[tokio::test]
async fn a_request_without_idempotency_key_is_not_sent_again_once_it_may_have_been_accepted() {
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_owned();
    let (client, mut requests) = server(vec![broken, answer("200 OK", "", "{}")]).await;
    let error = client.post_once(&["access", "keys"], &json!({})).await.unwrap_err();
    assert!(matches!(error, ClientError::BrokenOff { .. }), "{error:?}");
    assert!(!requests.recv().await.unwrap().to_lowercase().contains("idempotency-key"));
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn errors_have_the_words_of_the_server_and_redirects_are_not_followed() {
    let body = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"No project."}"#;
    let (client, _requests) = server(vec![
        answer("404 Not Found", "x-request-id: r-1\r\n", body),
        answer("307 Temporary Redirect", "location: http://elsewhere.example/\r\n", ""),
        answer("200 OK", "", "<html>"),
    ])
    .await;
    let error = client.get(&["projects", "x"], &[]).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (Some(404), "No project."));
    assert_eq!(error.problem().unwrap().request_id.as_deref(), Some("r-1"));
    let error = client.get(&["projects"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("redirects to http://elsewhere.example/"), "{error}");
    let error = client.get(&["projects"], &[]).await.unwrap_err().to_string();
    assert!(error.contains("it is not JSON"), "{error}");
    for segment in ["", ".", ".."] {
        assert!(client.get(&["projects", segment], &[]).await.is_err(), "{segment:?}");
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_up_to_its_limit() {
    let (client, mut requests) = server(vec![
        answer("200 OK", "", r#"{"items":[1,2],"next_cursor":"c&1"}"#),
        answer("200 OK", "", r#"{"items":[],"next_cursor":"c2"}"#),
        answer("200 OK", "", r#"{"items":[3,4],"next_cursor":null}"#),
    ])
    .await;
    let mut items = client.items(&["projects"], &[("status", "active")], 3);
    let mut read = Vec::new();
    while let Some(item) = items.next().await.unwrap() {
        read.push(item);
    }
    assert_eq!(read, [json!(1), json!(2), json!(3)]);
    assert!(items.has_more());
    let link = "link: </api/v1/audit/events?limit=1&cursor=c3>; rel=\"next\"\r\n";
    let (client, mut linked) =
        server(vec![answer("200 OK", link, "[1]"), answer("200 OK", "", "[2]")]).await;
    let items = client.items(&["audit", "events"], &[], 9).all().await.unwrap();
    assert_eq!(items, [json!(1), json!(2)]);
    linked.recv().await.unwrap();
    assert!(linked.recv().await.unwrap().contains("?limit=8&cursor=c3 "));
    let paths = ["?status=active&limit=3 ", "?status=active&limit=1&cursor=c%261 ", "cursor=c2 "];
    for path in paths {
        let request = requests.recv().await.unwrap();
        assert!(request.lines().next().unwrap().contains(path), "{request}");
    }
}

#[tokio::test]
async fn a_lost_stream_continues_after_the_last_event() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let (client, mut requests) = server(vec![
        format!("{head}: hello\n\nid: 4\nevent: task_started\ndata: {{\"seq\":4}}\n\n"),
        answer("503 Service Unavailable", "", ""),
        format!(
            "{head}event: task_progress\ndata: {{}}\n\nid: 5\nevent: gap\ndata: {{\"seq\":5}}\n\n"
        ),
        answer("404 Not Found", "", r#"{"detail":"No project."}"#),
    ])
    .await;
    let mut events = client.events("p", Some(3));
    let mut heard = Vec::new();
    let error = loop {
        match events.next().await {
            Ok(Heard::Event(event)) => heard.push(event.event_type),
            Ok(Heard::Lost(_)) => heard.push("lost".to_owned()),
            Err(error) => break error,
        }
    };
    assert_eq!(heard, ["task_started", "lost", "lost", "task_progress", "gap", "lost"]);
    assert_eq!((error.status(), events.position()), (Some(404), Some("5")));
    for id in ["3", "4", "4", "5"] {
        let request = requests.recv().await.unwrap().to_lowercase();
        assert!(request.starts_with("get /base/api/v1/events/stream?project_id=p "), "{request}");
        assert!(request.contains(&format!("\r\nlast-event-id: {id}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}")).get(&["projects"], &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn addresses_are_checked_and_a_key_is_not_sent_in_the_clear() {
    let made = |server: &str, allow_http| {
        let key = Some(Key::parse("k_1").unwrap());
        let connection = Connection { server: server.to_owned(), key, ca_file: None, allow_http };
        let configuration = Configuration::new(ClientKind::Mcp, String::new);
        Client::new(connection, configuration).map_err(|error| error.to_string())
    };
    for server in ["http://127.0.0.1:1", "http://[::1]:1/", "http://localhost", "http://127.9.9.9"]
    {
        assert!(made(server, false).is_ok(), "{server}");
    }
    let error = made("http://botarmy.example", false).unwrap_err();
    assert!(error.contains("has no encryption"), "{error}");
    assert!(made("http://botarmy.example", true).is_ok());
    for server in ["", "botarmy.example", "ftp://x", "http://a:s3cret@127.0.0.1", "http://x/?a"] {
        let error = made(server, true).unwrap_err();
        assert!(error.contains("address of the server") && !error.contains("s3cret"), "{error}");
    }
}
