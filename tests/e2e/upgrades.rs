//! Databases that version 0.1.0 wrote, before it was recorded which documents steps are given. In
//! both, a plan was approved, and another one was stored by hand afterwards.

use botarmy_tests::server::TestServer;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};

const LEASES: &str = "/api/v1/worker/leases";

/// Starts a server without runners on a database.
async fn on(database: &str, dir: tempfile::TempDir) -> TestServer {
    let path = dir.path().join("botarmy.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // The dump names its tables in the order of their names.
    connection.batch_execute("PRAGMA foreign_keys = OFF").unwrap();
    connection.batch_execute(database).unwrap();
    drop(connection);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let variables = agents.map(|agent| (format!("BOTARMY_AGENTS__{agent}__RUNNER"), "none"));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    TestServer::on(dir, &variables).await
}

async fn project(server: &TestServer) -> String {
    let (_, projects) = server.get("/api/v1/projects").await;
    projects["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Waits for a coder's task.
async fn take(server: &TestServer) -> Value {
    let body = json!({"worker_id": "new", "agents": ["coder"], "max": 1, "wait_s": 20});
    let (status, answer) = server.post(LEASES, body).await;
    assert_eq!(status, 200, "{answer}");
    answer["leases"][0].clone()
}

/// Returns the titles of the documents that a task is given.
fn titles(lease: &Value) -> Vec<&str> {
    let context = lease["task"]["context"].as_array().unwrap();
    context.iter().map(|one| one["content"]["title"].as_str().unwrap()).collect()
}

async fn check(server: &TestServer, lease: &Value, project: &str) {
    assert_eq!(titles(lease), ["The approved plan", "The specification"]);
    let body = json!({"output": {"files": [{"path": "a.txt", "content": "a"}]}});
    let (status, answer) = server.say(lease, "complete", body).await;
    assert_eq!(status, 200, "{answer}");
    server.until_is(&format!("/api/v1/projects/{project}"), "/status", "completed").await;
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
}

#[tokio::test]
async fn a_project_that_was_upgraded_at_an_open_gate_goes_on_with_the_approved_documents() {
    let dir = tempfile::tempdir().unwrap();
    let server = on(include_str!("fixtures/upgraded_at_a_gate.sql"), dir).await;
    let project = project(&server).await;
    let gate = server.next_gate(&project).await.unwrap();
    assert_eq!(gate["step"], "Specify");
    assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
    check(&server, &take(&server).await, &project).await;
}

#[tokio::test]
async fn a_step_that_was_given_an_unapproved_document_before_the_upgrade_is_not_given_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let database = include_str!("fixtures/upgraded_in_a_step.sql");
    let server = on(database, dir).await;
    let project = project(&server).await;
    // The worker of that time gives up; its lease may have expired meanwhile.
    let (_, tasks) =
        server.get(&format!("/api/v1/projects/{project}/tasks?agent_type=coder")).await;
    let id = tasks["items"][0]["task_id"].as_str().unwrap();
    let worker: String = "external/w".bytes().map(|byte| format!("{byte:02x}")).collect();
    let lease = format!("{}00000001{worker}", id.replace('-', ""));
    let body = json!({"code": "gone", "message": "The worker left.", "retryable": true});
    server.post(&format!("{LEASES}/{lease}/fail"), body).await;
    check(&server, &take(&server).await, &project).await;
}
