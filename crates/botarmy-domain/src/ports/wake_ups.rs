//! Notification of workers.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::vocabulary::AgentType;

/// Notifies workers when there may be work. A lost notification costs a poll interval, never a
/// task.
///
/// An implementation MUST NOT lose a notification between two waits of the same process.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WakeUps: Send + Sync + 'static {
    /// Notifies the workers of these agent types.
    fn notify(&self, agents: &BTreeSet<AgentType>);

    /// Waits for notifications since the last call and returns their agent types.
    async fn wait(&self) -> BTreeSet<AgentType>;
}
