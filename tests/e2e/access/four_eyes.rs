//! Approvals that need another person: over the API one by one and many at once, and in the terminal.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use botarmy_tests::server::{TestServer, command};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Keyed, client, principal, send};

const WORKFLOW: &str = r#"
name = "two"
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
four_eyes = true
"#;

/// Writes the workflow into a folder, and returns the setting that names the folder.
fn workflows(folder: &Path) -> (&'static str, String) {
    std::fs::write(folder.join("two.toml"), WORKFLOW).unwrap();
    ("BOTARMY_WORKFLOWS__DIR", folder.to_str().unwrap().to_owned())
}

/// Sends a request with the key of a person; returns the status and the body.
async fn call(server: &TestServer, by: &Keyed, path: &str, body: &Value) -> (u16, Value) {
    let request = (&Method::POST, path);
    let response = send(&client(), &server.base, Some(&by.key), request, Some(body)).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Waits for the open review of a project.
async fn gate(server: &TestServer, project: &str) -> String {
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
    loop {
        let (_, open) = server.get(&path).await;
        if let Some(id) = open[0]["request_id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tries every way to approve a request; all are refused.
async fn cannot_approve(server: &TestServer, by: &Keyed, request: &str) {
    let respond = format!("/api/v1/hitl/{request}/respond");
    for answer in [
        json!({"action": "approve"}),
        json!({"action": "amend", "amended_content": {"goals": ["mine"]}}),
    ] {
        let (status, problem) = call(server, by, &respond, &answer).await;
        assert_eq!((status, &problem["type"]), (403, &json!(SEPARATION)), "{answer}: {problem}");
    }
    let bulk = json!({"request_ids": [request], "action": "approve"});
    let (status, done) = call(server, by, "/api/v1/hitl/bulk/respond", &bulk).await;
    assert_eq!((status, &done["results"][0]["status"]), (200, &json!(403)), "{done}");
}

const SEPARATION: &str = "urn:botarmy:problem:separation_of_duties";

#[tokio::test]
async fn whoever_amends_a_result_cannot_approve_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let roles = json!([{"role": "operator", "on": "all"}, {"role": "reviewer", "on": "all"}]);
    let (ada, bob, eve) = (
        principal(&server, "person", roles.clone()).await,
        principal(&server, "person", roles.clone()).await,
        principal(&server, "person", roles).await,
    );
    let new = json!({"name": "Recipes", "description": "A recipe site", "workflow": "two"});
    for with_document in [false, true] {
        let (status, project) = call(&server, &ada, "/api/v1/projects", &new).await;
        assert_eq!(status, 201, "{project}");
        let project = project["id"].as_str().unwrap().to_owned();
        let first = gate(&server, &project).await;
        cannot_approve(&server, &ada, &first).await;
        let amendment = if with_document {
            json!({"action": "amend", "amended_content": {"goals": ["amended"]}})
        } else {
            json!({"action": "amend", "content": "It must be shorter"})
        };
        let respond = format!("/api/v1/hitl/{first}/respond");
        let (status, done) = call(&server, &bob, &respond, &amendment).await;
        assert_eq!((status, &done["status"]), (200, &json!("amended")), "{done}");
        assert_eq!(done["workflow_resumed"], json!(!with_document), "{done}");
        let second = gate(&server, &project).await;
        assert_ne!(first, second);
        for excluded in [&ada, &bob] {
            cannot_approve(&server, excluded, &second).await;
        }
        let bulk = json!({"request_ids": [second], "action": "approve"});
        let (_, done) = call(&server, &eve, "/api/v1/hitl/bulk/respond", &bulk).await;
        assert_eq!(done["succeeded"], json!(1), "{done}");
        let path = format!("/api/v1/projects/{project}");
        server.until_is(&path, "/status", "completed").await;
        let path = format!("/api/v1/audit/projects/{project}/verify?state=true");
        assert_eq!(server.get(&path).await.1["valid"], json!(true));
    }
}

#[test]
fn the_terminal_does_not_approve_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let data = tempfile::tempdir().unwrap();
    let mut run = command(data.path());
    run.env(name, value).args(["run", "A recipe site", "--yes", "--workflow", "two"]);
    let output = run.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("needs the approval of another person"), "{said}");
    assert!(said.matches("another person").count() == 1, "it is said once: {said}");
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("approved by terminal"), "{said}");
}
