//! Whether the parts of a running server are well.

use async_trait::async_trait;

use crate::health::Health;

/// A part that can be asked how it is.
///
/// An implementation MUST answer without spending anything; whoever asks sets a time limit.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    /// What it is called: `database`, `redis`, `task_queue`, `audit_system`, `llm`.
    fn component(&self) -> &'static str;

    /// Whether the server is of no use without it.
    fn needed(&self) -> bool;

    /// How it is.
    async fn check(&self) -> Health;
}
