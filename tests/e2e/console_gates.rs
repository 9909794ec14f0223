//! Policies in the console through the real server, by browsers without scripts: votes, a vote that is taken
//! back, the discussion, a reservation, and the person who answers in the place of another.

use botarmy_domain::ports::Clock as _;
use botarmy_server::system::SystemClock;
use std::path::Path;

use botarmy_tests::browser::{Browser, Shown};
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

const WORKFLOW: &str = r#"
name = "pair"
[[policy]]
name = "pair"
approvals = 2
candidates = ["group:leads"]
[[policy]]
name = "one"
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "low"
policy = "pair"
[[step]]
name = "Design"
phase = "1"
agent = "architect"
inputs = ["project_plan"]
output = "system_architecture"
gate = "low"
policy = "one"
"#;

fn workflows(folder: &Path) -> (&'static str, String) {
    std::fs::write(folder.join("pair.toml"), WORKFLOW).unwrap();
    ("BOTARMY_WORKFLOWS__DIR", folder.to_str().unwrap().to_owned())
}

/// Creates a person who reviews, and signs a browser in as that person.
async fn person(server: &TestServer, name: &str, groups: &[&str]) -> Browser {
    let new = json!({
        "name": name, "kind": "person", "groups": groups,
        "grants": [{"role": "reviewer", "on": "all"}],
    });
    let (status, made) = server.post("/api/v1/access/principals", new).await;
    assert_eq!(status, 201, "{made}");
    let key = json!({"principal_id": made["id"], "name": "a key"});
    let (status, key) = server.post("/api/v1/access/keys", key).await;
    assert_eq!(status, 201, "{key}");
    Browser::with_key(server, key["key"].as_str().unwrap()).await
}

/// Sends a form with the token of the session.
async fn send(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Shown {
    let token = browser.token().await;
    let mut form = vec![("form_token", token.as_str())];
    form.extend_from_slice(fields);
    browser.submit(path, &form).await
}

/// Gives an answer, confirmed; returns the page that follows.
async fn answer(browser: &mut Browser, page: &str, fields: &[(&str, &str)]) -> Shown {
    let shown = browser.show(page).await;
    let (_, decision) = shown.body.split_once("id=\"decide-form\"").unwrap_or_default();
    let hidden = |name: &str| {
        let (_, rest) = decision.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (key, digest) = (hidden("key"), hidden("subject_digest"));
    let mut form = vec![("key", key.as_str()), ("subject_digest", &digest), ("confirmed", "yes")];
    form.extend_from_slice(fields);
    let sent = send(browser, &format!("{page}/answer"), &form).await;
    if sent.status != 303 {
        return sent;
    }
    let next = sent.header("location").to_owned();
    browser.show(&next).await
}

/// Does something else with a request; returns the page that follows.
async fn act(browser: &mut Browser, page: &str, key: &str, fields: &[(&str, &str)]) -> Shown {
    let mut form = vec![("key", key)];
    form.extend_from_slice(fields);
    let sent = send(browser, &format!("{page}/act"), &form).await;
    if sent.status != 303 {
        return sent;
    }
    let next = sent.header("location").to_owned();
    browser.show(&next).await
}

fn says(shown: &Shown, parts: &[&str]) {
    for part in parts {
        assert!(shown.body.contains(part), "{part}: {}", shown.body);
    }
}

async fn status(server: &TestServer, gate: &Value) -> Value {
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    server.get(&path).await.1["status"].clone()
}

#[tokio::test]
async fn two_people_decide_with_votes_that_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let mut ada = person(&server, "ada", &["leads"]).await;
    let mut bob = person(&server, "bob", &["leads"]).await;
    let mut eve = person(&server, "eve", &[]).await;
    let new = json!({"name": "Letters", "description": "Letters", "workflow": "pair"});
    let (status_of, project) = server.post("/api/v1/projects", new).await;
    assert_eq!(status_of, 201, "{project}");
    let project = project["id"].as_str().unwrap();
    let gate = server.next_gate(project).await.unwrap();
    let page = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());

    // Eve is not asked: it is not in her inbox, and its page says why there is no form.
    let inbox = eve.show("/console/inbox").await;
    says(&inbox, &["No requests are waiting for you", "<title>Inbox · BotArmy</title>"]);
    says(&eve.show("/console/inbox?who=all").await, &[page.as_str(), "0 of 2 approved"]);
    says(&eve.show(&page).await, &["but not answer it", "it asks group:leads"]);
    let refused = act(&mut eve, &page, "e1", &[("act", "extend"), ("by_s", "3600")]).await;
    assert_eq!(refused.status, 403, "{}", refused.body);

    // A vote, another one in its place, and none.
    says(&ada.show("/console/inbox").await, &["For me 1", "policy <bdi>pair</bdi>"]);
    let voted = answer(&mut ada, &page, &[("action", "approve"), ("comment", "Good")]).await;
    says(&voted, &["Your approval is recorded.", "1 of 2 approved", "You approved it"]);
    let taken = act(&mut ada, &page, "a1", &[("act", "withdraw")]).await;
    says(&taken, &["Your answer is taken back.", "0 of 2 approved"]);
    let again = act(&mut ada, &page, "a2", &[("act", "withdraw")]).await;
    assert_eq!(again.status, 409, "{}", again.body);
    // The same answer as before is another one, as it was taken back.
    let voted = answer(&mut ada, &page, &[("action", "approve"), ("comment", "Good")]).await;
    says(&voted, &["Your approval is recorded.", "1 of 2 approved"]);
    assert_eq!(status(&server, &gate).await, "pending");

    // A remark is made once for the key of its form.
    for _ in 0..2 {
        let text = [("act", "comment"), ("comment", "Is *it* <b>short</b>?")];
        says(&act(&mut eve, &page, "e2", &text).await, &["<em>it</em> &lt;b&gt;short&lt;/b&gt;?"]);
    }
    let shown = bob.show(&page).await;
    assert_eq!(shown.body.matches("<em>it</em>").count(), 1, "{}", shown.body);

    // Bob delegates to Eve, who decides in his place under her own name.
    let nobody = act(&mut bob, &page, "b1", &[("act", "delegate"), ("to", "nobody")]).await;
    assert_eq!(nobody.status, 422, "{}", nobody.body);
    says(&nobody, &["The other person must be the name or the id", "value=\"nobody\""]);
    let done = act(&mut bob, &page, "b2", &[("act", "delegate"), ("to", "eve")]).await;
    says(&done, &["<bdi>eve</bdi> answers for <bdi>bob</bdi>"]);
    let decided = answer(&mut eve, &page, &[("action", "approve")]).await;
    says(&decided, &["Your answer is recorded.", "Approved by <bdi>eve</bdi>"]);
    says(&decided, &["<bdi>eve</bdi> approved</span></span> for <bdi>bob</bdi>"]);
    assert_eq!(status(&server, &gate).await, "approved");

    // The next one is for a single person, who reserves it.
    let second = server.next_gate(project).await.unwrap();
    let page = format!("/console/requests/{}", second["request_id"].as_str().unwrap());
    let claimed = act(&mut ada, &page, "a3", &[("act", "claim")]).await;
    says(&claimed, &["The request is reserved for you.", "Reserved by"]);
    says(&bob.show(&page).await, &["ada has claimed the request"]);
    let early = answer(&mut ada, &page, &[("action", "reject")]).await;
    assert_eq!(early.status, 422);
    says(&early, &["wants a reason for this answer"]);
    let free = act(&mut ada, &page, "a4", &[("act", "unclaim")]).await;
    says(&free, &["The request is not reserved any more."]);
    let done = answer(&mut bob, &page, &[("action", "approve")]).await;
    says(&done, &["Approved by <bdi>bob</bdi>"]);
    assert_eq!(status(&server, &second).await, "approved");
}

#[tokio::test]
async fn a_person_who_is_away_has_another_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let mut ada = person(&server, "ada", &["leads"]).await;
    let _bob = person(&server, "bob", &["leads"]).await;
    let mut eve = person(&server, "eve", &[]).await;
    let path = "/console/account/delegation";
    let wrong = send(&mut ada, path, &[("to", "ada"), ("until", "2030-01-01T08:00")]).await;
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    let tomorrow = SystemClock.now().after(std::time::Duration::from_secs(86_400));
    let until = tomorrow.to_string();
    let sent = send(&mut ada, path, &[("to", "eve"), ("until", &until[..16])]).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let next = sent.header("location").to_owned();
    says(&ada.show(&next).await, &["The change is in force.", "answers for you from", "End it"]);

    let new = json!({"name": "Letters", "description": "Letters", "workflow": "pair"});
    let (status_of, project) = server.post("/api/v1/projects", new).await;
    assert_eq!(status_of, 201, "{project}");
    let gate = server.next_gate(project["id"].as_str().unwrap()).await.unwrap();
    let page = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());
    says(&eve.show(&page).await, &["<bdi>eve</bdi> answers for <bdi>ada</bdi>"]);
    let voted = answer(&mut eve, &page, &[("action", "approve")]).await;
    says(&voted, &["Your approval is recorded.", "for <bdi>ada</bdi>"]);
    let sent = send(&mut ada, path, &[("end", "1")]).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let shown = ada.show("/console/account").await;
    assert!(!shown.body.contains("answers for you from"), "{}", shown.body);
}
