//! Reproducible random numbers.

/// A small random number generator whose seed is printed, so that a failure can be reproduced.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Creates a generator from the seed in `BOTARMY_TEST_SEED`, or from a new one.
    #[expect(clippy::new_without_default, reason = "it prints")]
    #[must_use]
    pub fn new() -> Self {
        let seed = std::env::var("BOTARMY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(crate::services::random);
        println!("seed: BOTARMY_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// Creates a generator from a seed.
    #[must_use]
    pub const fn of(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns the seed that starts the same sequence again; only valid before the first number.
    #[must_use]
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

    /// Returns an independent generator.
    pub const fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX) | 1)
    }
}
