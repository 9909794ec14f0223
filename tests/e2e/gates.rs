//! Gates over REST: approved documents, amendments, halted projects that go on, and repeated
//! results.

use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

const PLAN: &str = "A recipe-sharing site for small families";

/// Starts a project with these gates.
async fn project(server: &TestServer, oversight: &str) -> String {
    let body = json!({
        "name": "Recipes", "description": PLAN, "workflow": "sdlc", "oversight": oversight,
    });
    let (status, created) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{created}");
    created["id"].as_str().unwrap().to_owned()
}

/// Returns the pending requests, once the gate of this step is among them.
async fn gate_of(server: &TestServer, project: &str, step: &str) -> Value {
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
    let find = async || {
        let (_, open) = server.get(&path).await;
        let mut open = open.as_array().unwrap().clone();
        open.retain(|gate| gate["step"] == step);
        open.pop()
    };
    server.until(|_| async { find().await.is_some() }).await;
    find().await.unwrap()
}

async fn approve(server: &TestServer, gate: &Value) {
    let body = json!({"action": "approve", "subject_digest": gate["subject"]["digest"]});
    let (status, answer) = server.respond(gate, body).await;
    assert_eq!(status, 200, "{answer}");
}

async fn status(server: &TestServer, project: &str) -> String {
    let (_, project) = server.get(&format!("/api/v1/projects/{project}")).await;
    project["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_next_step_is_given_the_approved_document_whatever_is_stored_beside_it() {
    let server = TestServer::start().await;
    let project = project(&server, "high").await;
    approve(&server, &gate_of(&server, &project, "Project Planning").await).await;
    let specification = gate_of(&server, &project, "Requirements Analysis").await;
    approve(&server, &specification).await;
    let approved = &specification["subject"]["artifacts"][0];
    let design = gate_of(&server, &project, "Architectural Design").await;
    let body = json!({
        "project_id": project, "source_agent": "analyst",
        "artifact_type": "software_specification", "content": {"title": "Nobody approved this"},
    });
    let (created, stored) = server.post("/api/v1/context", body).await;
    assert_eq!(created, 201, "{stored}");
    let replacement = gate_of(&server, &project, "Requirements Analysis").await;
    assert_eq!(replacement["subject"]["artifacts"][0]["context_id"], stored["context_id"]);
    approve(&server, &design).await;
    gate_of(&server, &project, "Implementation Planning").await;
    let path = format!("/api/v1/audit/projects/{project}/events?event_type=handoff_created");
    let (_, handoffs) = server.get(&path).await;
    let newest = &handoffs[0]["event_data"]["handoff"];
    assert_eq!(newest["step"], "Implementation Planning");
    assert_eq!(newest["context_ids"][0], approved["context_id"], "{newest}");
    // Rejecting the replacement halts nothing: the approved document stays.
    let (answered, answer) = server.respond(&replacement, json!({"action": "reject"})).await;
    assert_eq!(answered, 200, "{answer}");
    assert_eq!(answer["message"], "The request was rejected; the project goes on.");
    assert_eq!(status(&server, &project).await, "active");
}

#[tokio::test]
async fn a_document_that_changed_under_review_needs_the_digest_it_is_approved_by() {
    let server = TestServer::start().await;
    let project = project(&server, "standard").await;
    let shown = gate_of(&server, &project, "Project Planning").await;
    let body = json!({
        "project_id": project, "source_agent": "analyst", "artifact_type": "project_plan",
        "content": {"title": "Swapped"},
    });
    assert_eq!(server.post("/api/v1/context", body).await.0, 201);
    for body in [
        json!({"action": "approve"}),
        json!({"action": "approve", "subject_digest": shown["subject"]["digest"]}),
    ] {
        let (refused, problem) = server.respond(&shown, body).await;
        assert_eq!(
            (refused, &problem["type"]),
            (409, &json!("urn:botarmy:problem:subject_changed"))
        );
    }
    approve(&server, &gate_of(&server, &project, "Project Planning").await).await;
}

#[tokio::test]
async fn an_amendment_that_does_not_match_the_schema_is_422_and_changes_nothing() {
    let server = TestServer::start().await;
    let project = project(&server, "standard").await;
    let gate = gate_of(&server, &project, "Project Planning").await;
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    let (_, before) = server.get(&path).await;
    let scope = json!({"in": [], "out": []});
    let wrong = json!({"summary": "s", "goals": [7], "scope": scope, "milestones": []});
    for (document, pointer) in
        [(json!({"nonsense": true}), "/amended_content"), (wrong, "/amended_content/goals/0")]
    {
        let body = json!({"action": "amend", "amended_content": document});
        let (refused, problem) = server.respond(&gate, body).await;
        assert_eq!((refused, &problem["errors"][0]["field"]), (422, &json!(pointer)), "{problem}");
    }
    assert_eq!(server.get(&path).await.1, before);
    let good = json!({"summary": "s", "goals": ["g"], "scope": scope, "milestones": []});
    let body = json!({"action": "amend", "amended_content": good});
    assert_eq!(server.respond(&gate, body).await.0, 200);
    gate_of(&server, &project, "Requirements Analysis").await;
}

#[tokio::test]
async fn a_halted_project_is_reopened_and_comes_to_its_end() {
    let mut server = TestServer::start().await;
    let project = project(&server, "standard").await;
    let gate = gate_of(&server, &project, "Project Planning").await;
    let reject = json!({"action": "reject", "comment": "Not this year"});
    assert_eq!(server.respond(&gate, reject).await.0, 200);
    assert_eq!(status(&server, &project).await, "halted");
    let reopen = format!("/api/v1/projects/{project}/reopen");
    for (body, field) in [(json!({}), "reason"), (json!({"reason": " "}), "reason")] {
        let (refused, problem) = server.post(&reopen, body).await;
        assert_eq!((refused, &problem["errors"][0]["field"]), (422, &json!(field)));
    }
    let (reopened, answer) = server.post(&reopen, json!({"reason": "This year after all"})).await;
    assert_eq!((reopened, &answer["status"]), (200, &json!("active")), "{answer}");
    assert_eq!(server.post(&reopen, json!({"reason": "Again"})).await.0, 409);
    server.kill_and_restart().await;
    let again = gate_of(&server, &project, "Project Planning").await;
    assert_eq!(again["previous_request_id"], gate["request_id"]);
    assert_eq!(again["history"][0]["action"], "reject");
    assert_eq!(again["history"][0]["comment"], "Not this year");
    assert_eq!(server.approve_all(&project).await, "completed");
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
}

#[tokio::test]
async fn a_project_by_hand_is_reopened_by_the_next_task_and_a_rejection_halts_nothing() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = |rest: &str| format!("/api/v1/projects/{project}{rest}");
    let task = || json!({"agent_type": "coder", "instructions": "A greeting"});
    for _ in 0..2 {
        let (created, answer) = server.post(&path("/tasks"), task()).await;
        assert_eq!(created, 201, "{answer}");
        server.until_is(&path(""), "/status", "completed").await;
    }
    let question = json!({"project_id": project, "question": "Which?"});
    let (first, other) = (
        server.post("/api/v1/hitl", question.clone()).await,
        server.post("/api/v1/hitl", question).await,
    );
    assert_eq!((first.0, other.0), (201, 201));
    let (answered, answer) = server.respond(&first.1, json!({"action": "reject"})).await;
    assert_eq!((answered, &answer["workflow_resumed"]), (200, &json!(false)), "{answer}");
    assert_eq!(status(&server, &project).await, "active");
    assert_eq!(server.respond(&other.1, json!({"action": "approve"})).await.0, 200);
    assert_eq!(status(&server, &project).await, "completed");
    let path = format!("/api/v1/audit/projects/{project}/events?event_type=project_reopened");
    assert_eq!(server.get(&path).await.1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn another_result_for_a_finished_task_is_409_and_the_same_one_200() {
    let server = TestServer::with(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await;
    let project = server.by_hand().await;
    let task = json!({"agent_type": "coder", "instructions": "A greeting"});
    assert_eq!(server.post(&format!("/api/v1/projects/{project}/tasks"), task).await.0, 201);
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 10});
    let (_, answer) = server.post("/api/v1/worker/leases", poll).await;
    let lease = &answer["leases"][0];
    let first = json!({"output": {"a": 1}, "usage": {"input_tokens": 3}});
    for (body, expected) in [
        (first.clone(), 200),
        (first.clone(), 200),
        (json!({"output": {"a": 2}, "usage": {"input_tokens": 3}}), 409),
        (json!({"output": {"a": 1}}), 409),
        (first, 200),
    ] {
        let (status, answer) = server.say(lease, "complete", body).await;
        assert_eq!(status, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_project_that_no_worker_serves_is_told_from_one_that_waits_for_a_person() {
    let server = TestServer::with(&[("BOTARMY_AGENTS__CODER__RUNNER", "none")]).await;
    let (alone, asks) = (server.by_hand().await, project(&server, "standard").await);
    let task = json!({"agent_type": "coder", "instructions": "A greeting"});
    assert_eq!(server.post(&format!("/api/v1/projects/{alone}/tasks"), task).await.0, 201);
    gate_of(&server, &asks, "Project Planning").await;
    let (_, found) = server.get(&format!("/api/v1/projects/{asks}")).await;
    let activity = &found["activity"];
    assert_eq!(
        (&activity["state"], &activity["requests"]),
        (&json!("waiting_for_person"), &json!(1))
    );
    assert!(activity["since"].is_string(), "{activity}");
    let (_, listed) = server.get("/api/v1/projects").await;
    let of = |id: &str| {
        let items = listed["items"].as_array().unwrap();
        items.iter().find(|item| item["id"] == id).unwrap()["activity"].clone()
    };
    assert_eq!(of(&alone)["state"], "waiting_for_worker");
    assert_eq!(of(&alone)["agent_type"], "coder");
    assert_eq!(of(&asks), *activity);
    let (status, health) = server.get("/health/detailed").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{health}");
    let agents = health["components"]["agents"]["message"].as_str().unwrap();
    assert!(agents.contains("one task waits for the coder"), "{agents}");
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.get("/health/ready").await.1["message"], "The server is ready.");
    let (_, agents) = server.get("/api/v1/agents/status").await;
    for (name, agent) in agents.as_object().unwrap() {
        assert!(agent["last_activity"].is_string(), "{name}: {agent}");
    }
    assert!(server.said("waits for a person"), "an opened gate is in the server's log");
    let path = format!("/api/v1/artifacts/{asks}/artifacts");
    let removed = server.raw(reqwest::Method::DELETE, &path, None);
    let message = removed.await.unwrap().text().await.unwrap();
    assert!(message.contains("Recipes"), "{message}");
}

/// Raises a question in a project and returns its id.
async fn question(server: &TestServer, project: &str) -> String {
    let body = json!({"project_id": project, "question": "Which?"});
    let (status, raised) = server.post("/api/v1/hitl", body).await;
    assert_eq!(status, 201, "{raised}");
    raised["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_answer_to_many_requests_decides_each_on_its_own() {
    const BULK: &str = "/api/v1/hitl/bulk/respond";
    const NOWHERE: &str = "00000000-0000-7000-8000-000000000000";
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(question(&server, &project).await);
    }
    let single = format!("/api/v1/hitl/{}/respond", ids[0]);
    assert_eq!(server.post(&single, json!({"action": "reject"})).await.0, 200);

    let (status, refused) =
        server.post(BULK, json!({"request_ids": [ids[1], ids[1]], "action": "approve"})).await;
    assert_eq!((status, &refused["errors"][0]["field"]), (422, &json!("request_ids[1]")));
    let (_, pending) = server.get("/api/v1/hitl/pending").await;
    assert_eq!(pending["items"].as_array().unwrap().len(), 3, "a refused call decides nothing");

    let items = json!([
        {"request_id": ids[0]}, {"request_id": ids[1]}, {"request_id": NOWHERE},
        {"request_id": ids[2], "subject_digest": "0"}, {"request_id": ids[3]},
    ]);
    let body = json!({"items": items, "action": "approve", "comment": "Fine."});
    let (status, answer) = server.post(BULK, body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["succeeded"], &answer["failed"]), (&json!(2), &json!(3)), "{answer}");
    let results = answer["results"].as_array().unwrap();
    let found: Vec<_> = results
        .iter()
        .map(|one| (one["status"].as_u64().unwrap(), one["problem"]["type"].as_str()))
        .collect();
    let code = |code: &'static str| Some(code);
    assert_eq!(
        found,
        [
            (409, code("urn:botarmy:problem:not_pending")),
            (200, None),
            (404, code("about:blank")),
            (409, code("urn:botarmy:problem:subject_changed")),
            (200, None),
        ]
    );
    for (result, id) in results.iter().zip([&ids[0], &ids[1], NOWHERE, &ids[2], &ids[3]]) {
        assert_eq!(result["request_id"], *id);
        if result["status"] == 200 {
            // Each result is what the route of a single request responds with.
            let path = format!("/api/v1/hitl/{id}/respond");
            let same = json!({"action": "approve", "comment": "Fine."});
            assert_eq!(server.post(&path, same).await.1, result["response"]);
            let (_, request) = server.get(&format!("/api/v1/hitl/{id}")).await;
            assert_eq!(request["response_comment"], "Fine.");
        }
    }
    let (_, pending) = server.get("/api/v1/hitl/pending").await;
    assert_eq!(pending["items"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/audit/projects/{project}/events?event_type=hitl_response");
    assert_eq!(server.get(&path).await.1.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_same_answer_gets_the_first_response_and_another_409() {
    let server = TestServer::start().await;
    let project = project(&server, "high").await;
    let gate = gate_of(&server, &project, "Project Planning").await;
    let path = format!("/api/v1/hitl/{}/respond", gate["request_id"].as_str().unwrap());
    let answer = json!({"action": "reject", "comment": "Not this year"}).to_string();
    let send = async |body: String| {
        let response = server.raw(reqwest::Method::POST, &path, Some(body)).await.unwrap();
        let replayed = response.headers().get("idempotency-replayed").cloned();
        (response.status().as_u16(), replayed, response.text().await.unwrap())
    };
    let first = send(answer.clone()).await;
    assert_eq!((first.0, &first.1), (200, &None), "{first:?}");
    assert!(first.2.contains("the project is halted"), "{first:?}");
    let reopen = format!("/api/v1/projects/{project}/reopen");
    assert_eq!(server.post(&reopen, json!({"reason": "A mistake"})).await.0, 200);
    let again = send(answer).await;
    assert_eq!((again.0, &again.2), (200, &first.2));
    assert_eq!(again.1.unwrap(), "true");
    for other in [json!({"action": "reject"}), json!({"action": "approve"})] {
        let other = send(other.to_string()).await;
        assert_eq!((other.0, &other.1), (409, &None), "{other:?}");
        let by = format!("was rejected by {}", botarmy_tests::access::actor());
        assert!(other.2.contains(&by), "{other:?}");
    }
}

#[tokio::test]
async fn statistics_count_what_is_pending_and_what_was_answered() {
    const STATISTICS: &str = "/api/v1/hitl/statistics";
    let server = TestServer::start().await;
    let (one, two) = (server.by_hand().await, server.by_hand().await);
    let (_, empty) = server.get(STATISTICS).await;
    assert_eq!(empty["oldest_pending"], Value::Null, "{empty}");
    assert_eq!(
        empty["time_to_answer"],
        json!({"answered": 0, "median_s": null, "p90_s": null}),
        "{empty}"
    );
    let oldest = question(&server, &two).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(question(&server, &one).await);
    }
    for (id, action) in ids.iter().zip(["approve", "reject"]) {
        let path = format!("/api/v1/hitl/{id}/respond");
        assert_eq!(server.post(&path, json!({"action": action})).await.0, 200);
    }
    let (status, all) = server.get(STATISTICS).await;
    assert_eq!(status, 200, "{all}");
    assert_eq!((&all["window_hours"], &all["truncated"]), (&json!(168), &json!(false)));
    let statuses = json!({
        "pending": 2, "approved": 1, "rejected": 1, "amended": 0, "expired": 0, "cancelled": 0,
    });
    assert_eq!(all["by_status"], statuses);
    assert_eq!(all["by_kind"], json!({"approval": 0, "question": 4, "failure": 0}));
    assert_eq!(all["without_agent_type"], 4);
    assert_eq!(all["oldest_pending"]["request_id"], oldest);
    assert_eq!(all["oldest_pending"]["project_id"], two);
    let times = &all["time_to_answer"];
    let (median, p90) = (times["median_s"].as_f64().unwrap(), times["p90_s"].as_f64().unwrap());
    assert_eq!(times["answered"], 2);
    assert!(0.0 < median && median <= p90 && p90 < 60.0, "{times}");
    let (_, of_one) = server.get(&format!("{STATISTICS}?project_id={one}&window_hours=1")).await;
    assert_eq!((&of_one["by_status"]["pending"], &of_one["project_id"]), (&json!(1), &json!(one)));
    assert_eq!(of_one["oldest_pending"]["request_id"], ids[2]);
    let (_, of_two) = server.get(&format!("{STATISTICS}?project_id={two}")).await;
    assert_eq!(
        (&of_two["by_status"]["pending"], &of_two["by_status"]["approved"]),
        (&json!(1), &json!(0))
    );
    let nowhere = format!("{STATISTICS}?project_id=00000000-0000-7000-8000-000000000000");
    assert_eq!(server.get(&nowhere).await.0, 404);
}

/// Starts a server whose requests expire after a second, with this time of grace after a start.
async fn hasty(grace_s: &str) -> TestServer {
    TestServer::with(&[
        ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "20"),
        ("BOTARMY_ORCHESTRATOR__ON_EXPIRY", "reject"),
        ("BOTARMY_ORCHESTRATOR__GATE_TTL_S", "1"),
        ("BOTARMY_GATES__GRACE_S", grace_s),
    ])
    .await
}

#[tokio::test]
async fn a_request_whose_time_was_over_during_an_outage_can_still_be_answered() {
    let mut server = hasty("3600").await;
    let project = project(&server, "standard").await;
    let gate = gate_of(&server, &project, "Project Planning").await;
    server.kill();
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    server.start_again().await;
    // Many rounds of the timers pass.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(gate_of(&server, &project, "Project Planning").await["status"], "pending");
    approve(&server, &gate).await;
    gate_of(&server, &project, "Requirements Analysis").await;
    // Without the time of grace it ends at once.
    let mut other = hasty("0").await;
    let halted = self::project(&other, "standard").await;
    gate_of(&other, &halted, "Project Planning").await;
    other.kill_and_restart().await;
    other.until_is(&format!("/api/v1/projects/{halted}"), "/status", "halted").await;
}

#[tokio::test]
async fn the_clock_of_a_request_stands_still_while_its_project_is_paused() {
    let server = hasty("0").await;
    let project = project(&server, "standard").await;
    let gate = gate_of(&server, &project, "Project Planning").await;
    let set = async |verb: &str| {
        let (status, done) =
            server.post(&format!("/api/v1/projects/{project}/{verb}"), json!({})).await;
        assert_eq!(status, 200, "{done}");
    };
    set("pause").await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let still = gate_of(&server, &project, "Project Planning").await;
    assert_eq!(still["expires_at"], gate["expires_at"], "the time is over, and does not count");
    set("resume").await;
    let (_, moved) =
        server.get(&format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap())).await;
    assert!(moved["expires_at"].as_str() > gate["expires_at"].as_str(), "{moved}");
    // From here on it counts again.
    server.until_is(&format!("/api/v1/projects/{project}"), "/status", "halted").await;
    let path = format!("/api/v1/audit/projects/{project}/verify?state=true");
    assert_eq!(server.get(&path).await.1["valid"], true);
}

const POLICIES: &str = "
name = \"filters\"
[[policy]]
name = \"others\"
candidates = [\"user:ada\", \"group:leads\"]
[[policy]]
name = \"admins\"
candidates = [\"role:admin\"]
groups = { security = 1 }
ttl_s = 1
on_expiry = \"keep_waiting\"
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"analyst\"
output = \"project_plan\"
";

#[tokio::test]
async fn pending_requests_are_filtered_by_people_policy_project_and_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("filters.toml"), POLICIES).unwrap();
    let folder = folder.path().to_str().unwrap();
    let server = TestServer::with(&[("BOTARMY_WORKFLOWS__DIR", folder)]).await;
    let project = json!({"name": "Filters", "workflow": "filters"});
    let (_, project) = server.post("/api/v1/projects", project).await;
    let project = project["id"].as_str().unwrap();
    let simple = question(&server, &server.by_hand().await).await;
    let mut raised = Vec::new();
    for policy in ["others", "admins"] {
        let ask = json!({"project_id": project, "question": "Is it?", "policy": policy});
        let (status, request) = server.post("/api/v1/hitl", ask).await;
        assert_eq!(status, 201, "{request}");
        raised.push(request["request_id"].as_str().unwrap().to_owned());
    }
    let [others, admins] = raised.try_into().unwrap();
    let list = async |query: &str| -> Vec<String> {
        let (status, page) = server.get(&format!("/api/v1/hitl/pending?{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        // The step of the project may ask by itself.
        let items = page["items"].as_array().unwrap().iter();
        let items = items.filter(|one| one["kind"] == "question");
        items.map(|one| one["request_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list("").await, [&*simple, &*others, &*admins]);
    assert_eq!(list("mine=true").await, [&*simple, &*admins]);
    assert_eq!(list("mine=false&group=leads").await, [&*others]);
    assert_eq!(list("group=security&mine=true").await, [&*admins]);
    assert_eq!(list("policy=").await, [&*simple]);
    assert_eq!(list("policy=others").await, [&*others]);
    assert_eq!(list(&format!("project_id={project}")).await, [&*others, &*admins]);
    assert!(list("group=nowhere").await.is_empty());
    let overdue = async |server: &TestServer| {
        let (_, page) = server.get("/api/v1/hitl/pending?overdue=true").await;
        page["items"].as_array().unwrap().len() == 1
    };
    server.until(overdue).await;
    assert_eq!(list("overdue=true").await, [&*admins]);
    let (_, found) = server.get("/api/v1/hitl/statistics").await;
    let figures = |name: &str| {
        let of = |one: &&Value| one["policy"] == name;
        let one = found["by_policy"].as_array().unwrap().iter().find(of).unwrap();
        (one["pending"].as_u64().unwrap(), one["overdue"].as_u64().unwrap())
    };
    assert_eq!((figures("admins"), figures("others")), ((1, 1), (1, 0)), "{found}");
    assert_eq!(found["by_policy"][0]["policy"], Value::Null, "{found}");
    for (query, status) in [
        ("mine=yes", 422),
        ("overdue=1", 422),
        ("group=", 422),
        ("policy=No", 422),
        ("project_id=00000000-0000-7000-8000-000000000000", 404),
    ] {
        assert_eq!(server.get(&format!("/api/v1/hitl/pending?{query}")).await.0, status, "{query}");
    }
}
