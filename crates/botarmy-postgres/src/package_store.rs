//! Reading which packages were made.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::PackageStore;
use botarmy_domain::{Package, ProjectId, StoreError, Timestamp};
use botarmy_sql::body;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::schema::packages;
use crate::store::PostgresStore;

const TABLE: &str = "packages";

#[async_trait]
impl PackageStore for PostgresStore {
    async fn package(&self, project: ProjectId) -> Result<Option<Arc<Package>>, StoreError> {
        let query = move || packages::table.find(project.uuid()).select(packages::body);
        let row: Option<String> = self
            .read(TABLE, move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row| body(TABLE, project, &row)).transpose()
    }

    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError> {
        let query = move || {
            packages::table
                .filter(packages::generated_at.lt(time.micros()))
                .order(packages::project_id)
                .limit(limit.into())
                .select(packages::project_id)
        };
        let rows: Vec<Uuid> = self
            .read(TABLE, move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        Ok(rows.into_iter().map(ProjectId::from_uuid).collect())
    }
}
