//! Queries for the status of agent types.

use async_trait::async_trait;

use crate::agent::{AgentRecord, PastStatus};
use crate::error::StoreError;
use crate::page::Page;
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

    /// Returns earlier records of an agent type, newest first, those before the position `before` of
    /// the system log; at most `limit`, and no more than with which the page has
    /// [`crate::page::PART_BYTES`].
    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError>;
}
