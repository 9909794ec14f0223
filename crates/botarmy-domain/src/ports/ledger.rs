//! The one way to change anything.

use async_trait::async_trait;

use crate::change::{Committed, Decision};
use crate::claim::Claim;
use crate::error::{DomainError, Error, StoreError};
use crate::ids::TaskId;
use crate::scope::{Scope, Snapshot};
use crate::timestamp::Timestamp;

/// A decision to be taken: pure, short, and the same every time it is run on the same snapshot,
/// so that a store may run it again.
pub type Decide = Box<dyn Fn(&Snapshot) -> Result<Decision, DomainError> + Send + Sync>;

/// Commits decisions together with their log entries.
///
/// An implementation
/// - MUST commit all changes of a decision and their entries in one transaction, or none of them;
/// - MUST NOT answer before the transaction is as durable as its configuration promises;
/// - MUST number the entries of a log 1, 2, 3, … in commit order without a gap;
/// - MUST show each decision everything that was committed before it;
/// - MUST NOT let a refused decision change anything, nor disturb one that is committed with it;
/// - MUST let exactly one of two decisions win that both start from a state only one may leave;
/// - MUST finish what it began when the caller goes away meanwhile;
/// - MUST refuse to change or remove a log entry, also to those who reach the database beside it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Loads what `scope` names, runs `decide` on it, commits what it says.
    ///
    /// # Errors
    /// [`Error::Refused`] with the decision's refusal, or what the store could not do. Nothing
    /// has changed then.
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error>;

    /// Starts the tasks that come next: pending and ready, in active projects, by priority, then
    /// by turn; up to the slots of each agent type.
    ///
    /// - MUST NOT give a task to two workers.
    /// - MUST NOT wait for a task that another transaction holds.
    ///
    /// # Errors
    /// What the store could not do.
    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError>;

    /// Moves the expiry of a lease that is still held; the one change that is not in the log.
    /// Answers whether it is still held under this fence.
    ///
    /// # Errors
    /// What the store could not do.
    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError>;
}
