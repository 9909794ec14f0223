//! Queries for the status of agent types.

use async_trait::async_trait;

use crate::agent::AgentRecord;
use crate::error::StoreError;
use crate::vocabulary::AgentType;

/// The status board of the agent types.
///
/// An implementation
/// - MUST return a record for every agent type, `idle` for one that has never run;
/// - MUST be rebuildable from the log: a record is never the only copy of its data.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentStatus: Send + Sync + 'static {
    /// Returns every agent type, in the order of [`AgentType::ALL`].
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError>;

    /// Returns one agent type.
    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError>;

    /// Returns earlier records of an agent type, newest first; at most `limit`.
    async fn history(&self, agent: AgentType, limit: u32) -> Result<Vec<AgentRecord>, StoreError>;
}
