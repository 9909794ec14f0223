//! Members of a project: its managers let others in and out without managing principals.

use std::time::Instant;

use botarmy_tests::server::TestServer;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::world::{NO_RUNNERS, client, new_name, principal, send};

/// Sends a request with this key; returns its status and its answer.
async fn call(
    client: &Client,
    server: &TestServer,
    key: &str,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let body = Some(&body).filter(|body| !body.is_null());
    let response = send(client, &server.base, Some(key), (&method, path), body).await;
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn managers_let_others_into_their_project_and_see_nothing_else_of_them() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let client = client();
    let (one, other) = (server.by_hand().await, server.by_hand().await);
    let on =
        |role: &str, project: &str| json!({"role": role, "on": "project", "project_id": project});
    let manager = principal(&server, "person", json!([on("admin", &one)])).await;
    let guest = principal(&server, "service", json!([on("viewer", &other)])).await;
    let members = format!("/api/v1/projects/{one}/members");
    let of_guest = format!("{members}/{}", guest.principal);
    let as_manager = |method: Method, path: String, body: Value| {
        let (client, server, key) = (&client, &server, &manager.key);
        async move { call(client, server, key, method, &path, body).await }
    };

    // Before, the project does not exist for the guest; then it does, at once.
    let project = format!("/api/v1/projects/{one}");
    let see = || call(&client, &server, &guest.key, Method::GET, &project, Value::Null);
    assert_eq!(see().await.0, 404);
    let roles = json!({"roles": ["reviewer", "worker", "viewer"]});
    let (status, member) = as_manager(Method::PUT, of_guest.clone(), roles).await;
    assert_eq!(status, 200, "{member}");
    assert_eq!(member["roles"], json!(["viewer", "reviewer", "worker"]));
    assert_eq!(member["principal_id"], json!(guest.principal));
    assert!(member.get("grants").is_none() && member.get("groups").is_none(), "{member}");
    assert_eq!(see().await.0, 200);

    // The list has both, in pages, and none of those with roles on everything.
    let (_, all) = as_manager(Method::GET, members.clone(), Value::Null).await;
    let mut ids: Vec<_> = all["items"].as_array().unwrap().iter().collect();
    ids.sort_by_key(|member| member["principal_id"] == json!(manager.principal));
    assert_eq!(ids.len(), 2, "{all}");
    assert_eq!((&ids[0]["roles"], &ids[1]["roles"]), (&member["roles"], &json!(["admin"])));
    let (_, page) = as_manager(Method::GET, format!("{members}?limit=1"), Value::Null).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = format!("{members}?limit=1&cursor={cursor}");
    let (_, rest) = as_manager(Method::GET, rest, Value::Null).await;
    assert_eq!(json!([page["items"][0], rest["items"][0]]), all["items"]);
    assert_eq!(rest["next_cursor"], Value::Null);

    // The log of the system says who did it, and to whom.
    let changes = server.list("/api/v1/audit/events?event_type=grant_changed&limit=1").await;
    assert_eq!(changes[0]["event_metadata"]["principal"], json!(manager.principal));
    assert_eq!(changes[0]["event_data"]["principal_id"], json!(guest.principal));
    assert_eq!(changes[0]["project_id"], Value::Null);

    // What they cannot do changes nothing.
    let unknown = "0190a0b0-0000-7000-8000-00000000000a";
    let viewer = json!({"roles": ["viewer"]});
    for (path, body, expected) in [
        (format!("{members}/{unknown}"), viewer.clone(), 404),
        (format!("/api/v1/projects/{other}/members/{}", guest.principal), viewer.clone(), 404),
        (format!("/api/v1/projects/{unknown}/members/{}", guest.principal), viewer.clone(), 404),
        (format!("{members}/nobody"), viewer.clone(), 422),
        (of_guest.clone(), json!({"roles": ["owner"]}), 422),
        (of_guest.clone(), json!({}), 422),
        (of_guest.clone(), json!({"roles": [], "grants": []}), 422),
        (of_guest.clone(), json!(["viewer"]), 422),
    ] {
        let (status, answer) = as_manager(Method::PUT, path.clone(), body).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    let mine = || call(&client, &server, &guest.key, Method::PUT, &of_guest, viewer.clone());
    let (status, refused) = mine().await;
    assert_eq!(status, 403, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("project.manage"), "{refused}");
    let (_, after) = as_manager(Method::GET, members.clone(), Value::Null).await;
    assert_eq!(after, all);

    // The last role is taken away: the project is gone for the guest, and the other one stays.
    let none = json!({"roles": []});
    let (status, member) = as_manager(Method::PUT, of_guest.clone(), none.clone()).await;
    assert_eq!((status, &member["roles"]), (200, &json!([])));
    let since = Instant::now();
    assert_eq!(see().await.0, 404, "after {:?}", since.elapsed());
    let elsewhere = format!("/api/v1/projects/{other}");
    assert_eq!(
        call(&client, &server, &guest.key, Method::GET, &elsewhere, Value::Null).await.0,
        200
    );
    let (status, again) = as_manager(Method::PUT, of_guest, none).await;
    assert_eq!((status, again), (200, member), "a repetition changes nothing");

    // An administrator on the projects that it creates lets others into these.
    let own = principal(&server, "person", json!([{"role": "admin", "on": "own"}])).await;
    let body = json!({"name": new_name("a project")});
    let (status, created) =
        call(&client, &server, &own.key, Method::POST, "/api/v1/projects", body).await;
    assert_eq!(status, 201, "{created}");
    let created = created["id"].as_str().unwrap();
    let path = format!("/api/v1/projects/{created}/members/{}", guest.principal);
    let (status, member) =
        call(&client, &server, &own.key, Method::PUT, &path, viewer.clone()).await;
    assert_eq!((status, &member["roles"]), (200, &viewer["roles"]), "{member}");
    let path = format!("{members}/{}", guest.principal);
    assert_eq!(call(&client, &server, &own.key, Method::PUT, &path, viewer).await.0, 404);
}
