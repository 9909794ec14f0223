//! Waking workers.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::vocabulary::AgentType;

/// Wakes workers when there may be work. A lost wake-up costs a poll interval, never a task.
///
/// An implementation MUST NOT lose a ring between two waits of the same process.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait WakeUps: Send + Sync + 'static {
    /// There may be work for these agent types.
    fn notify(&self, agents: &BTreeSet<AgentType>);

    /// Returns when somebody rang since the last call, and says for whom.
    async fn wait(&self) -> BTreeSet<AgentType>;
}
