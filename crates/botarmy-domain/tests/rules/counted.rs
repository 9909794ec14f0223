//! Reproducible random numbers and counts, as `tests/support` has them for tests of several crates.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns how many rounds a counted test runs: `short` in every test run, `full` under `just prove`.
pub fn count(short: u32, full: u32) -> u32 {
    let count = match std::env::var("BOTARMY_PROVE") {
        Err(_) => short,
        Ok(value) if value == "full" => full,
        Ok(value) => panic!("BOTARMY_PROVE is {value:?}; the only value is \"full\""),
    };
    println!("count: {count}");
    count
}

/// A small random number generator whose seed is printed, so that a failure can be reproduced.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator from the seed in `BOTARMY_TEST_SEED`, or from a new one.
    pub fn new() -> Self {
        let seed = std::env::var("BOTARMY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("seed: BOTARMY_TEST_SEED={seed}");
        Self::of(seed)
    }

    /// Creates a generator from a seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns the seed that starts the same sequence again; only valid before the first number.
    pub const fn seed(&self) -> u64 {
        self.0
    }

    /// Returns a number below `limit` (xorshift64; Marsaglia, Xorshift RNGs, 2003).
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Returns whether something of this chance in 100 happens.
    pub const fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }

    /// Returns an independent generator.
    pub const fn fork(&mut self) -> Self {
        Self::of(self.below(u64::MAX))
    }
}
