//! Reading which packages were made.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::PackageStore;
use botarmy_domain::{Package, ProjectId, StoreError, Timestamp};
use botarmy_sql::body;
use diesel::prelude::*;

use crate::error::reading;
use crate::rows::project_id;
use crate::schema::packages;
use crate::statements::limited;
use crate::store::SqliteStore;

#[async_trait]
impl PackageStore for SqliteStore {
    async fn package(&self, project: ProjectId) -> Result<Option<Arc<Package>>, StoreError> {
        self.read_now(|connection| {
            let query = packages::table.find(project.bytes().as_slice()).select(packages::body);
            let row: Option<String> =
                query.get_result(connection).optional().map_err(|e| reading("packages", e))?;
            row.map(|row| body("packages", project, &row)).transpose()
        })
    }

    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError> {
        self.read_aside(move |connection| {
            let query = packages::table
                .filter(packages::generated_at.lt(time.micros()))
                .order(packages::project_id)
                .select(packages::project_id);
            let rows: Vec<Vec<u8>> = limited(query, limit)
                .load(connection)
                .map_err(|error| reading("packages", error))?;
            rows.iter().map(|row| project_id("packages", row)).collect()
        })
        .await
    }
}
