//! What is handed to a lane.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use botarmy_domain::batch::Batch;
use botarmy_domain::ports::Decide;
use botarmy_domain::{Committed, DomainError, Error, Scope};
use tokio::sync::oneshot;

use crate::error::DbError;

/// What a lane is told.
pub(crate) enum Message {
    /// A decision, and where to say how it went. Nobody need be listening.
    Decide(Job),
    /// Nothing new is taken; what waits is still done.
    Close,
}

/// A decision to be committed.
pub(crate) struct Job {
    pub(crate) scope: Scope,
    pub(crate) decide: Decide,
    pub(crate) caller: oneshot::Sender<Result<Committed, Error>>,
    /// What was sent and may have been committed before the connection was lost.
    pub(crate) in_doubt: Vec<Committed>,
    /// Since when it has been in doubt.
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
        // A caller that went away meanwhile does not take back what was decided.
        drop(self.caller.send(result));
    }

    /// Runs the decision. It panics before it changes anything, if it does.
    pub(crate) fn run(&self, batch: &mut Batch) -> Result<Result<Committed, DomainError>, DbError> {
        guarded(|| batch.decide(&self.scope, &self.decide))
    }
}

/// Runs rules of the domain; their panic is a fault, not the end of the lane.
pub(crate) fn guarded<T>(rules: impl FnOnce() -> T) -> Result<T, DbError> {
    catch_unwind(AssertUnwindSafe(rules)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        DbError::Panic(text.unwrap_or_else(|| "no message".to_owned()))
    })
}
