//! The pages for operators, auditors and administrators, used with a browser without scripts.

use botarmy_tests::access::{self, key};
use botarmy_tests::browser::{Browser, Shown};
use botarmy_tests::server::{TestServer, bare_client_builder};
use serde_json::{Value, json};

/// Runners that take no task, so that tasks wait for the tests.
const NO_RUNNERS: [(&str, &str); 1] = [("BOTARMY_AGENTS__CODER__RUNNER", "none")];

const PEOPLE: &str = "/console/settings/people";
const KEYS: &str = "/console/settings/keys";

/// Sends a form with the token of the session.
async fn submit(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Shown {
    let token = browser.token().await;
    let fields: Vec<_> =
        [("form_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
    browser.submit(path, &fields).await
}

/// Returns the status of a request to the API with this key.
async fn status_with(server: &TestServer, key: &str, path: &str) -> u16 {
    let client = bare_client_builder().build().unwrap();
    let request = client.get(format!("{}{path}", server.base)).bearer_auth(key);
    request.send().await.unwrap().status().as_u16()
}

/// Returns the first text of the page that begins like this and ends before this character.
fn between<'a>(shown: &'a Shown, begin: &str, end: char) -> &'a str {
    let (_, rest) = shown.body.split_once(begin).unwrap_or_else(|| panic!("{}", shown.body));
    rest.split(end).next().unwrap()
}

/// Creates a person with a role on all projects; returns its page.
async fn person(browser: &mut Browser, name: &str, role: &str) -> String {
    let role = format!("all.{role}");
    let fields = [("name", name), ("kind", "person"), (role.as_str(), "1")];
    let shown = submit(browser, PEOPLE, &fields).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    shown.header("location").to_owned()
}

/// Creates a key for the person with this page; returns its id and its text.
async fn key_of(browser: &mut Browser, page: &str, name: &str) -> (String, String) {
    let id = page.rsplit('/').next().unwrap();
    let form_key = browser.show(KEYS).await.hidden("key");
    let fields =
        [("key", form_key.as_str()), ("principal", id), ("name", name), ("lifetime", "30")];
    let shown = submit(browser, KEYS, &fields).await;
    assert_eq!((shown.status, shown.header("cache-control")), (200, "no-store"), "{}", shown.body);
    let text = between(&shown, "id=\"key\" value=\"", '"').to_owned();
    assert!(text.starts_with("botarmy_k_"), "{text}");
    // A second click creates no other, and does not show it again.
    let again = submit(browser, KEYS, &fields).await;
    assert!(
        again.status == 200 && again.body.contains("The form was sent twice."),
        "{}",
        again.body
    );
    assert!(!again.body.contains(&text), "{}", again.body);
    let list = browser.show(&format!("{KEYS}?principal={id}")).await;
    assert!(!list.body.contains(&text), "the key is shown once only");
    assert_eq!(list.body.matches("<li id=\"k-").count(), 1, "{}", list.body);
    let key = between(&list, "<li id=\"k-", '"').to_owned();
    (key, text)
}

#[tokio::test]
async fn a_key_that_was_made_in_the_console_works_until_it_is_revoked_there() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut admin = Browser::with_key(&server, key()).await;
    let page = person(&mut admin, "<b>Ada", "viewer").await;
    let shown = admin.show(&page).await;
    assert!(shown.body.contains("&#60;b&#62;Ada") && !shown.body.contains("<b>Ada"));
    let (id, text) = key_of(&mut admin, &page, "laptop").await;
    assert_eq!(status_with(&server, &text, "/api/v1/projects").await, 200);
    let listed = "/api/v1/access/principals";
    assert_eq!(status_with(&server, &text, listed).await, 403, "a viewer manages nothing");

    // The rotated key works for as long as the form says, here no longer.
    let shown = submit(&mut admin, &format!("{KEYS}/{id}/rotate"), &[("overlap", "0")]).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let next = between(&shown, "id=\"key\" value=\"", '"').to_owned();
    assert_eq!(status_with(&server, &next, "/api/v1/projects").await, 200);
    assert_eq!(status_with(&server, &text, "/api/v1/projects").await, 401);
    let (_, keys) = server.get("/api/v1/access/keys").await;
    let keys = keys["items"].as_array().unwrap();
    let id = keys
        .iter()
        .find(|one| one["revoked_at"].is_null() && next.contains(one["hint"].as_str().unwrap()));
    let id = id.unwrap()["id"].as_str().unwrap().to_owned();
    let shown = submit(&mut admin, &format!("{KEYS}/{id}/revoke"), &[]).await;
    let told = format!("/console/settings/keys?revoked={id}");
    assert_eq!((shown.status, shown.header("location")), (303, told.as_str()));
    assert!(admin.show(&told).await.body.contains("” is revoked."));
    assert_eq!(status_with(&server, &next, "/api/v1/projects").await, 401);

    // The log names the administrator.
    let entries = server.list("/api/v1/audit/events?event_type=key_revoked").await;
    assert_eq!(entries[0]["event_metadata"]["actor"], json!(access::actor()));
    assert_eq!(entries[0]["event_metadata"]["auth"], json!("session"));
    assert_eq!(entries[0]["event_metadata"]["via"], json!("console"));
    let path = format!("/console/entries/{}", entries[0]["id"].as_str().unwrap());
    assert!(admin.show(&path).await.body.contains("the console"));
    let started = server.list("/api/v1/audit/events?event_type=session_started").await;
    assert_eq!(started[0]["event_metadata"]["via"], json!("console"), "{started:?}");
}

#[tokio::test]
async fn a_link_signs_a_person_in_once_and_disabling_ends_the_session() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut admin = Browser::with_key(&server, key()).await;
    let page = person(&mut admin, "Ada", "viewer").await;
    let shown = submit(&mut admin, &format!("{page}/link"), &[]).await;
    assert_eq!((shown.status, shown.header("cache-control")), (200, "no-store"), "{}", shown.body);
    let url = between(&shown, "id=\"link\" value=\"", '"').to_owned();
    let (address, code) = url.split_once('#').unwrap();
    assert_eq!(address, format!("{}/console/login", server.base));
    let mut ada = Browser::new(&server);
    assert_eq!(ada.sign_in(&[("code", code)]).await.status, 303);
    assert!(ada.is_signed_in().await);
    assert_eq!(Browser::new(&server).sign_in(&[("code", code)]).await.status, 401);
    // Who is signed in is asked before becoming another person.
    let shown = submit(&mut admin, &format!("{page}/link"), &[]).await;
    let url = between(&shown, "id=\"link\" value=\"", '"').to_owned();
    let (_, code) = url.split_once('#').unwrap();
    let mut other = Browser::with_key(&server, key()).await;
    let asked = other.sign_in(&[("code", code)]).await;
    assert_eq!((asked.status, asked.set_cookie()), (200, None), "{}", asked.body);
    assert!(asked.body.contains("You are signed in as"), "{}", asked.body);
    assert!(other.show("/console/account").await.body.contains(access::actor()));
    assert_eq!(other.sign_in(&[("code", code), ("confirmed", "yes")]).await.status, 303);
    assert!(other.show("/console/account").await.body.contains("<h1>Ada</h1>"));
    let out = submit(&mut other, "/console/logout", &[]).await;
    assert_eq!(out.status, 303, "{}", out.body);
    // Roles that others have changed meanwhile are not overwritten.
    let seen = admin.show(&page).await.hidden("seen");
    let roles = [("seen", seen.as_str()), ("all.operator", "1")];
    let saved = submit(&mut admin, &format!("{page}/roles"), &roles).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let stale =
        submit(&mut admin, &format!("{page}/roles"), &[roles[0], ("all.viewer", "1")]).await;
    assert_eq!(stale.status, 409, "{}", stale.body);
    let grants = "name=\"all.operator\" value=\"1\" checked";
    assert!(admin.show(&page).await.body.contains(grants), "they are as they were saved");
    // The administrator sees the session and ends it.
    let sessions = admin.show("/console/settings/sessions").await;
    let end = format!("/console/settings/sessions/{}", {
        let (_, rest) = sessions.body.split_once("action=\"/console/settings/sessions/").unwrap();
        rest.split('"').next().unwrap()
    });
    assert_eq!(submit(&mut admin, &end, &[]).await.status, 303);
    assert!(!ada.is_signed_in().await);
    let shown = submit(&mut admin, &format!("{page}/disable"), &[]).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let shown = submit(&mut admin, &format!("{page}/link"), &[]).await;
    assert!(shown.status >= 400, "a person who is disabled gets no link: {}", shown.body);
    let shown = submit(&mut admin, &format!("{page}/delete"), &[]).await;
    assert_eq!((shown.status, shown.header("location")), (303, PEOPLE), "{}", shown.body);
    assert_eq!(admin.show(&page).await.status, 404);
}

#[tokio::test]
async fn work_is_stopped_and_released_in_the_console() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut admin = Browser::with_key(&server, key()).await;
    let project = server.by_hand().await;
    access::let_admin_work(&server).await;
    server.submit(&project, "coder", "A task that is interrupted").await;
    let poll = json!({"worker_id": "w", "agents": ["coder"], "max": 1, "wait_s": 5});
    let (status, leased) = server.post("/api/v1/worker/leases", poll).await;
    assert_eq!(status, 200, "{leased}");
    let workers = admin.show("/console/workers").await;
    assert!(workers.body.contains("A task that is interrupted"), "{}", workers.body);
    let (agents, coder) =
        (admin.show("/console/agents").await, admin.show("/console/agents/coder").await);
    assert!(agents.status == 200 && coder.body.contains("A task that is interrupted"));

    let stop = [("scope", "agent/coder"), ("reason", "It costs <b>too much</b>")];
    let wrong = [stop[0], stop[1], ("confirm", "tester")];
    let shown = submit(&mut admin, "/console/stop", &wrong).await;
    assert_eq!(shown.status, 422, "{}", shown.body);
    let (_, stops) = server.get("/api/v1/emergency-stop").await;
    assert_eq!(stops["stops"], json!([]), "nothing was stopped");
    let right = [stop[0], stop[1], ("confirm", "coder")];
    let shown = submit(&mut admin, "/console/stop", &right).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let told = shown.header("location").to_owned();
    assert!(told.starts_with("/console/stop?stopped=agent/coder&interrupted=1&mark="), "{told}");
    assert!(admin.show(&told).await.body.contains("1 running task is back in the queue."));
    let more = told.replace("interrupted=1", "interrupted=2");
    assert!(!admin.show(&more).await.body.contains("back in the queue"), "only what is true");
    let (_, stops) = server.get("/api/v1/emergency-stop").await;
    assert_eq!(stops["stops"][0]["agent_type"], json!("coder"), "{stops}");
    // Every page says so, until it is released.
    let page = admin.show("/console/settings").await;
    assert!(page.body.contains("The agent type coder is stopped"), "{}", page.body);
    assert!(page.body.contains("&#60;b&#62;too much") && !page.body.contains("<b>too much"));
    // Another page releases the stop and sets another, which this one has not shown.
    let seen = admin.show("/console/stop").await.hidden("seen");
    let stop_api = "/api/v1/emergency-stop?scope=agent_type&agent_type=coder&reason=x";
    assert!(server.delete(stop_api).await.0 < 300);
    assert!(submit(&mut admin, "/console/stop", &right).await.status == 303);
    let release = [("scope", "agent/coder"), ("reason", "The price is right now"), ("seen", &seen)];
    let stale = submit(&mut admin, "/console/stop/release", &release).await;
    assert_eq!(stale.status, 409, "{}", stale.body);
    assert!(stale.body.contains("Nothing was released."), "{}", stale.body);
    let seen = stale.hidden("seen");
    let release = [("scope", "agent/coder"), ("reason", "The price is right now"), ("seen", &seen)];
    let shown = submit(&mut admin, "/console/stop/release", &release).await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let page = admin.show("/console/settings").await;
    assert!(!page.body.contains("is stopped"), "{}", page.body);
    assert_eq!(submit(&mut admin, "/console/stop/release", &release).await.status, 404);
}

#[tokio::test]
async fn logs_are_searched_checked_and_exported() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut admin = Browser::with_key(&server, key()).await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "A task").await;
    let name = access::actor();
    for (query, count) in [
        (format!("project={project}&type=task_created"), 1),
        (format!("project={project}&actor={name}"), 2),
        (format!("project={project}&actor=nemo"), 0),
        (format!("project={project}&from=2020-01-01&to=2020-01-02"), 0),
    ] {
        let shown = admin.show(&format!("/console/audit?{query}")).await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert_eq!(shown.body.matches("<li id=\"e-").count(), count, "{query}: {}", shown.body);
    }
    let (_, verified) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    let head =
        format!("{}:{}", verified["head"]["seq"], verified["head"]["hash"].as_str().unwrap());
    let path = format!("/console/audit/verify?log={project}&head={head}&state=1");
    let shown = admin.show(&path).await;
    assert!(shown.body.contains("Valid") && shown.body.contains(&head), "{}", shown.body);
    let wrong = format!("/console/audit/verify?log={project}&head=2:{}", "0".repeat(64));
    let shown = admin.show(&wrong).await;
    assert!(
        shown.body.contains("Not valid") && shown.body.contains("position 2"),
        "{}",
        shown.body
    );
    let shown = admin.show("/console/audit/verify?log=system&export=1").await;
    assert_eq!(shown.status, 303, "{}", shown.body);
    let path = shown.header("location").to_owned();
    let export = admin.show(&path).await;
    assert_eq!(export.status, 200, "{}", export.body);
    let last: Value = serde_json::from_str(export.body.trim_end().lines().last().unwrap()).unwrap();
    assert!(last["head"]["seq"].as_u64().unwrap() > 0, "{last}");
}

#[tokio::test]
async fn a_viewer_gets_no_form_and_may_not_send_one() {
    let server = TestServer::with(&NO_RUNNERS).await;
    let mut admin = Browser::with_key(&server, key()).await;
    let page = person(&mut admin, "Eve", "viewer").await;
    let (id, text) = key_of(&mut admin, &page, "laptop").await;
    let mut eve = Browser::with_key(&server, &text).await;
    for (path, sentence) in [
        ("/console/stop", "Stopping work requires the operator role"),
        ("/console/agents/coder", "requires the admin role"),
    ] {
        let shown = eve.show(path).await;
        assert!(shown.body.contains(sentence), "{path}: {}", shown.body);
        assert!(!shown.body.contains("Stop now") && !shown.body.contains("/reset"));
    }
    for path in [PEOPLE, KEYS, "/console/settings/sessions", &page] {
        let shown = eve.show(path).await;
        assert!(shown.status == 403 && shown.body.contains("admin"), "{path}: {}", shown.body);
    }
    let shown = eve.show("/console/audit/verify?log=system").await;
    assert_eq!(shown.status, 403, "{}", shown.body);
    let everything = [("scope", "everything"), ("reason", "x"), ("confirm", "everything")];
    let roles = [("all.admin", "1")];
    for (path, fields) in [
        ("/console/stop".to_owned(), &everything[..]),
        ("/console/stop/release".to_owned(), &everything[..2]),
        ("/console/agents/coder/reset".to_owned(), &[]),
        (PEOPLE.to_owned(), &[("name", "x"), ("kind", "person")]),
        (format!("{page}/roles"), &roles),
        (format!("{page}/link"), &[]),
        (format!("{KEYS}/{id}/rotate"), &[("overlap", "0")]),
        (format!("{KEYS}/{id}/revoke"), &[]),
    ] {
        let shown = submit(&mut eve, &path, fields).await;
        assert_eq!(shown.status, 403, "{path}: {}", shown.body);
    }
    assert_eq!(status_with(&server, &text, "/api/v1/projects").await, 200, "nothing has changed");
    let (_, stops) = server.get("/api/v1/emergency-stop").await;
    assert_eq!(stops["stops"], json!([]));
}
