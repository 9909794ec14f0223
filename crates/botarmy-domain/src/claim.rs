//! A worker's request to start tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::access::Reach;
use crate::decision_context::DecisionContext;
use crate::lease::WorkerId;
use crate::lease_token::LeaseSecret;
use crate::vocabulary::AgentType;

/// A worker that asks for work.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Worker that claims.
    pub worker: WorkerId,
    /// Maximum number of tasks to start for each agent type.
    pub slots: BTreeMap<AgentType, u32>,
    /// Projects whose tasks the worker may do.
    pub reach: Reach,
    /// Duration of the leases.
    pub lease: Duration,
    /// Additional terms for an external worker; `None` for the worker of a server.
    pub external: Option<Box<ExternalLease>>,
    /// Circumstances of the claim; its caller is the worker.
    pub context: DecisionContext,
}

/// Terms of the leases of an external worker. The server does not see whether such a worker is at
/// work, or has received its task at all.
#[derive(Debug, Clone)]
pub struct ExternalLease {
    /// Time within which the first call under a lease must come.
    pub first_call: Duration,
    /// Longest duration of an attempt at a task that sets no limit.
    pub attempt_timeout: Duration,
    /// Source of the tokens of the leases.
    pub secret: LeaseSecret,
}
