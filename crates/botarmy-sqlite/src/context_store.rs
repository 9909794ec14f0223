//! Reads of artifacts. They can be megabytes, so they are read on a blocking thread.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::ContextStore;
use botarmy_domain::{Artifact, ArtifactFilter, ContextId, Page, ProjectId, StoreError};
use diesel::prelude::*;

use crate::error::reading;
use crate::rows::ArtifactRow;
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
            let mut query = artifacts::table
                .filter(artifacts::project_id.eq(project.bytes().as_slice()))
                .select(ArtifactRow::as_select())
                .order(artifacts::id)
                .into_boxed();
            if let Some(kind) = filter.artifact_type {
                query = query.filter(artifacts::artifact_type.eq(kind.as_str()));
            }
            if let Some(agent) = filter.source_agent {
                query = query.filter(artifacts::source_agent.eq(agent.as_str()));
            }
            if let Some(after) = &filter.after {
                query = query.filter(artifacts::id.gt(after.bytes().as_slice()));
            }
            page(connection, "artifacts", limited(query, limit), |row: &ArtifactRow| {
                Ok((row.artifact()?, row.size()))
            })
        })
        .await
    }
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
