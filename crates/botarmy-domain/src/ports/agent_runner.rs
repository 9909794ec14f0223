//! Execution of agents.

use async_trait::async_trait;

use crate::assignment::{Assignment, RunContext};
use crate::budget::Amount;
use crate::health::Probe;
use crate::outcome::{Outcome, RunError};

/// Executes assignments of an agent type: with a model provider, a local command or built-in
/// drafts.
///
/// An implementation
/// - MUST make exactly one attempt; retries are up to the orchestrator;
/// - MUST stop all its work within a second when the future is dropped, which is how cancellation
///   and deadlines are enforced;
/// - MUST return [`Outcome::Ask`] when it needs a person, and hold no resources while it waits;
/// - MUST report the usage of a failed attempt too, where it is known;
/// - MUST accept the same assignment twice, because a server that was killed starts it again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentRunner: Send + Sync + 'static {
    /// Returns its name in configuration and logs, such as `offline` or `scripted`.
    fn kind(&self) -> &'static str;

    /// Checks whether it could work now. Never causes any cost.
    async fn probe(&self) -> Probe;

    /// Returns the maximum usage of this assignment; `None` from a runner without costs. A runner
    /// that cannot know it beforehand returns zero: it is held to the limit once it has exceeded
    /// it.
    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        None
    }

    /// Executes one assignment.
    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError>;
}
