//! Reading records of every kind.

use async_trait::async_trait;
use botarmy_domain::ports::Records;
use botarmy_domain::{ProjectId, RecordKey, RecordKind, RecordValue, StoreError, Timestamp};
use diesel::prelude::*;

use crate::error::reading;
use crate::record_statements;
use crate::rows::project_id;
use crate::schema::packages;
use crate::statements::limited;
use crate::store::SqliteStore;

#[async_trait]
impl Records for SqliteStore {
    async fn find(&self, key: RecordKey) -> Result<Option<RecordValue>, StoreError> {
        self.read_now(|connection| record_statements::read(connection, key))
    }

    async fn list(&self, kind: RecordKind, limit: u32) -> Result<Vec<RecordValue>, StoreError> {
        self.read_list(limit, move |connection| record_statements::list(connection, kind, limit))
            .await
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
