//! The REST contract: successful answers, and refusals with their texts.

use botarmy_tests::server::{TIMEOUT, TestServer};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// Sends a request with headers and returns the response.
pub(crate) async fn send(
    server: &TestServer,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Response {
    let client = botarmy_tests::server::http_client();
    let mut request = client.request(method, format!("{}{path}", server.base)).timeout(TIMEOUT);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_owned());
    }
    request.send().await.unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Returns the field that a 422 names.
pub(crate) fn field(problem: &Value) -> &str {
    problem["errors"][0]["field"].as_str().unwrap_or_default()
}

const UNKNOWN_ID: &str = "0190a0b0-0000-7000-8000-00000000000a";

/// Stores an artifact by hand and returns its id.
pub(crate) async fn put_in(
    server: &TestServer,
    project: &str,
    kind: &str,
    content: Value,
) -> String {
    let body = json!({
        "project_id": project, "source_agent": "coder", "artifact_type": kind,
        "content": content,
    });
    let (status, artifact) = server.post("/api/v1/context", body).await;
    assert_eq!(status, 201, "{artifact}");
    artifact["context_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_body_is_checked_at_the_border_and_changes_nothing_when_it_is_bad() {
    let server = TestServer::start().await;
    let path = "/api/v1/projects";
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(256));
    let deep = format!("{{\"name\": \"x\", \"a\": {}{}}}", "[".repeat(9999), "]".repeat(9998));
    for (body, status, wrong) in [
        ("{", 400, ""),
        ("", 400, ""),
        ("{\"name\": \"x\"", 400, ""),
        (deep.as_str(), 400, ""),
        ("[]", 422, "body"),
        ("{}", 422, "name"),
        ("{\"name\": 7}", 422, "name"),
        ("{\"name\": \"\"}", 422, "name"),
        ("{\"name\": \" \\t \"}", 422, "name"),
        (long.as_str(), 422, "name"),
        ("{\"name\": \"x\", \"workflow\": \"waterfall\"}", 422, "workflow"),
        ("{\"name\": \"x\", \"oversight\": \"total\"}", 422, "oversight"),
    ] {
        let response = send(&server, Method::POST, path, &[], Some(body)).await;
        assert_eq!(header(&response, "content-type"), "application/problem+json");
        assert_eq!(response.status(), status, "{body:.60}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!((field(&problem), &problem["status"]), (wrong, &json!(status)), "{problem}");
        assert_eq!(problem["instance"], path);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
    }
    let (_, projects) = server.get(path).await;
    assert_eq!(projects, json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn the_longest_name_is_taken_and_text_that_no_store_can_hold_is_refused() {
    let server = TestServer::start().await;
    let (status, project) = server.post("/api/v1/projects", json!({"name": "é".repeat(255)})).await;
    assert_eq!(status, 201, "{project}");
    for (body, wrong) in [
        (r#"{"name": "a\u0000b"}"#, "name"),
        (r#"{"name": "a", "description": "\ud800 and \ud83d\ude00"}"#, "description"),
        (r#"{"name": "\u200b\u2060\ufeff"}"#, "name"),
        (r#"{"name": "\u3164"}"#, "name"),
    ] {
        let response = send(&server, Method::POST, "/api/v1/projects", &[], Some(body)).await;
        assert_eq!(response.status(), 422, "{body}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(field(&problem), wrong, "{problem}");
    }
    let body = "\u{feff}{\"name\": \"\\ud83d\\ude00\"}";
    let created = send(&server, Method::POST, "/api/v1/projects", &[], Some(body)).await;
    assert_eq!(created.status(), 201, "with a byte order mark");
    let location = header(&created, "location").to_owned();
    assert_eq!(server.get(&location).await.1["name"], "\u{1f600}");
    let (_, projects) = server.get("/api/v1/projects").await;
    assert_eq!(projects["items"].as_array().unwrap().len(), 2, "nothing else was created");
}

#[tokio::test]
async fn what_is_not_there_not_possible_or_too_much_has_its_status() {
    let server = TestServer::with(&[("BOTARMY_HTTP__BODY_LIMIT_BYTES", "2000")]).await;
    let large = json!({"name": "x".repeat(3000)}).to_string();
    let json_type = [("content-type", "application/json")];
    for (method, path, headers, body, status) in [
        (Method::GET, "/api/v2/projects", &[][..], None, 404),
        (Method::PUT, "/api/v1/projects", &[], Some("{}"), 405),
        (Method::POST, "/health", &[], Some("{}"), 405),
        (Method::POST, "/api/v1/projects", &json_type[..], Some(large.as_str()), 413),
        (Method::POST, "/api/v1/projects", &[("content-type", "text/plain")], Some("{}"), 415),
        (Method::GET, "/api/v1/projects/17", &[], None, 422),
        (Method::GET, "/api/v1/projects?limit=0", &[], None, 422),
        (Method::GET, "/api/v1/projects?limit=1001", &[], None, 422),
        (Method::GET, "/api/v1/projects?cursor=x", &[], None, 422),
        (Method::GET, "/api/v1/agents/status/typist", &[], None, 422),
        (Method::GET, "/api/v1/audit/events?limit=0", &[], None, 422),
        (Method::GET, "/api/v1/audit/events?event_type=tea", &[], None, 422),
        (Method::DELETE, "/api/v1/artifacts/cleanup-old?max_age_hours=-1", &[], None, 422),
    ] {
        let response = send(&server, method.clone(), path, headers, body).await;
        assert_eq!(response.status(), status, "{method} {path}");
        assert!(!header(&response, "x-request-id").is_empty());
        assert_eq!(status == 405, response.headers().contains_key("allow"), "{path}");
    }
    for path in [
        "/api/v1/projects/{}",
        "/api/v1/projects/{}/status",
        "/api/v1/projects/{}/completion",
        "/api/v1/projects/{}/tasks",
        "/api/v1/tasks/{}",
        "/api/v1/hitl/{}",
        "/api/v1/hitl/{}/context",
        "/api/v1/hitl/project/{}/requests",
        "/api/v1/context/{}",
        "/api/v1/context/project/{}",
        "/api/v1/artifacts/{}/summary",
        "/api/v1/artifacts/{}/download",
        "/api/v1/audit/events/{}",
        "/api/v1/audit/projects/{}/events",
        "/api/v1/audit/projects/{}/verify",
        "/api/v1/audit/projects/{}/export",
        "/api/v1/audit/tasks/{}/events",
    ] {
        let (status, problem) = server.get(&path.replace("{}", UNKNOWN_ID)).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}");
        let (status, problem) = server.get(&path.replace("{}", "x")).await;
        assert_eq!((status, field(&problem).ends_with("_id")), (422, true), "{path}");
    }
    for path in [
        "/api/v1/projects/{}/start",
        "/api/v1/projects/{}/pause",
        "/api/v1/projects/{}/resume",
        "/api/v1/projects/{}/cancel",
        "/api/v1/projects/{}/check-completion",
        "/api/v1/projects/{}/force-complete",
        "/api/v1/tasks/{}/cancel",
        "/api/v1/tasks/{}/retry",
        "/api/v1/artifacts/{}/generate",
    ] {
        let (status, problem) = server.post(&path.replace("{}", UNKNOWN_ID), json!({})).await;
        assert_eq!((status, &problem["status"]), (404, &json!(404)), "{path}: {problem}");
    }
    let path = format!("/api/v1/artifacts/{UNKNOWN_ID}/artifacts");
    assert_eq!(send(&server, Method::DELETE, &path, &[], None).await.status(), 404);
}

#[tokio::test]
async fn a_project_driven_by_hand_is_complete_when_its_tasks_are() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = |rest: &str| format!("/api/v1/projects/{project}{rest}");
    let (status, check) = server.post(&path("/check-completion"), json!({})).await;
    assert_eq!((status, &check["is_complete"]), (200, &json!(false)), "{check}");
    assert!(!check["unmet"].as_array().unwrap().is_empty());

    let task = json!({"agent_type": "analyst", "instructions": "Say what is needed."});
    let (status, submitted) = server.post(&path("/tasks"), task).await;
    assert_eq!((status, &submitted["status"]), (201, &json!("submitted")), "{submitted}");
    let id = submitted["task_id"].as_str().unwrap();
    server
        .until(|server| async {
            let (_, completion) = server.get(&path("/completion")).await;
            completion["is_complete"] == true
        })
        .await;
    let (_, board) = server.get(&path("/status/")).await;
    assert_eq!(board["project_id"], project.as_str());
    assert_eq!(board["tasks"][0]["task_id"], id);
    assert_eq!(board["tasks"][0]["status"], "completed");
    let (_, completion) = server.get(&path("/completion")).await;
    assert_eq!(completion["completion_percentage"], 100.0);
    assert_eq!(
        (&completion["total_tasks"], &completion["completed_tasks"]),
        (&json!(1), &json!(1))
    );
    let (_, task) = server.get(&format!("/api/v1/tasks/{id}")).await;
    assert!(task["output"].is_object(), "{task}");
    let at = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
    assert!(at("created_at") <= at("started_at") && at("started_at") <= at("ended_at"), "{task}");
    let more = json!({"agent_type": "coder", "instructions": "One more."});
    let (status, answer) = server.post(&path("/tasks"), more.clone()).await;
    assert_eq!(status, 201, "a project by hand goes on after it completed by itself: {answer}");
    server.until_is(&path(""), "/status", "completed").await;
    assert_eq!(server.post(&path("/force-complete"), json!({})).await.0, 200);
    let (status, problem) = server.post(&path("/tasks"), more).await;
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test]
async fn a_bad_task_is_refused_naming_the_field() {
    let server = TestServer::start().await;
    let (project, other) = (server.by_hand().await, server.by_hand().await);
    let foreign = put_in(&server, &other, "user_input", json!({"idea": "x"})).await;
    let path = format!("/api/v1/projects/{project}/tasks");
    for (change, wrong) in [
        (json!({"agent_type": "typist"}), "agent_type"),
        (json!({"agent_type": null}), "agent_type"),
        (json!({"instructions": " "}), "instructions"),
        (json!({"context_ids": [foreign]}), "context_ids"),
        (json!({"context_ids": [UNKNOWN_ID]}), "context_ids"),
        (json!({"context_ids": ["x"]}), "context_ids[0]"),
        (json!({"priority": 10}), "priority"),
        (json!({"max_attempts": 0}), "max_attempts"),
    ] {
        let mut body = json!({"agent_type": "coder", "instructions": "Write it."});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, problem) = server.post(&path, body).await;
        assert_eq!((status, field(&problem)), (422, wrong), "{change}: {problem}");
    }
    let (_, board) = server.get(&format!("/api/v1/projects/{project}/status")).await;
    assert_eq!(board["tasks"], json!([]));
}

#[tokio::test]
async fn a_project_is_paused_resumed_and_cancelled() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let path = |rest: &str| format!("/api/v1/projects/{project}{rest}");
    for (action, status, word) in [
        ("/resume", 409, None),
        ("/pause", 200, Some("paused")),
        ("/pause", 409, None),
        ("/resume", 200, Some("active")),
        ("/start", 202, Some("active")),
        ("/start", 409, None),
        ("/cancel", 200, Some("cancelled")),
        ("/cancel", 409, None),
        ("/force-complete", 409, None),
    ] {
        let (found, answer) = server.post(&path(action), json!({})).await;
        assert_eq!(found, status, "{action}: {answer}");
        if let Some(word) = word {
            assert_eq!(answer["status"], word, "{action}");
        }
    }
    let (_, listed) = server.get("/api/v1/projects?status=cancelled").await;
    assert_eq!(listed["items"][0]["id"], project.as_str());
}

#[tokio::test]
async fn a_question_is_raised_answered_once_and_kept_with_its_history() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let plan = put_in(&server, &project, "project_plan", json!({"markdown": "# Plan"})).await;
    let body = json!({
        "project_id": project, "question": "Which one?", "options": ["a", "b"],
        "artifacts": [plan], "ttl_seconds": 600,
    });
    let (status, request) = server.post("/api/v1/hitl", body).await;
    assert_eq!((status, &request["status"]), (201, &json!("pending")), "{request}");
    let id = request["request_id"].as_str().unwrap();
    let respond = format!("/api/v1/hitl/{id}/respond");
    let (_, pending) = server.get("/api/v1/hitl/pending").await;
    assert_eq!(pending["items"][0]["request_id"], id);
    let (_, shown) = server.get(&format!("/api/v1/hitl/{id}/context")).await;
    assert_eq!(shown["artifacts"][0]["content"]["markdown"], "# Plan");

    for (body, status) in [
        (json!({"action": "amend"}), 400),
        (json!({"action": "amend", "content": "  "}), 400),
        (json!({"action": "shrug"}), 422),
        (json!({"action": "amend", "amended_content": "text"}), 422),
        (json!({"action": "approve", "subject_digest": "0".repeat(64)}), 409),
    ] {
        let (found, problem) = server.post(&respond, body).await;
        assert_eq!(found, status, "{problem}");
    }
    let body = json!({
        "action": "amend", "content": "The first", "comment": "Because.",
        "subject_digest": shown["subject_digest"],
    });
    let (status, answer) = server.post(&respond, body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("amended")), "{answer}");
    let (status, problem) = server.post(&respond, json!({"action": "approve"})).await;
    assert_eq!(status, 409);
    let by = format!("amended by {}", botarmy_tests::access::actor());
    assert!(problem["detail"].as_str().unwrap().contains(&by), "{problem}");

    let (_, decided) = server.get(&format!("/api/v1/hitl/{id}")).await;
    assert_eq!(decided["user_response"], "amended");
    assert_eq!(decided["response_comment"], "Because.");
    assert_eq!(
        decided["amended_content"],
        json!({"amended_content": "The first", "comment": "Because."})
    );
    let history = decided["history"].as_array().unwrap();
    assert_eq!((history.len(), &request["history"]), (1, &json!([])), "answers only");
    assert_eq!(history.last().unwrap()["content"], json!({"user_content": "The first"}));
    let list = format!("/api/v1/hitl/project/{project}/requests");
    let (_, open) = server.get(&format!("{list}?status_filter=pending")).await;
    assert_eq!(open, json!([]));
    assert_eq!(server.get(&format!("{list}?status_filter=open")).await.0, 400);
}

#[tokio::test]
async fn a_package_holds_no_file_that_could_harm_and_is_the_same_every_time() {
    let server = TestServer::start().await;
    let (_, created) = server.post("/api/v1/projects", json!({"name": "Größe \"1\""})).await;
    let project = created["id"].as_str().unwrap();
    // Hostile paths do not get this far; files of two artifacts can still hide each other.
    let older = json!({"files": [{"path": "APP.PY", "content": "other"}]});
    put_in(&server, project, "source_code", older).await;
    let files = json!({"files": [
        {"path": "app.py", "content": "import flask\n"},
    ]});
    put_in(&server, project, "source_code", files).await;
    let at = |rest: &str| format!("/api/v1/artifacts/{project}{rest}");
    let (_, before) = server.get(&at("/summary")).await;
    assert_eq!(
        (&before["download_available"], &before["artifact_count"]),
        (&json!(false), &json!(5))
    );

    let get = |headers: Vec<(&'static str, String)>| {
        let (server, path) = (&server, at("/download"));
        async move {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            send(server, Method::GET, &path, &headers, None).await
        }
    };
    let whole = get(vec![]).await;
    assert_eq!((whole.status().as_u16(), header(&whole, "content-type")), (200, "application/zip"));
    assert_eq!(
        header(&whole, "content-disposition"),
        "attachment; filename=\"Gr__e__1__artifacts.zip\"; \
         filename*=UTF-8''Gr%C3%B6%C3%9Fe__1__artifacts.zip"
    );
    let etag = header(&whole, "etag").to_owned();
    let whole = whole.bytes().await.unwrap();
    let names: Vec<String> = botarmy_tests::unzip(std::io::Cursor::new(whole.clone()))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        ["README.md", "manifest.json", "project_summary.md", "requirements.txt", "source/app.py",]
    );

    assert_eq!(get(vec![("if-none-match", etag.clone())]).await.status(), 304);
    let first = get(vec![("range", "bytes=0-99".to_owned()), ("if-range", etag.clone())]).await;
    let rest = get(vec![("range", "bytes=100-".to_owned())]).await;
    assert_eq!((first.status().as_u16(), rest.status().as_u16()), (206, 206));
    let joined = [first.bytes().await.unwrap(), rest.bytes().await.unwrap()].concat();
    assert_eq!(joined, whole);
    assert_eq!(get(vec![("range", "bytes=9999999-".to_owned())]).await.status(), 416);
    let head = send(&server, Method::HEAD, &at("/download"), &[], None).await;
    assert_eq!(header(&head, "content-length"), whole.len().to_string());

    // A package that is generated again, even after changes of the project, has the same bytes.
    let (status, made) = server.post(&at("/generate"), json!({})).await;
    assert_eq!((status, &made["status"]), (200, &json!("success")), "{made}");
    server.post(&format!("/api/v1/projects/{project}/pause"), json!({})).await;
    assert_eq!(get(vec![]).await.bytes().await.unwrap(), whole);
    let (_, summary) = server.get(&at("/summary")).await;
    assert_eq!((&summary["artifact_count"], &made["artifact_count"]), (&json!(5), &json!(5)));
    assert_eq!(summary["artifacts"][4]["file_type"], "py");

    let removed = send(&server, Method::DELETE, &at("/artifacts"), &[], None).await;
    assert_eq!(removed.status(), 200);
    let (_, after) = server.get(&at("/summary")).await;
    assert_eq!(after["download_available"], false);
    let (status, cleaned) =
        server.post("/api/v1/artifacts/cleanup-old?max_age_hours=1", json!({})).await;
    assert_eq!((status, &cleaned["removed"]), (200, &json!(0)));
}

#[tokio::test]
async fn an_artifact_is_named_by_its_content() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let id = put_in(&server, &project, "project_plan", json!({"b": 1, "a": [1.0]})).await;
    let path = format!("/api/v1/context/{id}");
    let shown = send(&server, Method::GET, &path, &[], None).await;
    let etag = header(&shown, "etag").to_owned();
    let artifact: Value = shown.json().await.unwrap();
    assert_eq!(etag, format!("\"{}\"", artifact["digest"].as_str().unwrap()));
    assert_eq!(artifact["created_at"], artifact["updated_at"]);
    let again = send(&server, Method::GET, &path, &[("if-none-match", &etag)], None).await;
    assert_eq!(again.status(), 304);
    for (key, value) in [
        ("content", json!("text")),
        ("artifact_type", json!("poem")),
        ("source_agent", json!("typist")),
        ("project_id", json!("x")),
    ] {
        let mut body = json!({
            "project_id": project, "source_agent": "coder", "artifact_type": "project_plan",
            "content": {},
        });
        body[key] = value;
        let (status, problem) = server.post("/api/v1/context", body).await;
        assert_eq!((status, field(&problem)), (422, key), "{problem}");
    }
}

#[tokio::test]
async fn the_log_is_searched_paged_checked_and_exported() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    for n in 0..5 {
        put_in(&server, &project, "agent_output", json!({ "n": n })).await;
    }
    let path =
        format!("/api/v1/audit/projects/{project}/events?event_type=artifact_created&limit=2");
    let mut next = Some(path);
    let mut seen = Vec::new();
    while let Some(path) = next.take() {
        let page = send(&server, Method::GET, &path, &[], None).await;
        next = header(&page, "link")
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix(">; rel=\"next\""))
            .map(str::to_owned);
        let entries: Vec<Value> = page.json().await.unwrap();
        seen.extend(entries.iter().map(|entry| entry["seq"].as_u64().unwrap()));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2]);
    let (_, check) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!((&check["valid"], &check["entries"]), (&json!(true), &json!(6)), "{check}");
    let path = format!("/api/v1/audit/projects/{project}/export");
    let export = send(&server, Method::GET, &path, &[], None).await;
    assert_eq!(header(&export, "content-type"), "application/x-ndjson");
    let export = export.text().await.unwrap();
    let lines: Vec<Value> =
        export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[6]["head"]), (7, &check["head"]));
    let (_, first) =
        server.get(&format!("/api/v1/audit/events/{}", lines[0]["id"].as_str().unwrap())).await;
    assert_eq!(first, lines[0]);
}

#[tokio::test]
async fn agents_and_health_are_shown() {
    let server = TestServer::start().await;
    let (_, agents) = server.get("/api/v1/agents/status").await;
    assert_eq!(agents.as_object().unwrap().len(), 6);
    assert_eq!(agents["coder"]["status"], "idle");
    let (status, history) = server.get("/api/v1/agents/status-history/coder").await;
    assert!(status == 200 && history.is_array());
    let (_, reset) = server.post("/api/v1/agents/status/coder/reset", json!({})).await;
    assert_eq!((&reset["agent_type"], &reset["status"]), (&json!("coder"), &json!("idle")));
    for path in ["/health", "/health/detailed", "/health/ready", "/health/z", "/healthz", "/livez"]
    {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let (_, detailed) = server.get("/health/detailed").await;
    assert_eq!(detailed["components"]["database"]["status"], "healthy");
    assert_eq!(detailed["components"]["redis"]["status"], "not_configured");
    let (_, document) = server.get("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(server.get("/docs").await.0, 200);
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_and_a_foreign_name_is_not_answered() {
    let server = TestServer::start().await;
    let own = server.base.as_str();
    let port = own.rsplit(':').next().unwrap();
    let (local, foreign) = (format!("localhost:{port}"), format!("evil.example:{port}"));
    let body = Some("{\"name\": \"x\"}");
    let path = "/api/v1/projects";
    for (headers, status) in [
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", "http://evil.example"), ("content-type", "text/plain")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", foreign.as_str())], 421),
        (vec![("origin", own)], 201),
        (vec![("origin", "http://localhost:5173")], 201),
        (vec![("host", local.as_str())], 201),
        (vec![], 201),
    ] {
        let response = send(&server, Method::POST, path, &headers, body).await;
        assert_eq!(response.status(), status, "{headers:?}");
        if status == 403 {
            let problem: Value = response.json().await.unwrap();
            assert!(problem["detail"].as_str().unwrap().contains("http.cors_origins"), "{problem}");
        }
    }
    let (_, projects) = server.get(path).await;
    assert_eq!(projects["items"].as_array().unwrap().len(), 4);
    let force = format!("{path}/{}/force-complete", projects["items"][0]["id"].as_str().unwrap());
    let evil = [("origin", "http://evil.example")];
    assert_eq!(send(&server, Method::POST, &force, &evil, None).await.status(), 403);
    for path in ["/livez", "/ws", "/docs", "/openapi.json"] {
        let response = send(&server, Method::GET, path, &[("host", &foreign)], None).await;
        assert_eq!(response.status(), 421, "{path}");
    }
}

#[tokio::test]
async fn requests_and_live_connections_obey_the_same_rule_about_pages() {
    let server = TestServer::start().await;
    let port = server.base.rsplit(':').next().unwrap();
    for (origin, host, may_call) in [
        ("http://localhost:PORT", "localhost:PORT", true),
        ("HTTP://LOCALHOST:PORT", "localhost:PORT", true),
        ("http://localhost:5173", "127.0.0.1:PORT", true),
        ("http://localhost:1", "localhost:1", false),
        ("https://localhost:PORT", "localhost:PORT", false),
        ("http://localhost:PORT", "127.0.0.1:PORT", false),
        ("http://evil.example", "127.0.0.1:PORT", false),
    ] {
        let (origin, host) = (origin.replace("PORT", port), host.replace("PORT", port));
        let page = [("origin", origin.as_str()), ("host", host.as_str())];
        let create = send(&server, Method::POST, "/api/v1/projects", &page, Some("{}")).await;
        // Without a name it is 422, once it has been let in.
        let expected = if may_call { 422 } else { 403 };
        assert_eq!(create.status(), expected, "POST from {origin} at {host}");
        let upgrade = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let headers = [page.as_slice(), &upgrade].concat();
        let connect = send(&server, Method::GET, "/ws", &headers, None).await;
        let expected = if may_call { 101 } else { 403 };
        assert_eq!(connect.status(), expected, "WebSocket from {origin} at {host}");
        if !may_call {
            assert!(!header(&connect, "x-request-id").is_empty());
            let problem: Value = connect.json().await.unwrap();
            assert!(problem["detail"].as_str().unwrap().contains("http.cors_origins"), "{problem}");
        }
    }
}

#[tokio::test]
async fn completing_by_force_a_second_time_says_that_it_was_complete() {
    let server = TestServer::start().await;
    let path = format!("/api/v1/projects/{}/force-complete", server.by_hand().await);
    let (status, first) = server.post(&path, json!({})).await;
    assert_eq!((status, &first["message"]), (200, &json!("The project was completed by force.")));
    let (status, second) = server.post(&path, json!({})).await;
    assert_eq!((status, &second["status"]), (200, &json!("completed")));
    assert!(second["message"].as_str().unwrap().contains("was complete already"), "{second}");
    assert_eq!(second["overridden"], json!([]), "nothing was overridden this time");
}

#[tokio::test]
async fn a_line_of_the_log_has_the_id_of_its_request_once() {
    for format in ["text", "json"] {
        let server = TestServer::with(&[("BOTARMY_LOG__FORMAT", format)]).await;
        let path = format!("/api/v1/projects/{UNKNOWN_ID}");
        let id = |id| [("x-request-id", id)];
        send(&server, Method::POST, "/api/v1/projects", &id("made-1"), Some("{}")).await;
        send(&server, Method::GET, &path, &id("read-1"), None).await;
        server.until(|s| async { s.log.lock().unwrap().contains("read-1") }).await;
        let log = server.log.lock().unwrap().clone();
        for id in ["made-1", "read-1"] {
            let lines: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
            assert_eq!(lines.len(), 1, "{log}");
            assert_eq!(lines[0].matches(id).count(), 1, "{}", lines[0]);
            let (_, ms) =
                lines[0].split_once(if format == "json" { "\"ms\":" } else { "ms=" }).unwrap();
            let ms: String = ms.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let decimals = ms.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 3 && ms.parse::<f64>().unwrap() > 0.0, "{ms}");
        }
    }
}
