//! The relays in `examples`: a webhook becomes a mail, or a message in a chat.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use botarmy_tests::receiver::{Answer, Receiver};
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::documentation::root;

/// A relay that runs, on this port.
struct Relay {
    port: u16,
    _running: Child,
}

/// Starts a relay with this secret.
async fn relay(name: &str, secret: &str, port: u16, more: &[(&str, &str)]) -> Relay {
    let mut python = Command::new("python3");
    python.arg(root().join("examples").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    python.env("WEBHOOK_SECRET", secret).env("LISTEN", format!("127.0.0.1:{port}"));
    python.env_remove("HTTP_PROXY").env_remove("http_proxy");
    python.envs(more.iter().copied()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut running = python.spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
    let line = line.unwrap().unwrap().unwrap();
    let port = line.rsplit(':').next().unwrap().parse().unwrap();
    Relay { port, _running: running }
}

/// Returns a port that is free at the moment.
async fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port()
}

/// Starts a server with a webhook to a relay on a port, and returns them with the secret.
async fn with_webhook(port: u16) -> (TestServer, Value) {
    let server = TestServer::with(&[
        ("BOTARMY_WEBHOOKS__ALLOW_HTTP", "true"),
        ("BOTARMY_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8"),
        ("BOTARMY_WEBHOOKS__RETRY_BASE_MS", "200"),
    ])
    .await;
    let body = json!({
        "url": format!("http://127.0.0.1:{port}/"), "events": ["hitl_request_created"],
    });
    let (status, webhook) = server.post("/api/v1/webhooks", body).await;
    assert_eq!(status, 201, "{webhook}");
    (server, webhook)
}

/// Raises a request to people, and returns its id.
async fn raise(server: &TestServer) -> String {
    let project = server.by_hand().await;
    let body = json!({"project_id": project, "question": "s3cr3t?"});
    let (status, request) = server.post("/api/v1/hitl", body).await;
    assert_eq!(status, 201, "{request}");
    request["request_id"].as_str().unwrap().to_owned()
}

/// An SMTP server that keeps mails. It refuses those with these numbers, from 0, for now.
async fn smtp(refused: &'static [usize]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let (reading, mut writing) = stream.into_split();
            let mut reading = BufReader::new(reading);
            writing.write_all(b"220 test\r\n").await.unwrap();
            let mut line = String::new();
            while reading.read_line(&mut line).await.unwrap_or(0) > 0 {
                let answer = match line
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_uppercase()
                    .as_str()
                {
                    "DATA" => {
                        writing.write_all(b"354 go on\r\n").await.unwrap();
                        let mut mail = String::new();
                        while !mail.ends_with("\r\n.\r\n") {
                            reading.read_line(&mut mail).await.unwrap();
                        }
                        number += 1;
                        if refused.contains(&(number - 1)) {
                            "451 later\r\n"
                        } else {
                            kept.lock().unwrap().push(mail);
                            "250 kept\r\n"
                        }
                    }
                    "QUIT" => "221 bye\r\n",
                    _ => "250 yes\r\n",
                };
                if writing.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    (port, mails)
}

/// Sends a request by hand, and returns the status.
async fn post(port: u16, headers: &[(&str, &str)], body: &str) -> u16 {
    let mut request = botarmy_tests::server::bare_client_builder()
        .build()
        .unwrap()
        .post(format!("http://127.0.0.1:{port}/"))
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_request_becomes_a_mail_with_a_link_and_is_sent_again_until_it_was_accepted() {
    let port = free_port().await;
    let (server, webhook) = with_webhook(port).await;
    let (mail_port, mails) = smtp(&[0]).await;
    let (smtp, secret) = (format!("127.0.0.1:{mail_port}"), webhook["secret"].as_str().unwrap());
    let more = [
        ("SMTP", smtp.as_str()),
        ("MAIL_TO", "ada@example.org"),
        ("BOTARMY_URL", "https://army.example/"),
    ];
    let _relay = relay("mail_relay.py", secret, port, &more).await;
    let request = raise(&server).await;
    server.until(|_| async { !mails.lock().unwrap().is_empty() }).await;
    let mail = mails.lock().unwrap()[0].clone();
    assert!(mail.contains("To: ada@example.org"), "{mail}");
    assert!(mail.contains("Subject: BotArmy: Hitl request created"), "{mail}");
    let link = format!("https://army.example/console/requests/{request}");
    assert!(mail.contains(&link), "{mail}");
    assert!(!mail.contains("s3cr3t"), "{mail}");
    // The page that the link names is there.
    let page = format!("{}/console/requests/{request}", server.base);
    let status = botarmy_tests::server::http_client().get(page).send().await.unwrap().status();
    assert_ne!(status, 404);
    // The same message once more is no other mail.
    let deliveries = format!("/api/v1/webhooks/{}/deliveries", webhook["id"].as_str().unwrap());
    let last = async || server.get(&deliveries).await.1["items"][0].clone();
    server.until(|_| async { last().await["delivered"] == true }).await;
    let again = format!("{deliveries}/{}/redeliver", last().await["id"].as_str().unwrap());
    assert_eq!(server.post(&again, json!({})).await.1["delivered"], true);
    assert_eq!(mails.lock().unwrap().len(), 1);
}

/// A server that makes answer links for ada, knows that bob is not asked, and that eve may have none. It
/// keeps the requests.
async fn links() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                assert!(read > 0, "the request ends early: {request}");
                request.push_str(std::str::from_utf8(&part[..read]).unwrap());
            }
            let problem = |code| format!("{{\"type\": \"urn:botarmy:problem:{code}\"}}");
            let link =
                json!({"url": "https://army.example/g/t0", "expires_at": "2027-01-01T00:00:00Z"});
            let (status, body) = match &request {
                it if it.contains("\"ada\"") => ("201 Created", link.to_string()),
                it if it.contains("\"bob\"") => ("403 Forbidden", problem("not_eligible")),
                _ => ("403 Forbidden", problem("links_not_allowed")),
            };
            kept.lock().unwrap().push(request);
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close");
            stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        }
    });
    (port, asked)
}

#[tokio::test]
async fn each_person_who_is_asked_gets_a_link_of_their_own_or_the_page_of_the_request() {
    let port = free_port().await;
    let (server, webhook) = with_webhook(port).await;
    // The mail to eve is refused at first: the message comes again, and ada has hers already.
    let ((mail_port, mails), (links_port, asked)) = (smtp(&[1]).await, links().await);
    let (smtp, api) = (format!("127.0.0.1:{mail_port}"), format!("http://127.0.0.1:{links_port}"));
    let more = [
        ("SMTP", smtp.as_str()),
        ("MAIL_TO", "ada=ada@example.org, bob=bob@example.org,eve=eve@example.org,ops@example.org"),
        ("BOTARMY_URL", "https://army.example/"),
        ("BOTARMY_SERVER", api.as_str()),
        ("BOTARMY_KEY", "botarmy_k_test"),
    ];
    let _relay = relay("mail_relay.py", webhook["secret"].as_str().unwrap(), port, &more).await;
    let request = raise(&server).await;
    server.until(|_| async { mails.lock().unwrap().len() >= 3 }).await;
    let mails = mails.lock().unwrap().clone();
    let page = format!("https://army.example/console/requests/{request}");
    let of = |address: &str| {
        let to = format!("To: {address}@example.org");
        let mut found = mails.iter().filter(|mail| mail.contains(&to));
        let mail = found.next().cloned();
        assert!(found.next().is_none(), "{address} has one mail");
        mail
    };
    let ada = of("ada").unwrap();
    assert!(ada.contains("https://army.example/g/t0") && !ada.contains(&page), "{ada}");
    assert!(ada.contains("in the name of ada, once"), "{ada}");
    assert_eq!(of("bob"), None, "bob is not asked");
    for other in ["eve", "ops"] {
        let mail = of(other).unwrap();
        assert!(mail.contains(&page) && !mail.contains("/g/"), "{mail}");
    }
    let asked = asked.lock().unwrap().clone();
    let path = format!("POST /api/v1/hitl/{request}/links ");
    assert!(asked.iter().all(|one| one.starts_with(&path)), "{asked:?}");
    assert!(asked[0].contains("Authorization: Bearer botarmy_k_test"), "{asked:?}");
    assert!(asked[0].ends_with(r#"{"person": "ada", "actions": ["approve", "reject"]}"#));
}

/// A workflow with a policy that allows links, which questions name.
const WITH_LINKS: &str = r#"
name = "shop"
[[policy]]
name = "mail"
links = true
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
policy = "mail"
"#;

#[tokio::test]
async fn the_link_in_a_mail_opens_the_request_and_decides_nothing_by_that() {
    let (port, folder) = (free_port().await, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("shop.toml"), WITH_LINKS).unwrap();
    let server = TestServer::with(&[
        ("BOTARMY_WEBHOOKS__ALLOW_HTTP", "true"),
        ("BOTARMY_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8"),
        ("BOTARMY_WORKFLOWS__DIR", folder.path().to_str().unwrap()),
        ("BOTARMY_HTTP__PUBLIC_URL", "https://army.example"),
    ])
    .await;
    let body = json!({
        "url": format!("http://127.0.0.1:{port}/"), "events": ["hitl_request_created"],
    });
    let (status, webhook) = server.post("/api/v1/webhooks", body).await;
    assert_eq!(status, 201, "{webhook}");
    let (mail_port, mails) = smtp(&[]).await;
    let smtp = format!("127.0.0.1:{mail_port}");
    let more = [
        ("SMTP", smtp.as_str()),
        ("MAIL_TO", "admin=ada@example.org"),
        ("BOTARMY_URL", "https://army.example"),
        ("BOTARMY_SERVER", server.base.as_str()),
        ("BOTARMY_KEY", botarmy_tests::access::key()),
    ];
    let _relay = relay("mail_relay.py", webhook["secret"].as_str().unwrap(), port, &more).await;
    let new = json!({"name": "Shop", "description": "A shop", "workflow": "shop"});
    let (status, project) = server.post("/api/v1/projects", new).await;
    assert_eq!(status, 201, "{project}");
    let gate = server.next_gate(project["id"].as_str().unwrap()).await.unwrap();
    server.until(|_| async { !mails.lock().unwrap().is_empty() }).await;
    // Long lines of a mail are broken with a `=` at their end.
    let mail = mails.lock().unwrap()[0].replace("=\r\n", "");
    let (_, rest) = mail.split_once("https://army.example/g/").expect("a link");
    let token = rest.split_whitespace().next().unwrap();
    let page = format!("{}/g/{token}", server.base);
    let client = botarmy_tests::server::bare_client_builder().build().unwrap();
    let response = client.get(page).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let html = response.text().await.unwrap();
    assert!(html.contains(gate["subject"]["digest"].as_str().unwrap()), "{html}");
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.1["status"], "pending");
}

#[tokio::test]
async fn a_request_becomes_a_message_in_a_chat_and_strangers_get_nothing_through() {
    let port = free_port().await;
    let (server, webhook) = with_webhook(port).await;
    let chat = Receiver::start().await;
    chat.then([Answer::status(429)]);
    let (url, secret) = (chat.url("/hooks/x"), webhook["secret"].as_str().unwrap());
    let relay = relay("chat_relay.py", secret, port, &[("CHAT_URL", &url)]).await;
    let request = raise(&server).await;
    server.until(|_| async { chat.received().len() >= 2 }).await;
    let said = chat.received()[1].clone();
    assert_eq!(
        (said.target.as_str(), said.header("content-type")),
        ("/hooks/x", "application/json")
    );
    let text = said.json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Hitl request created: http://127.0.0.1:8080/console/requests/"));
    assert!(text.ends_with(&request), "{text}");

    let body = "{\"type\": \"x\", \"data\": {}}";
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signed = |id: &str, at: u64| {
        let content = format!("{id}.{at}.{body}");
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            secret.strip_prefix("whsec_").unwrap(),
        );
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes.unwrap());
        let tag = ring::hmac::sign(&key, content.as_bytes());
        let tag = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
        format!("v1,AAAA v1a,BBBB v1,{tag}")
    };
    let send = async |id: &str, at: u64, signature: &str| {
        let at = at.to_string();
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", at.as_str()),
            ("webhook-signature", signature),
        ];
        post(relay.port, &headers, body).await
    };
    assert_eq!(post(relay.port, &[], body).await, 401);
    assert_eq!(send("a", now, "v1,AAAA").await, 401);
    assert_eq!(send("a", now, "").await, 401);
    assert_eq!(send("a", now - 301, &signed("a", now - 301)).await, 401, "recorded earlier");
    assert_eq!(send("a", now + 360, &signed("a", now + 360)).await, 401);
    assert_eq!(send("b", now, &signed("a", now)).await, 401, "of another message");
    assert_eq!(chat.received().len(), 2);
    assert_eq!(send("a", now, &signed("a", now)).await, 204);
    assert_eq!(send("a", now, &signed("a", now)).await, 204, "a repetition");
    assert_eq!(chat.received().len(), 3);
}

#[tokio::test]
async fn a_relay_says_what_is_missing() {
    for (name, more, missing) in [
        ("mail_relay.py", [("MAIL_TO", "")], "MAIL_TO"),
        ("mail_relay.py", [("MAIL_TO", "a@b.example")], "whsec_"),
        ("chat_relay.py", [("CHAT_URL", "file:///etc/passwd")], "CHAT_URL"),
    ] {
        let mut python = Command::new("python3");
        python.arg(root().join("examples").join(name)).env("WEBHOOK_SECRET", "nonsense");
        python.env("PYTHONDONTWRITEBYTECODE", "1").envs(more).stderr(Stdio::piped());
        let mut running = python.spawn().unwrap();
        let mut said = String::new();
        running.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert!(!running.wait().await.unwrap().success());
        assert!(said.contains(missing), "{name}: {said}");
    }
}
