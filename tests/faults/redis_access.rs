//! Access to Redis: a user with no more rights than the documents name, and TLS.

use std::path::Path;
use std::time::{Duration, Instant};

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services::{self, RedisServer};
use botarmy_tests::watcher::Watcher;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tls::certificate;

/// Time within which another server hears of an entry through Redis; without it that takes longer.
const HEARD: Duration = Duration::from_secs(3);

/// Waits until a server is connected to Redis, with no refused command; returns the message.
async fn connected(server: &TestServer) -> String {
    let redis = |answer: &Value| answer["components"]["redis"].clone();
    server
        .until(|server| async move {
            redis(&server.get("/health/detailed").await.1)["status"] == "healthy"
        })
        .await;
    redis(&server.get("/health/detailed").await.1)["message"].as_str().unwrap().to_owned()
}

/// Lets entries and statuses pass from one server to the other.
async fn passes_news(servers: &[TestServer; 2]) {
    let [one, other] = servers;
    let project = one.by_hand().await;
    let question = json!({"project_id": project, "question": "Is it over?"});
    assert_eq!(one.post("/api/v1/hitl", question).await.0, 201);
    let mut watcher = Watcher::on(&other.base, &format!("?project_id={project}")).await;
    let asked = Instant::now();
    let task = json!({"agent_type": "coder", "instructions": "Do it"});
    assert_eq!(one.post(&format!("/api/v1/projects/{project}/tasks"), task).await.0, 201);
    loop {
        let frame = watcher.next().await.unwrap();
        if frame["event_type"] == "task_completed" {
            break;
        }
    }
    assert!(asked.elapsed() < HEARD, "it was not told: {:?}", asked.elapsed());
    for server in servers {
        let (status, _) = server.get("/api/v1/agents/status").await;
        assert_eq!(status, 200);
        connected(server).await;
    }
}

/// Returns the user that the documents tell an operator to create, as an option of `redis-server`.
fn documented_user() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploying.md");
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("ACL SETUSER "));
    let words = line.expect("the documents name the rights of a user").split(' ');
    words.map(str::to_owned).collect()
}

/// Sends a command to Redis as its default user; returns the answer as text.
async fn ask(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_documented_rights_is_refused_nothing() {
    let user = documented_user();
    let options: Vec<&str> =
        ["--user"].into_iter().chain(user.iter().map(String::as_str)).collect();
    let Some(redis) = RedisServer::with(&options).await else { return };
    let Some(database) = services::database().await else { return };
    let url = format!("redis://{}:PASSWORD@127.0.0.1:{}/0", user[0], redis.port());
    let cluster = Cluster::on(&database.url(), Some((&url, "botarmy")));
    let servers = [cluster.replica("all").await, cluster.replica("all").await];
    for server in &servers {
        connected(server).await;
    }
    passes_news(&servers).await;
    let refused = ask(redis.port(), "ACL LOG").await;
    assert_eq!(refused, "*0\r\n", "Redis has refused something");
    for server in &servers {
        let log = server.log.lock().unwrap().clone();
        assert!(!log.contains("NOPERM"), "{log}");
    }
    // It has no right beyond those.
    let more = ask(redis.port(), &format!("AUTH {} PASSWORD\r\nFLUSHALL", user[0])).await;
    assert!(more.contains("NOPERM"), "{more}");
}

/// Starts a Redis with TLS only, whose certificate is for 127.0.0.1.
async fn encrypted(folder: &Path) -> Option<RedisServer> {
    certificate(folder, "127.0.0.1");
    let file = |ending: &str| folder.join(format!("127.0.0.1.{ending}")).display().to_string();
    let (certificate, key) = (file("crt"), file("key"));
    let options = [
        "--port",
        "0",
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        &*certificate,
        "--tls-key-file",
        &*key,
        "--tls-ca-cert-file",
        &*certificate,
        "--tls-auth-clients",
        "no",
    ];
    RedisServer::with(&options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rediss_is_encrypted_and_checks_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let Some(redis) = encrypted(folder.path()).await else { return };
    let Some(database) = services::database().await else { return };
    let url = format!("rediss://127.0.0.1:{}/0", redis.port());
    let root = folder.path().join("127.0.0.1.crt").display().to_string();
    let variables = [
        ("BOTARMY_STORE__URL", database.url()),
        ("BOTARMY_REDIS__URL", url.clone()),
        ("BOTARMY_AGENTS__CODER__RUNNER", "noop".to_owned()),
        ("SSL_CERT_FILE", root),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let servers = [TestServer::with(&variables).await, TestServer::with(&variables).await];
    for server in &servers {
        let message = connected(server).await;
        assert!(message.contains("rediss://"), "{message}");
    }
    passes_news(&servers).await;
    // Without the authority the certificate is worth nothing, and the server says so.
    let stranger = TestServer::with(&variables[..3]).await;
    stranger
        .until(|server| async move {
            let (_, answer) = server.get("/health/detailed").await;
            let redis = &answer["components"]["redis"];
            redis["status"] == "unhealthy"
                && redis["message"].as_str().unwrap().contains("certificate")
        })
        .await;
}

#[test]
fn an_encrypted_connection_to_anyone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path())
        .args(["serve", "--port", "0"])
        .env("BOTARMY_REDIS__URL", "rediss://:s3cr3t@cache#insecure")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("SSL_CERT_FILE") && !said.contains("s3cr3t"), "{said}");
}
