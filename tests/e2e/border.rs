//! The border of the REST API: what is not understood is refused by name, and lists stay small.

use std::io::{Read, Write};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use botarmy_tests::access::{MODE, header_line};
use botarmy_tests::server::{TestServer, bare_client_builder};

use crate::rest::{field, put_in, send};

#[tokio::test]
async fn a_misspelt_field_or_parameter_is_refused_with_the_name_that_was_meant() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let gate =
        json!({"project_id": project, "task_id": null, "question": "Which?", "options": ["Red"]});
    let (status, gate) = server.post("/api/v1/hitl", gate).await;
    assert_eq!(status, 201, "{gate}");
    let respond = format!("/api/v1/hitl/{}/respond", gate["request_id"].as_str().unwrap());
    let path = |rest: &str| format!("/api/v1/projects/{project}{rest}");
    for (method, path, body, wrong, meant) in [
        (
            Method::POST,
            "/api/v1/projects",
            r#"{"name": "x", "workfow": "sdlc"}"#,
            "workfow",
            "workflow",
        ),
        (Method::POST, &respond, r#"{"action": "approve", "option": "Red"}"#, "option", "`"),
        (Method::POST, &path("/pause"), r#"{"reason": "x"}"#, "reason", "none is known"),
        (Method::POST, &path("/start"), r#"{"workflw": "sdlc"}"#, "workflw", "workflow"),
        (Method::GET, "/api/v1/audit/events?event_typ=task_created", "", "event_typ", "event_type"),
        (Method::GET, &path("/tasks?staus=failed"), "", "staus", "status"),
        (Method::GET, &path("?verbose=1"), "", "verbose", "none is known"),
        (Method::GET, "/livez?x=1", "", "x", "none is known"),
        (Method::GET, "/ws?project=all", "", "project", "project_id"),
    ] {
        let body = (!body.is_empty()).then_some(body);
        let response = send(&server, method.clone(), path, &[], body).await;
        assert_eq!(response.status(), 422, "{method} {path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(field(&problem), wrong, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(meant), "{problem}");
    }
    let (_, project_now) = server.get(&path("")).await;
    assert_eq!(project_now["status"], "active");
    let (_, gate) = server.get(respond.trim_end_matches("/respond")).await;
    assert_eq!(gate["status"], "pending");
    let (_, projects) = server.get("/api/v1/projects").await;
    assert_eq!(projects["items"].as_array().unwrap().len(), 1);

    let lenient = TestServer::with(&[("BOTARMY_HTTP__UNKNOWN_FIELDS", "ignore")]).await;
    let (status, created) =
        lenient.post("/api/v1/projects?x=1", json!({"name": "x", "workfow": "sdlc"})).await;
    assert_eq!((status, &created["workflow"]), (201, &Value::Null), "what took effect is shown");
}

#[tokio::test]
async fn a_decision_is_recorded_under_the_name_of_the_user_or_not_at_all() {
    // With keys, the name is that of the principal.
    let server = TestServer::with(&[(MODE, "open")]).await;
    let client = bare_client_builder().build().unwrap();
    for (name, status) in [
        (&b"Zo\xc3\xab"[..], 200),
        ("\u{438}\u{432}\u{430}\u{43d}".as_bytes(), 200),
        (b"Zo\xeb", 400),
        (b" ", 400),
    ] {
        let project = server.by_hand().await;
        let path = format!("{}/api/v1/projects/{project}/pause", server.base);
        let name_header = reqwest::header::HeaderValue::from_bytes(name).unwrap();
        let response = client.post(path).header("x-user-id", name_header).send().await.unwrap();
        assert_eq!(response.status(), status);
        let (_, events) = server.get(&format!("/api/v1/audit/projects/{project}/events")).await;
        let paused =
            events.as_array().unwrap().iter().find(|e| e["event_type"] == "project_paused");
        let actor = paused.map(|event| event["event_metadata"]["actor"].as_str().unwrap());
        assert_eq!(actor, (status == 200).then(|| std::str::from_utf8(name).unwrap()));
    }
}

#[tokio::test]
async fn a_decision_is_recorded_with_its_way_and_an_unknown_one_changes_nothing() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = |action: &str| format!("/api/v1/projects/{project}/{action}");
    let said = |client: &'static str| [("botarmy-client", client)];
    for (action, headers, status) in [
        ("pause", &said("terminal")[..], 200),
        ("resume", &said("console"), 400),
        ("resume", &said("mcp"), 200),
        ("pause", &[], 200),
    ] {
        let response = send(&server, Method::POST, &path(action), headers, None).await;
        assert_eq!(response.status(), status, "{action} {headers:?}");
    }
    let (_, events) = server.get(&format!("/api/v1/audit/projects/{project}/events")).await;
    let ways = events.as_array().unwrap().iter().rev();
    let ways = ways.map(|event| event["event_metadata"]["via"].as_str().unwrap().to_owned());
    assert_eq!(ways.collect::<Vec<_>>(), ["rest", "terminal", "mcp", "rest"]);
}

#[tokio::test]
async fn a_date_as_the_end_of_a_range_is_the_whole_day() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = |query: &str| format!("/api/v1/audit/projects/{project}/events?{query}");
    let (_, events) = server.get(&path("")).await;
    let events = events.as_array().unwrap();
    let day = |event: &Value| event["created_at"].as_str().unwrap()[..10].to_owned();
    let (first, last) = (day(events.last().unwrap()), day(&events[0]));
    let (_, of_days) = server.get(&path(&format!("start_date={first}&end_date={last}"))).await;
    assert_eq!(of_days.as_array().unwrap().len(), events.len(), "{events:?}");
    let (_, before) = server.get(&path(&format!("end_date={first}T00:00:00"))).await;
    assert_eq!(before, json!([]));
}

#[tokio::test]
async fn a_text_has_a_limit_of_its_own() {
    let server = TestServer::with(&[("BOTARMY_HTTP__TEXT_LIMIT_BYTES", "5000")]).await;
    let (long, project) = ("x".repeat(5001), server.by_hand().await);
    let tasks = format!("/api/v1/projects/{project}/tasks");
    for (path, body, wrong) in [
        ("/api/v1/projects", json!({"name": "x", "description": long}), "description"),
        (tasks.as_str(), json!({"agent_type": "coder", "instructions": long}), "instructions"),
        ("/api/v1/hitl", json!({"project_id": project, "question": long}), "question"),
        (
            "/api/v1/hitl",
            json!({"project_id": project, "question": "?", "options": [long]}),
            "options",
        ),
    ] {
        let (status, problem) = server.post(path, body).await;
        assert_eq!((status, field(&problem)), (422, wrong), "{problem}");
    }
    let fits = json!({"name": "x", "description": "x".repeat(5000)});
    assert_eq!(server.post("/api/v1/projects", fits).await.0, 201);
}

#[tokio::test]
async fn a_list_shows_the_beginning_of_long_texts_and_no_contents() {
    let server = TestServer::start().await;
    let long = "é".repeat(10_000);
    let new = json!({"name": "x", "description": long});
    let (_, created) = server.post("/api/v1/projects", new).await;
    assert_eq!((&created["description"], &created["truncated"]), (&json!(long), &Value::Null));
    let (_, listed) = server.get("/api/v1/projects").await;
    let item = &listed["items"][0];
    let shown = item["description"].as_str().unwrap();
    assert_eq!(item["truncated"], true);
    assert!(shown.len() < 2100 && long.starts_with(shown), "{}", shown.len());
    let id = created["id"].as_str().unwrap();
    let (_, whole) = server.get(&format!("/api/v1/projects/{id}")).await;
    assert_eq!(whole["description"], long);

    put_in(&server, id, "user_input", json!({"idea": "x".repeat(3_000_000)})).await;
    put_in(&server, id, "user_input", json!({"idea": "y".repeat(3_000_000)})).await;
    put_in(&server, id, "user_input", json!({"idea": "z".repeat(3_000_000)})).await;
    let path = format!("/api/v1/context/project/{id}");
    let (_, listed) = server.get(&path).await;
    let items = listed["items"].as_array().unwrap();
    assert!(items.len() == 3 && items.iter().all(|item| item["content"].is_null()), "{listed}");
    let (_, page) = server.get(&format!("{path}?content=true")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2, "a page ends after 8 MiB");
    let next = format!("{path}?content=true&cursor={}", page["next_cursor"].as_str().unwrap());
    let (_, rest) = server.get(&next).await;
    assert!(rest["items"][0]["content"]["idea"].as_str().unwrap().starts_with('z'));
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn a_malformed_request_is_logged_once_with_its_peer_and_is_no_error_of_the_server() {
    let server = TestServer::start().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let key = header_line();
    let chunked = format!(
        "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n{key}Transfer-Encoding: chunked"
    );
    let requests = [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("{chunked}\r\n\r\nzz\r\n"),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)),
    ];
    let mut peers = Vec::new();
    for request in requests {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        peers.push(stream.local_addr().unwrap().to_string());
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // What came after is logged after.
    send(&server, Method::GET, "/nothing", &[("x-request-id", "last")], None).await;
    server.until(|server| async { server.log.lock().unwrap().contains("\"last\"") }).await;
    let log = server.log.lock().unwrap().clone();
    assert!(!log.contains("\"ERROR\""), "{log}");
    // The head of the third is good, so that it has an id like any other request.
    let third = log.lines().find(|line| line.contains("\"status\":400")).unwrap();
    assert!(third.contains("request.id"), "{third}");
    for peer in [&peers[0], &peers[1], &peers[3]] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(peer.as_str())).collect();
        assert_eq!(lines.len(), 1, "{peer}: {log}");
        assert!(lines[0].contains("Refused a malformed request"), "{}", lines[0]);
    }
}

/// Sends these bytes on a connection of its own, and returns the response: a head, and what came of
/// the body.
fn raw(server: &TestServer, parts: &[&[u8]]) -> String {
    let address = server.base.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for part in parts {
        // The server may have answered and closed already.
        let _ = stream.write_all(part);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => answer.extend_from_slice(&buffer[..length]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_malformed_length_or_chunk_gets_an_answer_whatever_the_request_is_for() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let mut targets = vec![
        ("POST", "/api/v1/projects".to_owned()),
        ("POST", "/api/v1/worker/leases".to_owned()),
        ("POST", format!("/api/v1/projects/{project}/pause")),
        ("DELETE", "/api/v1/artifacts/cleanup-old".to_owned()),
    ];
    // These wait for the store, and for no body.
    for path in ["/api/v1/projects", "/api/v1/audit/events", "/health/detailed", "/openapi.json"] {
        targets.push(("GET", path.to_owned()));
    }
    targets.push(("GET", format!("/api/v1/audit/projects/{project}/export")));
    let long = format!("1;{}\0", "x".repeat(200_000));
    let chunks: [&[u8]; 10] = [
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"1FFFFFFFFFFFFFFFF\r\n{}",
        b"zz\r\n",
        b"-1\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2 x\r\n{}",
        b"2\r\n{}xx",
        b"2\r\n{}\r\nzz\r\n",
        b"2;a\0\r\n{}\r\n",
        long.as_bytes(),
    ];
    for (method, path) in &targets {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{}", header_line());
        for chunk in chunks {
            let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
            let at_once = [head.as_bytes(), chunk].concat();
            for parts in [&[head.as_bytes(), chunk][..], &[&at_once]] {
                let answer = raw(&server, parts);
                let sent = String::from_utf8_lossy(&chunk[..chunk.len().min(20)]);
                let is_refused = answer.starts_with("HTTP/1.1 400 ");
                assert!(is_refused, "{method} {path} {sent:?}: {answer:?}");
                assert!(answer.contains("problem+json"), "{answer:?}");
            }
        }
        for (length, status) in [
            ("18446744073709551616", &["400"][..]),
            ("99999999999999999999999999", &["400"]),
            ("-1", &["400"]),
            ("0x2", &["400"]),
            ("2, 2", &["400"]),
            // It fits, and is refused by whatever reads a body.
            ("18446744073709551615", &["413", "200"]),
        ] {
            let head = format!("{head}Content-Length: {length}\r\n\r\n{{}}");
            let answer = raw(&server, &[head.as_bytes()]);
            let found = answer.split(' ').nth(1).unwrap_or_default();
            assert!(status.contains(&found), "{method} {path} {length}: {answer:?}");
        }
    }
    let (_, project) = server.get(&format!("/api/v1/projects/{project}")).await;
    assert_eq!(project["status"], "active", "nothing was done");
}

#[tokio::test]
async fn a_chunk_extension_without_end_gets_an_answer_and_an_end() {
    let server = TestServer::with(&[("BOTARMY_HTTP__BODY_TIMEOUT_S", "1")]).await;
    for method in ["GET", "POST"] {
        let head = format!(
            "{method} /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n{}\
             Transfer-Encoding: chunked\r\n\r\n2;",
            header_line()
        );
        let extension = vec![b'x'; 16 * 1024];
        let mut parts = vec![head.as_bytes()];
        parts.extend(std::iter::repeat_n(extension.as_slice(), 100));
        let answer = raw(&server, &parts);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{method}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_arrives_whatever_its_size() {
    let server = TestServer::start().await;
    for size in [10, 70_000, 900_000] {
        let description = "x".repeat(size);
        let body = json!({"name": "x", "description": description}).to_string();
        let parts: Vec<_> = body.as_bytes().chunks(10_000).map(<[u8]>::to_vec).collect();
        let stream = futures_util::stream::iter(parts.into_iter().map(std::io::Result::Ok));
        let client = botarmy_tests::server::http_client();
        let request = client.post(format!("{}/api/v1/projects", server.base));
        let response = request.body(reqwest::Body::wrap_stream(stream)).send().await.unwrap();
        assert_eq!(response.status(), 201, "{size}");
        let project: Value = response.json().await.unwrap();
        assert_eq!(project["description"].as_str().map(str::len), Some(size));
    }
    // Where a body means nothing, a small one is read over and a large one refused.
    for (size, status) in [(10, 200), (100_000, 413)] {
        let stream = futures_util::stream::iter([std::io::Result::Ok(vec![b'x'; size])]);
        let client = botarmy_tests::server::http_client();
        let request = client.get(format!("{}/api/v1/projects", server.base));
        // Without it, the client leaves a body of unknown length out.
        let request = request.header("transfer-encoding", "chunked");
        let response = request.body(reqwest::Body::wrap_stream(stream)).send().await.unwrap();
        assert_eq!(response.status(), status, "{size}");
    }
}
