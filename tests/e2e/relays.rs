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

/// An SMTP server that keeps mails. It refuses the first `refused` of them for now.
async fn smtp(refused: usize) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        let mut left = refused;
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
                        if left > 0 {
                            left -= 1;
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
    let (mail_port, mails) = smtp(1).await;
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
