//! Reads of tasks.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::TaskStore;
use botarmy_domain::{
    ProjectId, ReadyTasks, StoreError, Task, TaskFilter, TaskId, TaskStatusList, Timestamp,
};
use botarmy_sql::{Column, body, ready_tasks, word};
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::rows::{self, TaskRow};
use crate::schema::{heads, projects, tasks};
use crate::store::PostgresStore;

const TABLE: &str = "tasks";
/// Columns that a task is read from.
const COLUMNS: (tasks::id, tasks::lease_expires_at, tasks::body) =
    (tasks::id, tasks::lease_expires_at, tasks::body);

#[async_trait]
impl TaskStore for PostgresStore {
    async fn task(&self, id: TaskId) -> Result<Option<Arc<Task>>, StoreError> {
        let query = move || tasks::table.find(id.uuid()).select(COLUMNS);
        let row: Option<TaskRow> = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row| rows::task(row).map(Arc::new)).transpose()
    }

    async fn tasks(
        &self,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError> {
        let query = move || {
            let mut query = tasks::table
                .filter(tasks::project_id.eq(project.uuid()))
                .select(COLUMNS)
                .order(tasks::id)
                .limit(limit.into())
                .into_boxed();
            if let Some(status) = filter.status {
                query = query.filter(tasks::status.eq(status.as_str()));
            }
            if let Some(agent) = filter.agent {
                query = query.filter(tasks::agent.eq(agent.as_str()));
            }
            if let Some(after) = filter.after {
                query = query.filter(tasks::id.gt(after.uuid()));
            }
            query
        };
        let rows: Vec<TaskRow> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        rows::tasks(rows)
    }

    async fn status(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Option<TaskStatusList>, StoreError> {
        // A single statement, so that both are read from the same snapshot. A project without tasks
        // has one row.
        let query = move || {
            projects::table
                .inner_join(heads::table.on(heads::log.eq(projects::id)))
                .left_join(tasks::table)
                .filter(projects::id.eq(project.uuid()))
                .order(tasks::id)
                .limit(limit.max(1).into())
                .select((heads::seq, projects::status, (tasks::id, tasks::body).nullable()))
        };
        let rows: Vec<(i64, String, Option<(Uuid, String)>)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        let [(seq, status, _), ..] = rows.as_slice() else { return Ok(None) };
        let project_status = word("projects", project, "status", status)?;
        let row = project.to_string();
        let seq = Column { table: "heads", row: &row }.number("seq", *seq)?;
        let rows = rows.into_iter().filter_map(|(_, _, task)| task);
        let rows = rows.take(usize::try_from(limit).unwrap_or(usize::MAX));
        let tasks = rows.map(|(id, text)| body(TABLE, id, &text)).collect::<Result<_, _>>()?;
        Ok(Some(TaskStatusList { seq, project_status, tasks }))
    }

    async fn expired_leases(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError> {
        let query = move || {
            tasks::table
                .filter(tasks::status.eq("working"))
                .filter(tasks::lease_expires_at.le(now.micros()))
                .order((tasks::lease_expires_at, tasks::id))
                .limit(limit.into())
                .select(COLUMNS)
        };
        let rows: Vec<TaskRow> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        rows::tasks(rows)
    }

    async fn working(&self, limit: u32) -> Result<Vec<Arc<Task>>, StoreError> {
        let query = move || {
            tasks::table
                .filter(tasks::status.eq("working"))
                .order(tasks::id)
                .limit(limit.into())
                .select(COLUMNS)
        };
        let rows: Vec<TaskRow> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        rows::tasks(rows)
    }

    async fn backlog(&self) -> Result<u64, StoreError> {
        let query = move || tasks::table.filter(tasks::status.eq("pending")).select(count_star());
        let count: i64 = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await }.boxed()
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn ready(&self, now: Timestamp) -> Result<Vec<ReadyTasks>, StoreError> {
        let query = move || {
            tasks::table
                .filter(tasks::status.eq("pending"))
                .filter(tasks::held.eq(false))
                .filter(tasks::ready_at.le(now.micros()))
                .group_by(tasks::agent)
                .select((tasks::agent, count_star()))
        };
        let rows: Vec<(String, i64)> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        ready_tasks(rows)
    }
}
