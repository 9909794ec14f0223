//! Waking workers.

use async_trait::async_trait;

/// Wakes workers when there may be work. A lost wake-up costs a poll interval, never a task.
///
/// An implementation MUST NOT lose a ring between two waits of the same process.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WakeUps: Send + Sync + 'static {
    /// There may be work.
    fn ring(&self);

    /// Returns when somebody rang since the last call.
    async fn wait(&self);
}
