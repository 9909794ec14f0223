//! Answers of PostgreSQL to the health checks.

use async_trait::async_trait;
use botarmy_domain::StoreError;
use botarmy_sql::health::CheckedDatabase;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::store::PostgresStore;

/// Number of the triggers that keep the log append-only and are enabled; there are two.
const GUARDS: &str = "(SELECT count(*) FROM pg_trigger WHERE tgrelid = 'events'::regclass \
                      AND tgenabled IN ('O', 'A') \
                      AND tgname IN ('events_are_not_changed', 'events_are_not_emptied'))";

#[async_trait]
impl CheckedDatabase for PostgresStore {
    const NAME: &'static str = "PostgreSQL";

    fn write_error(&self) -> Option<String> {
        self.last_write_error()
    }

    fn waiting(&self) -> (usize, usize) {
        self.queued()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        ask(self, "(SELECT count(*) FROM __diesel_schema_migrations)").await.map(drop)
    }

    async fn log_is_guarded(&self) -> Result<bool, StoreError> {
        Ok(ask(self, GUARDS).await? == 2)
    }
}

async fn ask(store: &PostgresStore, expression: &'static str) -> Result<i64, StoreError> {
    store
        .read("pg_catalog", move |connection| {
            async move { diesel::select(sql::<BigInt>(expression)).get_result(connection).await }
                .boxed()
        })
        .await
}
