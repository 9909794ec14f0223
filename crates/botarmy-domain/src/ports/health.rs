//! Health checks of the components of a running server.

use async_trait::async_trait;

use crate::health::Health;

/// A component whose health can be checked.
///
/// An implementation MUST answer without causing any cost; the caller sets a time limit.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HealthCheck: Send + Sync + 'static {
    /// Returns the name of the component: `database`, `redis`, `task_queue`, `agents`, `audit_system`, `llm`.
    fn component(&self) -> &'static str;

    /// Returns whether the server cannot work without the component.
    fn needed(&self) -> bool;

    /// Checks the component.
    async fn check(&self) -> Health;
}
