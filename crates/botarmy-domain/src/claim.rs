//! A worker's request to start tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::lease::WorkerId;
use crate::vocabulary::AgentType;

/// A worker that asks for work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who asks.
    pub worker: WorkerId,
    /// How many tasks of each agent type it can take.
    pub slots: BTreeMap<AgentType, u32>,
    /// For how long.
    pub lease: Duration,
    /// Circumstances of the claim; its caller is the worker.
    pub context: DecisionContext,
}
