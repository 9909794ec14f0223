//! Reading records of every kind.

use async_trait::async_trait;
use botarmy_domain::ports::Records;
use botarmy_domain::{
    CredentialId, ProjectId, RecordKey, RecordKind, RecordValue, StoreError, Timestamp,
};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use uuid::Uuid;

use crate::record_statements::{self, Row, Select};
use crate::schema::{key_uses, packages};
use crate::store::PostgresStore;

impl PostgresStore {
    /// Reads records on a connection of the pool.
    pub(crate) async fn read_records(
        &self,
        select: Select,
    ) -> Result<Vec<RecordValue>, StoreError> {
        let kind = select.kind;
        let rows: Vec<Row> = self
            .read(kind.table().name, move |connection| select.clone().load(connection).boxed())
            .await?;
        record_statements::records(kind, &rows)
    }
}

#[async_trait]
impl Records for PostgresStore {
    async fn find(&self, key: RecordKey) -> Result<Option<RecordValue>, StoreError> {
        Ok(self.read_records(record_statements::find(key.kind(), &[key])).await?.pop())
    }

    async fn list(&self, kind: RecordKind, limit: u32) -> Result<Vec<RecordValue>, StoreError> {
        self.read_records(record_statements::list(kind, limit)).await
    }

    async fn together(&self, kinds: &'static [RecordKind]) -> Result<Vec<RecordValue>, StoreError> {
        // One statement sees one state of the database.
        let rows: Vec<(String, String, String)> = self
            .read("access_version", move |connection| {
                record_statements::together(kinds).load(connection).boxed()
            })
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for kind in kinds {
            let table = kind.table().name;
            let of_kind = rows.iter().filter(|(of, ..)| of == table);
            for (_, row, text) in of_kind {
                found.push(botarmy_sql::record(*kind, row, text)?);
            }
        }
        Ok(found)
    }

    async fn key_uses(&self) -> Result<Vec<(CredentialId, Timestamp)>, StoreError> {
        let query = || {
            key_uses::table.order(key_uses::key_id).select((key_uses::key_id, key_uses::used_at))
        };
        let rows: Vec<(Uuid, i64)> = self
            .read("key_uses", move |connection| {
                async move { query().load(connection).await }.boxed()
            })
            .await?;
        let read = |(key, at)| (CredentialId::from_uuid(key), Timestamp::from_micros(at));
        Ok(rows.into_iter().map(read).collect())
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
            .read("packages", move |connection| {
                async move { query().load(connection).await }.boxed()
            })
            .await?;
        Ok(rows.into_iter().map(ProjectId::from_uuid).collect())
    }
}
