//! Answers of PostgreSQL to the health checks.

use async_trait::async_trait;
use botarmy_domain::StoreError;
use botarmy_sql::health::CheckedDatabase;
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::store::PostgresStore;

/// The guards that are missing or disabled, separated by commas: the triggers that keep the log
/// append-only and artifacts unchanged.
const MISSING_GUARDS: &str = "(SELECT coalesce(string_agg(guard, ', ' ORDER BY guard), '') FROM \
     (VALUES ('events', 'events_are_not_changed'), ('events', 'events_are_not_emptied'), \
     ('artifacts', 'artifacts_are_not_changed'), ('artifacts', 'artifacts_are_not_emptied')) \
     AS guards (of_table, guard) WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = guard \
     AND tgrelid = of_table::regclass AND tgenabled IN ('O', 'A')))";

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

    async fn missing_guards(&self) -> Result<String, StoreError> {
        self.read("pg_trigger", |connection| {
            async move { diesel::select(sql::<Text>(MISSING_GUARDS)).get_result(connection).await }
                .boxed()
        })
        .await
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
