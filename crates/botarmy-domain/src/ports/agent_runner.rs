//! Running an agent.

use async_trait::async_trait;

use crate::assignment::{Assignment, RunContext};
use crate::budget::Amount;
use crate::health::Probe;
use crate::outcome::{Outcome, RunError};

/// Does the work of an agent type: a model provider, a local command, the built-in drafter.
///
/// An implementation
/// - MUST make exactly one try; retrying is the orchestrator's affair;
/// - MUST stop all its work within a second when the future is dropped: that is how it is
///   cancelled and how its deadline is kept;
/// - MUST return [`Outcome::Ask`] when it needs a person, and hold nothing meanwhile;
/// - MUST say what it used also when it fails, where it knows;
/// - MUST be able to do the same assignment twice: a server that was killed starts it again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentRunner: Send + Sync + 'static {
    /// Its name in configuration and in logs: `offline`, `scripted`, …
    fn kind(&self) -> &'static str;

    /// Whether it could work now. Never spends anything.
    async fn probe(&self) -> Probe;

    /// The most that this assignment may cost; `None` from a runner that costs nothing. A runner
    /// that does not know beforehand says zero: it is held to the limit once it has passed it.
    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        None
    }

    /// Does one assignment.
    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError>;
}
