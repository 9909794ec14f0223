//! The pages of the console around projects, through the real server, by a browser without scripts.

use botarmy_tests::access::key;
use botarmy_tests::browser::Browser;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

/// Returns the key of the form on a page.
async fn key_of(browser: &mut Browser, path: &str) -> String {
    browser.show(path).await.hidden("key")
}

/// Sends a form of a page, and returns where it leads.
async fn submit(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> String {
    let token = browser.token().await;
    let mut form = vec![("form_token", token.as_str())];
    form.extend_from_slice(fields);
    let shown = browser.submit(path, &form).await;
    assert_eq!(shown.status, 303, "{path}: {}", shown.body);
    shown.header("location").to_owned()
}

async fn show(browser: &mut Browser, path: &str) -> String {
    let shown = browser.show(path).await;
    assert_eq!(shown.status, 200, "{path}: {} {}", shown.header("location"), shown.body);
    assert!(!shown.body.contains(" style=\""), "{path}");
    shown.body
}

#[tokio::test]
async fn an_idea_is_entered_followed_paused_and_cancelled_without_scripts() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    assert!(show(&mut browser, "/console/projects").await.contains("There is no project yet"));
    let form = show(&mut browser, "/console/projects/new").await;
    assert!(form.contains("sdlc: A person reviews the results of 2 steps"), "{form}");
    let key = key_of(&mut browser, "/console/projects/new").await;
    let fields = [
        ("key", key.as_str()),
        ("name", "Recipes <b>"),
        ("idea", "A site for the recipes of a family, with a search."),
        ("workflow", "sdlc"),
        ("oversight", "standard"),
        ("dollars", "2.50"),
        ("tokens", ""),
    ];
    let path = submit(&mut browser, "/console/projects/new", &fields).await;
    // A second click, or the page loaded again.
    assert_eq!(submit(&mut browser, "/console/projects/new", &fields).await, path);
    let (_, all) = server.get("/api/v1/projects").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    let id = path.strip_prefix("/console/projects/").unwrap().to_owned();
    let gate = server.next_gate(&id).await.unwrap();
    let page = show(&mut browser, &path).await;
    assert!(page.contains("Project Planning is waiting for you."), "{page}");
    assert!(page.contains("Recipes &#60;b&#62;") && !page.contains("<h1>Recipes <b>"));
    let request = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());
    assert!(page.contains(&request), "{page}");
    assert!(page.contains("$0.00 spent and $0.00 reserved of $2.50"), "{page}");
    assert!(page.contains("<title>Project Planning: waiting for a person</title>"), "{page}");
    for (tab, text) in [
        ("/tasks", "Project Planning"),
        ("/artifacts", "Project plan"),
        ("/log", "started with the workflow sdlc"),
        ("/usage", "The offline drafter costs nothing."),
    ] {
        let page = show(&mut browser, &format!("{path}{tab}")).await;
        assert!(page.contains(text), "{tab}: {page}");
    }
    let part = show(&mut browser, &format!("{path}?part=workflow")).await;
    assert!(part.starts_with("<div id=\"part-workflow\""), "{part}");
    let list = show(&mut browser, "/console/projects?status=active").await;
    assert!(list.contains(&format!("href=\"{path}\"")), "{list}");

    assert_eq!(submit(&mut browser, &format!("{path}/pause"), &[]).await, path);
    let (_, project) = server.get(&format!("/api/v1/projects/{id}")).await;
    assert_eq!(project["status"], "paused");
    assert!(show(&mut browser, &path).await.contains("Paused by"));
    submit(&mut browser, &format!("{path}/resume"), &[]).await;
    let ask = show(&mut browser, &format!("{path}/complete")).await;
    assert!(ask.contains("Step &#34;Project Planning&#34; is in_review."), "{ask}");
    let token = browser.token().await;
    let seen = browser.show(&format!("{path}/complete")).await.hidden("seen");
    let shown = browser.show(&format!("{path}/usage")).await.hidden("seen");
    let budget = [("dollars", ""), ("tokens", "1,000,000"), ("seen", shown.as_str())];
    submit(&mut browser, &format!("{path}/budget"), &budget).await;
    let stale = [("form_token", token.as_str()), ("dollars", "5"), ("seen", &shown)];
    let stale = browser.submit(&format!("{path}/budget"), &stale).await;
    assert_eq!(stale.status, 409, "another limit was set since: {}", stale.body);
    let (_, set) = server.get(&format!("/api/v1/projects/{id}/budget")).await;
    assert_eq!(set["limit"], json!({"tokens": 1_000_000, "cost_micro_usd": null}));
    // What was shown has changed: the plan is approved, and other conditions are not met now.
    let (status, answer) = server.respond(&gate, json!({"action": "approve"})).await;
    assert_eq!(status, 200, "{answer}");
    server.next_gate(&id).await.unwrap();
    let form = [("form_token", token.as_str()), ("seen", &seen)];
    let stale = browser.submit(&format!("{path}/complete"), &form).await;
    assert_eq!(stale.status, 409, "{}", stale.body);
    assert!(stale.body.contains("Nothing was changed."), "{}", stale.body);
    assert_ne!(stale.hidden("seen"), seen);
    let (_, project) = server.get(&format!("/api/v1/projects/{id}")).await;
    assert_eq!(project["status"], "active");
    submit(&mut browser, &format!("{path}/cancel"), &[]).await;
    let (_, project) = server.get(&format!("/api/v1/projects/{id}")).await;
    assert_eq!(project["status"], "cancelled");
}

#[tokio::test]
async fn a_task_is_added_by_hand_and_its_page_tells_of_its_attempts() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let project = server.by_hand().await;
    let path = format!("/console/projects/{project}");
    assert!(show(&mut browser, &path).await.contains("driven task by task"));
    let key = key_of(&mut browser, &format!("{path}/tasks")).await;
    let fields = [
        ("key", key.as_str()),
        ("agent", "analyst"),
        ("instructions", "Plan <it>"),
        ("context", ""),
        ("priority", ""),
    ];
    let task = submit(&mut browser, &format!("{path}/tasks"), &fields).await;
    assert_eq!(submit(&mut browser, &format!("{path}/tasks"), &fields).await, task, "once");
    let id = task.strip_prefix("/console/tasks/").unwrap();
    server.until_is(&format!("/api/v1/tasks/{id}"), "/status", "completed").await;
    let page = show(&mut browser, &task).await;
    assert!(page.contains("Plan &lt;it&gt;") && page.contains("Attempts"), "{page}");
    let shown = browser.show("/console/tasks/01890000-0000-7000-8000-000000000000").await;
    assert_eq!(shown.status, 404);
}

#[tokio::test]
async fn the_cookie_reads_json_and_packages_below_the_console_and_nowhere_else() {
    let server = TestServer::start().await;
    let mut browser = Browser::with_key(&server, key()).await;
    let project = server.by_hand().await;
    let (_, by_key) = server.get(&format!("/api/v1/projects/{project}")).await;
    let shown = browser.show(&format!("/console/raw/projects/{project}")).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(shown.header("content-type"), "application/json");
    assert!(
        shown.header("cache-control").starts_with("private, no-"),
        "{:?}",
        shown.header("cache-control")
    );
    let statuses = browser.show(&format!("/console/raw/projects/{project}/status")).await;
    let expected = if statuses.header("etag").is_empty() { "no-store" } else { "no-cache" };
    assert_eq!(statuses.header("cache-control"), format!("private, {expected}"));
    let by_cookie: Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(by_cookie["id"], by_key["id"]);
    let shown = browser.show(&format!("/api/v1/projects/{project}")).await;
    assert_eq!(shown.status, 401, "the cookie opens pages alone");
    for path in ["/console/raw/projects/x", "/console/raw/worker/leases", "/console/raw/health"] {
        let status = browser.show(path).await.status;
        assert!([404, 405, 422].contains(&status), "{path}: {status}");
    }
    let token = browser.token().await;
    let post = browser
        .submit(&format!("/console/raw/projects/{project}/pause"), &[("form_token", &token)])
        .await;
    assert!([404, 405].contains(&post.status), "nothing is changed there: {}", post.status);
    let package = format!("/console/raw/artifacts/{project}/download");
    let mut raw = browser.clone();
    raw.cookie = None;
    let shown = raw.show(&package).await;
    assert_eq!((shown.status, shown.header("content-type")), (303, ""), "it leads to the sign-in");
}
