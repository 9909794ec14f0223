//! Messages to a commit worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use botarmy_domain::batch::Batch;
use botarmy_domain::ports::Decide;
use botarmy_domain::{Committed, DomainError, Error, Scope, text};
use tokio::sync::oneshot;

use crate::error::DbError;

/// Message to a commit worker.
pub(crate) enum Message {
    /// A decision with the channel for its result. The caller may have stopped waiting.
    Decide(Job),
    /// Closes the queue; waiting jobs are still processed.
    Close,
}

/// A decision to be committed.
pub(crate) struct Job {
    pub(crate) scope: Scope,
    pub(crate) decide: Decide,
    pub(crate) caller: oneshot::Sender<Result<Committed, Error>>,
    /// Commits with an unknown outcome: sent before the connection was lost.
    pub(crate) in_doubt: Vec<Committed>,
    /// Time at which the outcome became unknown.
    pub(crate) since: Option<Instant>,
}

impl Job {
    pub(crate) const fn new(
        scope: Scope,
        decide: Decide,
        caller: oneshot::Sender<Result<Committed, Error>>,
    ) -> Self {
        Self { scope, decide, caller, in_doubt: Vec::new(), since: None }
    }

    pub(crate) fn answer(self, result: Result<Committed, Error>) {
        // The caller may have stopped waiting; the decision stays committed.
        drop(self.caller.send(result));
    }

    /// Runs the decision. A panic of its rules leaves the batch unchanged.
    pub(crate) fn run(&self, batch: &mut Batch) -> Result<Result<Committed, DomainError>, DbError> {
        guarded(|| batch.decide(&self.scope, &self.decide))
    }
}

/// Runs domain rules and turns a panic into an error, so that the worker survives it.
pub(crate) fn guarded<T>(rules: impl FnOnce() -> T) -> Result<T, DbError> {
    catch_unwind(AssertUnwindSafe(rules))
        .map_err(|panic| DbError::Panic(text::panic_message(&*panic).to_owned()))
}
