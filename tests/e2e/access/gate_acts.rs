//! Work of people on requests over the API: votes that do not decide, answers that are repeated, and
//! everything beside answering. Programs do none of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use botarmy_domain::ports::Clock as _;
use botarmy_server::system::SystemClock;
use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Keyed, client, principal, send};

/// A step that two people approve, and one that a single person does, with links.
const WORKFLOW: &str = r#"
name = "votes"
[[policy]]
name = "pair"
approvals = 2
[[policy]]
name = "single"
links = true
digest = "optional"
[[policy]]
name = "mailed"
approvals = 2
links = true
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
policy = "pair"
[[step]]
name = "Specify"
phase = "2"
agent = "analyst"
inputs = ["project_plan"]
output = "software_specification"
gate = "standard"
policy = "single"
"#;

/// Number of times that an answer is sent.
const TIMES: usize = 64;

/// Writes the workflow into a folder, and returns the setting that names the folder.
pub(super) fn workflows(folder: &Path) -> (&'static str, String) {
    std::fs::write(folder.join("votes.toml"), WORKFLOW).unwrap();
    ("BOTARMY_WORKFLOWS__DIR", folder.to_str().unwrap().to_owned())
}

/// Caller with a name.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) principal: String,
    pub(super) key: String,
}

/// Creates a caller with these grants.
async fn caller(server: &TestServer, kind: &str, grants: Value) -> Named {
    let Keyed { principal, key, .. } = principal(server, kind, grants).await;
    let me = (&Method::GET, "/api/v1/access/me");
    let found = send(&client(), &server.base, Some(&key), me, None).await;
    let found: Value = found.json().await.unwrap();
    Named { name: found["name"].as_str().unwrap().to_owned(), principal, key }
}

/// Creates a person who may run projects and answer requests.
pub(super) async fn person(server: &TestServer) -> Named {
    let roles = json!([{"role": "operator", "on": "all"}, {"role": "reviewer", "on": "all"}]);
    caller(server, "person", roles).await
}

/// Sends a request with the key of a caller. Returns the status and the body.
pub(super) async fn call(
    server: &TestServer,
    by: &Named,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let response = send(&client(), &server.base, Some(&by.key), (&method, path), body).await;
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Starts a project of the workflow, and waits for its first review.
pub(super) async fn project(server: &TestServer, by: &Named) -> (String, Value) {
    let new = json!({"name": "Recipes", "description": "A recipe site", "workflow": "votes"});
    let (status, project) = call(server, by, Method::POST, "/api/v1/projects", Some(&new)).await;
    assert_eq!(status, 201, "{project}");
    let project = project["id"].as_str().unwrap().to_owned();
    let gate = gate(server, &project).await;
    (project, gate)
}

/// Waits for the open review of a project.
pub(super) async fn gate(server: &TestServer, project: &str) -> Value {
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
    for _ in 0..1_500 {
        let (_, open) = server.get(&path).await;
        if open[0]["request_id"].is_string() {
            return open[0].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("project {project} asks nobody");
}

/// Sends an answer many times at once. Returns the bodies, and the number of those that say that they are
/// repeated.
async fn at_once(
    server: &TestServer,
    by: &Named,
    id: &str,
    body: &Value,
) -> (BTreeSet<String>, usize) {
    let client = client();
    let path = format!("/api/v1/hitl/{id}/respond");
    let one = async || {
        let request = (&Method::POST, path.as_str());
        let response = send(&client, &server.base, Some(&by.key), request, Some(body)).await;
        let is_replayed = response.headers().contains_key("idempotency-replayed");
        let status = response.status();
        let body = response.text().await.unwrap();
        assert_eq!(status, 200, "{body}");
        (body, is_replayed)
    };
    let all = futures_util::future::join_all((0..TIMES).map(|_| one())).await;
    let replayed = all.iter().filter(|(_, is_replayed)| *is_replayed).count();
    (all.into_iter().map(|(body, _)| body).collect(), replayed)
}

/// Counts the entries of a type about a request.
async fn entries(server: &TestServer, id: &str, kind: &str) -> usize {
    let path = format!("/api/v1/audit/events?hitl_request_id={id}&event_type={kind}&limit=1000");
    server.get(&path).await.1.as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_answer_many_times_at_once_gets_the_body_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let mut server = TestServer::with(&[(name, value.as_str())]).await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let (project, first) = project(&server, &ada).await;
    let id = first["request_id"].as_str().unwrap().to_owned();
    let answer = json!({
        "action": "approve", "comment": "Fine.", "subject_digest": first["subject"]["digest"],
    });
    // A vote that does not decide, and then the one that does.
    let mut known = Vec::new();
    for (by, kind, outcome) in
        [(&ada, "hitl_vote_cast", Value::Null), (&bob, "hitl_response", json!("approved"))]
    {
        let (bodies, replayed) = at_once(&server, by, &id, &answer).await;
        assert_eq!((bodies.len(), replayed), (1, TIMES - 1), "{bodies:?}");
        let body = bodies.first().unwrap().clone();
        let read: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["outcome"], outcome, "{read}");
        assert!(read["entry"]["id"].is_string(), "{read}");
        assert_eq!(entries(&server, &id, kind).await, 1);
        known.push((by, body));
    }
    let vote: Value = serde_json::from_str(&known[0].1).unwrap();
    assert_eq!(vote["message"], "Your approval is recorded; 1 more is needed.");
    assert_eq!(vote["needs"], json!({"approvals": 1, "groups": {}}));
    server.kill_and_restart().await;
    for (by, first) in known {
        let (bodies, replayed) = at_once(&server, by, &id, &answer).await;
        assert_eq!((bodies, replayed), (BTreeSet::from([first]), TIMES));
    }
    assert_eq!(entries(&server, &id, "hitl_vote_cast").await, 1);
    assert_eq!(entries(&server, &id, "hitl_response").await, 1);
    assert_ne!(gate(&server, &project).await["request_id"], first["request_id"]);
}

#[tokio::test]
async fn a_request_shows_its_policy_its_votes_and_what_a_person_may_do() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let (_, first) = project(&server, &ada).await;
    let id = first["request_id"].as_str().unwrap();
    let digest = first["subject"]["digest"].as_str().unwrap();
    let path = format!("/api/v1/hitl/{id}");
    let post = async |by: &Named, verb: &str, body: Value| {
        let body = Some(&body).filter(|body| !body.is_null());
        call(&server, by, Method::POST, &format!("{path}/{verb}"), body).await
    };

    let response = send(&client(), &server.base, Some(&ada.key), (&Method::GET, &path), None).await;
    assert_eq!(response.headers()["etag"], format!("\"{digest}\""));
    let details: Value = response.json().await.unwrap();
    assert_eq!(details["policy"]["name"], "pair");
    assert_eq!(details["policy"]["approvals"], 2);
    assert_eq!(details["needs"]["approvals"], 2);
    assert_eq!(details["refusal"], Value::Null);
    let allowed = details["allowed_actions"].as_array().unwrap();
    assert!(allowed.contains(&json!("approve")) && allowed.contains(&json!("request_changes")));
    assert!(!allowed.contains(&json!("claim")) && !allowed.contains(&json!("link")), "{allowed:?}");

    // Without the digest, with two, and with one that is not current.
    let (status, problem) = post(&ada, "respond", json!({"action": "approve"})).await;
    assert_eq!((status, &problem["type"]), (428, &json!("urn:botarmy:problem:digest_required")));
    let if_match = async |etag: &str, body: Value| {
        let request = client().post(format!("{}{path}/respond", server.base));
        let request = request.bearer_auth(&ada.key).header("if-match", etag).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let other = json!({"action": "approve", "subject_digest": "0"});
    assert_eq!(if_match(&format!("\"{digest}\""), other).await.0, 422);
    assert_eq!(if_match("W/\"x\"", json!({"action": "approve"})).await.0, 400);
    assert_eq!(if_match("\"x\"", json!({"action": "approve"})).await.0, 409);
    let approve = json!({"action": "approve"});
    let (status, done) = if_match(&format!("\"{digest}\""), approve).await;
    assert_eq!((status, &done["status"]), (200, &json!("pending")), "{done}");

    let (_, details) = call(&server, &ada, Method::GET, &path, None).await;
    assert_eq!(details["votes"][0]["voter"], json!(ada.name), "{details}");
    assert_eq!(details["votes"][0]["auth"], "key");
    assert!(details["allowed_actions"].as_array().unwrap().contains(&json!("withdraw")));
    let (status, problem) =
        post(&ada, "respond", json!({"action": "withdraw", "comment": "x"})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("comment")));
    let (status, done) = post(&ada, "respond", json!({"action": "withdraw"})).await;
    assert_eq!((status, &done["needs"]["approvals"]), (200, &json!(2)), "{done}");

    // Several people have to approve, so no one can reserve it.
    let (status, problem) = post(&bob, "claim", Value::Null).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:botarmy:problem:not_claimable")));
    let (status, longer) = post(&bob, "extend", json!({"by_s": 3600})).await;
    assert_eq!(status, 200, "{longer}");
    assert!(longer["expires_at"].as_str() > first["expires_at"].as_str());
    assert_eq!(post(&bob, "extend", json!({"by_s": 0})).await.0, 422);
    assert_eq!(post(&bob, "remind", Value::Null).await.0, 200);
    assert_eq!(post(&bob, "escalate", Value::Null).await.0, 409);
    assert_eq!(post(&bob, "delegate", json!({"to": ada.name})).await.0, 200);

    let (status, said) = post(&bob, "comments", json!({"text": "Too long?"})).await;
    assert_eq!((status, &said["text"]), (201, &json!("Too long?")), "{said}");
    let reply = json!({"text": "No.", "reply_to": said["id"]});
    assert_eq!(post(&ada, "comments", reply).await.0, 201);
    assert_eq!(post(&ada, "comments", json!({"text": " "})).await.0, 422);
    let comments = format!("{path}/comments?limit=1");
    let (_, page) = call(&server, &ada, Method::GET, &comments, None).await;
    assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&said["id"], &said["id"]));
    let rest = format!("{comments}&cursor={}", said["id"].as_str().unwrap());
    let (_, page) = call(&server, &ada, Method::GET, &rest, None).await;
    assert_eq!((&page["items"][0]["text"], &page["next_cursor"]), (&json!("No."), &Value::Null));

    let (status, problem) = call(&server, &ada, Method::GET, &format!("{path}/diff"), None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:botarmy:problem:nothing_to_compare")));
    let (status, problem) = post(&ada, "links", json!({"actions": ["approve"]})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:botarmy:problem:links_unavailable")));

    // The forms of other protocols.
    let (_, interrupt) = call(&server, &ada, Method::GET, &format!("{path}/interrupt"), None).await;
    assert_eq!((&interrupt["id"], &interrupt["reason"]), (&json!(id), &json!("confirmation")));
    assert_eq!(interrupt["metadata"]["subject_digest"], digest);
    let (_, task) = call(&server, &ada, Method::GET, &format!("{path}/a2a"), None).await;
    assert_eq!(task["status"]["state"], "TASK_STATE_INPUT_REQUIRED");
    assert_eq!(task["status"]["message"]["parts"][0]["text"], first["question"]);
    assert_eq!(post(&ada, "resume", json!({"status": "cancelled"})).await.0, 204);
    let payload =
        json!({"action": "request_changes", "comment": "Shorter.", "subject_digest": digest});
    let resume = json!({"interruptId": id, "status": "resolved", "payload": payload});
    let (status, done) = post(&ada, "resume", resume).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("changes_requested")), "{done}");
    assert_eq!(call(&server, &ada, Method::GET, &format!("{path}/interrupt"), None).await.0, 409);
}

#[tokio::test]
async fn a_replaced_document_is_compared_with_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let (project, first) = project(&server, &ada).await;
    let stored = json!({
        "project_id": project, "source_agent": "analyst", "artifact_type": "project_plan",
        "content": {"markdown": "# Plan\n\nOne page.\n"},
    });
    let (status, artifact) =
        call(&server, &ada, Method::POST, "/api/v1/context", Some(&stored)).await;
    assert_eq!(status, 201, "{artifact}");
    let path = format!("/api/v1/hitl/{}", first["request_id"].as_str().unwrap());
    let (status, diff) = call(&server, &bob, Method::GET, &format!("{path}/diff"), None).await;
    assert_eq!(status, 200, "{diff}");
    assert_eq!(diff["to"]["context_id"], artifact["context_id"]);
    assert_eq!(diff["from"]["digest"], first["subject"]["artifacts"][0]["digest"]);
    assert!(!diff["patch"].as_array().unwrap().is_empty());
    assert!(diff["unified"].as_str().unwrap().contains("+One page.\n"), "{diff}");
}

#[tokio::test]
async fn an_answer_has_the_form_that_the_question_asks_for() {
    let server = TestServer::start().await;
    let (ada, project) = (person(&server).await, server.by_hand().await);
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let mut question = json!({
        "project_id": project, "question": "How many?", "assignees": [format!("user:{}", ada.name)],
        "response_schema": {"type": 7},
    });
    assert_eq!(server.post("/api/v1/hitl", question.clone()).await.0, 422);
    question["response_schema"] =
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"});
    let (status, refused) = server.post("/api/v1/hitl", question.clone()).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("response_schema")));
    assert!(refused.to_string().contains("draft/2020-12/schema"), "{refused}");
    question["response_schema"] = schema.clone();
    let (status, request) = server.post("/api/v1/hitl", question).await;
    assert_eq!(status, 201, "{request}");
    let path = format!("/api/v1/hitl/{}", request["request_id"].as_str().unwrap());
    let (_, details) = call(&server, &ada, Method::GET, &path, None).await;
    assert_eq!(details["response_schema"], schema);
    let respond = format!("{path}/respond");
    for (response, status) in [(json!({"n": "x"}), 422), (json!({"n": 3}), 200)] {
        let answer = json!({"action": "approve", "response": response});
        let (found, body) = call(&server, &ada, Method::POST, &respond, Some(&answer)).await;
        assert_eq!(found, status, "{body}");
    }
}

#[tokio::test]
async fn many_requests_are_answered_each_in_its_own_way() {
    let server = TestServer::start().await;
    let (ada, project) = (person(&server).await, server.by_hand().await);
    let mut ids = Vec::new();
    for n in 0..3 {
        let question = json!({"project_id": project, "question": format!("Number {n}?")});
        ids.push(server.post("/api/v1/hitl", question).await.1["request_id"].clone());
    }
    let unknown = "0190a0b0-0000-7000-8000-00000000000a";
    let bulk = json!({"items": [
        {"request_id": ids[0], "action": "approve", "comment": "Yes."},
        {"request_id": ids[1], "action": "reject", "comment": "No."},
        {"request_id": ids[2], "action": "request_changes", "comment": "Ask again."},
        {"request_id": unknown, "action": "approve"},
    ]});
    let path = "/api/v1/hitl/bulk/respond";
    let (status, done) = call(&server, &ada, Method::POST, path, Some(&bulk)).await;
    assert_eq!(status, 200, "{done}");
    let outcomes: Vec<_> =
        done["results"].as_array().unwrap().iter().map(|one| &one["body"]["outcome"]).collect();
    assert_eq!(
        outcomes,
        [&json!("approved"), &json!("rejected"), &json!("changes_requested"), &Value::Null,],
        "{done}"
    );
    assert_eq!(done["results"][3]["body"], done["results"][3]["problem"]);
    let bad = json!({"items": [{"request_id": ids[0]}]});
    let (status, problem) = call(&server, &ada, Method::POST, path, Some(&bad)).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("action")), "{problem}");
}

#[tokio::test]
async fn a_program_answers_nothing_whatever_its_grants() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let admin = json!([{"role": "admin", "on": "all"}, {"role": "worker", "on": "all"}]);
    let program = caller(&server, "service", admin).await;
    let question = json!({"project_id": project, "question": "Which?"});
    let (_, request) = server.post("/api/v1/hitl", question).await;
    let id = request["request_id"].as_str().unwrap();
    let approve = json!({"action": "approve"});
    for (verb, body) in [
        ("respond", approve.clone()),
        ("respond", json!({"action": "withdraw"})),
        ("resume", json!({"status": "resolved", "payload": approve.clone()})),
        ("claim", Value::Null),
        ("delegate", json!({"to": "ada"})),
        ("extend", json!({"by_s": 60})),
    ] {
        let path = format!("/api/v1/hitl/{id}/{verb}");
        let body = Some(&body).filter(|body| !body.is_null());
        let (status, problem) = call(&server, &program, Method::POST, &path, body).await;
        assert_eq!((status, &problem["type"]), (403, &json!(PERSONS_ONLY)), "{verb}: {problem}");
    }
    let bulk = json!({"items": [{"request_id": id, "action": "approve"}]});
    let path = "/api/v1/hitl/bulk/respond";
    let (_, done) = call(&server, &program, Method::POST, path, Some(&bulk)).await;
    assert_eq!(done["results"][0]["status"], 403, "{done}");
    let path = "/api/v1/people/me/delegation";
    let to = json!({"to": "admin", "until": "2099-01-01T00:00:00Z"});
    assert_eq!(call(&server, &program, Method::PUT, path, Some(&to)).await.0, 403);
    assert_eq!(entries(&server, id, "hitl_response").await, 0);
}

const PERSONS_ONLY: &str = "urn:botarmy:problem:persons_only";

#[tokio::test]
async fn a_person_delegates_for_a_time() {
    let server = TestServer::start().await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let path = "/api/v1/people/me/delegation";
    let none = json!({"delegation": null});
    assert_eq!(call(&server, &ada, Method::GET, path, None).await, (200, none.clone()));
    let until = SystemClock.now().after(Duration::from_secs(86_400));
    let to = json!({"to": bob.name, "until": until});
    let (status, set) = call(&server, &ada, Method::PUT, path, Some(&to)).await;
    assert_eq!((status, &set["delegation"]["to"]), (200, &json!(bob.principal)), "{set}");
    assert_eq!(call(&server, &ada, Method::GET, path, None).await.1, set);
    let unknown = json!({"to": "no one", "until": "2099-01-01T00:00:00Z"});
    assert_eq!(call(&server, &ada, Method::PUT, path, Some(&unknown)).await.0, 422);

    // Oneself, people who answer nothing, and circles of two and of three.
    let viewer = json!([{"role": "viewer", "on": "all"}, {"role": "operator", "on": "all"}]);
    let (viewer, cyd) = (caller(&server, "person", viewer).await, person(&server).await);
    let put = async |by: &Named, to: &Named| {
        let body = json!({"to": to.name, "until": until});
        let (status, body) = call(&server, by, Method::PUT, path, Some(&body)).await;
        (status, body["errors"][0]["field"].clone(), body["errors"][0]["message"].to_string())
    };
    for (by, to, expected) in [
        (&ada, &ada, "another person"),
        (&ada, &viewer, "may answer requests"),
        (&bob, &ada, "delegate to you"),
    ] {
        let (status, field, message) = put(by, to).await;
        assert_eq!((status, field), (422, json!("to")), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(call(&server, &ada, Method::GET, path, None).await.1, set, "nothing changed");
    assert_eq!(put(&bob, &cyd).await.0, 200);
    let (status, _, message) = put(&cyd, &ada).await;
    assert!(status == 422 && message.contains("through others"), "{status}: {message}");
    // After the others have ended there is no circle.
    let later = json!({
        "to": ada.name, "from": until, "until": until.after(Duration::from_secs(60)),
    });
    assert_eq!(call(&server, &cyd, Method::PUT, path, Some(&later)).await.0, 200);
    assert_eq!(call(&server, &ada, Method::DELETE, path, None).await, (200, none));
}
