//! Messages of webhooks in the hands of the libraries of Standard Webhooks for Python and JavaScript.

use std::path::Path;
use std::process::{Command, Stdio};

use botarmy_tests::external_programs::{node_modules, standard_webhooks};
use botarmy_tests::receiver::Receiver;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/external_programs");

/// Runs a program and returns its output.
async fn run(mut command: Command) -> String {
    let running = move || command.stdin(Stdio::null()).output();
    let output = tokio::task::spawn_blocking(running).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn the_libraries_of_the_specification_verify_messages_also_while_rotating() {
    let (Some(python), Some(node)) = (standard_webhooks(), node_modules()) else { return };
    let receiver = Receiver::start().await;
    let server = TestServer::with(&[
        ("BOTARMY_WEBHOOKS__ALLOW_HTTP", "true"),
        ("BOTARMY_WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8"),
    ])
    .await;
    let body = json!({"url": receiver.url("/"), "events": ["webhook_deleted"]});
    let (status, first) = server.post("/api/v1/webhooks", body).await;
    assert_eq!(status, 201, "{first}");
    let path = format!("/api/v1/webhooks/{}", first["id"].as_str().unwrap());
    let mut keys = vec![first];
    for _ in 0..2 {
        server.post(&format!("{path}/test"), json!({})).await;
        let received = receiver.received();
        let message = received.last().unwrap();
        let headers: serde_json::Map<_, _> =
            ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .map(|name| (name.to_owned(), json!(message.header(name))))
                .into_iter()
                .collect();
        let of = |name: &str| -> Vec<Value> { keys.iter().map(|one| one[name].clone()).collect() };
        let case = json!({
            "body": message.body, "headers": headers, "valid": of("secret"),
            "public_keys": of("public_key"),
            "wrong": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, case.to_string()).unwrap();
        let expected = format!("verified: {}", keys.len());
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &python).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(Path::new(HERE).join("webhooks_verify.py")).arg(file.path());
        assert!(run(command).await.contains(&expected));
        let mut command = Command::new("node");
        command.env("NODE_PATH", &node);
        command.arg(Path::new(HERE).join("webhooks_verify.cjs")).arg(file.path());
        assert!(run(command).await.contains(&expected));
        keys.push(server.post(&format!("{path}/rotate-secret"), json!({})).await.1);
    }
}
