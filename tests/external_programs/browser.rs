//! The console in Chromium: the cookie that it keeps on plain HTTP on this machine, the sign-in by a link,
//! by a key and without scripts, and the way out. Nothing overflows on a phone, and nothing is reported
//! about the policy of the pages.

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

/// Waits until the page of the account is shown; returns its address.
async fn signed_in(browser: &WebDriver) -> String {
    browser
        .query(By::Css("form[action$='/logout']"))
        .wait(TIMEOUT, std::time::Duration::from_millis(20))
        .first()
        .await
        .unwrap();
    assert_eq!(heading(browser).await, "admin");
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
        assert_eq!(url, format!("http://{host}:{port}/console"), "the code is nowhere");
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
    assert!(browser.source().await.unwrap().contains("is not valid"));
    looks(&browser, "refused").await;
    browser.find(By::Id("key")).await.unwrap().send_keys(key()).await.unwrap();
    browser.find(button.clone()).await.unwrap().click().await.unwrap();
    signed_in(&browser).await;
    let other = driver.browser().await;
    other.goto(link(&server, "localhost").await).await.unwrap();
    signed_in(&other).await;
    browser.refresh().await.unwrap();
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
