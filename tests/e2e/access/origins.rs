//! Pages of other origins change nothing, even with a valid key: on every operation that may change
//! something, and on live connections.

use botarmy_tests::access;
use botarmy_tests::pipeline::{Call, Pipeline};
use botarmy_tests::server::TestServer;
use reqwest::Method;

use super::table::{Needs, TABLE, Target, filled, operations, target};
use super::world::{NO_RUNNERS, decided};

/// Returns origins that are not the server's, for a server on this port.
fn foreign(port: u16) -> [String; 9] {
    [
        "null".to_owned(),
        "http://evil.example".to_owned(),
        format!("http://evil.example:{port}"),
        format!("http://localhost.evil.example:{port}"),
        // Other ports, another scheme, and another name of the same machine.
        format!("http://localhost:{}", port ^ 1),
        "http://localhost".to_owned(),
        format!("https://localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}, http://evil.example"),
    ]
}

/// Returns the state of the project of a target, and the number of entries about access.
async fn state(server: &TestServer, target: &Target) -> (serde_json::Value, usize) {
    let events = decided(server).await.len();
    (target.project.state(server).await, events)
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_on_any_route_even_with_a_key() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let port: u16 = server.base.rsplit(':').next().unwrap().parse().unwrap();
    let (target, operations) = (target(&server).await, operations());
    let mut pipeline = Pipeline::to(&server.base);
    let before = state(&server, &target).await;
    let mut refused = 0;
    for (operation, needs, body) in TABLE {
        let (method, path) = &operations[*operation];
        if *method == Method::GET {
            continue;
        }
        let path = filled(path, operation, &target);
        let body = body.map(|body| body(&target).to_string().into_bytes());
        let lease = target.project.lease["token"].as_str().unwrap();
        let key = if *needs == Needs::LeaseHolder { lease } else { access::key() };
        for origin in foreign(port) {
            // As browsers send a form, too: with a cookie and without a preflight.
            for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
                let headers = format!(
                    "authorization: Bearer {key}\r\norigin: {origin}\r\nreferer: {origin}/\r\n\
                     cookie: __Host-botarmy={key}\r\nsec-fetch-site: cross-site\r\n"
                );
                let call = Call::new(method.as_str(), &path, &headers, body.as_deref());
                let call = call.as_kind(kind).at_port(port);
                let reply = pipeline.send(&call).await;
                assert_eq!(reply.status, 403, "{operation} from {origin}: {}", reply.text());
                assert_eq!(reply.header("access-control-allow-credentials"), None);
                let allowed = reply.header("access-control-allow-origin");
                assert!(allowed.is_none_or(|allowed| allowed != "*" && allowed != origin));
                refused += 1;
            }
        }
    }
    println!("requests of foreign pages with a valid key: {refused}, all refused");
    assert!(refused > 900, "{refused}");
    assert_eq!(state(&server, &target).await, before, "something was changed");
    // A live connection reads, and a page of another origin may not even do that.
    for origin in foreign(port) {
        for more in [String::new(), format!("authorization: Bearer {}\r\n", access::key())] {
            let headers = format!(
                "{more}origin: {origin}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            );
            let path = format!("/ws?project_id={}", target.project.id);
            let call = Call::new("GET", &path, &headers, None);
            let reply = Pipeline::to(&server.base).send(&call).await;
            let expected: &[u16] = if more.is_empty() { &[401, 403] } else { &[403] };
            assert!(expected.contains(&reply.status), "{origin}: {}", reply.status);
        }
    }
    // The same request from the server's own page is let in, so that the origin made the difference.
    let headers =
        format!("authorization: Bearer {}\r\norigin: http://localhost:{port}\r\n", access::key());
    let body = br#"{"name": "x"}"#;
    let call = Call::new("POST", "/api/v1/projects", &headers, Some(body)).at_port(port);
    assert_eq!(pipeline.send(&call).await.status, 201);
}
