//! Reading what the agents are doing.

use async_trait::async_trait;

use crate::agent::AgentRecord;
use crate::error::StoreError;
use crate::vocabulary::AgentType;

/// The status board of the agent types.
///
/// An implementation
/// - MUST answer for every agent type, also for one that has never done anything (`idle`);
/// - MUST be rebuildable from the log: what it says is never the only copy of anything.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentStatus: Send + Sync + 'static {
    /// Every agent type, in the order of [`AgentType::ALL`].
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError>;

    /// One agent type.
    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError>;

    /// What it was doing before, newest first; at most `limit`.
    async fn history(&self, agent: AgentType, limit: u32) -> Result<Vec<AgentRecord>, StoreError>;
}
