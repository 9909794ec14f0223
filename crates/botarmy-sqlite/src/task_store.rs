//! Reads of tasks.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::TaskStore;
use botarmy_domain::task::STATUS_BYTES;
use botarmy_domain::{
    Page, ProjectId, Reach, ReadyTasks, StoreError, Task, TaskFilter, TaskId, TaskLine,
    TaskStatusList, Timestamp, Workload,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::{PendingRow, body, reach, ready_tasks, word, workload};
use diesel::connection::DefaultLoadingMode;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use crate::error::reading;
use crate::rows::{bodies, key_text};
use crate::schema::{heads, projects, tasks};
use crate::statements::{TaskIsPending, TaskIsWorking, entity, limited, page};
use crate::store::SqliteStore;

/// Column with the project of a task.
const PROJECT: &str = "tasks.project_id";
/// Maximum number of tasks of a status list that are read on the calling thread.
const GLANCE: u32 = 64;

#[async_trait]
impl TaskStore for SqliteStore {
    async fn task(&self, id: TaskId) -> Result<Option<Arc<Task>>, StoreError> {
        self.read_now(|connection| {
            let query = tasks::table.find(id.bytes().as_slice()).select(tasks::body);
            let row: Option<String> =
                query.get_result(connection).optional().map_err(|e| reading("tasks", e))?;
            row.map(|row| body("tasks", id, &row)).transpose()
        })
    }

    async fn tasks(
        &self,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        self.read_list(limit, move |connection| {
            let mut query = tasks::table
                .filter(tasks::project_id.eq(project.bytes().as_slice()))
                .select((tasks::id, tasks::body))
                .order(tasks::id)
                .into_boxed();
            if let Some(status) = filter.status {
                query = query.filter(tasks::status.eq(status.as_str()));
            }
            if let Some(agent) = filter.agent {
                query = query.filter(tasks::agent.eq(agent.as_str()));
            }
            if let Some(after) = &filter.after {
                query = query.filter(tasks::id.gt(after.bytes().as_slice()));
            }
            page(connection, "tasks", limited(query, limit), entity("tasks"))
        })
        .await
    }

    async fn status(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Option<TaskStatusList>, StoreError> {
        // Most lists are short, and a hand-over to another thread costs more than such a read.
        let glance =
            self.read_now(|connection| status_list(connection, project, limit.min(GLANCE)))?;
        match &glance {
            Some(seen) if limit > GLANCE && seen.tasks.has_more => {
                self.read_aside(move |connection| status_list(connection, project, limit)).await
            }
            _ => Ok(glance),
        }
    }

    async fn expired_leases(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError> {
        self.read_list(limit, move |connection| {
            let query = tasks::table
                .filter(TaskIsWorking)
                .filter(tasks::lease_expires_at.le(now.micros()))
                .order((tasks::lease_expires_at, tasks::id))
                .select((tasks::id, tasks::body));
            let rows = limited(query, limit).load(connection);
            bodies("tasks", rows.map_err(|error| reading("tasks", error))?)
        })
        .await
    }

    async fn working(&self, limit: u32) -> Result<Vec<Arc<Task>>, StoreError> {
        self.read_list(limit, move |connection| {
            let query = tasks::table
                .filter(TaskIsWorking)
                .order(tasks::id)
                .select((tasks::id, tasks::body));
            let rows = limited(query, limit).load(connection);
            bodies("tasks", rows.map_err(|error| reading("tasks", error))?)
        })
        .await
    }

    async fn leased(
        &self,
        reach: &Reach,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let within = reach::filter(Dialect::SQLITE, PROJECT, reach);
        self.read_list(limit, move |connection| {
            let after = after.map_or_else(Vec::new, |id| id.bytes().to_vec());
            let query = tasks::table
                .filter(TaskIsWorking)
                .filter(tasks::id.gt(after))
                .order(tasks::id)
                .select((tasks::id, tasks::body));
            match &within {
                None => page(connection, "tasks", limited(query, limit), entity("tasks")),
                Some(within) => {
                    let query = query.filter(sql::<Bool>(within));
                    page(connection, "tasks", limited(query, limit), entity("tasks"))
                }
            }
        })
        .await
    }

    async fn backlog(&self) -> Result<u64, StoreError> {
        self.read_aside(|connection| {
            let count: i64 = tasks::table
                .filter(TaskIsPending)
                .select(count_star())
                .get_result(connection)
                .map_err(|error| reading("tasks", error))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    async fn ready(&self, now: Timestamp) -> Result<Vec<ReadyTasks>, StoreError> {
        self.read_aside(move |connection| {
            let query = tasks::table
                .filter(TaskIsPending)
                .filter(tasks::held.eq(false))
                .filter(tasks::ready_at.le(now.micros()))
                .group_by(tasks::agent)
                .select((tasks::agent, count_star()));
            let rows: Vec<(String, i64)> =
                query.load(connection).map_err(|error| reading("tasks", error))?;
            ready_tasks(rows)
        })
        .await
    }

    async fn workload(&self, now: Timestamp) -> Result<Vec<Workload>, StoreError> {
        self.read_aside(move |connection| {
            let error = |error| reading("tasks", error);
            let pending: Vec<PendingRow> = tasks::table
                .filter(TaskIsPending)
                .group_by(tasks::agent)
                .select((
                    tasks::agent,
                    count_star(),
                    sql::<BigInt>("count(CASE WHEN NOT held AND ready_at <= ")
                        .bind::<BigInt, _>(now.micros())
                        .sql(" THEN 1 END)"),
                    sql::<Nullable<BigInt>>("min(CASE WHEN NOT held AND ready_at <= ")
                        .bind::<BigInt, _>(now.micros())
                        .sql(" THEN ready_at END)"),
                ))
                .load(connection)
                .map_err(error)?;
            let working: Vec<(String, i64)> = tasks::table
                .filter(TaskIsWorking)
                .group_by(tasks::agent)
                .select((tasks::agent, count_star()))
                .load(connection)
                .map_err(error)?;
            workload(pending, working)
        })
        .await
    }
}

/// A row's key and its body.
type Keyed = (Vec<u8>, String);

/// Returns a project's status and its first tasks, read from the same snapshot by a single
/// statement.
fn status_list(
    connection: &mut SqliteConnection,
    project: ProjectId,
    limit: u32,
) -> Result<Option<TaskStatusList>, StoreError> {
    // A project without tasks has one row.
    let query = projects::table
        .inner_join(heads::table.on(heads::log.eq(projects::id)))
        .left_join(tasks::table)
        .filter(projects::id.eq(project.bytes().as_slice()))
        .order(tasks::id)
        .select((heads::seq, projects::status, (tasks::id, tasks::body).nullable()));
    let mut rows = limited(query, limit.saturating_add(1))
        .load_iter::<(i64, String, Option<Keyed>), DefaultLoadingMode>(connection)
        .map_err(|error| reading("tasks", error))?
        .map(|row| row.map_err(|error| reading("tasks", error)));
    let Some(first) = rows.next().transpose()? else { return Ok(None) };
    let (seq, project_status) = (first.0, word("projects", project, "status", &first.1)?);
    // A task can be megabytes; its line is short.
    let lines = std::iter::once(Ok(first)).chain(rows).filter_map(|row| match row {
        Ok((_, _, task)) => task.map(|(id, text)| {
            let line: TaskLine = body("tasks", key_text(&id), &text)?;
            let size = line.size();
            Ok((line, size))
        }),
        Err(error) => Some(Err(error)),
    });
    let tasks = Page::part(lines, limit, STATUS_BYTES)?;
    let seq = u64::try_from(seq).unwrap_or(0);
    Ok(Some(TaskStatusList { seq, project_status, tasks }))
}
