//! Guessing keys: limited for the address that guesses, and for no one who has a valid key.

use std::time::{Duration, Instant};

use botarmy_tests::access::key;
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use super::world::{client, send};

/// Wrong keys in every test run, and in the long form.
const GUESSES: (u32, u32) = (2_000, 100_000);
/// Number of clients that guess.
const CLIENTS: u32 = 16;
/// Longest time of a valid request among the fastest 99 of 100: in every test run, with a build without
/// optimisation on a machine that does something else, and in the long form.
const IN_TIME: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(25));

#[tokio::test(flavor = "multi_thread")]
async fn one_address_that_guesses_is_limited_and_a_valid_key_works_from_there() {
    // The limits of users, where the tests have none.
    let server = TestServer::with(&[
        ("BOTARMY_LIMITS__FAILURES_BURST", "10"),
        ("BOTARMY_LIMITS__FAILURES_PER_MINUTE", "10"),
    ])
    .await;
    let guesses = count(GUESSES.0, GUESSES.1);
    let mut dice = Dice::new();
    let mut guessing = JoinSet::new();
    for _ in 0..CLIENTS {
        let (base, client, mut dice) = (server.base.clone(), client(), dice.fork());
        guessing.spawn(async move {
            let (mut refused, mut limited) = (0_u32, 0_u32);
            for _ in 0..guesses / CLIENTS {
                let mut bytes = [0; 32];
                bytes.fill_with(|| u8::try_from(dice.below(256)).unwrap());
                let guess = botarmy_domain::KeySecret::new(bytes).text();
                let request = (&Method::GET, "/api/v1/projects");
                let response = send(&client, &base, Some(guess.expose()), request, None).await;
                match response.status().as_u16() {
                    401 => refused += 1,
                    429 => {
                        assert!(response.headers().contains_key("retry-after"));
                        limited += 1;
                    }
                    other => panic!("a guess got {other}"),
                }
            }
            (refused, limited)
        });
    }
    let (client, mut took) = (client(), Vec::new());
    let (mut refused, mut limited) = (0, 0);
    while !guessing.is_empty() {
        let began = Instant::now();
        let request = (&Method::GET, "/api/v1/projects");
        let response = send(&client, &server.base, Some(key()), request, None).await;
        assert_eq!(response.status(), 200, "a valid key works from an address that guesses");
        took.push(began.elapsed());
        while let Some(done) = guessing.try_join_next() {
            let (some, more) = done.unwrap();
            refused += some;
            limited += more;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!(
        "{guesses} guesses: 0 accepted, {refused} got 401, {limited} got 429; {} valid requests: p99 \
         {p99:?}",
        took.len()
    );
    assert!(refused <= 10 + 10 * 60, "{refused} guesses were tried");
    assert!(limited > guesses / 2, "{limited}");
    let in_time = if guesses == GUESSES.1 { IN_TIME.1 } else { IN_TIME.0 };
    assert!(p99 <= in_time, "{p99:?}");
    // The log of the system has summaries, and not a line for each.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = server.list("/api/v1/audit/events?event_type=access_denied&limit=1000").await;
    assert!((1..=20).contains(&events.len()), "{} entries", events.len());
    let counted: u64 =
        events.iter().filter_map(|event| event["event_data"]["count"].as_u64()).sum();
    assert!(counted > 0, "{}", Value::from(events));
}
