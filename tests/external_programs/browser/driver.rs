//! Chromium with its driver, and what all tests of the console do with a page.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

/// Time between two looks at a page.
const STEP: Duration = Duration::from_millis(20);
/// Name of this machine in the addresses of pages: browsers keep secure cookies for it on plain HTTP.
pub(super) const HOST: &str = "botarmy.localhost";

/// A decision that can be made, with shortcuts: the script of the page has run.
pub(super) const READY: &str = "html.scripted #decide-form";

/// A driver of Chromium, which ends with this value.
pub(super) struct Driver {
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
    pub(super) async fn start(chromium: PathBuf) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is not installed: apt-get install chromium-driver");
        let driver = Self { child, address: format!("http://127.0.0.1:{port}"), chromium };
        let began = Instant::now();
        let client = bare_client_builder().build().unwrap();
        while client.get(format!("{}/status", driver.address)).send().await.is_err() {
            assert!(began.elapsed() < TIMEOUT, "chromedriver does not start");
            tokio::time::sleep(STEP).await;
        }
        driver
    }

    /// Opens a browser with a fresh profile.
    pub(super) async fn browser(&self) -> WebDriver {
        // Its messages, among them reports about the policy of a page.
        self.browser_with(&[], json!({"browser": "ALL"})).await
    }

    /// Opens a browser with a fresh profile that also records its requests.
    pub(super) async fn recording(&self, arguments: &[&str]) -> WebDriver {
        self.browser_with(arguments, json!({"browser": "ALL", "performance": "ALL"})).await
    }

    async fn browser_with(&self, arguments: &[&str], logs: Value) -> WebDriver {
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(self.chromium.to_str().unwrap()).unwrap();
        let always =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"];
        for argument in always.iter().chain(arguments) {
            wanted.add_arg(argument).unwrap();
        }
        wanted.set("goog:loggingPrefs", logs).unwrap();
        WebDriver::new(&self.address, wanted).await.unwrap()
    }
}

/// Returns the address of a server under the name that browsers keep cookies for.
pub(super) fn base_of(server: &TestServer) -> String {
    server.base.replace("127.0.0.1", HOST)
}

/// Creates a sign-in link; returns its address under this host.
pub(super) async fn link(server: &TestServer, host: &str) -> String {
    let (status, link) = server.post("/api/v1/access/links", json!({})).await;
    assert_eq!(status, 201, "{link}");
    link["url"].as_str().unwrap().replace("127.0.0.1", host)
}

/// Opens a browser that is signed in as the administrator.
pub(super) async fn signed_in_browser(driver: &Driver, server: &TestServer) -> WebDriver {
    let browser = driver.browser().await;
    sign_in(&browser, server).await;
    browser
}

/// Signs a browser in as the administrator.
pub(super) async fn sign_in(browser: &WebDriver, server: &TestServer) {
    browser.goto(link(server, HOST).await).await.unwrap();
    signed_in(browser).await;
}

/// Signs a browser without scripts in: the code of a link is pasted.
pub(super) async fn sign_in_by_code(browser: &WebDriver, server: &TestServer) {
    let link = link(server, HOST).await;
    browser.goto(&link).await.unwrap();
    until(browser, "#code").await.send_keys(&link).await.unwrap();
    let button = By::XPath("//button[contains(., 'with the code')]");
    browser.find(button).await.unwrap().click().await.unwrap();
    signed_in(browser).await;
}

/// Signs a browser in with a key.
pub(super) async fn sign_in_with(browser: &WebDriver, base: &str, key: &str) {
    browser.goto(format!("{base}/console/login")).await.unwrap();
    until(browser, "#key").await.send_keys(key).await.unwrap();
    let button = By::XPath("//button[contains(., 'with the key')]");
    browser.find(button).await.unwrap().click().await.unwrap();
    signed_in(browser).await;
}

pub(super) async fn heading(browser: &WebDriver) -> String {
    browser.find(By::Tag("h1")).await.unwrap().text().await.unwrap()
}

/// Waits until there is such an element, and returns it.
pub(super) async fn until(browser: &WebDriver, css: &str) -> WebElement {
    let query = browser.query(By::Css(css)).wait(TIMEOUT, STEP);
    query.first().await.unwrap_or_else(|error| panic!("{css}: {error}"))
}

/// Waits until a page for people who are signed in is shown; returns its address.
pub(super) async fn signed_in(browser: &WebDriver) -> String {
    until(browser, "form[action$='/logout']").await;
    browser.current_url().await.unwrap().to_string()
}

/// Waits until the page is connected to the server.
pub(super) async fn is_live(browser: &WebDriver) {
    until(browser, "#live:not([hidden]):not(.stale)").await;
}

/// Presses keys where the focus is.
pub(super) async fn press(browser: &WebDriver, keys: impl Into<TypingData>) {
    browser.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

pub(super) async fn text_of(browser: &WebDriver, css: &str) -> String {
    until(browser, css).await.text().await.unwrap()
}

/// Waits until a page says this.
pub(super) async fn says(browser: &WebDriver, text: &str) {
    let began = Instant::now();
    loop {
        let source = browser.source().await.unwrap_or_default();
        if source.contains(text) {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "the page does not say: {text}\n{source}");
        tokio::time::sleep(STEP).await;
    }
}

/// Runs a script in the page; returns its result.
pub(super) async fn run(browser: &WebDriver, script: &str) -> Value {
    let result = browser.execute(script, Vec::new()).await;
    result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
}

/// Runs a script in the page that calls its last argument with the result.
pub(super) async fn run_async(browser: &WebDriver, script: &str) -> Value {
    let result = browser.execute_async(script, Vec::new()).await;
    result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
}

/// Sends a command to the tools of the browser.
pub(super) async fn tool(browser: &WebDriver, command: &str, parameters: Value) -> Value {
    let result = browser.cdp().send_raw(command, parameters).await;
    result.unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// Returns the messages of the browser since the last call.
pub(super) async fn messages(browser: &WebDriver) -> Vec<String> {
    let entries = browser.get_log("browser").await.unwrap();
    entries.into_iter().map(|entry| entry.message).collect()
}

/// Asserts that the browser has reported nothing: no error of a script, no report about the policy.
pub(super) async fn is_quiet(browser: &WebDriver) {
    let messages = messages(browser).await;
    assert!(messages.is_empty(), "{messages:?}");
}

/// Returns the events that the browser has recorded since the last call, each with its name and its
/// parameters.
pub(super) async fn events(browser: &WebDriver) -> Vec<(String, Value)> {
    let entries = browser.get_log("performance").await.unwrap();
    let event = |text: &str| {
        let mut event: Value = serde_json::from_str(text).unwrap();
        let mut message = event["message"].take();
        (message["method"].as_str().unwrap().to_owned(), message["params"].take())
    };
    entries.iter().map(|entry| event(&entry.message)).collect()
}

/// Size of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    Desk,
    Phone,
}

impl Screen {
    pub(super) const fn width(self) -> i64 {
        match self {
            Self::Desk => 1280,
            Self::Phone => 390,
        }
    }

    const fn height(self) -> i64 {
        match self {
            Self::Desk => 800,
            Self::Phone => 844,
        }
    }
}

/// Appearance that the system asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Both sizes in both appearances.
pub(super) const LOOKS: [(Screen, Scheme); 4] = [
    (Screen::Desk, Scheme::Light),
    (Screen::Phone, Scheme::Dark),
    (Screen::Desk, Scheme::Dark),
    (Screen::Phone, Scheme::Light),
];

/// Gives the page this screen and this appearance.
pub(super) async fn show_on(browser: &WebDriver, screen: Screen, scheme: Scheme) {
    let size = json!({
        "width": screen.width(), "height": screen.height(), "deviceScaleFactor": 1,
        "mobile": screen == Screen::Phone,
    });
    tool(browser, "Emulation.setDeviceMetricsOverride", size).await;
    let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme.name()}]});
    tool(browser, "Emulation.setEmulatedMedia", media).await;
}

/// Returns the number of pixels by which the page is wider than the screen. A phone makes room for what
/// is too wide by showing all of it smaller, so its own width is no measure.
pub(super) async fn overflow(browser: &WebDriver, screen: Screen) -> i64 {
    let width = run(browser, "return document.documentElement.scrollWidth").await;
    (width.as_i64().unwrap() - screen.width()).max(0)
}

/// Checks a page at both widths, dark and light: nothing overflows. Takes pictures if they are asked for.
pub(super) async fn looks(browser: &WebDriver, name: &str) {
    for (screen, scheme) in LOOKS {
        show_on(browser, screen, scheme).await;
        let over = overflow(browser, screen).await;
        assert_eq!(over, 0, "{name} is too wide at {}", screen.width());
        picture(browser, name, screen, scheme).await;
    }
    tool(browser, "Emulation.clearDeviceMetricsOverride", json!({})).await;
}

/// Takes a picture of the page if pictures of all pages are asked for.
pub(super) async fn picture(browser: &WebDriver, name: &str, screen: Screen, scheme: Scheme) {
    if let Some(folder) = std::env::var_os("BOTARMY_TEST_PICTURES").map(PathBuf::from) {
        let file = format!("{name}-{}-{}.png", screen.width(), scheme.name());
        browser.screenshot(&folder.join(file)).await.unwrap();
    }
}
