//! Parts of pages that change by themselves, under load: a hundred rows with a hundred changes a second
//! beside a form, rows that arrive above what is being read, and thirty tabs.

use std::time::{Duration, Instant};

use botarmy_tests::external_programs::chromium;
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

use super::driver::{
    Driver, Scheme, Screen, base_of, is_live, is_quiet, run, show_on, signed_in_browser, text_of,
    until,
};
use crate::alone;

/// Tasks of the type `orchestrator` are done by the test, and tried again at once.
const SETTINGS: [(&str, &str); 3] = [
    ("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none"),
    ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
    ("BOTARMY_ORCHESTRATOR__TIMER_INTERVAL_MS", "50"),
];

/// Longest task of the browser, in milliseconds, that the full form accepts.
const LONGEST: f64 = 50.0;

const WATCH: &str = "window.long = [];
new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => long.push(duration)))
  .observe({ type: 'longtask' });";

/// Leases tasks, at most `at_once`, and fails them for a while, a hundred changes a second; returns the
/// number of changes.
async fn change(server: &TestServer, changes: u32, at_once: u32) -> u32 {
    let mut done = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while done < changes {
        let ask = json!({
            "worker_id": "desk", "agents": ["orchestrator"], "max": at_once, "wait_s": 1,
        });
        let (status, leases) = server.post("/api/v1/worker/leases", ask).await;
        if status != 200 {
            break;
        }
        let leases: Vec<Value> = leases["leases"].as_array().unwrap().clone();
        for lease in &leases {
            // The lease was one change, the failure is another.
            for _ in 0..2 {
                pace.tick().await;
            }
            let fail = json!({"code": "busy", "message": "Once more", "retryable": true});
            assert_eq!(server.say(lease, "fail", fail).await.0, 200);
            done += 2;
        }
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_rows_with_a_hundred_changes_a_second_leave_text_and_scroll_alone() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let changes = count(200, 400);
    let is_full = changes == 400;
    let server = TestServer::with(&SETTINGS).await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    let project = server.by_hand().await;
    for n in 0..100 {
        server.submit(&project, "orchestrator", &format!("Write page {n} of the handbook")).await;
    }
    show_on(&browser, Screen::Desk, Scheme::Light).await;
    // Each has failed once, so that no row grows by its first error.
    change(&server, 200, 100).await;
    browser.goto(format!("{}/console/projects/{project}/tasks", base_of(&server))).await.unwrap();
    is_live(&browser).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    until(&browser, "#f-instructions").await.send_keys("Half a sen").await.unwrap();
    run(&browser, "document.querySelectorAll('tr[data-v]')[60].scrollIntoView({block: 'center'})")
        .await;
    // Rows above it may grow, so that the page is scrolled for its sake.
    let place = "const rows = document.querySelectorAll('tr[data-v]');
        return [rows[60].getBoundingClientRect().top, rows.length]";
    let before = run(&browser, place).await;
    run(&browser, WATCH).await;
    let rows = text_of(&browser, "tbody").await;
    let began = Instant::now();
    let done = change(&server, changes, 20).await;
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let long: Vec<f64> = serde_json::from_value(run(&browser, "return long").await).unwrap();
    let longest = long.iter().copied().fold(0.0, f64::max);
    println!(
        "{done} changes in {took:?}, {:.0} a second: {} tasks over 50 ms, the longest {longest:.0} ms",
        f64::from(done) / took.as_secs_f64(),
        long.len()
    );
    assert_ne!(text_of(&browser, "tbody").await, rows, "the rows have changed");
    assert_eq!(run(&browser, place).await, before, "the rows have moved");
    let typed = run(&browser, "return document.querySelector('#f-instructions').value").await;
    assert_eq!(typed, "Half a sen");
    let focused = run(&browser, "return document.activeElement.id").await;
    assert_eq!(focused, "f-instructions");
    // Other programs run beside the short form.
    assert!(!is_full || longest <= LONGEST, "{longest} ms");
    is_quiet(&browser).await;
    browser.quit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_arrive_above_what_is_read_are_held_back() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    for _ in 0..60 {
        server.by_hand().await;
    }
    browser.goto(format!("{}/console/projects", base_of(&server))).await.unwrap();
    is_live(&browser).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // At the top a new row is shown at once.
    let rows = "return document.querySelectorAll('tr[data-v]').length";
    assert_eq!(run(&browser, rows).await, 60);
    server.by_hand().await;
    until(&browser, "tr[data-v]:nth-child(61)").await;
    // Further down it is not, and what is read stays where it is.
    run(
        &browser,
        "window.read = document.querySelectorAll('tr[data-v]')[40]; read.scrollIntoView()",
    )
    .await;
    let top = run(&browser, "return read.getBoundingClientRect().top").await;
    for _ in 0..3 {
        server.by_hand().await;
    }
    until(&browser, ".held:not([hidden])").await;
    let began = Instant::now();
    while text_of(&browser, ".held").await != "3 new" {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", text_of(&browser, ".held").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(run(&browser, rows).await, 61);
    assert_eq!(run(&browser, "return read.getBoundingClientRect().top").await, top);
    until(&browser, ".held").await.click().await.unwrap();
    until(&browser, "tr[data-v]:nth-child(64)").await;
    assert_eq!(run(&browser, "return scrollY < 300").await, true, "they are in view");
    let hidden = run(&browser, "return document.querySelector('.held').hidden").await;
    assert_eq!(hidden, true);
    is_quiet(&browser).await;
    browser.quit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_tabs_are_live() {
    let Some(chromium) = chromium() else { return };
    let _alone = alone().await;
    let tabs = count(8, 30);
    let server = TestServer::start().await;
    let driver = Driver::start(chromium).await;
    let browser = signed_in_browser(&driver, &server).await;
    let inbox = format!("{}/console/inbox", base_of(&server));
    for n in 0..tabs {
        if n > 0 {
            let tab = browser.new_tab().await.unwrap();
            browser.switch_to_window(tab).await.unwrap();
            browser.goto(&inbox).await.unwrap();
        }
        is_live(&browser).await;
        run(&browser, "window.first = socket").await;
    }
    let project = server.by_hand().await;
    let body = json!({"project_id": project, "question": "Which colour?"});
    assert_eq!(server.post("/api/v1/hitl", body).await.0, 201);
    let windows = browser.windows().await.unwrap();
    assert_eq!(windows.len(), tabs as usize);
    for window in windows {
        browser.switch_to_window(window).await.unwrap();
        let live = run(&browser, "return first === socket && socket.readyState === 1").await;
        assert_eq!(live, true, "its connection was kept");
        until(&browser, "[data-waiting='1']").await;
        until(&browser, ".req").await;
    }
    println!("{tabs} tabs are live at the same time");
    is_quiet(&browser).await;
    browser.quit().await.unwrap();
}
