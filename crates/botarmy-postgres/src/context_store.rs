//! Reads of artifacts.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::ContextStore;
use botarmy_domain::{Artifact, ArtifactFilter, ContextId, ProjectId, StoreError};
use botarmy_sql::fitting;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::rows::ArtifactRow;
use crate::schema::artifacts;
use crate::sql_functions::octet_length;
use crate::store::PostgresStore;

const TABLE: &str = "artifacts";

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
    ) -> Result<Vec<Arc<Artifact>>, StoreError> {
        let bytes = filter.bytes;
        let query = move |limit: u32| {
            let mut query = artifacts::table
                .filter(artifacts::project_id.eq(project.uuid()))
                .order(artifacts::id)
                .limit(limit.into())
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
        };
        let rows: Vec<ArtifactRow> = self
            .read(TABLE, |connection| {
                let query = query.clone();
                async move {
                    let mut limit = limit;
                    if let Some(bytes) = bytes {
                        let sizes = query(limit).select(octet_length(artifacts::content));
                        limit = fitting(bytes, &sizes.load(&mut *connection).await?);
                    }
                    query(limit).select(ArtifactRow::as_select()).load(connection).await
                }
                .boxed()
            })
            .await?;
        rows.iter().map(ArtifactRow::artifact).collect()
    }
}
