//! Reads of artifacts.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::ContextStore;
use botarmy_domain::{Artifact, ArtifactFilter, ContextId, Page, ProjectId, StoreError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::part::{Columns, page, part, surplus};
use crate::rows::ArtifactRow;
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
            let mut query = artifacts::table
                .filter(artifacts::project_id.eq(project.uuid()))
                .select(ArtifactRow::as_select())
                .order(artifacts::id)
                .limit(surplus(limit))
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
}
