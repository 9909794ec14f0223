//! Sources of time, entropy and secrets.

use crate::timestamp::Timestamp;

/// Source of the current time.
///
/// An implementation MUST NOT go back further than the clock of the machine does.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Source of entropy for ids.
///
/// An implementation MUST NOT return the same seed twice, across all processes on one store.
pub trait Ids: Send + Sync + 'static {
    /// Returns 128 bits that are unique to this call.
    fn seed(&self) -> u128;
}

/// Source of random bytes for secrets.
///
/// An implementation MUST draw them from a cryptographic source, and MUST NOT return the same twice.
pub trait Secrets: Send + Sync + 'static {
    /// Returns 256 random bits.
    fn secret(&self) -> [u8; 32];
}
