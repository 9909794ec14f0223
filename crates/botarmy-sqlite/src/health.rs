//! Answers of SQLite to the health checks.

use async_trait::async_trait;
use botarmy_domain::StoreError;
use botarmy_sql::health::CheckedDatabase;

use crate::connection::number;
use crate::error::reading;
use crate::store::SqliteStore;

/// Number of the triggers that keep the log append-only; there are three.
const GUARDS: &str = "(SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name IN \
                      ('events_are_not_changed', 'events_are_not_removed', \
                      'events_are_not_replaced'))";

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

    async fn log_is_guarded(&self) -> Result<bool, StoreError> {
        Ok(ask(self, GUARDS).await? == 3)
    }
}

async fn ask(store: &SqliteStore, expression: &'static str) -> Result<i64, StoreError> {
    store
        .read_aside(move |connection| {
            number(connection, expression).map_err(|error| reading("sqlite_schema", error))
        })
        .await
}
