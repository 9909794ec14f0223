//! Reading records of every kind.

use async_trait::async_trait;
use botarmy_domain::ports::Records;
use botarmy_domain::{
    CredentialId, ProjectId, RecordKey, RecordKind, RecordValue, StoreError, Timestamp,
};
use botarmy_sql::corrupt;
use diesel::prelude::*;
use uuid::Uuid;

use crate::error::reading;
use crate::record_statements;
use crate::rows::{key_text, project_id};
use crate::schema::{key_uses, packages};
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

    async fn together(&self, kinds: &'static [RecordKind]) -> Result<Vec<RecordValue>, StoreError> {
        self.read_aside(move |connection| {
            let lists = connection.transaction(|connection| {
                let list = |kind| record_statements::list(connection, kind, u32::MAX);
                Ok(kinds.iter().copied().map(list).collect::<Result<Vec<_>, _>>())
            });
            Ok(lists.map_err(|error| reading("access_version", error))??.concat())
        })
        .await
    }

    async fn key_uses(&self) -> Result<Vec<(CredentialId, Timestamp)>, StoreError> {
        const TABLE: &str = "key_uses";
        self.read_aside(|connection| {
            let query = key_uses::table
                .order(key_uses::key_id)
                .select((key_uses::key_id, key_uses::used_at));
            let rows: Vec<(Vec<u8>, i64)> =
                query.load(connection).map_err(|error| reading(TABLE, error))?;
            let read = |(key, at): (Vec<u8>, i64)| {
                let id = Uuid::from_slice(&key);
                let id = id.map_err(|error| corrupt(TABLE, key_text(&key), error))?;
                Ok((CredentialId::from_uuid(id), Timestamp::from_micros(at)))
            };
            rows.into_iter().map(read).collect()
        })
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
