//! Ids of projects that a caller may not see, and ids that do not exist, get the same response.

use botarmy_tests::server::TestServer;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::world::{NO_RUNNERS, Project, client, principal, send};

/// Id of a link that does not exist.
const LINK: &str = "0190a0b0-0000-7000-8000-00000000000b";

/// Id that nothing has.
const UNKNOWN: &str = "0190a0b0-0000-7000-8000-00000000000a";
/// Id of a principal that does not exist, beside an id that is compared.
const PRINCIPAL: &str = "0190a0b0-0000-8000-8000-00000000000b";

/// Returns status, headers and body of a response, with `ID` in place of the id that was asked for.
pub(super) async fn anonymised(
    client: &Client,
    base: &str,
    key: &str,
    request: (&Method, &str),
    body: Option<&Value>,
    id: &str,
) -> String {
    let response = send(client, base, Some(key), request, body).await;
    let status = response.status();
    // The time, the name of the request, and what is left of a limit differ between any two requests.
    let differs = ["date", "x-request-id", "ratelimit"];
    let of_value = |value: &reqwest::header::HeaderValue| {
        let mut parts: Vec<_> = value.to_str().unwrap().split(", ").map(str::to_owned).collect();
        parts.sort();
        parts.join(", ")
    };
    let headers = response.headers().iter();
    let headers = headers.filter(|(name, _)| !differs.contains(&name.as_str()));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| format!("{name}: {}", of_value(value))).collect();
    // Their order means nothing, and varies.
    headers.sort();
    let names = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = response.text().await.unwrap().replace(&names, "REQUEST");
    format!("{status}\n{}\n{body}", headers.join("\n")).replace(id, "ID")
}

/// Operations about one object, with the kind of id in their path.
fn operations() -> Vec<(Method, String)> {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let has_id = ["{project_id}", "{task_id}", "{request_id}", "{context_id}", "{event_id}"]
            .iter()
            .any(|name| path.contains(name));
        for method in ["get", "post", "put", "patch", "delete"] {
            if has_id && item.get(method).is_some() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    found
}

/// Returns a body that every operation takes that wants one.
fn body_for(path: &str, method: &Method) -> Option<Value> {
    if *method == Method::GET || *method == Method::DELETE {
        return None;
    }
    Some(match path.rsplit('/').next().unwrap() {
        "tasks" => json!({"agent_type": "coder", "instructions": "x"}),
        "respond" => json!({"action": "approve"}),
        "reopen" => json!({"reason": "x"}),
        "delegate" => json!({"to": "x"}),
        "extend" => json!({"by_s": 60}),
        "comments" => json!({"text": "x"}),
        "links" => json!({"actions": ["approve"]}),
        "resume" if path.contains("/hitl/") => {
            json!({"status": "resolved", "payload": {"action": "approve"}})
        }
        "start" | "budget" => json!({}),
        "{principal_id}" => json!({"roles": []}),
        _ => return None,
    })
}

/// A body that names a project.
type Body = fn(&str) -> Value;

/// Operations that name the project in their body.
fn bodies() -> [(&'static str, Body); 3] {
    [
        ("/api/v1/context", |id| {
            json!({
                "project_id": id, "source_agent": "coder", "artifact_type": "user_input",
                "content": {"idea": "y"},
            })
        }),
        ("/api/v1/hitl", |id| json!({"project_id": id, "question": "Is it in?"})),
        (
            "/api/v1/emergency-stop",
            |id| json!({"scope": "project", "project_id": id, "reason": "x"}),
        ),
    ]
}

/// Grants of callers that may read nothing in a foreign project: `mine` is another.
fn callers(mine: &str) -> Vec<Value> {
    let on_mine = |role: &str| json!({"role": role, "on": "project", "project_id": mine});
    let mut callers = Vec::new();
    for role in ["viewer", "operator", "reviewer", "worker", "admin"] {
        callers.extend([json!([{"role": role, "on": "own"}]), json!([on_mine(role)])]);
    }
    let works = json!({"role": "worker", "on": "all"});
    callers.extend([json!([]), json!([works]), json!([works, on_mine("viewer")])]);
    callers
}

#[tokio::test]
async fn an_id_of_a_foreign_project_and_an_unknown_one_get_the_same_bytes() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let foreign = Project::new(&server).await;
    let mine = server.by_hand().await;
    let before = foreign.state(&server).await;
    let (client, operations) = (client(), operations());
    assert!(operations.len() > 30, "{}", operations.len());
    let mut pairs = 0;
    for grants in callers(&mine) {
        let is_blind = grants.as_array().unwrap().iter().all(|grant| grant["role"] == "worker");
        let key = principal(&server, "person", grants.clone()).await.key;
        for (method, template) in &operations {
            let (name, id) = [
                ("{project_id}", &foreign.id),
                ("{task_id}", &foreign.task),
                ("{request_id}", &foreign.request),
                ("{context_id}", &foreign.artifact),
                ("{event_id}", &foreign.event),
            ]
            .into_iter()
            .find(|(name, _)| template.contains(name))
            .unwrap();
            let body = body_for(template, method);
            let of = |id: &str| {
                let path = template.replace(name, id).replace("{principal_id}", PRINCIPAL);
                path.replace("{link_id}", LINK)
            };
            let (theirs, none) = (of(id), of(UNKNOWN));
            let theirs =
                anonymised(&client, &server.base, &key, (method, &theirs), body.as_ref(), id).await;
            let none =
                anonymised(&client, &server.base, &key, (method, &none), body.as_ref(), UNKNOWN);
            assert_eq!(theirs, none.await, "{grants} {method} {template}");
            let expected = if is_blind { "403" } else { "404" };
            assert!(theirs.starts_with(expected), "{grants} {method} {template}: {theirs}");
            pairs += 1;
        }
        for (path, of) in bodies() {
            let request = (&Method::POST, path);
            let (theirs, none) = (of(&foreign.id), of(UNKNOWN));
            let theirs =
                anonymised(&client, &server.base, &key, request, Some(&theirs), &foreign.id).await;
            let none = anonymised(&client, &server.base, &key, request, Some(&none), UNKNOWN);
            assert_eq!(theirs, none.await, "{grants} POST {path}");
            assert_eq!(theirs.starts_with("403"), is_blind, "{grants} POST {path}: {theirs}");
            pairs += 1;
        }
    }
    println!("pairs of responses: {pairs}");
    assert_eq!(foreign.state(&server).await, before, "nothing was changed");
}
