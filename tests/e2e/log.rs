//! The log as evidence: what its hashes cover, a second verifier, data of an earlier version, and
//! the stored state compared with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use botarmy_tests::access::worker;
use botarmy_tests::server::{TestServer, bare, command};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::say;

/// No agent type has a runner, so that nothing happens by itself.
const NO_RUNNERS: [(&str, &str); 6] = [
    ("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none"),
    ("BOTARMY_AGENTS__ANALYST__RUNNER", "none"),
    ("BOTARMY_AGENTS__ARCHITECT__RUNNER", "none"),
    ("BOTARMY_AGENTS__CODER__RUNNER", "none"),
    ("BOTARMY_AGENTS__TESTER__RUNNER", "none"),
    ("BOTARMY_AGENTS__DEPLOYER__RUNNER", "none"),
];

const LEASES: &str = "/api/v1/worker/leases";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Sends a body as it is written, for what no `Value` can express.
async fn send_text(server: &TestServer, path: &str, body: String) -> (u16, Value) {
    let response = server.raw(Method::POST, path, Some(body)).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

/// Leases the next task.
async fn lease(server: &TestServer) -> Value {
    let body = json!({"worker_id": "w", "agents": ["coder"], "wait_s": 5});
    let (status, answer) = server.post(LEASES, body).await;
    assert_eq!(status, 200, "{answer}");
    answer["leases"][0].clone()
}

/// Completes the task of a lease with an output as it is written.
async fn complete_with(server: &TestServer, lease: &Value, output: &str) -> (u16, Value) {
    let body = format!("{{\"output\":{output}}}");
    server.say_text(lease, "complete", body).await
}

/// Completes a new task with an output as it is written.
async fn complete(server: &TestServer, project: &str, output: &str) -> String {
    let task = server.submit(project, "coder", "Count.").await;
    let (status, answer) = complete_with(server, &lease(server).await, output).await;
    assert_eq!(status, 200, "{answer}");
    task
}

/// Returns a project with a request that keeps it open.
async fn open_project(server: &TestServer) -> String {
    let project = server.by_hand().await;
    let body = json!({"project_id": project, "question": "Is everything done?"});
    assert_eq!(server.post("/api/v1/hitl", body).await.0, 201);
    project
}

async fn verify(server: &TestServer, project: &str, query: &str) -> Value {
    let path = format!("/api/v1/audit/projects/{project}/verify{query}");
    let (status, found) = server.get(&path).await;
    assert_eq!(status, 200, "{found}");
    found
}

async fn export(server: &TestServer, log: &str) -> String {
    let path = format!("/api/v1/audit/{log}/export");
    let response = server.raw(Method::GET, &path, None).await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

/// Checks an export with the command and with the verifier in Python, which agree; returns what the
/// command says.
fn check(export: &str, head: Option<&str>) -> Value {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("log.jsonl");
    std::fs::write(&file, export).unwrap();
    let mut audit = bare();
    audit.args(["audit", "verify"]).arg(&file);
    let mut python = Command::new("python3");
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(root().join("examples/verify_log.py")).arg(&file);
    if let Some(head) = head {
        audit.args(["--head", head]);
        python.arg(head);
    }
    let (code, said) = say(&mut audit);
    let (second, second_said) = say(&mut python);
    assert_eq!(code, second, "the command says {said}, the verifier in Python {second_said}");
    let found: Value = serde_json::from_str(&said).unwrap_or_else(|_| json!({"error": said}));
    assert_eq!(found["valid"] == true, code == Some(0), "{found}");
    if code == Some(0) {
        let head = format!("{}:{}", found["head"]["seq"], found["head"]["hash"].as_str().unwrap());
        assert!(second_said.contains(&head), "{second_said}");
    }
    found
}

/// Returns a connection to the database of a server.
pub(crate) fn database(server: &TestServer) -> SqliteConnection {
    let file = server.data_dir().join("botarmy.db");
    SqliteConnection::establish(file.to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn two_verifiers_agree_on_an_export_and_on_every_change_of_it() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    let output = "{\"large\":9007199254740992,\"largest\":18446744073709551615,\"f\":[0.1,1.5e300,\
                   1e-7,-0.0,33.3],\"text\":\"\\u00e9\\u2028\\ud83d\\ude00\\n\\\"\",\"\\ue000\":1,\
                   \"\\ud83d\\ude00\":2,\"deep\":{\"b\":[{\"a\":null}],\"a\":true}}";
    complete(&server, &project, output).await;
    let whole = export(&server, &format!("projects/{project}")).await;
    let found = check(&whole, None);
    assert_eq!(found["valid"], true, "{found}");
    assert_eq!(found["head"], verify(&server, &project, "").await["head"]);
    let once = format!("\"actor\":\"{}\"", worker("w"));
    let twice = format!("{once},{once}");
    let reasons = [
        ("9007199254740992", "9007199254740993"),
        ("18446744073709551615", "18446744073709551614"),
        ("18446744073709551615", "1.8446744073709552e19"),
        ("0.1,", "0.10000000000000000001,"),
        ("0.1,", "0.10000000000000001,"),
        ("33.3", "33.4"),
        (&once, &twice),
        ("\"a\":true", "\"a\":true,\"\\u0061\":true"),
        ("\"a\":true", "\"a\":false"),
        ("{\"id\":", "{\"note\":1,\"id\":"),
        ("\"hitl_request_id\":null,", ""),
        ("\"task_id\":null", "\"task_id\":\"\""),
        (".", ".0"),
        ("Count.", "Count!"),
    ];
    for (from, to) in reasons {
        assert!(whole.contains(from), "{from} is not in {whole}");
        let found = check(&whole.replacen(from, to, 1), None);
        assert_eq!(found["valid"], false, "{to}: {found}");
        assert!(found["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{found}");
    }
    let lines: Vec<&str> = whole.lines().collect();
    let windows = format!("\u{feff}{}\r\n", lines.join("\r\n"));
    assert_eq!(check(&windows, None)["valid"], true);
    let hash = found["head"]["hash"].as_str().unwrap();
    assert_eq!(check(&whole.replace(hash, &hash.to_uppercase()), None)["valid"], true);
    assert!(check(&lines[..lines.len() - 1].join("\n"), None)["error"].is_string());
    assert!(check(&format!("{whole}{}", lines[0]), None)["error"].is_string());
}

#[tokio::test]
async fn an_end_that_was_removed_is_found_with_a_head_that_was_noted() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    complete(&server, &project, "{\"n\":1}").await;
    let noted = verify(&server, &project, "").await;
    let text = |head: &Value| format!("{}:{}", head["seq"], head["hash"].as_str().unwrap());
    let noted = text(&noted["head"]);
    complete(&server, &project, "{\"n\":2}").await;
    let whole = export(&server, &format!("projects/{project}")).await;
    let now = verify(&server, &project, &format!("?head={noted}")).await;
    assert_eq!(
        (&now["valid"], &check(&whole, Some(&noted))["valid"]),
        (&json!(true), &json!(true))
    );

    // The last entries are gone, and the last line states the head of what is left.
    let lines: Vec<&str> = whole.lines().collect();
    let kept = lines.len() - 4;
    let last: Value = serde_json::from_str(lines[kept - 1]).unwrap();
    let end = json!({"head": {"seq": last["seq"], "hash": last["hash"]}});
    let cut = format!("{}\n{end}\n", lines[..kept].join("\n"));
    assert_eq!(check(&cut, None)["valid"], true);
    let now = text(&now["head"]);
    let found = check(&cut, Some(&now.to_uppercase()));
    assert_eq!((&found["valid"], &found["head"]["seq"]), (&json!(false), &last["seq"]), "{found}");
    assert_eq!(found["first_bad_seq"], last["seq"].as_u64().unwrap() + 1, "{found}");

    // Over HTTP, with a head of another log.
    let other = format!("2:{}", "0".repeat(64));
    let found = verify(&server, &project, &format!("?head={other}")).await;
    assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(2)), "{found}");
    let path = format!("/api/v1/audit/projects/{project}/verify?head=2");
    assert_eq!(server.get(&path).await.0, 422);
}

#[tokio::test]
async fn a_result_at_the_limit_of_depth_is_valid_in_the_export_and_a_deeper_one_is_refused() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    server.submit(&project, "coder", "Count.").await;
    let lease = lease(&server).await;
    let (status, problem) = complete_with(&server, &lease, &nested(127)).await;
    assert_eq!(status, 422, "{problem}");
    let (status, _) = complete_with(&server, &lease, &nested(126)).await;
    assert_eq!(status, 200);
    let found = verify(&server, &project, "?state=true").await;
    assert_eq!(found["valid"], true, "{found}");
    let whole = export(&server, &format!("projects/{project}")).await;
    assert_eq!(check(&whole, None)["head"], found["head"]);
}

#[tokio::test]
async fn documents_that_differ_in_the_last_digit_of_a_large_integer_have_two_digests() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let store = async |content: &str| {
        let body = format!(
            "{{\"project_id\":\"{project}\",\"source_agent\":\"coder\",\
             \"artifact_type\":\"agent_output\",\"content\":{content}}}"
        );
        send_text(&server, "/api/v1/context", body).await
    };
    let (_, approved) = store("{\"n\":9007199254740992}").await;
    let (_, other) = store("{\"n\":9007199254740993}").await;
    assert_ne!(approved["digest"], other["digest"]);
    let path = format!("/api/v1/context/{}", other["context_id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.1["content"]["n"], 9_007_199_254_740_993_u64);
    let entries = verify(&server, &project, "").await["entries"].clone();
    for (content, field) in [
        ("{\"n\":1234567890123456789012345}", "content.n"),
        ("{\"a\":[{},{\"n\":0.1234567890123456789}]}", "content.a[1].n"),
        ("{\"n\":1,\"n\":2}", "content.n"),
    ] {
        let (status, problem) = store(content).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    assert_eq!(verify(&server, &project, "").await["entries"], entries, "nothing was stored");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_by_the_check_and_in_the_export() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    complete(&server, &project, "{\"n\":1}").await;
    let entries = verify(&server, &project, "").await["entries"].clone();
    let log = project.replace('-', "");
    database(&server)
        .batch_execute(&format!(
            "DROP TRIGGER events_are_not_changed;
             UPDATE events SET event_type = 'tea_made' WHERE log = x'{log}' AND seq = 3;"
        ))
        .unwrap();
    for query in ["", "?state=true"] {
        let found = verify(&server, &project, query).await;
        assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(3)));
        assert!(found["reason"].as_str().unwrap().contains("tea_made"), "{found}");
    }
    let whole = export(&server, &format!("projects/{project}")).await;
    let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, entries.as_u64().unwrap() + 1);
    assert_eq!(lines[2]["unreadable"]["seq"], 3);
    assert_eq!(lines.last().unwrap()["head"]["seq"], entries);
    let found = check(&whole, None);
    assert_eq!((&found["valid"], &found["first_bad_seq"]), (&json!(false), &json!(3)), "{found}");
    assert!(found["reason"].as_str().unwrap().contains("tea_made"), "{found}");
}

#[tokio::test]
async fn the_system_log_is_checked_and_exported_too() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let found = server.get("/api/v1/audit/system/verify?state=true").await.1;
    assert_eq!(found["valid"], true, "{found}");
    let whole = export(&server, "system").await;
    assert_eq!(check(&whole, None)["valid"], true);
    let stop = json!({"scope": "agent_type", "agent_type": "coder", "reason": "a test"});
    assert!(server.post("/api/v1/emergency-stop", stop.clone()).await.0 < 300, "{stop}");
    let found = server.get("/api/v1/audit/system/verify?state=true").await.1;
    assert_eq!(found["valid"], true, "{found}");
    assert!(found["entries"].as_u64().unwrap() > 0);
    let whole = export(&server, "system").await;
    assert_eq!(check(&whole, None)["head"], found["head"]);
    database(&server).batch_execute("DELETE FROM emergency_stops").unwrap();
    let found = server.get("/api/v1/audit/system/verify?state=true").await.1;
    assert_eq!(found["state"]["difference"]["table"], "emergency_stops", "{found}");
}

#[tokio::test]
async fn a_row_that_does_not_follow_from_the_log_is_named() {
    let mut server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    let task = complete(&server, &project, "{\"n\":1}").await;
    let body = json!({"project_id": project, "question": "Which?", "options": ["Red", "Blue"]});
    let (_, request) = server.post("/api/v1/hitl", body).await;
    let answer = json!({"action": "approve", "comment": "Red"});
    assert_eq!(server.respond(&request, answer).await.0, 200);
    let (_, open) = server.get(&format!("/api/v1/projects/{project}/tasks")).await;
    assert!(open["items"].is_array(), "{open}");
    let (_, generated) =
        server.post(&format!("/api/v1/artifacts/{project}/generate"), json!({})).await;
    assert_eq!(generated["status"], "success", "{generated}");
    let found = verify(&server, &project, "?state=true").await;
    assert_eq!((&found["valid"], &found["state"]["difference"]), (&json!(true), &Value::Null));

    let key = |id: &str| id.replace('-', "");
    let (project_key, task_key) = (key(&project), key(&task));
    let request_key = key(request["request_id"].as_str().unwrap());
    let body = |table: &str, id: &str, path: &str, value: &str| {
        format!(
            "UPDATE {table} SET body = json_set(body, '$.{path}', json('{value}')) \
             WHERE hex(id) = upper('{id}')"
        )
    };
    let changes = [
        (
            format!("UPDATE projects SET status = 'halted' WHERE hex(id) = upper('{project_key}')"),
            "projects",
            None,
        ),
        (
            format!("UPDATE tasks SET status = 'failed' WHERE hex(id) = upper('{task_key}')"),
            "tasks",
            None,
        ),
        (body("projects", &project_key, "state.status", "\"paused\""), "projects", None),
        (body("projects", &project_key, "name", "\"Another\""), "projects", Some("name")),
        (body("tasks", &task_key, "state.output.n", "2"), "tasks", Some("state.output")),
        (body("tasks", &task_key, "instructions", "\"Lie.\""), "tasks", Some("instructions")),
        (body("tasks", &task_key, "state.artifacts", "[]"), "tasks", Some("state.artifacts")),
        (
            body("hitl_requests", &request_key, "state.by", "\"grandma\""),
            "hitl_requests",
            Some("state.by"),
        ),
        (
            body("hitl_requests", &request_key, "state.status", "\"rejected\""),
            "hitl_requests",
            Some("state.status"),
        ),
        (
            body("hitl_requests", &request_key, "question", "\"What?\""),
            "hitl_requests",
            Some("question"),
        ),
        (
            "DROP TRIGGER IF EXISTS artifacts_are_not_changed; \
             UPDATE artifacts SET content = '{\"n\":2}'"
                .to_owned(),
            "artifacts",
            Some("content"),
        ),
        (format!("DELETE FROM tasks WHERE hex(id) = upper('{task_key}')"), "tasks", None),
        (
            format!(
                "UPDATE heads SET counts = json_set(counts, '$.failed', 7) WHERE hex(log) = upper('{project_key}')"
            ),
            "heads",
            Some("counts"),
        ),
        (
            format!("DELETE FROM packages WHERE hex(project_id) = upper('{project_key}')"),
            "packages",
            None,
        ),
    ];
    server.terminate().await;
    let original = std::fs::read(server.data_dir().join("botarmy.db")).unwrap();
    for (change, table, field) in changes {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("botarmy.db"), &original).unwrap();
        let file = dir.path().join("botarmy.db");
        let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        let (code, said) = say(command(dir.path()).args(["audit", "verify-state"]));
        assert_eq!(code, Some(0), "{said}");
        beside.batch_execute(&change).unwrap();
        drop(beside);
        let (code, said) = say(command(dir.path()).args(["audit", "verify-state"]));
        assert_eq!(code, Some(1), "{change}: {said}");
        assert!(said.contains(&format!("the log of project {project}: {table} ")), "{said}");
        assert!(field.is_none_or(|field| said.contains(&format!(", {field}: "))), "{said}");
    }
}

#[tokio::test]
async fn a_document_that_does_not_have_its_digest_is_not_handed_over() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = open_project(&server).await;
    let body = json!({
        "project_id": project, "source_agent": "coder", "artifact_type": "agent_output",
        "content": {"markdown": "as it was approved"},
    });
    let (_, artifact) = server.post("/api/v1/context", body).await;
    let id = artifact["context_id"].as_str().unwrap();
    let question = json!({"project_id": project, "question": "Good?", "artifacts": [id]});
    let (_, request) = server.post("/api/v1/hitl", question).await;
    let review = format!("/api/v1/hitl/{}/context", request["request_id"].as_str().unwrap());
    assert_eq!(server.get(&review).await.0, 200);
    let task = json!({"agent_type": "coder", "instructions": "Use it.", "context_ids": [id]});
    let (_, task) = server.post(&format!("/api/v1/projects/{project}/tasks"), task).await;
    database(&server)
        .batch_execute(
            "DROP TRIGGER IF EXISTS artifacts_are_not_changed; \
             UPDATE artifacts SET content = json_set(content, '$.markdown', 'something else')",
        )
        .unwrap();
    for path in [format!("/api/v1/context/{id}"), review] {
        assert_eq!(server.get(&path).await.0, 500, "{path}");
    }
    let generate = format!("/api/v1/artifacts/{project}/generate");
    assert_eq!(server.post(&generate, json!({})).await.0, 500);
    let body = json!({"worker_id": "w", "agents": ["coder"], "wait_s": 0});
    let (_, given) = server.post(LEASES, body).await;
    assert!(given["leases"].as_array().is_none_or(Vec::is_empty), "{given}");
    let log = server.log.lock().unwrap().clone();
    let named = format!("row {id} of table artifacts");
    assert!(log.contains(&named), "{log}");
    let found = verify(&server, &project, "?state=true").await;
    let difference = &found["state"]["difference"];
    assert_eq!((&difference["table"], &difference["row"]), (&json!("artifacts"), &json!(id)));
    assert!(task["task_id"].is_string(), "{task}");
}

/// `tests/e2e/earlier/make.py` describes how the files were made.
#[tokio::test]
async fn logs_and_documents_of_an_earlier_version_stay_valid() {
    let earlier = root().join("tests/e2e/earlier");
    let dir = TempDir::new().unwrap();
    std::fs::copy(earlier.join("botarmy.db"), dir.path().join("botarmy.db")).unwrap();
    let server = TestServer::on(dir, &NO_RUNNERS).await;
    let (_, projects) = server.get("/api/v1/projects").await;
    let mut rounded = Vec::new();
    for project in projects["items"].as_array().unwrap() {
        let name = project["name"].as_str().unwrap().to_lowercase().replace(' ', "_");
        let kept = std::fs::read_to_string(earlier.join(format!("{name}.jsonl"))).unwrap();
        let id = project["id"].as_str().unwrap();
        let found = verify(&server, id, "?state=true").await;
        assert_eq!(found["valid"], true, "{found}");
        assert_eq!(check(&kept, None)["head"], found["head"]);
        assert_eq!(export(&server, &format!("projects/{id}")).await, kept);
        rounded.push(found["rounded_entries"].as_u64().unwrap_or_default());
        let (_, artifacts) = server.get(&format!("/api/v1/context/project/{id}")).await;
        for artifact in artifacts["items"].as_array().unwrap() {
            let path = format!("/api/v1/context/{}", artifact["context_id"].as_str().unwrap());
            let (status, read) = server.get(&path).await;
            assert_eq!((status, &read["digest"]), (200, &artifact["digest"]), "{read}");
        }
    }
    assert_eq!(rounded, [1, 1], "each log has an entry with a large number");

    // An entry of the present version goes on from the last one of the earlier.
    let open = projects["items"].as_array().unwrap().iter().find(|one| one["status"] == "active");
    let id = open.unwrap()["id"].as_str().unwrap();
    let output = json!({"n": u64::MAX}).to_string();
    let (status, answer) = complete_with(&server, &lease(&server).await, &output).await;
    assert_eq!(status, 200, "{answer}");
    let found = verify(&server, id, "?state=true").await;
    assert_eq!((&found["valid"], &found["rounded_entries"]), (&json!(true), &json!(1)), "{found}");
    let whole = export(&server, &format!("projects/{id}")).await;
    let found = check(&whole, None);
    assert_eq!((&found["valid"], &found["rounded_entries"]), (&json!(true), &json!(1)), "{found}");
}
