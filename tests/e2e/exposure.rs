//! Exposure to others: where a server starts, the names it answers to, the client behind a proxy, the
//! headers of responses, and what is kept out of the log.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use botarmy_tests::access::MODE;
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder, client_builder, command};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::{header, put_in, send};
use crate::say;
use crate::tls::certificate;

/// Listens everywhere, for clients that call it army.example or 127.0.0.1.
const EVERYWHERE: [(&str, &str); 3] = [
    ("BOTARMY_HTTP__HOST", "0.0.0.0"),
    ("BOTARMY_HTTP__ALLOW_REMOTE", "true"),
    ("BOTARMY_HTTP__HOSTS", "army.example,127.0.0.1"),
];

async fn everywhere(more: &[(&str, &str)]) -> TestServer {
    TestServer::with(&[&EVERYWHERE, more].concat()).await
}

/// One way to start a server: its variables, and the settings that are missing.
struct Start<'a> {
    variables: Vec<(&'a str, &'a str)>,
    missing: Vec<&'a str>,
}

/// Returns every combination of the settings that decide whether a server starts.
fn starts<'a>(host: &'a str, cert: &'a str, key: &'a str) -> Vec<Start<'a>> {
    let tls = vec![("BOTARMY_HTTP__TLS_CERT", cert), ("BOTARMY_HTTP__TLS_KEY", key)];
    let proxies = vec![("BOTARMY_HTTP__TRUSTED_PROXIES", "10.0.0.7")];
    let ways = [vec![], tls.clone(), proxies.clone(), [tls, proxies].concat()];
    let mut found = Vec::new();
    for (allow, keys) in [(false, false), (false, true), (true, false), (true, true)] {
        for hosts in [false, true] {
            for way in &ways {
                let mode = if keys { "keys" } else { "open" };
                let mut variables = vec![("BOTARMY_HTTP__HOST", host), (MODE, mode)];
                let mut missing = Vec::new();
                if !keys {
                    missing.push("access.mode");
                }
                if allow {
                    variables.push(EVERYWHERE[1]);
                } else {
                    missing.push("http.allow_remote");
                }
                if hosts {
                    variables.push(EVERYWHERE[2]);
                } else {
                    missing.push("http.hosts");
                }
                variables.extend(way);
                if way.is_empty() {
                    missing.extend(["http.tls_cert", "http.tls_key", "http.trusted_proxies"]);
                }
                found.push(Start { variables, missing });
            }
        }
    }
    found
}

fn refused(subcommand: &str, variables: &[(&str, &str)], folder: &Path) -> String {
    let mut server = command(folder);
    server.envs(variables.iter().copied()).args([subcommand, "--port", "0"]);
    let (code, said) = say(&mut server);
    assert_eq!(code, Some(1), "{variables:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elsewhere_than_on_loopback_a_server_starts_only_with_all_settings_and_names_those_missing()
{
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "army");
    let (mut started, mut stopped) = (0, 0);
    for Start { variables, missing } in starts("0.0.0.0", &cert, &key) {
        if missing.is_empty() {
            let server = TestServer::with(&variables).await;
            assert_eq!(server.get("/livez").await.0, 200, "{variables:?}");
            started += 1;
            continue;
        }
        let data = tempfile::tempdir().unwrap();
        let said = refused("serve", &variables, data.path());
        let all = [
            "access.mode",
            "http.allow_remote",
            "http.hosts",
            "http.tls_cert",
            "http.tls_key",
            "http.trusted_proxies",
        ];
        let named: Vec<_> = all.into_iter().filter(|name| said.contains(name)).collect();
        assert_eq!(named, missing, "{variables:?}: {said}");
        assert_eq!(data.path().read_dir().unwrap().count(), 0, "nothing was begun");
        stopped += 1;
    }
    assert_eq!((started, stopped), (3, 29));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_loopback_a_server_starts_with_any_of_these_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), "army");
    for Start { variables, .. } in starts("127.0.0.1", &cert, &key) {
        let server = TestServer::with(&variables).await;
        let has_tls = variables.iter().any(|(name, _)| name.ends_with("TLS_CERT"));
        assert_eq!(server.base.starts_with("https://"), has_tls, "{variables:?}");
        assert_eq!(server.get("/livez").await.0, 200, "{variables:?}");
    }
}

#[test]
fn the_option_for_the_address_and_a_worker_have_the_same_rules_and_other_commands_none() {
    let data = tempfile::tempdir().unwrap();
    let mut server = command(data.path());
    let (code, said) = say(server.args(["serve", "--host", "0.0.0.0", "--port", "0"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("http.allow_remote") && said.contains("http.hosts"), "{said}");
    let url = ("BOTARMY_STORE__URL", "postgres://army@127.0.0.1:1/x");
    let said = refused("worker", &[EVERYWHERE[0], url], data.path());
    assert!(said.contains("http.trusted_proxies"), "{said}");
    // It does not listen.
    let mut migrate = command(data.path());
    let (code, said) = say(migrate.env("BOTARMY_HTTP__HOST", "0.0.0.0").arg("migrate"));
    assert_eq!(code, Some(0), "{said}");
}

/// Returns every operation of the API, with ids in place of parameters, and some paths that are none.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found = Vec::new();
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
    for (method, path) in [
        (Method::GET, "/nothing"),
        (Method::PUT, "/livez"),
        (Method::OPTIONS, "/api/v1/projects"),
        (Method::GET, "/docs/swagger-ui.css"),
        (Method::GET, "/ws?project_id=all"),
        (Method::GET, "/livez?token=x"),
    ] {
        found.push((method, path.to_owned()));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_another_name_gets_421_on_every_route_before_anything_else() {
    let remote = everywhere(&[("BOTARMY_HTTP__TRUSTED_PROXIES", "10.0.0.7")]).await;
    let local = TestServer::with(&[("BOTARMY_HTTP__HOSTS", "army.example")]).await;
    let operations = operations();
    assert!(operations.len() > 50, "{}", operations.len());
    for (server, foreign) in
        [(&remote, "localhost"), (&remote, "evil.example"), (&local, "evil.example")]
    {
        for (method, path) in &operations {
            let headers =
                [("host", foreign), ("origin", "http://evil.example"), ("x-user-id", " ")];
            let response = send(server, method.clone(), path, &headers, Some("{")).await;
            assert_eq!(response.status(), 421, "{method} {path} at {foreign}");
        }
        let projects = server.get("/api/v1/projects").await.1;
        assert_eq!(projects["items"], json!([]), "nothing was changed");
    }
    for (server, host, status) in [
        (&remote, "army.example", 200),
        (&remote, "ARMY.EXAMPLE.:1", 200),
        (&remote, "127.0.0.1", 200),
        (&remote, "127.0.0.2", 421),
        (&local, "localhost", 200),
        (&local, "127.0.0.2", 200),
        (&local, "army.example:443", 200),
        (&local, "x.army.example", 421),
    ] {
        let response = send(server, Method::GET, "/livez", &[("host", host)], None).await;
        assert_eq!(response.status(), status, "{host}");
    }
    // What a proxy says about the name is not believed, neither for nor against it.
    for (host, said, status) in
        [("evil.example", "army.example", 421), ("army.example", "evil.example", 200)]
    {
        let headers = [("host", host), ("x-forwarded-host", said), ("x-forwarded-proto", "https")];
        let response = send(&remote, Method::GET, "/livez", &headers, None).await;
        assert_eq!(response.status(), status, "{host}");
    }
}

/// Sends a request that fails, and so is logged, from this address; returns the client in its line.
async fn logged_client(server: &TestServer, from: [u8; 4], id: &str, forwarded: &[&str]) -> String {
    let client = client_builder().local_address(IpAddr::from(from)).build().unwrap();
    let mut request = client.get(format!("{}/nothing", server.base)).header("x-request-id", id);
    for value in forwarded {
        request = request.header("x-forwarded-for", *value);
    }
    assert_eq!(request.timeout(TIMEOUT).send().await.unwrap().status(), 404);
    let marked = format!("\"{id}\"");
    server.until(|server| async { server.said(&marked) }).await;
    let log = server.log.lock().unwrap().clone();
    let line = log.lines().find(|line| line.contains(&marked)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    line["client"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_a_trusted_proxy_says_who_the_client_is_and_only_what_it_wrote_itself() {
    let trusted = ("BOTARMY_HTTP__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8");
    let server = everywhere(&[trusted]).await;
    let (proxy, stranger) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    for (n, (from, forwarded, client)) in [
        (proxy, &[][..], "127.0.0.1"),
        (proxy, &["198.51.100.7"], "198.51.100.7"),
        (proxy, &["1.1.1.1, 198.51.100.7, 10.1.1.1"], "198.51.100.7"),
        (proxy, &["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        (proxy, &["1.1.1.1, unknown"], "127.0.0.1"),
        (proxy, &["1.1.1.1, 10.1.1.1, x"], "127.0.0.1"),
        (proxy, &["[2001:db8::7]:80"], "2001:db8::7"),
        (stranger, &["198.51.100.7"], "127.0.0.2"),
        (stranger, &["127.0.0.1"], "127.0.0.2"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("client-{n}");
        assert_eq!(logged_client(&server, from, &id, forwarded).await, client, "{forwarded:?}");
    }
}

#[tokio::test]
async fn an_open_server_answers_no_proxy_that_it_does_not_know() {
    let open = TestServer::with(&[(MODE, "open")]).await;
    let trusting =
        TestServer::with(&[(MODE, "open"), ("BOTARMY_HTTP__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let with_keys = TestServer::start().await;
    let client = bare_client_builder().build().unwrap();
    let ask = async |server: &TestServer, header: (&'static str, &'static str)| {
        let request = client.get(format!("{}/api/v1/projects", server.base));
        let request = request.header(header.0, header.1);
        let response = request.timeout(TIMEOUT).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap()["type"].clone())
    };
    let refused = json!("urn:botarmy:problem:proxied_without_access_control");
    for header in [
        ("forwarded", "for=198.51.100.7"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "198.51.100.7"),
        ("x-forwarded-for", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/army"),
        ("x-forwarded-for", ""),
    ] {
        assert_eq!(ask(&open, header).await, (403, refused.clone()), "{header:?}");
        assert_eq!(ask(&trusting, header).await.0, 200, "{header:?}");
        let (status, _) = ask(&with_keys, header).await;
        assert_eq!(status, 401, "with keys it is the key that counts: {header:?}");
    }
    // Every route that is not public, also for those that may change something.
    for (method, path) in operations() {
        let request = client.request(method.clone(), format!("{}{path}", open.base));
        let response = request.header("x-forwarded-for", "198.51.100.7").send().await.unwrap();
        assert!(response.status() == 403, "{method} {path}: {}", response.status());
    }
    assert_eq!(ask(&open, ("x-other", "1")).await.0, 200);
}

/// Opens a connection from this address, and keeps it open after a request.
fn idle(server: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    rustix::net::connect(&socket, &server).unwrap();
    let mut stream = TcpStream::from(socket);
    assert!(is_answered(&mut stream));
    stream
}

fn is_answered(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    if stream.write_all(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"}") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_connections_from_one_address_does_not_hold_for_trusted_proxies() {
    let server = everywhere(&[
        ("BOTARMY_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
        ("BOTARMY_HTTP__WAITING_PER_ADDRESS", "3"),
    ])
    .await;
    let address: SocketAddr = server.base.strip_prefix("http://").unwrap().parse().unwrap();
    let open = |from: [u8; 4]| (0..10).map(|_| idle(address, from.into())).collect::<Vec<_>>();
    let (mut proxy, mut client) = (open([127, 0, 0, 1]), open([127, 0, 0, 2]));
    // Above the limit, a connection has a second, and is found within another.
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let alive = |connections: &mut Vec<TcpStream>| {
        connections.iter_mut().map(is_answered).filter(|answered| *answered).count()
    };
    assert_eq!((alive(&mut proxy), alive(&mut client)), (10, 3));
}

#[tokio::test]
async fn every_response_has_the_headers_that_limit_it_errors_included() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let artifact = put_in(&server, &project, "user_input", json!({"idea": "x"})).await;
    let of = |rest: &str| format!("/api/v1/{rest}");
    let export = of(&format!("audit/projects/{project}/export"));
    let (context, download) =
        (of(&format!("context/{artifact}")), of(&format!("artifacts/{project}/download")));
    let evil = ("origin", "http://evil.example");
    for (method, path, headers, body, status, store, policy) in [
        (Method::GET, "/livez", vec![], None, 200, "no-store", ""),
        (Method::HEAD, "/livez", vec![], None, 200, "no-store", ""),
        (Method::GET, "/nothing", vec![], None, 404, "no-store", ""),
        (Method::POST, "/livez", vec![], None, 405, "no-store", ""),
        (Method::POST, "/api/v1/projects", vec![], Some("{"), 400, "no-store", ""),
        (Method::POST, "/api/v1/projects", vec![evil], Some("{}"), 403, "no-store", ""),
        (Method::GET, "/livez", vec![("host", "evil.example")], None, 421, "no-store", ""),
        (Method::GET, "/ws?project_id=all", vec![], None, 426, "no-store", ""),
        (Method::GET, "/openapi.json", vec![], None, 200, "no-store", ""),
        (Method::GET, "/docs", vec![], None, 200, "max-age=3600", "default-src 'self'"),
        (Method::GET, "/docs/swagger-ui.css", vec![], None, 200, "max-age=3600", ""),
        (Method::GET, &context, vec![], None, 200, "", ""),
        (Method::GET, &download, vec![], None, 200, "no-cache", "sandbox"),
        (Method::GET, &export, vec![], None, 200, "no-store", "sandbox"),
    ] {
        let response = send(&server, method.clone(), path, &headers, body).await;
        let at = format!("{method} {path} {headers:?}");
        assert_eq!(response.status(), status, "{at}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{at}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{at}");
        assert_eq!(header(&response, "cache-control"), store, "{at}");
        assert_eq!(header(&response, "strict-transport-security"), "", "{at}");
        let found = header(&response, "content-security-policy");
        assert_eq!(found.split(';').next(), Some(policy), "{at}");
        if path == "/docs" {
            assert!(found.contains("frame-ancestors 'none'; base-uri 'none'"), "{found}");
            assert!(!found.contains("unsafe"), "{found}");
            assert_eq!(header(&response, "cross-origin-opener-policy"), "same-origin");
        }
    }
}

#[tokio::test]
async fn a_query_is_not_logged_and_a_credential_in_it_is_refused() {
    for unknown in ["reject", "ignore"] {
        let server = TestServer::with(&[
            ("BOTARMY_LOG__LEVEL", "debug"),
            ("BOTARMY_HTTP__UNKNOWN_FIELDS", unknown),
        ])
        .await;
        for (path, status) in [
            ("/livez?token=s3cr3t", 400),
            ("/api/v1/projects?limit=1&key=s3cr3t", 400),
            ("/ws?api_key=s3cr3t", 400),
            ("/nothing?access_token=s3cr3t", 400),
            ("/api/v1/audit/events?event_type=s3cr3t", 422),
            ("/ws?project_id=s3cr3t", 422),
        ] {
            let response = send(&server, Method::GET, path, &[], None).await;
            assert_eq!(response.status(), status, "{path}");
            if status == 400 {
                assert!(!response.text().await.unwrap().contains("s3cr3t"), "{path}");
            }
        }
        let last = [("x-request-id", "last")];
        send(&server, Method::GET, "/livez?x=s3cr3t", &last, None).await;
        server.until(|server| async { server.said("\"last\"") }).await;
        assert!(!server.said("s3cr3t"), "{}", server.log.lock().unwrap());
    }
}
