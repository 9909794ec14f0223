//! Counted tests: the same code runs few rounds in every test run, and many under `just prove`.
//!
//! `tests/prove` sets the variables, builds with the release profile and names the tests that
//! belong to it (`[profile.prove]` in `.config/nextest.toml`). Properties of `proptest` with its
//! default number of cases follow `PROPTEST_CASES` instead, which that script sets, too.

use crate::dice::Dice;

/// Variable that `tests/prove` sets to `full`.
pub const PROVE: &str = "BOTARMY_PROVE";

/// Returns how many rounds a counted test runs, and prints it: `short` in every test run, `full`
/// under `just prove`.
///
/// # Panics
/// If the variable has another value than `full`.
#[must_use]
pub fn count(short: u32, full: u32) -> u32 {
    let (count, form) = match std::env::var(PROVE) {
        Err(_) => (short, "short form; `just prove` runs the full one"),
        Ok(value) if value == "full" => (full, "full form"),
        Ok(value) => panic!("{PROVE} is {value:?}; the only value is \"full\""),
    };
    println!("count: {count} ({form})");
    count
}

/// Runs a scenario once in every test run, and `full` times under `just prove`. Each round has a
/// seed of its own, which repeats it as the only round of a test run.
///
/// # Panics
/// If a round does.
pub async fn repeat(full: u32, scenario: impl AsyncFn(Dice)) {
    let mut seeds = Dice::new();
    let rounds = count(1, full);
    scenario(seeds.clone()).await;
    for round in 2..=rounds {
        let dice = seeds.fork();
        println!("round {round}: BOTARMY_TEST_SEED={}", dice.seed());
        scenario(dice).await;
    }
}
