//! Reads of tasks.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::TaskStore;
use botarmy_domain::task::STATUS_BYTES;
use botarmy_domain::{
    Page, ProjectId, Reach, ReadyTasks, StoreError, Task, TaskFilter, TaskId, TaskLine,
    TaskStatusList, Timestamp, Workload,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::{Column, PendingRow, body, reach, ready_tasks, word, workload};
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};
use diesel_async::RunQueryDsl;
use futures_util::{FutureExt, TryStreamExt};
use uuid::Uuid;

use crate::part::{Columns, page, part, surplus};
use crate::rows::{self, TaskRow};
use crate::schema::{heads, projects, tasks};
use crate::store::PostgresStore;

const TABLE: &str = "tasks";
/// Column with the project of a task.
const PROJECT: &str = "tasks.project_id";
/// The position of a log, the status of its project, and a task.
type StatusRow = (i64, String, Option<(Uuid, String)>);
/// Columns that a task is read from.
const COLUMNS: (tasks::id, tasks::lease_expires_at, tasks::body) =
    (tasks::id, tasks::lease_expires_at, tasks::body);
/// The same for a page.
const LISTED: Columns = Columns { all: "id, lease_expires_at, body", json: &["body"] };

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
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let query = move || {
            let mut query = tasks::table
                .filter(tasks::project_id.eq(project.uuid()))
                .select(COLUMNS)
                .order(tasks::id)
                .limit(surplus(limit))
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
            part(query, LISTED, PART_BYTES)
        };
        let rows: Vec<(TaskRow, i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        page(rows, limit).try_map(|row| rows::task(row).map(Arc::new))
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
                .limit(surplus(limit))
                .select((heads::seq, projects::status, (tasks::id, tasks::body).nullable()))
        };
        // A task can be megabytes; its line is short. So each is read when it arrives.
        let (project_row, lines) = self
            .read(TABLE, move |connection| {
                let reading = async move {
                    let mut rows = query().load_stream::<StatusRow>(connection).await?;
                    let (mut project_row, mut lines) = (None, Vec::new());
                    while let Some((seq, status, task)) = rows.try_next().await? {
                        project_row.get_or_insert((seq, status));
                        let line = |(id, text): (Uuid, String)| body::<TaskLine>(TABLE, id, &text);
                        lines.extend(task.map(line));
                    }
                    Ok((project_row, lines))
                };
                reading.boxed()
            })
            .await?;
        let Some((seq, status)) = project_row else { return Ok(None) };
        let project_status = word("projects", project, "status", &status)?;
        let row = project.to_string();
        let seq = Column { table: "heads", row: &row }.number("seq", seq)?;
        let lines = lines.into_iter().map(|line| {
            let line = line?;
            let size = line.size();
            Ok::<_, StoreError>((line, size))
        });
        let tasks = Page::part(lines, limit, STATUS_BYTES)?;
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

    async fn leased(
        &self,
        reach: &Reach,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let after = after.map_or_else(Uuid::nil, TaskId::uuid);
        let within = reach::filter(Dialect::POSTGRES, PROJECT, reach);
        let query = || {
            let mut query = tasks::table
                .filter(tasks::status.eq("working"))
                .filter(tasks::id.gt(after))
                .order(tasks::id)
                .limit(surplus(limit))
                .select(COLUMNS)
                .into_boxed();
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            part(query, LISTED, PART_BYTES)
        };
        let rows: Vec<(TaskRow, i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        page(rows, limit).try_map(|row| rows::task(row).map(Arc::new))
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

    async fn workload(&self, now: Timestamp) -> Result<Vec<Workload>, StoreError> {
        let pending = move || {
            tasks::table.filter(tasks::status.eq("pending")).group_by(tasks::agent).select((
                tasks::agent,
                count_star(),
                sql::<BigInt>("count(CASE WHEN NOT held AND ready_at <= ")
                    .bind::<BigInt, _>(now.micros())
                    .sql(" THEN 1 END)"),
                sql::<Nullable<BigInt>>("min(CASE WHEN NOT held AND ready_at <= ")
                    .bind::<BigInt, _>(now.micros())
                    .sql(" THEN ready_at END)"),
            ))
        };
        let working = move || {
            tasks::table
                .filter(tasks::status.eq("working"))
                .group_by(tasks::agent)
                .select((tasks::agent, count_star()))
        };
        let (pending, working): (Vec<PendingRow>, Vec<(String, i64)>) = self
            .read(TABLE, move |connection| {
                async move {
                    let pending = pending().load(connection).await?;
                    Ok((pending, working().load(connection).await?))
                }
                .boxed()
            })
            .await?;
        workload(pending, working)
    }
}
