//! Reads of artifacts.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::ContextStore;
use botarmy_domain::{
    Artifact, ArtifactFilter, ArtifactRef, ContextId, Page, ProjectId, StoreError,
};
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::part::{Columns, page, part, surplus};
use crate::rows::{ArtifactRefRow, ArtifactRow};
use crate::schema::artifacts;
use crate::store::PostgresStore;

const TABLE: &str = "artifacts";
/// Columns of an artifact in a page.
const LISTED: Columns = Columns {
    all: "id, project_id, source_agent, artifact_type, digest, previous, created_at, metadata, \
          content",
    json: &["metadata", "content"],
};

#[async_trait]
impl ContextStore for PostgresStore {
    async fn artifact(&self, id: ContextId) -> Result<Option<Arc<Artifact>>, StoreError> {
        Ok(self.artifacts_by_id(&[id]).await?.pop())
    }

    async fn artifacts_by_id(&self, ids: &[ContextId]) -> Result<Vec<Arc<Artifact>>, StoreError> {
        let keys: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let query = move || {
            artifacts::table
                .filter(artifacts::id.eq_any(keys.clone()))
                .select(ArtifactRow::as_select())
        };
        let rows = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        let found = rows.iter().map(ArtifactRow::artifact);
        let found: HashMap<ContextId, Arc<Artifact>> =
            found.map(|row| row.map(|row| (row.meta.id, row))).collect::<Result<_, _>>()?;
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    async fn artifacts(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, StoreError> {
        let query = move || {
            let query = matching(project, &filter);
            let query = query.select(ArtifactRow::as_select()).limit(surplus(limit));
            part(query, LISTED, PART_BYTES)
        };
        let rows: Vec<(ArtifactRow, i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        page(rows, limit).try_map(|row| row.artifact())
    }

    async fn artifact_refs(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, StoreError> {
        let query = move || {
            matching(project, &filter).select(ArtifactRefRow::as_select()).limit(surplus(limit))
        };
        let rows: Vec<ArtifactRefRow> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        Page::first(rows, limit).try_map(|row| row.artifact_ref())
    }

    async fn artifact_sizes(&self, ids: &[ContextId]) -> Result<Vec<(ContextId, u64)>, StoreError> {
        let keys: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let query = move || {
            artifacts::table
                .filter(artifacts::id.eq_any(keys.clone()))
                .select((artifacts::id, sql::<BigInt>("octet_length(content::text)::bigint")))
        };
        let rows: Vec<(Uuid, i64)> = self
            .read(TABLE, |connection| {
                let query = query();
                async move { query.load(connection).await }.boxed()
            })
            .await?;
        let size = |(id, bytes)| (ContextId::from_uuid(id), u64::try_from(bytes).unwrap_or(0));
        Ok(rows.into_iter().map(size).collect())
    }
}

/// Returns the query for artifacts of a project, oldest first.
fn matching(project: ProjectId, filter: &ArtifactFilter) -> artifacts::BoxedQuery<'static, Pg> {
    let mut query = artifacts::table
        .filter(artifacts::project_id.eq(project.uuid()))
        .order(artifacts::id)
        .into_boxed();
    if let Some(kind) = filter.artifact_type {
        query = query.filter(artifacts::artifact_type.eq(kind.as_str()));
    }
    if let Some(agent) = filter.source_agent {
        query = query.filter(artifacts::source_agent.eq(agent.as_str()));
    }
    if let Some(after) = filter.after {
        query = query.filter(artifacts::id.gt(after.uuid()));
    }
    query
}
