//! Databases of versions before. Two are from before it was recorded which documents steps are given: a
//! plan was approved, and another one was stored by hand afterwards. One is from before there were policies.

use botarmy_tests::access::MODE;
use botarmy_tests::server::{TestServer, bare_client_builder};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::{Value, json};

const LEASES: &str = "/api/v1/worker/leases";

/// Starts a server without runners on a database.
async fn on(database: &str, dir: tempfile::TempDir) -> TestServer {
    on_with(database, dir, &[]).await
}

async fn on_with(database: &str, dir: tempfile::TempDir, more: &[(&str, &str)]) -> TestServer {
    let path = dir.path().join("botarmy.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // The dump names its tables in the order of their names.
    connection.batch_execute("PRAGMA foreign_keys = OFF").unwrap();
    connection.batch_execute(database).unwrap();
    drop(connection);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let variables = agents.map(|agent| (format!("BOTARMY_AGENTS__{agent}__RUNNER"), "none"));
    let variables = variables.iter().map(|(name, value)| (name.as_str(), *value));
    let variables: Vec<_> = variables.chain(more.iter().copied()).collect();
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

/// Answers a request of an open server under this name.
async fn answer(server: &TestServer, gate: &Value, by: &str, body: &Value) -> (u16, Value) {
    let id = gate["request_id"].as_str().unwrap();
    let client = bare_client_builder().build().unwrap();
    let request = client.post(format!("{}/api/v1/hitl/{id}/respond", server.base));
    let response = request.header("x-user-id", by).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn requests_that_waited_during_the_upgrade_are_answered_by_the_rules_of_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let database = include_str!("fixtures/before_policies.sql");
    let server = on_with(database, dir, &[(MODE, "open")]).await;
    let (_, projects) = server.get("/api/v1/projects").await;
    let of = |name: &str| {
        let items = projects["items"].as_array().unwrap();
        items.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let gate = async |name: &str| server.next_gate(&of(name)).await.unwrap();

    // The exclusions of a step were not part of its request then, and hold for it.
    let four = gate("Four eyes").await;
    let seen =
        |gate: &Value| json!({"action": "approve", "subject_digest": gate["subject"]["digest"]});
    let (status, problem) = answer(&server, &four, "ada", &seen(&four)).await;
    assert_eq!(
        (status, &problem["type"]),
        (403, &json!("urn:botarmy:problem:separation_of_duties")),
        "{problem}"
    );
    let (status, done) = answer(&server, &four, "bob", &seen(&four)).await;
    assert_eq!((status, &done["status"]), (200, &json!("approved")), "{done}");
    assert_eq!(titles(&take(&server).await), ["The first plan"]);

    // The digest that was shown before the upgrade is good after it, and after a pause.
    let changed = gate("Changed").await;
    for verb in ["pause", "resume"] {
        let (status, done) =
            server.post(&format!("/api/v1/projects/{}/{verb}", of("Changed")), json!({})).await;
        assert_eq!(status, 200, "{done}");
    }
    let (status, problem) = answer(&server, &changed, "bob", &json!({"action": "approve"})).await;
    assert_eq!(
        (status, &problem["type"]),
        (409, &json!("urn:botarmy:problem:subject_changed")),
        "{problem}"
    );
    let (status, done) = answer(&server, &changed, "bob", &seen(&changed)).await;
    assert_eq!((status, &done["status"]), (200, &json!("approved")), "{done}");
    assert_eq!(titles(&take(&server).await), ["The second plan"]);

    // Questions and failures are answered as ever.
    let asked = gate("Asked").await;
    let blue = json!({"action": "amend", "content": "Blue"});
    let (status, done) = answer(&server, &asked, "bob", &blue).await;
    assert_eq!((status, &done["status"]), (200, &json!("amended")), "{done}");
    let (status, done) =
        answer(&server, &gate("Failed").await, "bob", &json!({"action": "approve"})).await;
    assert_eq!((status, &done["status"]), (200, &json!("approved")), "{done}");
    assert_eq!(take(&server).await["task"]["task"]["instructions"], "Test.");
    for name in ["Four eyes", "Changed", "Asked", "Failed"] {
        let path = format!("/api/v1/audit/projects/{}/verify?state=true", of(name));
        let (_, found) = server.get(&path).await;
        assert_eq!(found["valid"], true, "{name}: {found}");
    }
}
