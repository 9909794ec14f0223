//! The driving port for tasks.

use std::sync::Arc;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::ids::TaskId;
use crate::task::{NewTask, Task};

/// Submits, cancels and retries tasks.
///
/// An implementation
/// - MUST take one decision per call, and commit it before it returns;
/// - MUST finish a commit that it began even if the caller is dropped meanwhile.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Tasks: Send + Sync + 'static {
    /// Submits a task.
    async fn submit_task(&self, new: NewTask, caller: Caller) -> Result<Arc<Task>, Error>;

    /// Cancels a task; a running agent is stopped.
    async fn cancel_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error>;

    /// Grants a failed task another round of attempts.
    async fn retry_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error>;
}
