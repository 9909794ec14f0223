//! Costs of pages: bytes, requests, the time until something is shown, shifts of the layout, and the time
//! of the server. The full form judges all of them, on the release build. The short form judges bytes and
//! requests, and prints times only: the server of a debug build is slow, and the machine may be busy.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use botarmy_tests::access::key;
use botarmy_tests::browser::{Browser, COOKIE};
use botarmy_tests::external_programs::chromium;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TIMEOUT, TestServer, bare_client_builder};
use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, COOKIE as COOKIES};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::driver::{
    Driver, Scheme, Screen, base_of, events, is_live, run_async, show_on, sign_in, tool,
};
use crate::alone;

/// Tasks of the type `orchestrator` stay in the queue.
const SETTINGS: [(&str, &str); 1] = [("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none")];

/// Asks for pages as a browser does, and measures the answers.
struct Meter {
    is_full: bool,
    /// Figures above their limits.
    over: RefCell<Vec<String>>,
    client: reqwest::Client,
    base: String,
    cookie: String,
}

impl Meter {
    async fn new(server: &TestServer, is_full: bool) -> Self {
        let browser = Browser::with_key(server, key()).await;
        // The session is bound to the name of the browser, and a page of the sign-in is not measured.
        let client = bare_client_builder().user_agent(browser.agent).redirect(Policy::none());
        let cookie = format!("{COOKIE}={}", browser.cookie.unwrap());
        let client = client.build().unwrap();
        Self { is_full, over: RefCell::default(), client, base: server.base.clone(), cookie }
    }

    /// Returns the number of compressed bytes of a response, and the time until its last one.
    async fn get(&self, path: &str) -> (usize, Duration) {
        let request = self.client.get(format!("{}{path}", self.base)).timeout(TIMEOUT);
        let request = request.header(COOKIES, &self.cookie).header(ACCEPT, "text/html");
        let began = Instant::now();
        let response = request.header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip", "{path}");
        (response.bytes().await.unwrap().len(), began.elapsed())
    }

    /// Prints and judges the size of a response.
    async fn weighs(&self, what: &str, path: &str, limit: usize) {
        let (bytes, _) = self.get(path).await;
        println!("{what}: {bytes} bytes compressed; limit {limit}");
        self.judge(bytes <= limit, format!("{what}: {bytes} bytes"));
    }

    /// Prints and judges the 99th percentile of the time of a page.
    async fn takes(&self, what: &str, path: &str, rounds: u32, limit: Duration) {
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(self.get(path).await.1);
        }
        times.sort_unstable();
        let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{what}: {median:?} median, {p99:?} p99 of {rounds}; limit {limit:?}");
        self.judge(!self.is_full || p99 <= limit, format!("{what}: {p99:?}"));
    }

    /// Notes a figure that is above its limit; the others are still measured.
    fn judge(&self, is_fine: bool, figure: String) {
        if !is_fine {
            self.over.borrow_mut().push(figure);
        }
    }
}

/// Submits this many tasks, several at a time.
async fn fill(server: &TestServer, project: &str, tasks: u32) {
    let submit = |n: u32| async move {
        let text = format!("Write part {n} of the handbook, with its examples and its index");
        server.submit(project, "orchestrator", &text).await;
    };
    stream::iter(0..tasks).for_each_concurrent(16, submit).await;
}

/// Creates fifty requests that wait.
async fn ask_fifty(server: &TestServer) {
    let project = server.by_hand().await;
    for n in 0..50 {
        let question = format!("Which of the drafts for chapter {n} is better?");
        let body = json!({"project_id": project, "question": question});
        assert_eq!(server.post("/api/v1/hitl", body).await.0, 201);
    }
}

/// Returns the addresses that the browser has asked the server for since the last call: those until the
/// page was loaded, and those after it.
async fn asked_for(browser: &WebDriver) -> (Vec<String>, Vec<String>) {
    let events = events(browser).await;
    let loaded = events.iter().position(|(name, _)| name == "Page.loadEventFired");
    let loaded = loaded.expect("the page is loaded");
    let id = |parameters: &Value| parameters["requestId"].as_str().unwrap().to_owned();
    let named = |name: &'static str| events.iter().filter(move |(known, _)| known == name);
    let cached: Vec<_> = named("Network.requestServedFromCache").map(|(_, p)| id(p)).collect();
    let from_disk = |p: &Value| p["response"]["fromDiskCache"] == true;
    let disk: Vec<_> = named("Network.responseReceived")
        .filter(|(_, p)| from_disk(p))
        .map(|(_, p)| id(p))
        .collect();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (n, (name, parameters)) in events.iter().enumerate() {
        if name != "Network.requestWillBeSent" {
            continue;
        }
        let (request, url) = (id(parameters), parameters["request"]["url"].as_str().unwrap());
        if cached.contains(&request) || disk.contains(&request) || url.starts_with("data:") {
            continue;
        }
        if n < loaded { &mut before } else { &mut after }.push(url.to_owned());
    }
    (before, after)
}

/// Reads what the browser has noted about the page: the first paint and blocked time in milliseconds, and
/// the shift of the layout.
const NOTES: &str = r"
const done = arguments[arguments.length - 1];
const notes = { shift: 0, blocked: 0, tasks: 0 };
const watch = (type, add) => new PerformanceObserver((list) => list.getEntries().forEach(add))
  .observe({ type, buffered: true });
watch('layout-shift', (entry) => { if (!entry.hadRecentInput) notes.shift += entry.value; });
watch('longtask', ({ duration }) => { notes.tasks += 1; notes.blocked += duration - 50; });
setTimeout(() => {
  notes.paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null;
  done(notes);
}, 1500);";

/// Opens a page several times with an empty cache; prints and judges the medians.
async fn paints(
    meter: &Meter,
    browser: &WebDriver,
    what: &str,
    url: &str,
    rounds: u32,
    most_ms: f64,
) {
    let mut all: Vec<[f64; 3]> = Vec::new();
    for _ in 0..rounds {
        tool(browser, "Network.clearBrowserCache", json!({})).await;
        browser.goto(url).await.unwrap();
        let notes = run_async(browser, NOTES).await;
        all.push(["paint", "blocked", "shift"].map(|name| notes[name].as_f64().unwrap()));
    }
    let median = |n: usize| {
        let mut values: Vec<f64> = all.iter().map(|one| one[n]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (paint, blocked, shift) = (median(0), median(1), median(2));
    println!(
        "{what}: first contentful paint {paint:.0} ms of at most {most_ms}, blocked {blocked:.0} ms of at \
         most 100, layout shift {shift:.4} of at most 0.02; median of {rounds}"
    );
    let is_fast = paint <= most_ms && blocked <= 100.0;
    meter.judge(
        !meter.is_full || is_fast,
        format!("{what}: {paint:.0} ms, blocked {blocked:.0} ms"),
    );
    meter.judge(shift <= 0.02, format!("{what}: layout shift {shift}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_small_and_shown_at_once() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let tasks = count(1_000, 10_000);
    let is_full = tasks == 10_000;
    let rounds = if is_full { 1_000 } else { 100 };
    let server = TestServer::with(&SETTINGS).await;
    let meter = Meter::new(&server, is_full).await;
    ask_fifty(&server).await;
    let project = server.by_hand().await;
    let began = Instant::now();
    fill(&server, &project, tasks).await;
    println!("{tasks} tasks in {:?}", began.elapsed());
    let reviewed = server.project("A site for the recipes of a family, with a search").await;
    let gate = server.next_gate(&reviewed).await.unwrap();

    let page = Browser::with_key(&server, key()).await.show("/console/inbox").await;
    for (name, limit) in [("console.css", 10 * 1024), ("console.js", 8 * 1024)] {
        let stem = name.split('.').next().unwrap();
        let ending = name.rsplit('.').next().unwrap();
        let addresses = page.body.split('"').filter(|part| part.contains("/console/assets/"));
        let mut addresses = addresses.filter(|part| part.ends_with(ending) && part.contains(stem));
        meter.weighs(name, addresses.next().unwrap(), limit).await;
    }
    let of_project = format!("/console/projects/{project}");
    let of_tasks = format!("{of_project}/tasks");
    let of_request = format!("/console/requests/{}", gate["request_id"].as_str().unwrap());
    meter.weighs("inbox of 50", "/console/inbox", 15 * 1024).await;
    meter.weighs(&format!("project with {tasks} tasks"), &of_project, 30 * 1024).await;
    meter.weighs(&format!("list of {tasks} tasks"), &of_tasks, 30 * 1024).await;
    meter.takes("inbox of 50", "/console/inbox", rounds, Duration::from_millis(10)).await;
    meter
        .takes(
            &format!("project with {tasks} tasks"),
            &of_project,
            rounds,
            Duration::from_millis(50),
        )
        .await;
    meter
        .takes(&format!("list of {tasks} tasks"), &of_tasks, rounds, Duration::from_millis(50))
        .await;

    let driver = Driver::start(chromium).await;
    let browser = driver.recording(&[]).await;
    sign_in(&browser, &server).await;
    let base = base_of(&server);
    let inbox = format!("{base}/console/inbox");
    let settled = async || {
        is_live(&browser).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        asked_for(&browser).await
    };
    settled().await;
    tool(&browser, "Network.clearBrowserCache", json!({})).await;
    browser.goto(&inbox).await.unwrap();
    let (first, after) = settled().await;
    println!("first view: {} requests: {first:?}; then to be live: {after:?}", first.len());
    browser.goto(format!("{base}/console/projects")).await.unwrap();
    let (later, after) = settled().await;
    println!("later view: {} requests: {later:?}; then to be live: {after:?}", later.len());
    // The ticket of the live connection is asked for as soon as the script runs, and shows nothing.
    let shows = |all: &[String]| all.iter().filter(|url| !url.ends_with("/ticket")).count();
    assert!(shows(&first) <= 4, "{first:?}");
    assert_eq!(shows(&later), 1, "{later:?}");
    browser.quit().await.unwrap();

    // Recording takes time, so that another browser measures.
    let browser = driver.browser().await;
    sign_in(&browser, &server).await;
    let rounds = if is_full { 9 } else { 1 };
    let pages = [
        ("inbox", &inbox),
        ("request", &format!("{base}{of_request}")),
        ("project", &format!("{base}/console/projects/{reviewed}")),
    ];
    for (what, url) in pages {
        paints(&meter, &browser, what, url, rounds, 400.0).await;
    }
    show_on(&browser, Screen::Phone, Scheme::Light).await;
    tool(&browser, "Emulation.setCPUThrottlingRate", json!({"rate": 4})).await;
    let line = json!({
        "offline": false, "latency": 150, "downloadThroughput": 1_600_000 / 8,
        "uploadThroughput": 750_000 / 8,
    });
    tool(&browser, "Network.enable", json!({})).await;
    tool(&browser, "Network.emulateNetworkConditions", line).await;
    for (what, url) in pages {
        let what = format!("{what} on a phone");
        paints(&meter, &browser, &what, url, rounds, 1200.0).await;
    }
    browser.quit().await.unwrap();
    let over = meter.over.borrow();
    assert!(over.is_empty(), "{over:?}");
}
