//! Leases, their tokens, and the keys of workers.

use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Keyed, NO_RUNNERS, Project, client, key_for, principal, send};

const LEASES: &str = "/api/v1/worker/leases";
const TOKEN_INVALID: &str = "urn:botarmy:problem:token_invalid";

/// Asks for a coder's task with a key.
async fn lease(server: &TestServer, key: &str) -> Option<Value> {
    let body = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 0});
    let request = (&Method::POST, LEASES);
    let response = send(&client(), &server.base, Some(key), request, Some(&body)).await;
    let status = response.status().as_u16();
    assert!([200, 204].contains(&status), "{status}");
    if status == 204 {
        return None;
    }
    let answer: Value = response.json().await.unwrap();
    Some(answer["leases"][0].clone())
}

/// Makes a call about a lease with a credential; returns its status and its code.
async fn say(server: &TestServer, lease: &Value, verb: &str, credential: &str) -> (u16, String) {
    let path = format!("{LEASES}/{}/{verb}", lease["lease"].as_str().unwrap());
    let body = match verb {
        "complete" => json!({"output": {"a": 1}}),
        "ask" => json!({"question": "x"}),
        "fail" => json!({"code": "x", "message": "x", "retryable": true, "retry_after_s": 0}),
        _ => json!({}),
    };
    let request = (&Method::POST, path.as_str());
    let response = send(&client(), &server.base, Some(credential), request, Some(&body)).await;
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap_or_default();
    (status, answer["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_lease_is_used_with_its_token_or_the_key_that_took_it_and_nothing_else() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let worker = json!([{"role": "worker", "on": "all"}]);
    let mine = principal(&server, "service", worker.clone()).await;
    let mine_too = key_for(&server, &mine.principal).await;
    let other = principal(&server, "service", worker).await;
    let admin = principal(&server, "person", json!([{"role": "admin", "on": "all"}])).await;
    let project = server.by_hand().await;
    for _ in 0..2 {
        server.submit(&project, "coder", "A greeting").await;
    }
    let first = lease(&server, &mine.key).await.unwrap();
    let second = lease(&server, &other.key).await.unwrap();
    let token = first["token"].as_str().unwrap();
    let forged = format!("{}{}", &token[..token.len() - 6], "AAAAAA");
    let holder = first["task"]["task"]["id"].as_str().unwrap();
    let before = server.events(&project).await.len();
    for verb in ["heartbeat", "ask", "fail", "complete"] {
        for (who, credential) in [
            ("another worker", other.key.as_str()),
            ("an administrator", &admin.key),
            ("the token of another lease", second["token"].as_str().unwrap()),
            ("a forged token", &forged),
        ] {
            let (status, code) = say(&server, &first, verb, credential).await;
            assert!([401, 403, 404, 409].contains(&status), "{verb} by {who}: {status} {code}");
        }
    }
    assert_eq!(server.events(&project).await.len(), before, "nothing was changed");
    // Its token, the key that took it, and another key of the same principal.
    for credential in [token, &mine.key, &mine_too.key] {
        assert_eq!(say(&server, &first, "heartbeat", credential).await.0, 200);
    }
    assert_eq!(say(&server, &first, "complete", token).await.0, 200);
    let events = server.events(&project).await;
    let done = events.iter().find(|event| event["event_type"] == "task_completed").unwrap();
    assert_eq!(done["task_id"], json!(holder));
    let actor = done["event_metadata"]["actor"].as_str().unwrap();
    assert!(actor.starts_with("external/") && actor.ends_with("/w"), "{actor}");
}

#[tokio::test]
async fn a_token_ends_with_its_lease() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let worker = principal(&server, "service", json!([{"role": "worker", "on": "all"}])).await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "A greeting").await;
    let first = lease(&server, &worker.key).await.unwrap();
    let token = first["token"].as_str().unwrap();
    assert_eq!(say(&server, &first, "fail", token).await.0, 200);
    let mut again = None;
    while again.is_none() {
        again = lease(&server, &worker.key).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let again = again.unwrap();
    for verb in ["heartbeat", "ask", "fail", "complete"] {
        // The old token neither serves its old lease nor the new one.
        assert_eq!(say(&server, &first, verb, token).await.0, 409, "{verb}");
        assert!([401, 409].contains(&say(&server, &again, verb, token).await.0), "{verb}");
    }
    assert_eq!(say(&server, &again, "complete", again["token"].as_str().unwrap()).await.0, 200);
}

/// Takes the right to work from the holder of a key, in one of several ways.
async fn end(server: &TestServer, keyed: &Keyed, way: &str, elsewhere: &str) {
    let (key, principal) = (
        format!("/api/v1/access/keys/{}", keyed.key_id),
        format!("/api/v1/access/principals/{}", keyed.principal),
    );
    let (status, answer) = match way {
        "revoked" => server.delete(&key).await,
        "expired" => server.post(&format!("{key}/rotate"), json!({"overlap_s": 0})).await,
        "disabled" => server.put(&format!("{principal}/disabled"), json!({"disabled": true})).await,
        "deleted" => server.delete(&principal).await,
        "elsewhere" => {
            let grant = json!({"role": "worker", "on": "project", "project_id": elsewhere});
            server.put(&format!("{principal}/grants"), json!({"grants": [grant]})).await
        }
        other => unreachable!("{other}"),
    };
    assert!([200, 201, 204].contains(&status), "{way}: {answer}");
}

#[tokio::test]
async fn a_token_ends_with_the_right_of_its_worker_and_the_task_goes_to_another() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let worker = json!([{"role": "worker", "on": "all"}]);
    let other = principal(&server, "service", worker.clone()).await;
    let (project, elsewhere) = (server.by_hand().await, server.by_hand().await);
    for way in ["revoked", "expired", "disabled", "deleted", "elsewhere"] {
        for verb in ["heartbeat", "ask", "fail", "complete"] {
            let mine = principal(&server, "service", worker.clone()).await;
            let task = server.submit(&project, "coder", "A greeting").await;
            let leased = lease(&server, &mine.key).await.unwrap();
            let token = leased["token"].as_str().unwrap();
            assert_eq!(say(&server, &leased, "heartbeat", token).await.0, 200);
            end(&server, &mine, way, &elsewhere).await;
            for _ in 0..2 {
                let (status, code) = say(&server, &leased, verb, token).await;
                assert_eq!((status, code.as_str()), (401, TOKEN_INVALID), "{verb}, {way}");
            }
            let again = lease(&server, &other.key).await.expect("the task was requeued");
            assert_eq!(again["task"]["task"]["id"], json!(task), "{verb}, {way}");
            assert_eq!(say(&server, &leased, verb, token).await.0, 409, "{verb}, {way}");
            let new_token = again["token"].as_str().unwrap();
            assert_eq!(say(&server, &again, "complete", new_token).await.0, 200, "{verb}, {way}");
        }
    }
}

#[tokio::test]
async fn a_result_that_was_accepted_is_not_confirmed_to_a_worker_whose_key_was_revoked() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mine = principal(&server, "service", json!([{"role": "worker", "on": "all"}])).await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "A greeting").await;
    let leased = lease(&server, &mine.key).await.unwrap();
    let token = leased["token"].as_str().unwrap();
    for _ in 0..2 {
        assert_eq!(say(&server, &leased, "complete", token).await.0, 200);
    }
    end(&server, &mine, "revoked", "").await;
    assert_eq!(say(&server, &leased, "complete", token).await.0, 401);
}

#[tokio::test]
async fn the_log_names_the_principal_and_the_key_behind_a_lease() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mine = principal(&server, "service", json!([{"role": "worker", "on": "all"}])).await;
    let second = key_for(&server, &mine.principal).await;
    let project = server.by_hand().await;
    for (verb, event) in [
        ("complete", "task_completed"),
        ("ask", "hitl_request_created"),
        ("fail", "task_retry_scheduled"),
    ] {
        for (is_token, key, auth) in [(true, &mine, "lease"), (false, &second, "key")] {
            let task = server.submit(&project, "coder", "A greeting").await;
            let leased = lease(&server, &mine.key).await.unwrap();
            let token = leased["token"].as_str().unwrap();
            let credential = if is_token { token } else { &second.key };
            let expected = if verb == "ask" { 202 } else { 200 };
            assert_eq!(say(&server, &leased, verb, credential).await.0, expected);
            let events = server.events(&project).await;
            let found = events
                .iter()
                .find(|entry| entry["event_type"] == event && entry["task_id"] == json!(task));
            let metadata = &found.unwrap_or_else(|| panic!("no {event}"))["event_metadata"];
            assert_eq!(metadata["principal"], json!(mine.principal), "{verb} {auth}");
            assert_eq!(metadata["credential"], json!(key.key_id), "{verb} {auth}");
            assert_eq!(metadata["auth"], auth, "{verb}");
            assert_eq!(metadata["via"], Value::Null, "a result is no decision of a person");
            assert!(metadata["actor"].as_str().unwrap().starts_with("external/"), "{metadata}");
            if verb == "fail" {
                // It may be tried again now.
                let path = format!("/api/v1/tasks/{task}/cancel");
                assert_eq!(server.post(&path, json!({})).await.0, 200);
            }
        }
    }
}

#[tokio::test]
async fn a_worker_gets_tasks_within_its_reach_only_however_many_wait_before_them() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let (mine, foreign) = (server.by_hand().await, server.by_hand().await);
    for _ in 0..20 {
        server.submit(&foreign, "coder", "Not for this worker").await;
    }
    let grants = json!([{"role": "worker", "on": "project", "project_id": mine}]);
    let key = principal(&server, "service", grants).await.key;
    assert_eq!(lease(&server, &key).await, None);
    let task = server.submit(&mine, "coder", "For this worker").await;
    let leased = lease(&server, &key).await.unwrap();
    assert_eq!(leased["task"]["task"]["id"], json!(task));
    assert_eq!(lease(&server, &key).await, None);
    // It sees nothing but the task that it is given, not even the project.
    for path in
        ["/api/v1/projects", &format!("/api/v1/projects/{mine}"), &format!("/api/v1/tasks/{task}")]
    {
        let response = send(&client(), &server.base, Some(&key), (&Method::GET, path), None).await;
        assert_eq!(response.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn the_token_of_a_lease_is_no_credential_elsewhere() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let project = Project::new(&server).await;
    let token = project.lease["token"].as_str().unwrap();
    for path in ["/api/v1/projects", "/api/v1/access/me", "/ws?project_id=all", "/nothing"] {
        let response = send(&client(), &server.base, Some(token), (&Method::GET, path), None).await;
        assert_eq!(response.status(), 401, "{path}");
    }
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 0});
    let request = (&Method::POST, LEASES);
    let response = send(&client(), &server.base, Some(token), request, Some(&poll)).await;
    assert_eq!(response.status(), 401);
}
