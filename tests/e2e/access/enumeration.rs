//! Ids of projects that a caller may not see, and ids that do not exist, get the same response.

use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::world::{NO_RUNNERS, Project, client, principal, send};

/// Id that nothing has.
const UNKNOWN: &str = "0190a0b0-0000-7000-8000-00000000000a";

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
        for method in ["get", "post", "put", "delete"] {
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
        "start" | "budget" => json!({}),
        _ => return None,
    })
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
    for role in ["viewer", "operator", "reviewer", "worker", "admin"] {
        for on in [
            json!({"role": role, "on": "own"}),
            json!({"role": role, "on": "project", "project_id": mine}),
        ] {
            let key = principal(&server, "person", json!([on])).await.key;
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
                let of = |id: &str| template.replace(name, id);
                let (theirs, none) = (of(id), of(UNKNOWN));
                let theirs =
                    anonymised(&client, &server.base, &key, (method, &theirs), body.as_ref(), id);
                let theirs = theirs.await;
                let none = anonymised(
                    &client,
                    &server.base,
                    &key,
                    (method, &none),
                    body.as_ref(),
                    UNKNOWN,
                );
                assert_eq!(theirs, none.await, "{role} {method} {template}");
                assert!(theirs.starts_with("404") || theirs.starts_with("403"), "{theirs}");
                pairs += 1;
            }
        }
    }
    println!("pairs of responses: {pairs}");
    assert_eq!(foreign.state(&server).await, before, "nothing was changed");
}

/// Pairs of requests in every test run, and in the long form.
const PAIRS: (u32, u32) = (300, 10_000);

#[tokio::test]
async fn a_foreign_project_takes_as_long_as_an_unknown_one() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let foreign = Project::new(&server).await;
    let key = principal(&server, "person", json!([{"role": "viewer", "on": "own"}])).await.key;
    let client = client();
    let pairs = count(PAIRS.0, PAIRS.1);
    let (mut theirs, mut none) = (Vec::new(), Vec::new());
    for n in 0..pairs {
        let mut both = [(&foreign.id[..], &mut theirs), (UNKNOWN, &mut none)];
        // Neither is always the first.
        if n % 2 == 1 {
            both.reverse();
        }
        for (id, times) in both {
            let path = format!("/api/v1/projects/{id}");
            let began = std::time::Instant::now();
            let response =
                send(&client, &server.base, Some(&key), (&Method::GET, &path), None).await;
            times.push(began.elapsed());
            assert_eq!(response.status(), 404);
        }
    }
    theirs.sort_unstable();
    none.sort_unstable();
    let (one, other) = (theirs[theirs.len() / 2], none[none.len() / 2]);
    let ratio = one.as_secs_f64() / other.as_secs_f64();
    println!("medians of {pairs} pairs: foreign {one:?}, unknown {other:?}, ratio {ratio:.3}");
    // A build without optimisation on a busy machine: the long form measures the five per cent.
    let most = if pairs == PAIRS.1 { 1.05 } else { 1.5 };
    assert!(ratio < most && ratio > 1.0 / most, "{ratio}");
}
