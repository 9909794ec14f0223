//! Reading tasks.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::{ProjectId, TaskId};
use crate::task::{Task, TaskFilter, TaskStatusList};
use crate::timestamp::Timestamp;

/// Reads tasks. What it answers MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// The task, or `None`.
    async fn task(&self, id: TaskId) -> Result<Option<Arc<Task>>, StoreError>;

    /// Tasks of a project, oldest first; at most `limit`.
    async fn tasks(
        &self,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError>;

    /// The project's status and its tasks, oldest first, at most `limit`; `None` without the
    /// project. Both MUST be of the same instant.
    async fn status(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Option<TaskStatusList>, StoreError>;

    /// Working tasks whose lease expired at `now` or before, oldest first; at most `limit`.
    async fn expired_leases(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError>;

    /// All working tasks, at most `limit`: what a single server looks at when it starts.
    async fn working(&self, limit: u32) -> Result<Vec<Arc<Task>>, StoreError>;

    /// How many tasks wait to be claimed, over all projects.
    async fn backlog(&self) -> Result<u64, StoreError>;
}
