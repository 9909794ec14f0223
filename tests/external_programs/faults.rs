//! Projects whose model provider randomly fails about every third request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_tests::dice::Dice;
use botarmy_tests::providers::Protocol;
use serde_json::{Value, json};

use crate::aimock::{Aimock, TOKENS, sdlc};
use crate::formats::{FORMATS, IDEA, server};
use crate::walk::{events, sum, tasks, to_the_end, tokens};

/// Returns rates of three in ten: 500, invalid JSON, a dropped connection, 429.
fn rates(latency: u64) -> Value {
    json!({
        "dropRate": 0.08, "malformedRate": 0.08, "disconnectRate": 0.08, "rateLimitRate": 0.06,
        "latencyMs": latency,
    })
}

/// Delays answers beyond the time limit, from time to time.
async fn be_slow_at_times(double: Arc<Aimock>, mut dice: Dice) {
    loop {
        double.chaos(&rates(dice.below(20))).await;
        tokio::time::sleep(Duration::from_millis(500 + dice.below(1_000))).await;
        double.chaos(&rates(3_000)).await;
        tokio::time::sleep(Duration::from_millis(20 + dice.below(60))).await;
    }
}

/// Error codes that the injected faults may cause; any other code is a defect.
const CODES: [&str; 6] = [
    "provider_unavailable",
    "unreadable_answer",
    "no_answer",
    "answer_cut_off",
    "rate_limited",
    "provider_silent",
];

#[tokio::test]
async fn a_provider_that_fails_three_times_in_ten_is_outlasted_in_each_format() {
    let _alone = crate::alone().await;
    let mut dice = Dice::new();
    for (protocol, kind) in FORMATS {
        outlast(&mut dice, protocol, kind).await;
    }
}

async fn outlast(dice: &mut Dice, protocol: Protocol, kind: &str) {
    let Some(double) = Aimock::start(&sdlc(), dice.below(1 << 31), &[]).await else { return };
    let double = Arc::new(double);
    double.chaos(&rates(0)).await;
    let weather = tokio::spawn(be_slow_at_times(Arc::clone(&double), dice.fork()));
    let server = server(&double, protocol, kind).await;
    let mut used = Vec::new();
    let mut codes = BTreeMap::<String, u64>::new();
    for _ in 0..3 {
        let project = server.project(IDEA).await;
        let (gates, status) = to_the_end(&server, &project, Duration::from_secs(90)).await;
        assert_eq!(status, "completed", "{kind}");
        let events = events(&server, &project).await;
        for task in tasks(&server, &project).await {
            assert_eq!(task["status"], "completed", "{kind}: {task:#}");
            used.push(tokens(&task["usage"]));
            look_at_attempts(&events, &task, &mut codes);
        }
        // Two reviews, and one request for each task without attempts left.
        let lost = events.iter().filter(|event| event["event_type"] == "task_failed").count();
        assert_eq!(gates.len(), 2 + lost, "{kind}: {gates:#?}");
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(found["valid"], true, "{kind}: {found}");
    }
    weather.abort();
    println!("{kind}: {codes:?}");
    let unknown: Vec<_> = codes.keys().filter(|code| !CODES.contains(&code.as_str())).collect();
    assert!(unknown.is_empty(), "{kind}: {unknown:?}");
    // 27 answers and not one fault at three in ten would be one run in fifteen thousand.
    assert!(!codes.is_empty(), "{kind}: nothing ever failed");

    // The journal of the double: complete answers were counted, and all faults were injected.
    let journal = double.journal().await;
    let whole = journal.iter().filter(|one| one["response"]["chaosAction"].is_null()).count();
    let (input, output) = sum(used);
    let least = (whole as u64 * TOKENS.0, whole as u64 * TOKENS.1);
    assert_eq!((input, output), least, "{kind}: {whole} of {} were whole", journal.len());
}

/// Checks that every attempt of a task is in the log and has one end, and that its usage never
/// decreases.
fn look_at_attempts(events: &[Value], task: &Value, codes: &mut BTreeMap<String, u64>) {
    let own = events.iter().filter(|event| event["task_id"] == task["task_id"]);
    let (mut started, mut ended, mut failures, mut running) = (0, 0, 0, (0, 0));
    for event in own {
        let data = &event["event_data"];
        match event["event_type"].as_str().unwrap() {
            "task_started" => started += 1,
            // A person retries it.
            "task_retry_scheduled" if event["event_source"] == "user" => failures = 0,
            "task_retry_scheduled" | "task_failed" => {
                ended += 1;
                failures += 1;
                assert!(failures <= 3, "more attempts than it has: {event:#}");
                let code = data["code"].as_str().or_else(|| data["error"]["code"].as_str());
                *codes.entry(code.unwrap().to_owned()).or_default() += 1;
                let now = tokens(&data["usage"]);
                assert!(now >= running, "{event:#}");
                running = now;
            }
            "task_completed" => ended += 1,
            _ => {}
        }
    }
    assert_eq!(started, ended, "an attempt has no end: {task:#}");
    assert!(started >= 1 && tokens(&task["usage"]) >= running, "{task:#}");
}
