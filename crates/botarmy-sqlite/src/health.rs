//! Answers of SQLite to the health checks.

use async_trait::async_trait;
use botarmy_domain::StoreError;
use botarmy_sql::health::CheckedDatabase;
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;

use crate::connection::number;
use crate::error::reading;
use crate::store::SqliteStore;

/// The guards that are missing, separated by commas: the triggers that keep the log append-only and
/// artifacts unchanged.
const MISSING_GUARDS: &str = "(WITH guards (guard) AS (VALUES ('events_are_not_changed'), \
     ('events_are_not_removed'), ('events_are_not_replaced'), ('artifacts_are_not_changed'), \
     ('artifacts_are_not_removed'), ('artifacts_are_not_replaced')) \
     SELECT coalesce(group_concat(guard, ', '), '') FROM guards WHERE guard NOT IN \
     (SELECT name FROM sqlite_schema WHERE type = 'trigger'))";

#[async_trait]
impl CheckedDatabase for SqliteStore {
    const NAME: &'static str = "SQLite";

    fn write_error(&self) -> Option<String> {
        self.last_write_error()
    }

    fn waiting(&self) -> (usize, usize) {
        self.queued()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ask(self, "(SELECT count(*) FROM sqlite_schema)").await.map(drop)
    }

    async fn missing_guards(&self) -> Result<String, StoreError> {
        self.read_aside(|connection| {
            let missing = diesel::select(sql::<Text>(MISSING_GUARDS)).get_result(connection);
            missing.map_err(|error| reading("sqlite_schema", error))
        })
        .await
    }
}

async fn ask(store: &SqliteStore, expression: &'static str) -> Result<i64, StoreError> {
    store
        .read_aside(move |connection| {
            number(connection, expression).map_err(|error| reading("sqlite_schema", error))
        })
        .await
}
