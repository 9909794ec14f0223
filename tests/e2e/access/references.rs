//! Ids of other projects in bodies and queries are refused like ids that do not exist.

use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

use super::enumeration::anonymised;
use super::world::{NO_RUNNERS, Project, client, principal};

/// Id that nothing has.
const UNKNOWN: &str = "0190a0b0-0000-7000-8000-00000000000a";

/// Requests of a caller who may do everything in the project `mine`, about an id in a body or a query.
fn requests(mine: &Project, id: &str) -> Vec<(Method, String, Option<Value>)> {
    let (post, get) = (Method::POST, Method::GET);
    let task = |field: &str| json!({"agent_type": "coder", "instructions": "x", field: [id]});
    let artifact = |project: &str| json!({"project_id": project, "source_agent": "coder", "artifact_type": "user_input", "content": {"idea": "x"}});
    let question = |project: &str| json!({"project_id": project, "question": "x"});
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    vec![
        (post.clone(), format!("/api/v1/projects/{}/tasks", mine.id), Some(task("context_ids"))),
        (post.clone(), "/api/v1/context".into(), Some(artifact(id))),
        (post.clone(), "/api/v1/hitl".into(), Some(question(id))),
        (post.clone(), "/api/v1/hitl".into(), Some(with(question(&mine.id), "task_id", json!(id)))),
        (
            post.clone(),
            "/api/v1/hitl".into(),
            Some(with(question(&mine.id), "artifacts", json!([id]))),
        ),
        (
            post.clone(),
            "/api/v1/hitl/bulk/respond".into(),
            Some(json!({"request_ids": [id], "action": "approve"})),
        ),
        (
            post.clone(),
            "/api/v1/hitl/bulk/respond".into(),
            Some(
                json!({"items": [{"request_id": id, "subject_digest": "0".repeat(64)}], "action": "reject"}),
            ),
        ),
        (
            post,
            "/api/v1/emergency-stop".into(),
            Some(json!({"scope": "project", "project_id": id, "reason": "x"})),
        ),
        (
            Method::DELETE,
            format!("/api/v1/emergency-stop?scope=project&project_id={id}&reason=x"),
            None,
        ),
        (get.clone(), format!("/api/v1/hitl/statistics?project_id={id}"), None),
        (get.clone(), format!("/api/v1/hitl/pending?project_id={id}"), None),
        (get.clone(), format!("/api/v1/audit/events?project_id={id}"), None),
        (get.clone(), format!("/api/v1/audit/events?task_id={id}"), None),
        (get.clone(), format!("/api/v1/audit/events?hitl_request_id={id}"), None),
        (get.clone(), format!("/api/v1/audit/projects/{}/events?task_id={id}", mine.id), None),
        (get.clone(), format!("/api/v1/events/stream?project_id={id}"), None),
        (get, format!("/ws?project_id={id}"), None),
    ]
}

#[tokio::test]
async fn ids_of_other_projects_in_bodies_and_queries_are_unknown() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (mine, foreign) = (Project::new(&server).await, Project::new(&server).await);
    let before = foreign.state(&server).await;
    let grants = json!([
        {"role": "admin", "on": "project", "project_id": mine.id},
        {"role": "worker", "on": "project", "project_id": mine.id},
        {"role": "operator", "on": "own"},
    ]);
    let key = principal(&server, "person", grants).await.key;
    let (client, base) = (client(), &server.base);
    let mut compared = 0;
    for id in [&foreign.id, &foreign.task, &foreign.request, &foreign.artifact, &foreign.event] {
        let theirs = requests(&mine, id);
        for ((method, path, body), (_, none, no_body)) in
            theirs.into_iter().zip(requests(&mine, UNKNOWN))
        {
            let found = anonymised(&client, base, &key, (&method, &path), body.as_ref(), id).await;
            let unknown =
                anonymised(&client, base, &key, (&method, &none), no_body.as_ref(), UNKNOWN).await;
            assert_eq!(found, unknown, "{method} {path} {body:?}");
            compared += 1;
        }
    }
    println!("pairs of responses: {compared}");
    assert_eq!(foreign.state(&server).await, before, "nothing was changed");
}

#[tokio::test]
async fn a_cursor_in_a_foreign_project_shows_nothing_of_it() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (mine, foreign) = (Project::new(&server).await, Project::new(&server).await);
    let grants = json!([{"role": "viewer", "on": "project", "project_id": mine.id}]);
    let key = principal(&server, "person", grants).await.key;
    let client = client();
    for path in ["/api/v1/projects", "/api/v1/audit/events", "/api/v1/hitl/pending"] {
        for cursor in ["", &foreign.id, &foreign.event, &foreign.request, UNKNOWN] {
            let cursor =
                if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
            let url = format!("{}{path}?limit=100{cursor}", server.base);
            let text =
                client.get(url).bearer_auth(&key).send().await.unwrap().text().await.unwrap();
            for id in
                [&foreign.id, &foreign.task, &foreign.request, &foreign.artifact, &foreign.event]
            {
                assert!(!text.contains(id.as_str()), "{path}{cursor}: {text}");
            }
        }
    }
}
