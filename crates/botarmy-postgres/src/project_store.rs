//! Reads of projects.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Head, LogId};
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::ProjectStore;
use botarmy_domain::{ObjectId, Page, Project, ProjectId, ProjectStatus, Reach, StoreError};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::{body, reach};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::part::{DOCUMENT, page, part, surplus};
use crate::rows::{self, HeadRow, IdRow};
use crate::schema::{heads, projects};
use crate::store::PostgresStore;

const TABLE: &str = "projects";

#[async_trait]
impl ProjectStore for PostgresStore {
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError> {
        let query = move || projects::table.find(id.uuid()).select(projects::body);
        let row: Option<String> = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row| body(TABLE, id, &row)).transpose()
    }

    async fn overview(&self, id: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError> {
        // A single statement, so that both are read from the same snapshot.
        let query = move || {
            projects::table
                .left_join(heads::table.on(heads::log.eq(projects::id)))
                .filter(projects::id.eq(id.uuid()))
                .select((
                    projects::body,
                    (heads::log, heads::seq, heads::hash, heads::counts, heads::next_turn)
                        .nullable(),
                ))
        };
        let row: Option<(String, Option<HeadRow>)> = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        let Some((project, head)) = row else { return Ok(None) };
        let empty = || Ok(Head::empty(LogId::Project(id)));
        Ok(Some((body(TABLE, id, &project)?, head.map_or_else(empty, rows::head)?)))
    }

    async fn projects(
        &self,
        reach: &Reach,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, StoreError> {
        let within = reach::of_projects(Dialect::POSTGRES, reach);
        let query = || {
            let mut query = projects::table
                .select((projects::id, projects::body))
                .order(projects::id.desc())
                .limit(surplus(limit))
                .into_boxed();
            if let Some(status) = status {
                query = query.filter(projects::status.eq(status.as_str()));
            }
            if let Some(before) = before {
                query = query.filter(projects::id.lt(before.uuid()));
            }
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            part(query, DOCUMENT, PART_BYTES)
        };
        let rows: Vec<((Uuid, String), i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        page(rows, limit).try_map(|(id, text)| Ok(Arc::new(body(TABLE, id, &text)?)))
    }

    async fn within(
        &self,
        reach: &Reach,
        objects: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>, StoreError> {
        let mut found = BTreeSet::new();
        for (sql, object) in reach::within(Dialect::POSTGRES, reach, objects) {
            let rows: Vec<IdRow> = self
                .read(TABLE, |connection| {
                    let query = sql_query(sql.clone());
                    async move { query.load(connection).await }.boxed()
                })
                .await?;
            found.extend(rows.into_iter().map(|row| object(row.id)));
        }
        Ok(found)
    }
}
