//! Reads of projects.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::log::{Head, LogId};
use botarmy_domain::ports::ProjectStore;
use botarmy_domain::{ObjectId, Page, Project, ProjectId, ProjectStatus, Reach, StoreError};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::{body, reach};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::Bool;

use crate::error::reading;
use crate::rows::{HeadRow, IdRow};
use crate::schema::{heads, projects};
use crate::statements::{entity, limited, page};
use crate::store::SqliteStore;

/// Maximum number of objects that are looked for on the calling thread.
const FEW: usize = 16;

#[async_trait]
impl ProjectStore for SqliteStore {
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError> {
        self.read_now(|connection| {
            let query = projects::table.find(id.bytes().as_slice()).select(projects::body);
            let row: Option<String> =
                query.get_result(connection).optional().map_err(|e| reading("projects", e))?;
            row.map(|row| body("projects", id, &row)).transpose()
        })
    }

    async fn overview(&self, id: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError> {
        self.read_now(|connection| {
            // A single statement, so that both are read from the same snapshot.
            let row: Option<(String, Option<HeadRow>)> = projects::table
                .left_join(heads::table.on(heads::log.eq(projects::id)))
                .filter(projects::id.eq(id.bytes().as_slice()))
                .select((projects::body, Option::<HeadRow>::as_select()))
                .get_result(connection)
                .optional()
                .map_err(|error| reading("projects", error))?;
            let Some((project, head)) = row else { return Ok(None) };
            let empty = || Ok(Head::empty(LogId::Project(id)));
            Ok(Some((body("projects", id, &project)?, head.map_or_else(empty, HeadRow::head)?)))
        })
    }

    async fn projects(
        &self,
        reach: &Reach,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, StoreError> {
        let within = reach::of_projects(Dialect::SQLITE, reach);
        self.read_list(limit, move |connection| {
            let mut query = projects::table
                .select((projects::id, projects::body))
                .order(projects::id.desc())
                .into_boxed();
            if let Some(status) = status {
                query = query.filter(projects::status.eq(status.as_str()));
            }
            if let Some(before) = &before {
                query = query.filter(projects::id.lt(before.bytes().as_slice()));
            }
            if let Some(within) = &within {
                query = query.filter(sql::<Bool>(within));
            }
            page(connection, "projects", limited(query, limit), entity("projects"))
        })
        .await
    }

    async fn within(
        &self,
        reach: &Reach,
        objects: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>, StoreError> {
        let statements: Vec<_> = reach::within(Dialect::SQLITE, reach, objects).collect();
        let find = move |connection: &mut SqliteConnection| {
            let mut found = BTreeSet::new();
            for (sql, object) in statements {
                let rows: Vec<IdRow> =
                    sql_query(sql).load(connection).map_err(|error| reading("projects", error))?;
                for row in rows {
                    found.insert(object(row.uuid().map_err(|error| reading("projects", error))?));
                }
            }
            Ok(found)
        };
        if objects.len() <= FEW { self.read_now(find) } else { self.read_aside(find).await }
    }
}
