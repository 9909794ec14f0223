//! `botarmy-server mcp` in the hands of other programs: the official MCP client, in both of its ways to begin
//! a session, and FastMCP, each with the journey of `mcp_journey.py`.

use std::path::Path;
use std::process::{Command, Stdio};

use botarmy_tests::access;
use botarmy_tests::external_programs::mcp_clients;
use botarmy_tests::server::{TestServer, binary};
use serde_json::Value;
use tempfile::TempDir;

use crate::alone;

const JOURNEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/external_programs/mcp_journey.py");

/// Runs the journey with a client against a server; returns what the log says about its project.
async fn journey(tools: &Path, client: &str) -> Vec<Value> {
    let server = TestServer::start().await;
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("assistant.key");
    write_secret(&key, access::key());
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", tools).env("PYTHONDONTWRITEBYTECODE", "1");
    python.args([JOURNEY, client]).arg(binary()).args(["mcp", "--server", &server.base]);
    python.arg("--key-file").arg(key).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || python.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client}: {said}\n{errors}");
    let project = said.trim().strip_prefix("done: ").unwrap_or_else(|| panic!("{client}: {said}"));
    server.events(project).await
}

fn write_secret(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn assistants_start_follow_read_and_answer_with_two_clients() {
    let Some(tools) = mcp_clients() else { return };
    let _alone = alone().await;
    for client in ["official", "legacy", "fastmcp"] {
        let events = journey(&tools, client).await;
        let answer = events.iter().find(|event| event["event_type"] == "hitl_response").unwrap();
        assert_eq!(answer["event_metadata"]["via"], "mcp", "{client}: {answer}");
        println!("{client}: {} events", events.len());
    }
}
