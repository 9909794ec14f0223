//! The console in Chromium: the cookie that it keeps on plain HTTP on this machine, the sign-in by a link,
//! by a key and without scripts, and the way out. Nothing overflows on a phone, and nothing is reported
//! about the policy of the pages. Also the way of a reviewer from the inbox to a decision, by keyboard and
//! by click, and the parts of pages that change by themselves.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use botarmy_tests::access::key;
use botarmy_tests::external_programs::chromium;
use botarmy_tests::server::{TIMEOUT, TestServer};
use serde_json::json;
use thirtyfour::prelude::*;

use crate::alone;

/// A driver of Chromium, which ends with this value.
struct Driver {
    child: Child,
    address: String,
    chromium: PathBuf,
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Driver {
    async fn start(chromium: PathBuf) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is not installed: apt-get install chromium-driver");
        let driver = Self { child, address: format!("http://127.0.0.1:{port}"), chromium };
        let began = std::time::Instant::now();
        while reqwest::get(format!("{}/status", driver.address)).await.is_err() {
            assert!(began.elapsed() < TIMEOUT, "chromedriver does not start");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        driver
    }

    /// Opens a browser with a fresh profile.
    async fn browser(&self) -> WebDriver {
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(self.chromium.to_str().unwrap()).unwrap();
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"] {
            wanted.add_arg(argument).unwrap();
        }
        // Its messages, among them reports about the policy of a page.
        wanted.set("goog:loggingPrefs", json!({"browser": "ALL"})).unwrap();
        WebDriver::new(&self.address, wanted).await.unwrap()
    }
}

/// Creates a sign-in link; returns its address under this host.
async fn link(server: &TestServer, host: &str) -> String {
    let (status, link) = server.post("/api/v1/access/links", json!({})).await;
    assert_eq!(status, 201, "{link}");
    link["url"].as_str().unwrap().replace("127.0.0.1", host)
}

async fn heading(browser: &WebDriver) -> String {
    browser.find(By::Tag("h1")).await.unwrap().text().await.unwrap()
}

/// Waits until there is such an element, and returns it.
async fn until(browser: &WebDriver, css: &str) -> WebElement {
    let query = browser.query(By::Css(css)).wait(TIMEOUT, std::time::Duration::from_millis(20));
    query.first().await.unwrap_or_else(|error| panic!("{css}: {error}"))
}

/// Waits until a page for people who are signed in is shown; returns its address.
async fn signed_in(browser: &WebDriver) -> String {
    until(browser, "form[action$='/logout']").await;
    browser.current_url().await.unwrap().to_string()
}

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

/// Returns the folder for pictures of the pages, if they are asked for.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("BOTARMY_TEST_PICTURES").map(PathBuf::from)
}

/// Checks a page at both widths, dark and light: nothing overflows. Takes pictures if they are asked for.
async fn looks(browser: &WebDriver, name: &str) {
    let tools = browser.cdp();
    for (width, height, is_mobile) in [(1280, 800, false), (390, 844, true)] {
        for scheme in ["light", "dark"] {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_mobile,
            });
            tools.send_raw("Emulation.setDeviceMetricsOverride", size).await.unwrap();
            let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            tools.send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
            let script = "return document.documentElement.scrollWidth - window.innerWidth";
            let over = browser.execute(script, Vec::new()).await.unwrap();
            let over: i64 = over.convert().unwrap();
            assert!(over <= 0, "{name} is {over} pixels too wide at {width}");
            if let Some(folder) = pictures() {
                let file = folder.join(format!("{name}-{width}-{scheme}.png"));
                browser.screenshot(&file).await.unwrap();
            }
        }
    }
    tools.send_raw("Emulation.clearDeviceMetricsOverride", json!({})).await.unwrap();
}

#[tokio::test]
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
        let messages = browser.get_log("browser").await.unwrap();
        assert!(messages.is_empty(), "{messages:?}");
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
    let link = link(&server, "botarmy.localhost").await;
    browser.goto(&link).await.unwrap();
    assert_eq!(heading(&browser).await, "Sign in");
    browser.find(By::Id("code")).await.unwrap().send_keys(&link).await.unwrap();
    let button = By::XPath("//button[contains(., 'with the code')]");
    browser.find(button).await.unwrap().click().await.unwrap();
    signed_in(&browser).await;
    sign_out(&browser).await;
    browser.quit().await.unwrap();
}

/// Presses keys where the focus is.
async fn press(browser: &WebDriver, keys: impl Into<TypingData>) {
    browser.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

async fn text_of(browser: &WebDriver, css: &str) -> String {
    until(browser, css).await.text().await.unwrap()
}

/// Waits until a page says this.
async fn says(browser: &WebDriver, text: &str) {
    let began = std::time::Instant::now();
    while !browser.source().await.unwrap().contains(text) {
        assert!(began.elapsed() < TIMEOUT, "the page does not say: {text}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_reviewer_decides_by_keyboard_and_by_click_and_pages_change_by_themselves() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = driver.browser().await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let base = format!("http://botarmy.localhost:{port}");
    browser.goto(link(&server, "botarmy.localhost").await).await.unwrap();
    signed_in(&browser).await;
    says(&browser, "in three steps").await;
    looks(&browser, "inbox-first").await;

    // A request appears by itself, and the page is the same.
    until(&browser, "#live:not([hidden]):not(.stale)").await;
    browser.execute("window.kept = true", Vec::new()).await.unwrap();
    let project = server.project("Recipes for two").await;
    server.next_gate(&project).await.unwrap();
    until(&browser, ".req").await;
    let kept = browser.execute("return window.kept === true", Vec::new()).await.unwrap();
    assert!(kept.convert::<bool>().unwrap());
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
    until(&browser, "#live:not([hidden]):not(.stale)").await;
    let answer = json!({"action": "approve", "comment": "Good"});
    assert_eq!(server.respond(&third, answer).await.0, 200);
    says(&browser, "<q>Good</q>").await;
    let gone = browser.find_all(By::Css("#decide-form button")).await.unwrap();
    assert!(gone.is_empty(), "an answer would be refused");
    let script = "return document.querySelector('#comment').value";
    let typed = browser.execute(script, Vec::new()).await.unwrap();
    assert_eq!(typed.convert::<String>().unwrap(), "Half a word");
    let messages = browser.get_log("browser").await.unwrap();
    assert!(messages.is_empty(), "{messages:?}");

    browser.goto(format!("{base}/console/settings")).await.unwrap();
    looks(&browser, "settings").await;
    press(&browser, "?").await;
    until(&browser, "dialog[open] #help").await;
    browser.quit().await.unwrap();
}
