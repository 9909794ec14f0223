//! Time and entropy from outside.

use crate::timestamp::Timestamp;

/// Tells the time.
///
/// An implementation MUST NOT go back by more than clocks do.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives entropy for ids.
///
/// An implementation MUST NOT give the same seed twice, across all processes on one store.
pub trait Ids: Send + Sync + 'static {
    /// 128 bits that nobody else has.
    fn seed(&self) -> u128;
}
