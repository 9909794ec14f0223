//! Chance that can be repeated.

/// A small generator of random numbers whose seed is printed, so that a failure can be run again.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From the seed in `BOTARMY_TEST_SEED`, else from a new one.
    #[expect(clippy::new_without_default, reason = "it prints")]
    #[must_use]
    pub fn new() -> Self {
        let seed = std::env::var("BOTARMY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(crate::services::random);
        println!("seed: BOTARMY_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// Returns the seed that begins the same numbers again; before the first number only.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.0
    }

    /// A number below `limit` (xorshift64; Marsaglia, Xorshift RNGs, 2003).
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Other dice, thrown independently.
    pub const fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX) | 1)
    }
}
