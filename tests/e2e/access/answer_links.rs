//! Links with which a person answers one request without signing in.

use botarmy_tests::prove::count;
use botarmy_tests::server::{TestServer, bare_client_builder, http_client};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::gate_acts::{Named, call, person, project, workflows};

/// Number of reads of a link in every test run, and in the long form.
const READS: (u32, u32) = (200, 10_000);

/// Raises a question under the policy with links, and makes a link for the caller. Returns the request,
/// and the address of the link on this server.
async fn link(
    server: &TestServer,
    by: &Named,
    project: &str,
    actions: &[&str],
) -> (String, String) {
    link_under(server, by, project, "single", actions).await
}

/// Does the same under another policy.
async fn link_under(
    server: &TestServer,
    by: &Named,
    project: &str,
    policy: &str,
    actions: &[&str],
) -> (String, String) {
    let question = json!({
        "project_id": project, "question": "Is <b>this</b> right?", "policy": policy,
    });
    let (status, request) = call(server, by, Method::POST, "/api/v1/hitl", Some(&question)).await;
    assert_eq!(status, 201, "{request}");
    let id = request["request_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/hitl/{id}/links");
    let (status, made) =
        call(server, by, Method::POST, &path, Some(&json!({"actions": actions}))).await;
    assert_eq!(status, 201, "{made}");
    let url = made["url"].as_str().unwrap();
    let path = url.strip_prefix("https://army.example/bot").unwrap();
    (id, format!("{}{path}", server.base))
}

async fn read(url: &str) -> Response {
    http_client().get(url).send().await.unwrap()
}

async fn answer(url: &str, digest: &str, action: &str) -> Response {
    let fields = format!("subject_digest={digest}&action={action}&comment=Done");
    let request = http_client().post(url).header("origin", "null");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(fields).send().await.unwrap()
}

/// Returns the digest of the subject of a request, and the number of entries of its project.
async fn state(server: &TestServer, id: &str) -> (String, Value) {
    let (_, mut request) = server.get(&format!("/api/v1/hitl/{id}")).await;
    let digest = request["subject"]["digest"].as_str().unwrap().to_owned();
    let project = request["project_id"].as_str().unwrap();
    let (_, log) = server.get(&format!("/api/v1/audit/projects/{project}/events?limit=1")).await;
    request["last"] = log[0]["id"].clone();
    (digest, request)
}

#[tokio::test]
async fn a_link_is_used_once_and_reading_it_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let settings =
        [(name, value.as_str()), ("BOTARMY_HTTP__PUBLIC_URL", "https://army.example/bot")];
    let server = TestServer::with(&settings).await;
    let ada = person(&server).await;
    let (project, _) = project(&server, &ada).await;
    let (id, url) = link(&server, &ada, &project, &["approve", "reject"]).await;
    let (digest, before) = state(&server, &id).await;

    let page = read(&url).await;
    assert_eq!(page.status(), 200);
    for (header, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(page.headers()[header], value);
    }
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("Is &#60;b&#62;this&#60;/b&#62; right?"), "{html}");
    assert!(html.contains(&digest) && !html.contains("<script"), "{html}");
    assert!(html.contains("value=\"approve\"") && !html.contains("value=\"request_changes\""));
    for n in 0..count(READS.0, READS.1) {
        let method = if n % 2 == 0 { Method::GET } else { Method::HEAD };
        let response = http_client().request(method, &url).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(state(&server, &id).await.1, before);

    // A page of another site, a form about something else, and an answer that the link does not have.
    let foreign = http_client().post(&url).header("origin", "https://evil.example");
    let foreign = foreign.header("content-type", "application/x-www-form-urlencoded");
    let foreign = foreign.body(format!("subject_digest={digest}&action=approve"));
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert_eq!(answer(&url, "0", "approve").await.status(), 409);
    assert_eq!(answer(&url, &digest, "request_changes").await.status(), 422);
    assert_eq!(answer(&url, &digest, "amend").await.status(), 422);
    assert_eq!(state(&server, &id).await.1, before);

    // Two answers at once: one counts.
    let (one, other) =
        tokio::join!(answer(&url, &digest, "approve"), answer(&url, &digest, "reject"));
    let mut statuses = [one.status(), other.status()];
    statuses.sort_unstable();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::GONE]);
    let (_, request) = state(&server, &id).await;
    assert_eq!(request["responded_by"], json!(ada.name));
    let events = format!("/api/v1/audit/events?hitl_request_id={id}&event_type=hitl_response");
    let (_, events) = server.get(&events).await;
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    assert_eq!(events[0]["event_data"]["auth"], "link", "{events}");

    // Everyone may know the address now.
    for response in [read(&url).await, answer(&url, &digest, "reject").await] {
        let status = response.status();
        let is_first_again = request["status"] == "rejected" && status == 200;
        assert!(status == 410 || is_first_again, "{status}");
    }
    assert_eq!(read(&url).await.status(), 410);
    assert_eq!(state(&server, &id).await.1, request);
    let unknown = format!("{}x", &url[..url.len() - 1]);
    let unknown = if unknown == url { format!("{}y", &url[..url.len() - 1]) } else { unknown };
    assert_eq!(read(&unknown).await.status(), 404);
    assert_eq!(read(&format!("{}/g/x", server.base)).await.status(), 404);
    let token = url.rsplit('/').next().unwrap();
    assert!(server.said("/g/(token)") && !server.said(token), "the token is in the log");
    let (_, links) = server.get(&format!("/api/v1/hitl/{id}/links")).await;
    assert!(links["items"][0]["used_at"].is_string(), "{links}");
    assert!(!links.to_string().contains(token));
}

#[tokio::test]
async fn a_link_says_which_methods_it_has_and_how_many_approvals_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let settings =
        [(name, value.as_str()), ("BOTARMY_HTTP__PUBLIC_URL", "https://army.example/bot")];
    let server = TestServer::with(&settings).await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let (project, _) = project(&server, &ada).await;
    let (id, url) = link_under(&server, &ada, &project, "mailed", &["approve", "reject"]).await;
    let token = url.rsplit('/').next().unwrap();
    let (digest, before) = state(&server, &id).await;

    // Those who have a link have no key.
    let stranger = bare_client_builder().build().unwrap();
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let response = stranger.request(method.clone(), &url).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["allow"], "GET, HEAD, POST", "{method}");
        let text = response.text().await.unwrap();
        assert!(!text.contains(token), "{method}: {text}");
    }
    // A slash at the end, as some programs add one, does not matter.
    let page = stranger.get(format!("{url}/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains(&digest));
    let unknown = stranger.get(format!("{}/g/x/", server.base)).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert_eq!(state(&server, &id).await.1, before);
    assert!(!server.said(token), "the token is in the log");

    let page = read(&url).await.text().await.unwrap();
    assert!(page.contains("0 of 2 approvals. Two more people have to approve."), "{page}");
    let page = answer(&url, &digest, "approve").await.text().await.unwrap();
    assert!(page.contains("Your approval is recorded."), "{page}");
    assert!(page.contains("1 of 2 approvals. One more person has to approve."), "{page}");
    let path = format!("/api/v1/hitl/{id}/links");
    let actions = json!({"actions": ["approve"]});
    let (_, made) = call(&server, &bob, Method::POST, &path, Some(&actions)).await;
    let path = made["url"].as_str().unwrap().strip_prefix("https://army.example/bot").unwrap();
    let url = format!("{}{path}", server.base);
    let page = read(&url).await.text().await.unwrap();
    assert!(page.contains("1 of 2 approvals. One more person has to approve."), "{page}");
    let page = answer(&url, &digest, "approve").await.text().await.unwrap();
    assert!(page.contains("is approved now") && !page.contains("of 2 approvals"), "{page}");

    // Where one is enough, nothing is said.
    let (_, url) = link(&server, &ada, &project, &["approve"]).await;
    let page = read(&url).await.text().await.unwrap();
    assert!(!page.contains("approvals"), "{page}");
}

#[tokio::test]
async fn a_link_dies_with_its_subject_and_when_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let settings =
        [(name, value.as_str()), ("BOTARMY_HTTP__PUBLIC_URL", "https://army.example/bot")];
    let server = TestServer::with(&settings).await;
    let (ada, bob) = (person(&server).await, person(&server).await);
    let (project, first) = project(&server, &ada).await;
    let (id, url) = link(&server, &ada, &project, &["approve"]).await;
    let (digest, _) = state(&server, &id).await;
    let path = format!("/api/v1/hitl/{id}/links");
    let (_, links) = call(&server, &ada, Method::GET, &path, None).await;
    let one = format!("{path}/{}", links["items"][0]["id"].as_str().unwrap());
    let (status, revoked) = call(&server, &ada, Method::DELETE, &one, None).await;
    assert!(status == 200 && revoked["revoked_at"].is_string(), "{revoked}");
    for response in [read(&url).await, answer(&url, &digest, "approve").await] {
        assert_eq!(response.status(), 410);
        assert!(response.text().await.unwrap().contains("revoked"));
    }
    assert_eq!(state(&server, &id).await.1["status"], "pending");

    // A link proves who one is, so that making one for another person manages access.
    let body = json!({"actions": ["approve"], "person": bob.name});
    assert_eq!(call(&server, &ada, Method::POST, &path, Some(&body)).await.0, 403);
    // The policy of the first review has no links.
    let path = format!("/api/v1/hitl/{}/links", first["request_id"].as_str().unwrap());
    let body = json!({"actions": ["approve"]});
    assert_eq!(call(&server, &ada, Method::POST, &path, Some(&body)).await.0, 403);

    // The specification is reviewed with links, and replaced while its link is out.
    let digest = first["subject"]["digest"].clone();
    let respond = format!("/api/v1/hitl/{}/respond", first["request_id"].as_str().unwrap());
    let approve = json!({"action": "approve", "subject_digest": digest});
    for by in [&ada, &bob] {
        assert_eq!(call(&server, by, Method::POST, &respond, Some(&approve)).await.0, 200);
    }
    let review = loop {
        let open = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
        let (_, open) = server.get(&open).await;
        let open = open.as_array().unwrap().clone();
        if let Some(found) = open.into_iter().find(|one| one["step"] == "Specify") {
            break found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let review_path = format!("/api/v1/hitl/{}/links", review["request_id"].as_str().unwrap());
    let (status, made) =
        call(&server, &ada, Method::POST, &review_path, Some(&json!({"actions": ["approve"]})))
            .await;
    assert_eq!(status, 201, "{made}");
    let path = made["url"].as_str().unwrap().strip_prefix("https://army.example/bot").unwrap();
    let url = format!("{}{path}", server.base);
    assert_eq!(read(&url).await.status(), 200);
    let stored = json!({
        "project_id": project, "source_agent": "analyst", "artifact_type": "software_specification",
        "content": {"markdown": "# Another\n"},
    });
    assert_eq!(call(&server, &ada, Method::POST, "/api/v1/context", Some(&stored)).await.0, 201);
    let old = review["subject"]["digest"].as_str().unwrap();
    for response in [read(&url).await, answer(&url, old, "approve").await] {
        assert_eq!(response.status(), 410);
    }
    let path = format!("/api/v1/hitl/{}", review["request_id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.1["status"], "pending");
}

#[tokio::test]
async fn a_link_shows_nothing_to_a_person_who_may_not_answer_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let settings =
        [(name, value.as_str()), ("BOTARMY_HTTP__PUBLIC_URL", "https://army.example/bot")];
    let server = TestServer::with(&settings).await;
    let ada = person(&server).await;
    let (project, _) = project(&server, &ada).await;
    let (id, url) = link(&server, &ada, &project, &["approve"]).await;
    let (digest, _) = state(&server, &id).await;
    assert!(read(&url).await.text().await.unwrap().contains("right?"));
    let path = format!("/api/v1/access/principals/{}/grants", ada.principal);
    let viewer = json!({"grants": [{"role": "viewer", "on": "all"}]});
    assert_eq!(server.put(&path, viewer).await.0, 200);
    for response in [read(&url).await, answer(&url, &digest, "approve").await] {
        assert_eq!(response.status(), 410);
        let page = response.text().await.unwrap();
        assert!(page.contains("may not answer the request any more"), "{page}");
        assert!(!page.contains("right?"), "{page}");
    }
    assert_eq!(state(&server, &id).await.1["status"], "pending");
    let links = format!("/api/v1/hitl/{id}/links");
    let body = json!({"actions": ["approve"], "person": ada.name});
    let (status, refused) = server.post(&links, body).await;
    assert_eq!(status, 403, "{refused}");
    assert!(refused["detail"].as_str().unwrap().starts_with(&ada.name), "{refused}");
}
