//! The cookie that browsers keep on plain HTTP on this machine, the sign-in by a link, by a key and without
//! scripts, and the way out.

use botarmy_tests::access::key;
use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::{TIMEOUT, TestServer};
use serde_json::json;
use thirtyfour::prelude::*;

use super::driver::{Driver, heading, is_quiet, link, looks, says, sign_in_by_code, signed_in};
use crate::alone;

async fn sign_out(browser: &WebDriver) {
    let button = browser.find(By::Css("form[action$='/console/logout'] button")).await.unwrap();
    button.click().await.unwrap();
    browser
        .query(By::Id("key"))
        .wait(TIMEOUT, std::time::Duration::from_millis(20))
        .first()
        .await
        .unwrap();
    assert!(browser.source().await.unwrap().contains("You are signed out"));
    assert!(browser.get_all_cookies().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_browser_by_link_and_key_with_and_without_scripts() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();

    // By a link, under each name of this machine: the browser keeps the cookie on plain HTTP.
    for host in ["botarmy.localhost", "localhost", "127.0.0.1"] {
        let browser = driver.browser().await;
        let link = link(&server, host).await;
        browser.goto(&link).await.unwrap();
        let url = signed_in(&browser).await;
        let inbox = format!("http://{host}:{port}/console/inbox");
        assert_eq!(url, inbox, "the code is nowhere");
        assert_eq!(heading(&browser).await, "Inbox");
        let cookie = browser.get_named_cookie("__Host-botarmy").await.unwrap();
        assert_eq!((cookie.secure, cookie.path.as_deref()), (Some(true), Some("/")));
        // A script of the page does not see it.
        let seen = browser.execute("return document.cookie", Vec::new()).await.unwrap();
        assert_eq!(seen.convert::<String>().unwrap(), "");
        // The code is not in the history either.
        browser.back().await.unwrap();
        assert!(!browser.current_url().await.unwrap().as_str().contains("botarmy_l_"));
        is_quiet(&browser).await;
        browser.quit().await.unwrap();
    }

    // By a pasted key, from a page that was asked for; and a link in a page that is open already.
    let browser = driver.browser().await;
    let base = format!("http://botarmy.localhost:{port}");
    browser.goto(format!("{base}/console")).await.unwrap();
    assert_eq!(heading(&browser).await, "Sign in");
    looks(&browser, "sign-in").await;
    browser.find(By::Id("key")).await.unwrap().send_keys("botarmy_k_wrong").await.unwrap();
    let button = By::XPath("//button[contains(., 'with the key')]");
    browser.find(button.clone()).await.unwrap().click().await.unwrap();
    says(&browser, "is not valid").await;
    looks(&browser, "refused").await;
    browser.find(By::Id("key")).await.unwrap().send_keys(key()).await.unwrap();
    browser.find(button.clone()).await.unwrap().click().await.unwrap();
    signed_in(&browser).await;
    let other = driver.browser().await;
    other.goto(link(&server, "localhost").await).await.unwrap();
    signed_in(&other).await;
    browser.goto(format!("{base}/console/account")).await.unwrap();
    assert_eq!(heading(&browser).await, "admin");
    looks(&browser, "account").await;
    browser.goto(format!("{base}/console/nothing")).await.unwrap();
    looks(&browser, "error").await;
    browser.back().await.unwrap();
    let end = By::Css("form[action$='/end'] button");
    browser.find(end).await.unwrap().click().await.unwrap();
    signed_in(&browser).await;
    other.refresh().await.unwrap();
    assert_eq!(heading(&other).await, "Sign in", "its session was ended");
    other.quit().await.unwrap();
    sign_out(&browser).await;
    looks(&browser, "signed-out").await;
    let in_open_page = link(&server, "botarmy.localhost").await;
    browser.goto(&in_open_page).await.unwrap();
    signed_in(&browser).await;
    sign_out(&browser).await;
    browser.quit().await.unwrap();

    // Without scripts the code is pasted.
    let browser = driver.browser().await;
    let tools = browser.cdp();
    let off = json!({"value": true});
    tools.send_raw("Emulation.setScriptExecutionDisabled", off).await.unwrap();
    sign_in_by_code(&browser, &server).await;
    sign_out(&browser).await;
    browser.quit().await.unwrap();
}
