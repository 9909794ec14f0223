//! Lines of the log and errors of the command line: each says a thing once.

use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services::{self, PostgresServer};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn the_line_of_a_request_says_method_path_and_status_once() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = format!("/api/v1/projects/{project}/pause");
    server.post(&path, json!({})).await;
    server.until(|server| async { server.said(&path) }).await;
    let log = server.log.lock().unwrap().clone();
    let line = log.lines().find(|line| line.contains(&path)).unwrap();
    assert_eq!(line.matches(&path).count(), 1, "{line}");
    assert_eq!(line.matches("POST").count(), 1, "{line}");
    let fields: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&fields["method"], &fields["path"]), (&json!("POST"), &json!(path)), "{line}");
    assert_eq!(fields["status"], 200, "{line}");
    assert!(fields["ms"].is_number(), "{line}");
}

#[test]
fn a_mistake_in_a_workflow_is_said_once() {
    let folder = TempDir::new().unwrap();
    let workflow = "name = \"x\"\n[[step]]\nname = \"Plan\"\nphase = \"1\"\nagent = \"analyst\"\n\
                    output = \"project_plan\"\ndepends_on = [\"Gone\"]\n";
    std::fs::write(folder.path().join("x.toml"), workflow).unwrap();
    for text in [workflow, "name = 7\n"] {
        std::fs::write(folder.path().join("x.toml"), text).unwrap();
        let mut command = command(folder.path());
        command.env("BOTARMY_WORKFLOWS__DIR", folder.path()).arg("serve");
        let (code, said) = crate::say(&mut command);
        assert_eq!(code, Some(1), "{said}");
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        for line in &lines {
            let times = lines.iter().filter(|other| *other == line).count();
            assert_eq!(times, 1, "{said}");
        }
        assert_eq!(said.matches("x.toml").count(), 1, "{said}");
        assert!(said.matches("Gone").count() <= 1, "{said}");
    }
}

#[test]
fn a_database_that_refuses_connections_is_said_once() {
    let folder = TempDir::new().unwrap();
    let port = services::free_port().unwrap();
    let mut command = command(folder.path());
    command.env("BOTARMY_STORE__URL", format!("postgres://army@127.0.0.1:{port}/x")).arg("serve");
    let (code, said) = crate::say(&mut command);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("Connection refused").count(), 1, "{said}");
}

#[tokio::test]
async fn no_line_about_an_unavailable_database_repeats_its_cause() {
    let Some((mut postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    let server = TestServer::with(&[("BOTARMY_STORE__URL", &url)]).await;
    postgres.stop();
    let (status, _) = server.post("/api/v1/projects", json!({"name": "x"})).await;
    assert_eq!(status, 503);
    let (status, _) = server.get("/api/v1/projects").await;
    assert_eq!(status, 503);
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("could not be served now"), "{log}");
    for line in log.lines() {
        assert!(line.matches("Connection refused").count() <= 1, "{line}");
    }
}
