//! The way of a reviewer from the inbox to a decision, by keyboard and by click, and the parts of pages that
//! change by themselves.

use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::TestServer;
use serde_json::json;
use thirtyfour::prelude::*;

use super::driver::{
    Driver, base_of, heading, is_live, is_quiet, looks, press, run, says, signed_in_browser,
    text_of, until,
};
use crate::alone;

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_decides_by_keyboard_and_by_click_and_pages_change_by_themselves() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    let base = base_of(&server);
    says(&browser, "in three steps").await;
    looks(&browser, "inbox-first").await;

    // A request appears by itself, and the page is the same.
    is_live(&browser).await;
    run(&browser, "window.kept = true").await;
    let project = server.project("Recipes for two").await;
    server.next_gate(&project).await.unwrap();
    until(&browser, ".req").await;
    assert_eq!(run(&browser, "return window.kept === true").await, true);
    until(&browser, "[data-waiting='1']").await;
    assert_eq!(browser.title().await.unwrap(), "Inbox (1) · BotArmy");
    looks(&browser, "inbox").await;

    // By keyboard alone: to the request, to the answer, and on.
    press(&browser, "j").await;
    press(&browser, Key::Enter).await;
    until(&browser, "#decide-form").await;
    assert_eq!(heading(&browser).await, "Approve the project plan?");
    looks(&browser, "review").await;
    press(&browser, "a").await;
    press(&browser, Key::Control + Key::Enter).await;
    until(&browser, "dialog[open] #confirm").await;
    press(&browser, Key::Enter).await;
    says(&browser, "Your answer is recorded.").await;
    looks(&browser, "decided").await;
    let second = server.next_gate(&project).await.unwrap();
    browser.refresh().await.unwrap();
    press(&browser, "n").await;
    until(&browser, "#decide-form").await;
    assert_eq!(heading(&browser).await, "Approve the software specification?");

    // By click, with feedback; nothing is sent before the question is answered.
    let amend = "input[name='action'][value='amend']";
    until(&browser, amend).await.click().await.unwrap();
    until(&browser, "#words").await.send_keys("Print recipes <b>large</b>").await.unwrap();
    until(&browser, "button.if-amend").await.click().await.unwrap();
    until(&browser, "dialog[open] [data-cancel]").await.click().await.unwrap();
    let path = format!("/api/v1/hitl/{}", second["request_id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.1["status"], "pending");
    until(&browser, "button.if-amend").await.click().await.unwrap();
    assert!(text_of(&browser, "dialog[open]").await.contains("Print recipes <b>large</b>"));
    until(&browser, "dialog[open] [value='yes']").await.click().await.unwrap();
    says(&browser, "Your answer is recorded.").await;
    let third = server.next_gate(&project).await.unwrap();
    browser
        .goto(format!("{base}/console/requests/{}", third["request_id"].as_str().unwrap()))
        .await
        .unwrap();
    until(&browser, "a[href*='view=changes']").await.click().await.unwrap();
    says(&browser, "Print recipes &lt;b&gt;large&lt;/b&gt;").await;
    looks(&browser, "changes").await;

    // Decided elsewhere: the page says so, and takes no answer; the typed text is there.
    until(&browser, "#comment").await.send_keys("Half a word").await.unwrap();
    is_live(&browser).await;
    let answer = json!({"action": "approve", "comment": "Good"});
    assert_eq!(server.respond(&third, answer).await.0, 200);
    says(&browser, "<q>Good</q>").await;
    let gone = browser.find_all(By::Css("#decide-form button")).await.unwrap();
    assert!(gone.is_empty(), "an answer would be refused");
    let typed = run(&browser, "return document.querySelector('#comment').value").await;
    assert_eq!(typed, "Half a word");
    is_quiet(&browser).await;

    browser.goto(format!("{base}/console/settings")).await.unwrap();
    looks(&browser, "settings").await;
    press(&browser, "?").await;
    until(&browser, "dialog[open] #help").await;
    browser.quit().await.unwrap();
}
