//! Reads of artifacts. They can be megabytes, so they are read on a blocking thread.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::ContextStore;
use botarmy_domain::{
    Artifact, ArtifactFilter, ArtifactRef, ContextId, Page, ProjectId, StoreError,
};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use crate::error::reading;
use crate::rows::{ArtifactRefRow, ArtifactRow};
use crate::schema::artifacts;
use crate::statements::{limited, page};
use crate::store::SqliteStore;

#[async_trait]
impl ContextStore for SqliteStore {
    async fn artifact(&self, id: ContextId) -> Result<Option<Arc<Artifact>>, StoreError> {
        self.read_aside(move |connection| find(connection, id)).await
    }

    async fn artifacts_by_id(&self, ids: &[ContextId]) -> Result<Vec<Arc<Artifact>>, StoreError> {
        let ids = ids.to_vec();
        self.read_aside(move |connection| {
            ids.iter().filter_map(|id| find(connection, *id).transpose()).collect()
        })
        .await
    }

    async fn artifacts(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, StoreError> {
        self.read_aside(move |connection| {
            let query = matching(project, &filter).select(ArtifactRow::as_select());
            page(connection, "artifacts", limited(query, limit), |row: &ArtifactRow| {
                Ok((row.artifact()?, row.size()))
            })
        })
        .await
    }

    async fn artifact_refs(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, StoreError> {
        self.read_aside(move |connection| {
            let query = matching(project, &filter).select(ArtifactRefRow::as_select());
            page(connection, "artifacts", limited(query, limit), |row: &ArtifactRefRow| {
                // A page of them is small.
                Ok((row.artifact_ref()?, 0))
            })
        })
        .await
    }

    async fn artifact_sizes(&self, ids: &[ContextId]) -> Result<Vec<(ContextId, u64)>, StoreError> {
        let ids = ids.to_vec();
        self.read_aside(move |connection| {
            let size = |id: &ContextId| {
                // The length stands before the text, which is not read.
                let length = sql::<BigInt>("octet_length(content)");
                let query = artifacts::table.find(id.bytes().as_slice().to_vec()).select(length);
                let found = query.get_result::<i64>(connection).optional();
                let found = found.map_err(|error| reading("artifacts", error));
                let size = |bytes| (*id, u64::try_from(bytes).unwrap_or(0));
                found.map(|bytes| bytes.map(size)).transpose()
            };
            ids.iter().filter_map(size).collect()
        })
        .await
    }
}

/// Returns the query for artifacts of a project, oldest first.
fn matching(project: ProjectId, filter: &ArtifactFilter) -> artifacts::BoxedQuery<'static, Sqlite> {
    let mut query = artifacts::table
        .filter(artifacts::project_id.eq(project.bytes().to_vec()))
        .order(artifacts::id)
        .into_boxed();
    if let Some(kind) = filter.artifact_type {
        query = query.filter(artifacts::artifact_type.eq(kind.as_str()));
    }
    if let Some(agent) = filter.source_agent {
        query = query.filter(artifacts::source_agent.eq(agent.as_str()));
    }
    if let Some(after) = &filter.after {
        query = query.filter(artifacts::id.gt(after.bytes().to_vec()));
    }
    query
}

fn find(
    connection: &mut SqliteConnection,
    id: ContextId,
) -> Result<Option<Arc<Artifact>>, StoreError> {
    let query = artifacts::table.find(id.bytes().as_slice()).select(ArtifactRow::as_select());
    let row =
        query.get_result(connection).optional().map_err(|error| reading("artifacts", error))?;
    row.map(|row| row.artifact()).transpose()
}
