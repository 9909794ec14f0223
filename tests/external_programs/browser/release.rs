//! A release that two people approve, one of them of security, and its author does not: three people with
//! three sessions. What one does, the pages of the others show.

use std::path::Path;

use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use super::driver::{Driver, READY, base_of, is_live, is_quiet, run, says, sign_in_with, until};
use crate::alone;

const WORKFLOW: &str = r#"
name = "two-people"
[[policy]]
name = "release"
approvals = 2
groups = { security = 1 }
exclude = ["author"]
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "low"
policy = "release"
[[step]]
name = "Build"
phase = "2"
agent = "coder"
inputs = ["project_plan"]
output = "source_code"
"#;

/// Changes the document in the editor, as a person would.
const EDIT: &str = r"
const area = document.querySelector('#document');
if (document.querySelector('[name=edited]').value === 'json') {
  area.value = JSON.stringify({ ...JSON.parse(area.value), summary: 'Shorter, by Ada' }, null, 2);
} else {
  area.value = 'Shorter, by Ada';
}";

/// Creates a person who may answer requests, and opens a browser with a session of that person.
async fn person(driver: &Driver, server: &TestServer, name: &str, group: &str) -> WebDriver {
    let new = json!({
        "name": name, "kind": "person", "grants": [{"role": "reviewer", "on": "all"}],
        "groups": [group],
    });
    let (status, made) = server.post("/api/v1/access/principals", new).await;
    assert_eq!(status, 201, "{made}");
    let key = json!({"principal_id": made["id"], "name": "a key"});
    let (status, key) = server.post("/api/v1/access/keys", key).await;
    assert_eq!(status, 201, "{key}");
    let browser = driver.browser().await;
    sign_in_with(&browser, &base_of(server), key["key"].as_str().unwrap()).await;
    browser
}

/// Gives the open request an answer, and confirms it.
async fn answer(browser: &WebDriver, action: &str, expected: &str) {
    let button = until(browser, &format!("#decide-form button.if-{action}")).await;
    button.scroll_into_view().await.unwrap();
    button.click().await.unwrap();
    until(browser, "dialog[open] [value='yes']").await.click().await.unwrap();
    says(browser, expected).await;
}

async fn has(browser: &WebDriver, css: &str) -> bool {
    !browser.find_all(By::Css(css)).await.unwrap().is_empty()
}

/// Returns the request as the API has it.
async fn request(server: &TestServer, gate: &Value) -> Value {
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    server.get(&path).await.1
}

fn workflows(folder: &Path) -> (&'static str, String) {
    std::fs::write(folder.join("two-people.toml"), WORKFLOW).unwrap();
    ("BOTARMY_WORKFLOWS__DIR", folder.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_release_what_a_third_has_written() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let folder = TempDir::new().unwrap();
    let (name, value) = workflows(folder.path());
    let server = TestServer::with(&[(name, value.as_str())]).await;
    let driver = Driver::start(chromium).await;
    let new = json!({
        "name": "Release", "description": "A site for recipes", "workflow": "two-people",
    });
    let (status, project) = server.post("/api/v1/projects", new).await;
    assert_eq!(status, 201, "{project}");
    let project = project["id"].as_str().unwrap();
    let gate = server.next_gate(project).await.unwrap();
    let page =
        format!("{}/console/requests/{}", base_of(&server), gate["request_id"].as_str().unwrap());
    let ada = person(&driver, &server, "ada", "product").await;
    let bob = person(&driver, &server, "bob", "product").await;
    let eve = person(&driver, &server, "eve", "security").await;

    // Bob approves the version of the agent, and says something about it.
    bob.goto(&page).await.unwrap();
    until(&bob, READY).await;
    says(&bob, "Two people approve, one of them of <bdi>security</bdi>.").await;
    answer(&bob, "approve", "Your approval is recorded.").await;
    says(&bob, "1 of 2 approved").await;
    until(&bob, "#say-text").await.send_keys("Is it **short** enough?").await.unwrap();
    until(&bob, "#say button").await.click().await.unwrap();
    says(&bob, "Is it <strong>short</strong> enough?").await;
    is_live(&bob).await;

    // Ada shortens it. Her version is under review now, the vote of Bob is void, and his page says so.
    ada.goto(format!("{page}?edit=1")).await.unwrap();
    until(&ada, READY).await;
    until(&ada, "#document").await;
    run(&ada, EDIT).await;
    answer(&ada, "amend", "Your version is under review now.").await;
    says(&bob, "<bdi>ada</bdi> changed what is reviewed").await;
    says(&bob, "One vote is void.").await;

    // The author does not approve her version: the page says why, and so does the server.
    ada.goto(&page).await.unwrap();
    until(&ada, READY).await;
    says(&ada, "Another person must approve.").await;
    says(&ada, "because you changed it or asked for changes").await;
    assert!(!has(&ada, "[name='action'][value='approve']").await);
    let form = "document.querySelector('#decide-form [value=amend]').value = 'approve'; \
                HTMLFormElement.prototype.submit.call(document.querySelector('#decide-form'))";
    run(&ada, form).await;
    says(&ada, "needs the approval of another person").await;
    assert_eq!(request(&server, &gate).await["status"], "pending");

    // Two others read what changed and approve; the second answer releases it.
    bob.goto(format!("{page}?view=changes")).await.unwrap();
    until(&bob, READY).await;
    says(&bob, "Shorter, by Ada").await;
    answer(&bob, "approve", "Your approval is recorded.").await;
    assert_eq!(request(&server, &gate).await["status"], "pending");
    eve.goto(&page).await.unwrap();
    until(&eve, READY).await;
    says(&eve, "One more person has to approve, of <bdi>security</bdi>.").await;
    answer(&eve, "approve", "Your answer is recorded.").await;
    assert_eq!(request(&server, &gate).await["status"], "approved");
    says(&bob, "Approved by <bdi>eve</bdi>").await;

    // The next step was given her version, and the project ends.
    server.until_is(&format!("/api/v1/projects/{project}"), "/status", "completed").await;
    let path = format!("/api/v1/context/project/{project}?limit=100");
    let plans = server.get(&path).await.1;
    let last = plans["items"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|one| one["artifact_type"] == "project_plan");
    let id = last.unwrap()["context_id"].as_str().unwrap().to_owned();
    let tasks = server.get(&format!("/api/v1/projects/{project}/tasks")).await.1;
    let tasks = tasks["items"].as_array().unwrap();
    let build = tasks.iter().find(|task| task["agent_type"] == "coder").unwrap();
    assert!(build["context_ids"].as_array().unwrap().contains(&json!(id)), "{build}");
    is_quiet(&bob).await;
    is_quiet(&eve).await;
    for browser in [ada, bob, eve] {
        browser.quit().await.unwrap();
    }
}
