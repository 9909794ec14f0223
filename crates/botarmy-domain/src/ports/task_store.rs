//! Queries for tasks.

use std::sync::Arc;

use async_trait::async_trait;

use crate::access::Reach;
use crate::error::StoreError;
use crate::ids::{ProjectId, TaskId};
use crate::page::Page;
use crate::task::{ReadyTasks, Task, TaskFilter, TaskStatusList, Workload};
use crate::timestamp::Timestamp;

/// Reads tasks.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST end a page with the task with which it has [`crate::page::PART_BYTES`], and MUST NOT read
///   much more than that.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// Returns the task, or `None`.
    async fn task(&self, id: TaskId) -> Result<Option<Arc<Task>>, StoreError>;

    /// Returns tasks of a project, oldest first; at most `limit`.
    async fn tasks(
        &self,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError>;

    /// Returns the project's status and its tasks, oldest first, at most `limit` and only so many
    /// that their lines have at most about [`crate::task::STATUS_BYTES`]; `None` without the
    /// project. Both MUST be of the same instant. The tasks themselves MUST NOT be in memory at the
    /// same time.
    async fn status(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Option<TaskStatusList>, StoreError>;

    /// Returns working tasks whose lease expired at `now` or before, oldest first; at most `limit`.
    async fn expired_leases(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError>;

    /// Returns all working tasks, at most `limit`; a single server reads them when it starts.
    async fn working(&self, limit: u32) -> Result<Vec<Arc<Task>>, StoreError>;

    /// Returns working tasks of projects within the reach, by id, those after the task `after`; at most
    /// `limit`.
    async fn leased(
        &self,
        reach: &Reach,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError>;

    /// Returns the number of tasks that wait to be claimed, over all projects.
    async fn backlog(&self) -> Result<u64, StoreError>;

    /// Returns the number of tasks of each agent type that could be claimed at `now`, in the order of
    /// agent types and without those that have none. Tasks of projects that start nothing new are not
    /// counted.
    async fn ready(&self, now: Timestamp) -> Result<Vec<ReadyTasks>, StoreError>;

    /// Returns the work of every agent type that has some at `now`, over all projects, in the order of
    /// agent types. Tasks of projects that start nothing new wait without being ready.
    async fn workload(&self, now: Timestamp) -> Result<Vec<Workload>, StoreError>;
}
