//! A worker's request to start tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::lease::WorkerId;
use crate::vocabulary::AgentType;

/// A worker that asks for work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Worker that claims.
    pub worker: WorkerId,
    /// Maximum number of tasks to start for each agent type.
    pub slots: BTreeMap<AgentType, u32>,
    /// Duration of the leases.
    pub lease: Duration,
    /// Circumstances of the claim; its caller is the worker.
    pub context: DecisionContext,
}
