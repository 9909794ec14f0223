//! The port through which all state is changed.

use async_trait::async_trait;

use crate::change::{Committed, Decision};
use crate::claim::Claim;
use crate::error::{DomainError, Error, StoreError};
use crate::ids::{CredentialId, TaskId};
use crate::scope::{Scope, Snapshot};
use crate::timestamp::Timestamp;

/// A decision as a function: pure, short, and with the same result every time it runs on the same
/// snapshot, so that a store may run it again.
pub type Decide = Box<dyn Fn(&Snapshot) -> Result<Decision, DomainError> + Send + Sync>;

/// Commits decisions together with their log entries.
///
/// An implementation
/// - MUST commit all changes of a decision and their entries in one transaction, or none of them;
/// - MUST NOT answer before the transaction is as durable as its configuration promises;
/// - MUST number the entries of a log 1, 2, 3, … in commit order without a gap;
/// - MUST show each decision everything that was committed before it;
/// - MUST NOT let a refused decision change anything or affect one that is committed with it;
/// - MUST let exactly one of two decisions succeed that both leave a state which can be left only
///   once;
/// - MUST finish a commit that it began even if the caller is dropped meanwhile;
/// - MUST refuse to change or remove a log entry, also for clients that connect to the database
///   directly.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Loads the rows that `scope` names, runs `decide` on them and commits the decision.
    ///
    /// # Errors
    /// [`Error::Refused`] with the error of the decision, or the error of the store. Nothing has
    /// changed in either case.
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error>;

    /// Starts the next tasks: pending and ready, in active projects, by priority, then by queue
    /// position; at most the free slots of each agent type.
    ///
    /// - MUST NOT lease a task to two workers.
    /// - MUST NOT wait for a task that another transaction has locked.
    ///
    /// # Errors
    /// The error of the store.
    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError>;

    /// Extends a lease that is still held under this fence, and returns whether it was. The log does not
    /// record it.
    ///
    /// # Errors
    /// The error of the store.
    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a key was used at `at`, unless a later use is noted. The log does not record it.
    ///
    /// # Errors
    /// The error of the store.
    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError>;

    /// Removes kept replies that expired at `now` or before, at most `limit`, and returns their number.
    /// The log does not record it.
    ///
    /// - MUST NOT remove one that was written anew meanwhile.
    ///
    /// # Errors
    /// The error of the store.
    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError>;
}
