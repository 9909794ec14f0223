//! Circumstances of a decision, passed in so that the same decision on the same snapshot gives the
//! same bytes.

use std::sync::Arc;
use std::time::Duration;

use crate::caller::Caller;
use crate::hitl::{GateSettings, Roster};
use crate::id_generator::{self, IdGenerator};
use crate::timestamp::Timestamp;
use crate::vocabulary::OnExpiry;

/// Values that apply where a workflow or a request does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// Time that a request waits for an answer, in seconds.
    pub gate_ttl_s: u32,
    /// Consequence of a request that is not answered in time.
    pub on_expiry: OnExpiry,
    /// Delay before the second attempt; it doubles with every further one.
    pub backoff: Duration,
    /// Confidence from 0 to 1 below which a result is reviewed by a person.
    pub confidence_threshold: f64,
    /// Rules of the server for requests to people.
    pub gates: Arc<GateSettings>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            gate_ttl_s: 86_400,
            on_expiry: OnExpiry::KeepWaiting,
            backoff: Duration::from_secs(1),
            confidence_threshold: 0.8,
            gates: Arc::default(),
        }
    }
}

/// Time, entropy, configured defaults and caller of a decision.
#[derive(Debug, Clone)]
pub struct DecisionContext {
    /// Time of the decision.
    pub now: Timestamp,
    /// 128 bits that no other decision has.
    pub seed: u128,
    /// Values that apply where a workflow or a request does not say.
    pub defaults: Defaults,
    /// People who can sign in; `None` on an open server, which knows none.
    pub roster: Option<Arc<Roster>>,
    /// Whether people may answer requests that have expired: the server has just started, and could not be
    /// reached before.
    pub in_grace: bool,
    /// Party on whose behalf the decision is taken.
    pub caller: Caller,
}

impl DecisionContext {
    /// Returns a context with the built-in defaults. No two decisions may share a `seed`.
    #[must_use]
    pub fn new(now: Timestamp, seed: u128, caller: Caller) -> Self {
        Self { now, seed, defaults: Defaults::default(), roster: None, in_grace: false, caller }
    }

    /// Returns the context for the `n`th of several decisions at the same time, with its own seed.
    #[must_use]
    pub fn fork(&self, n: u64) -> Self {
        Self { seed: id_generator::fork(self.seed, n), ..self.clone() }
    }

    /// Returns the same context for another caller.
    #[must_use]
    pub fn by(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    /// Returns a generator for the ids of this decision.
    #[must_use]
    pub const fn id_generator(&self) -> IdGenerator {
        IdGenerator::new(self.now, self.seed)
    }
}
