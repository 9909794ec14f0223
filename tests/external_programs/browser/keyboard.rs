//! All decisions of a reviewer with the keyboard alone, with the script of the page and without: approve,
//! amend by words, amend by a document, reject, raise a budget, answer a question, and answer several
//! requests together. An approval takes two actions from the opened request, and three from the inbox.

use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::driver::{
    Driver, READY, base_of, is_quiet, press, says, sign_in, sign_in_by_code, signed_in_browser,
    text_of, tool, until,
};
use crate::alone;

/// Settings of a server whose tasks of the type `orchestrator` are done by hand and cost tokens.
const SETTINGS: [(&str, &str); 2] = [
    ("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none"),
    ("BOTARMY_AGENTS__ORCHESTRATOR__RESERVE_TOKENS", "500"),
];

/// A person with a keyboard and without a mouse.
struct Keyboard<'a> {
    browser: &'a WebDriver,
    has_scripts: bool,
}

impl Keyboard<'_> {
    /// Presses Tab until an element has the focus.
    async fn tab_to(&self, css: &str) {
        for _ in 0..200 {
            let element = self.browser.active_element().await.unwrap();
            let found = self.browser.find_all(By::Css(css)).await.unwrap();
            if found.iter().any(|one| one.element_id() == element.element_id()) {
                return;
            }
            element.send_keys(Key::Tab).await.unwrap();
        }
        panic!("{css} is not reached with Tab");
    }

    /// Chooses an answer of the open request.
    async fn choose(&self, action: &str) {
        let radio = format!("input[name='action'][value='{action}']");
        until(self.browser, &radio).await;
        if self.has_scripts {
            press(self.browser, if action == "amend" { "m" } else { &action[..1] }).await;
            return;
        }
        // Tab reaches the chosen one of a group, and arrows lead on.
        self.tab_to("input[name='action']").await;
        for _ in 0..3 {
            let focused = self.browser.active_element().await.unwrap();
            if focused.attr("value").await.unwrap().as_deref() == Some(action) {
                press(self.browser, Key::Space).await;
                return;
            }
            press(self.browser, Key::Down).await;
        }
        panic!("{action} is not reached with the arrows");
    }

    /// Submits the decision and confirms it.
    async fn submit(&self, action: &str) {
        if self.has_scripts {
            press(self.browser, Key::Control + Key::Enter).await;
            until(self.browser, "dialog[open] #confirm").await;
        } else {
            self.tab_to(&format!("#decide-form button.if-{action}")).await;
            press(self.browser, Key::Enter).await;
            until(self.browser, "main > #confirm").await;
        }
        // The focus is on the answer; for a rejection it is on Cancel, so that Enter alone does nothing.
        self.tab_to("#confirm [value='yes']").await;
        press(self.browser, Key::Enter).await;
        says(self.browser, "Your answer is recorded.").await;
    }

    /// Opens the first request of the inbox.
    async fn open_first(&self) {
        if self.has_scripts {
            press(self.browser, "j").await;
        } else {
            self.tab_to(".req .what a").await;
        }
        press(self.browser, Key::Enter).await;
        until(self.browser, if self.has_scripts { READY } else { "#decide-form" }).await;
    }
}

/// Returns the state of a request, and its answer.
async fn answer_to(server: &TestServer, gate: &Value) -> Value {
    let path = format!("/api/v1/hitl/{}", gate["request_id"].as_str().unwrap());
    server.get(&path).await.1
}

async fn decide(server: &TestServer, browser: &WebDriver, has_scripts: bool) {
    let keys = Keyboard { browser, has_scripts };
    let inbox = format!("{}/console/inbox", base_of(server));

    // Approve.
    let project = server.project("A site for the recipes of a family").await;
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("approve").await;
    keys.submit("approve").await;
    assert_eq!(answer_to(server, &gate).await["status"], "approved");

    // Amend by words, from the next request.
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("amend").await;
    keys.tab_to("#words").await;
    press(browser, "Children must be able to print").await;
    keys.submit("amend").await;
    let answer = answer_to(server, &gate).await;
    assert_eq!(
        answer["amended_content"]["amended_content"], "Children must be able to print",
        "{answer}"
    );

    // Amend by a document.
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("amend").await;
    keys.tab_to("#decide-form a[href*='edit=1']").await;
    press(browser, Key::Enter).await;
    keys.tab_to("textarea#document").await;
    // Markdown gets a first sentence; a document that is all JSON is submitted as it is.
    let form = until(browser, "input[name='edited']").await.attr("value").await.unwrap();
    if form.as_deref() == Some("markdown") {
        press(browser, Key::Control + Key::Home).await;
        press(browser, "By hand. ").await;
    }
    keys.submit("amend").await;
    let answer = answer_to(server, &gate).await;
    assert_eq!(answer["status"], "amended", "{answer}");

    // Reject.
    let project = server.project("Labels for parcels").await;
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("reject").await;
    keys.tab_to("#comment").await;
    press(browser, "Not now").await;
    keys.submit("reject").await;
    let answer = answer_to(server, &gate).await;
    assert_eq!(
        (&answer["status"], &answer["response_comment"]),
        (&json!("rejected"), &json!("Not now"))
    );

    // A budget.
    let project = server.by_hand().await;
    server.put(&format!("/api/v1/projects/{project}/budget"), json!({"tokens": 100})).await;
    server.submit(&project, "orchestrator", "Write a poem").await;
    let ask = json!({"worker_id": "desk", "agents": ["orchestrator"], "max": 1, "wait_s": 1});
    server.post("/api/v1/worker/leases", ask).await;
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("amend").await;
    keys.tab_to("#tokens").await;
    press(browser, Key::Control + "a").await;
    press(browser, "9000").await;
    keys.submit("amend").await;
    assert_eq!(answer_to(server, &gate).await["status"], "amended");
    let (_, budget) = server.get(&format!("/api/v1/projects/{project}/budget")).await;
    assert_eq!(budget["limit"]["tokens"], 9000, "{budget}");

    // A question with suggested answers.
    let body =
        json!({"project_id": project, "question": "Which colour?", "options": ["Red", "Blue"]});
    let (_, gate) = server.post("/api/v1/hitl", body).await;
    browser.goto(&inbox).await.unwrap();
    keys.open_first().await;
    keys.choose("approve").await;
    keys.tab_to("input[name='choice']").await;
    press(browser, Key::Space).await;
    keys.submit("approve").await;
    let answer = answer_to(server, &gate).await;
    assert_eq!(answer["status"], "approved", "{answer}");

    // Several together.
    let mut gates = Vec::new();
    for idea in ["A notebook for a choir", "A plan for a garden"] {
        let project = server.project(idea).await;
        gates.push(server.next_gate(&project).await.unwrap());
    }
    browser.goto(&inbox).await.unwrap();
    if has_scripts {
        for key in ["j", "x", "j", "x"] {
            press(browser, key).await;
        }
    } else {
        for n in 1..=2 {
            keys.tab_to(&format!(".req:nth-of-type({n}) .pick input")).await;
            press(browser, Key::Space).await;
        }
    }
    keys.tab_to(".together button").await;
    press(browser, Key::Enter).await;
    says(browser, "Answer 2 requests together").await;
    keys.tab_to("input[name='action']").await;
    press(browser, Key::Space).await;
    keys.tab_to("#decide button[type='submit']").await;
    press(browser, Key::Enter).await;
    says(browser, "2 of 2 answers are recorded").await;
    for gate in &gates {
        assert_eq!(answer_to(server, gate).await["status"], "approved");
    }
    is_quiet(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_is_made_with_the_keyboard_alone_with_and_without_scripts() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::with(&SETTINGS).await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    decide(&server, &browser, true).await;
    browser.quit().await.unwrap();

    // On a server of its own, where no other requests wait.
    let server = TestServer::with(&SETTINGS).await;
    let browser = driver.browser().await;
    tool(&browser, "Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    sign_in_by_code(&browser, &server).await;
    decide(&server, &browser, false).await;
    browser.quit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_takes_two_actions_from_the_request_and_three_from_the_inbox() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = driver.browser().await;
    sign_in(&browser, &server).await;
    let project = server.project("A site for the recipes of a family").await;
    let gate = server.next_gate(&project).await.unwrap();
    browser.goto(format!("{}/console/inbox", base_of(&server))).await.unwrap();
    let mut actions = 0;
    for (css, next) in [
        (".req .what a", "#decide-form"),
        ("#decide-form button.if-approve", "dialog[open] #confirm"),
        ("dialog[open] [value='yes']", "#next-request, .bar .btn"),
    ] {
        until(&browser, css).await.click().await.unwrap();
        actions += 1;
        until(&browser, next).await;
    }
    assert_eq!(answer_to(&server, &gate).await["status"], "approved");
    assert!(text_of(&browser, "main").await.contains("Your answer is recorded."));
    println!("approve: {} actions from the request, {actions} from the inbox", actions - 1);
    assert!(actions <= 3);
    browser.quit().await.unwrap();
}
