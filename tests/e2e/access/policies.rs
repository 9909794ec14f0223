//! Policies over REST, with several people who have keys: seats, who may answer and who may not, vetoes,
//! votes that become void, and reviews before a step runs.

use std::path::Path;

use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Keyed, client, key_for, new_name, send};

/// A plan that two departments release, and a build that is reviewed before it runs.
const WORKFLOW: &str = r#"
name = "shop"

[[policy]]
name = "release"
groups = { security = 1, product = 1 }
candidates = ["group:security", "group:product"]
exclude = ["starter"]
veto = ["security"]

[[policy]]
name = "build"
when = "before"

[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
policy = "release"

[[step]]
name = "Build"
phase = "2"
agent = "coder"
inputs = ["project_plan"]
output = "source_code"
gate = "standard"
policy = "build"
"#;

/// Starts a server with a workflow.
async fn with(workflow: &str, folder: &Path, more: &[(&str, &str)]) -> TestServer {
    std::fs::write(folder.join("shop.toml"), workflow).unwrap();
    let own = [("BOTARMY_WORKFLOWS__DIR", folder.to_str().unwrap())];
    TestServer::with(&[&own, more].concat()).await
}

/// Creates a person in these groups, who runs projects and answers requests, with a key.
async fn person(server: &TestServer, groups: &[&str]) -> Keyed {
    let grants = json!([{"role": "operator", "on": "all"}, {"role": "reviewer", "on": "all"}]);
    let body = json!({
        "name": new_name("person"), "kind": "person", "grants": grants, "groups": groups,
    });
    let (status, made) = server.post("/api/v1/access/principals", body).await;
    assert_eq!(status, 201, "{made}");
    key_for(server, made["id"].as_str().unwrap()).await
}

/// Sends a request with the key of a person; returns the status and the body.
async fn call(server: &TestServer, by: &Keyed, path: &str, body: &Value) -> (u16, Value) {
    let request = (&Method::POST, path);
    let response = send(&client(), &server.base, Some(&by.key), request, Some(body)).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Starts a project of the workflow, and returns its id.
async fn project(server: &TestServer, by: &Keyed) -> String {
    let new = json!({"name": "Shop", "description": "A shop", "workflow": "shop"});
    let (status, project) = call(server, by, "/api/v1/projects", &new).await;
    assert_eq!(status, 201, "{project}");
    project["id"].as_str().unwrap().to_owned()
}

/// Waits for the open review of this step.
async fn gate(server: &TestServer, project: &str, step: &str) -> Value {
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
    let find = async || {
        let (_, open) = server.get(&path).await;
        open.as_array().unwrap().iter().find(|gate| gate["step"] == step).cloned()
    };
    server.until(|_| async { find().await.is_some() }).await;
    find().await.unwrap()
}

/// Answers a review as it was read.
async fn answer(server: &TestServer, by: &Keyed, gate: &Value, body: Value) -> (u16, Value) {
    let mut body = body;
    body["subject_digest"] = gate["subject"]["digest"].clone();
    let path = format!("/api/v1/hitl/{}/respond", gate["request_id"].as_str().unwrap());
    call(server, by, &path, &body).await
}

/// Answers a review, and checks the status of the request afterwards.
async fn accepted(server: &TestServer, by: &Keyed, gate: &Value, action: &str, status: &str) {
    let body = json!({"action": action, "comment": "Because."});
    let (code, done) = answer(server, by, gate, body).await;
    assert_eq!((code, &done["status"]), (200, &json!(status)), "{done}");
}

fn code(problem: &Value) -> &str {
    problem["type"].as_str().unwrap().trim_start_matches("urn:botarmy:problem:")
}

/// Returns the payloads of the entries of one type, oldest first.
async fn payloads(server: &TestServer, project: &str, event: &str) -> Vec<Value> {
    let mut events = server.events(project).await;
    events.retain(|entry| entry["event_type"] == event);
    events.iter().map(|entry| entry["event_data"].clone()).collect()
}

async fn is_valid(server: &TestServer, project: &str) {
    let path = format!("/api/v1/audit/projects/{project}/verify?state=true");
    let (_, found) = server.get(&path).await;
    assert_eq!(found["valid"], json!(true), "{found}");
}

#[tokio::test]
async fn a_release_takes_one_person_of_each_department_and_not_the_one_who_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = with(WORKFLOW, folder.path(), &[]).await;
    let starter = person(&server, &["product", "security"]).await;
    let (eve, ian) = (person(&server, &["product"]).await, person(&server, &["product"]).await);
    let (bob, stranger) = (person(&server, &["security"]).await, person(&server, &[]).await);
    let project = project(&server, &starter).await;
    let plan = gate(&server, &project, "Plan").await;

    let approve = || json!({"action": "approve"});
    let (status, problem) = answer(&server, &stranger, &plan, approve()).await;
    assert_eq!((status, code(&problem)), (403, "not_eligible"), "{problem}");
    let asks = problem["detail"].as_str().unwrap();
    assert!(asks.contains("group:security, group:product"), "{problem}");
    let (status, problem) = answer(&server, &starter, &plan, approve()).await;
    assert_eq!((status, code(&problem)), (403, "separation_of_duties"), "{problem}");
    let reason = problem["detail"].as_str().unwrap();
    assert!(reason.contains("because you started the project"), "{problem}");
    let path = format!("/api/v1/hitl/{}/respond", plan["request_id"].as_str().unwrap());
    let (status, problem) = call(&server, &eve, &path, &approve()).await;
    assert_eq!((status, code(&problem)), (428, "digest_required"), "{problem}");
    assert!(payloads(&server, &project, "hitl_vote_cast").await.is_empty());

    // Two people of one department do not fill the seat of the other.
    for by in [&eve, &ian] {
        accepted(&server, by, &plan, "approve", "pending").await;
    }
    server.kill_and_restart().await;
    // The same vote again is the same vote.
    let first = answer(&server, &eve, &plan, json!({"action": "approve", "comment": "Because."}));
    assert_eq!(first.await.1["status"], "pending");
    let votes = payloads(&server, &project, "hitl_vote_cast").await;
    let needs: Vec<_> = votes.iter().map(|vote| &vote["needs"]["groups"]).collect();
    assert_eq!(needs, [&json!({"security": 1}), &json!({"security": 1})], "{votes:?}");
    assert_eq!(votes[0]["groups"], json!(["product"]));
    assert!(payloads(&server, &project, "hitl_response").await.is_empty());

    accepted(&server, &bob, &plan, "approve", "approved").await;
    let decisions = payloads(&server, &project, "hitl_response").await;
    assert_eq!(decisions.len(), 1);
    assert_eq!(
        (&decisions[0]["outcome"], &decisions[0]["groups"], &decisions[0]["auth"]),
        (&json!("approved"), &json!(["security"]), &json!("key"))
    );
    // A vote that comes too late is told what stands.
    let (status, problem) = answer(&server, &ian, &plan, json!({"action": "reject"})).await;
    assert_eq!((status, code(&problem)), (409, "not_pending"), "{problem}");
    is_valid(&server, &project).await;
}

#[tokio::test]
async fn a_document_that_changes_under_review_voids_the_votes_on_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let server = with(WORKFLOW, folder.path(), &[]).await;
    let (ada, eve) = (person(&server, &[]).await, person(&server, &["product"]).await);
    let bob = person(&server, &["security"]).await;
    let project = project(&server, &ada).await;
    let first = gate(&server, &project, "Plan").await;
    accepted(&server, &eve, &first, "approve", "pending").await;
    let stored =
        crate::rest::put_in(&server, &project, "project_plan", json!({"title": "B"})).await;
    let second = gate(&server, &project, "Plan").await;
    assert_eq!(second["subject"]["artifacts"][0]["context_id"], json!(stored));
    let changed = payloads(&server, &project, "hitl_subject_changed").await;
    assert_eq!(
        (&changed[0]["voided"], &changed[0]["previous_digest"]),
        (&json!(1), &first["subject"]["digest"])
    );
    let (status, problem) = answer(&server, &bob, &first, json!({"action": "approve"})).await;
    assert_eq!((status, code(&problem)), (409, "subject_changed"), "{problem}");
    // The vote on the document before does not count for this one.
    accepted(&server, &bob, &second, "approve", "pending").await;
    accepted(&server, &eve, &second, "approve", "approved").await;
    let build = gate(&server, &project, "Build").await;
    assert_eq!(build["subject"]["artifacts"][0]["context_id"], json!(stored));
    is_valid(&server, &project).await;
}

#[tokio::test]
async fn a_rejection_ends_a_review_as_its_policy_says_and_everyone_asked_may_reject() {
    let folder = tempfile::tempdir().unwrap();
    let server = with(WORKFLOW, folder.path(), &[]).await;
    let starter = person(&server, &["security"]).await;
    let (eve, ian) = (person(&server, &["product"]).await, person(&server, &["product"]).await);
    let one = project(&server, &starter).await;
    let plan = gate(&server, &one, "Plan").await;
    let (status, problem) = answer(&server, &eve, &plan, json!({"action": "reject"})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("comment")), "{problem}");
    // Without the right of veto one rejection is not enough; two are as many as approvals.
    accepted(&server, &eve, &plan, "reject", "pending").await;
    accepted(&server, &ian, &plan, "reject", "rejected").await;
    // With it one is, also of the person who cannot approve.
    let other = project(&server, &starter).await;
    let plan = gate(&server, &other, "Plan").await;
    accepted(&server, &starter, &plan, "reject", "rejected").await;
    for project in [&one, &other] {
        server.until_is(&format!("/api/v1/projects/{project}"), "/status", "halted").await;
        is_valid(&server, project).await;
    }
}

#[tokio::test]
async fn what_is_approved_before_a_step_is_what_the_step_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let server = with(WORKFLOW, folder.path(), &[]).await;
    let ada = person(&server, &[]).await;
    let (eve, bob) = (person(&server, &["product"]).await, person(&server, &["security"]).await);
    let project = project(&server, &ada).await;
    let plan = gate(&server, &project, "Plan").await;
    accepted(&server, &eve, &plan, "approve", "pending").await;
    accepted(&server, &bob, &plan, "approve", "approved").await;
    let first = gate(&server, &project, "Build").await;
    assert_eq!(first["subject"]["artifacts"], plan["subject"]["artifacts"]);
    let opened = payloads(&server, &project, "hitl_request_created").await;
    let planned = &opened.last().unwrap()["planned"];
    assert_eq!((&planned["agent"], &planned["output"]), (&json!("coder"), &json!("source_code")));
    let document = json!({"action": "amend", "amended_content": {"files": []}});
    let (status, problem) = answer(&server, &ada, &first, document).await;
    assert_eq!(status, 400, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("has not run yet"), "{problem}");

    // Another plan is approved in between: the build is reviewed again with it.
    let stored =
        crate::rest::put_in(&server, &project, "project_plan", json!({"title": "B"})).await;
    let replacement = gate(&server, &project, "Plan").await;
    accepted(&server, &eve, &replacement, "approve", "pending").await;
    accepted(&server, &bob, &replacement, "approve", "approved").await;
    accepted(&server, &ada, &first, "approve", "approved").await;
    let second = gate(&server, &project, "Build").await;
    assert_ne!(second["request_id"], first["request_id"]);
    assert_eq!(second["subject"]["artifacts"][0]["context_id"], json!(stored));
    assert!(
        payloads(&server, &project, "task_completed").await.len() == 1,
        "only the plan was made"
    );
    accepted(&server, &ada, &second, "approve", "approved").await;
    let handoffs = payloads(&server, &project, "handoff_created").await;
    assert_eq!(handoffs.last().unwrap()["handoff"]["context_ids"], json!([stored]));
    is_valid(&server, &project).await;
}

#[tokio::test]
async fn a_review_that_no_one_can_complete_is_escalated_at_once_and_never_approved() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = WORKFLOW.replace(
        "exclude = [\"starter\"]",
        "exclude = [\"starter\"]\nescalate = [{ after_s = 86400, to = [\"user:admin\"] }]",
    );
    let fast = [("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50")];
    let server = with(&workflow, folder.path(), &fast).await;
    let (ada, eve) = (person(&server, &[]).await, person(&server, &["product"]).await);
    let project = project(&server, &ada).await;
    let plan = gate(&server, &project, "Plan").await;
    let missing = payloads(&server, &project, "hitl_unsatisfiable").await;
    assert_eq!(missing[0]["needs"]["groups"]["security"], json!(1), "{missing:?}");
    server
        .until(async |server| !payloads(server, &project, "hitl_escalated").await.is_empty())
        .await;
    let escalated = payloads(&server, &project, "hitl_escalated").await;
    assert_eq!(
        (&escalated[0]["to"], &escalated[0]["by_hand"], &escalated[0]["unsatisfiable"]),
        (&json!(["user:admin"]), &json!(false), &json!(true)),
        "the administrator is in no group, so the seat stays empty"
    );
    accepted(&server, &eve, &plan, "approve", "pending").await;
    assert_eq!(gate(&server, &project, "Plan").await["status"], "pending");
    is_valid(&server, &project).await;
}

#[tokio::test]
async fn a_review_notices_that_its_people_leave_and_that_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let fast = [("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50")];
    let server = with(WORKFLOW, folder.path(), &fast).await;
    let (ada, eve) = (person(&server, &[]).await, person(&server, &["product"]).await);
    let ben = person(&server, &["security"]).await;
    let project = project(&server, &ada).await;
    let plan = gate(&server, &project, "Plan").await;
    let noticed = async || {
        let events = payloads(&server, &project, "hitl_unsatisfiable").await;
        events.iter().map(|event| event["unsatisfiable"] == json!(true)).collect::<Vec<_>>()
    };
    assert!(noticed().await.is_empty(), "there are enough people");
    let path = format!("/api/v1/access/principals/{}", ben.principal);
    let (status, gone) = server.delete(&path).await;
    assert!((200..300).contains(&status), "{gone}");
    server.until(async |_| noticed().await == [true]).await;
    let cyd = person(&server, &["security"]).await;
    server.until(async |_| noticed().await == [true, false]).await;
    accepted(&server, &eve, &plan, "approve", "pending").await;
    accepted(&server, &cyd, &plan, "approve", "approved").await;
    is_valid(&server, &project).await;
}
