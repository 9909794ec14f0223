//! Health checks of the database and of the audit log.

use async_trait::async_trait;
use botarmy_domain::ports::HealthCheck;
use botarmy_domain::{Health, StoreError};
use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::store::PostgresStore;

/// Health check of the database: it can be read, and the last transaction was committed.
#[derive(Debug, Clone)]
pub struct PostgresHealth(pub PostgresStore);

/// Health check of the audit log: it can be read, and its guards against changes are in place.
#[derive(Debug, Clone)]
pub struct PostgresAuditHealth(pub PostgresStore);

/// The guards that are missing or disabled, separated by commas: the triggers that keep the log
/// append-only and artifacts unchanged.
const MISSING_GUARDS: &str = "(SELECT coalesce(string_agg(guard, ', ' ORDER BY guard), '') FROM \
     (VALUES ('events', 'events_are_not_changed'), ('events', 'events_are_not_emptied'), \
     ('artifacts', 'artifacts_are_not_changed'), ('artifacts', 'artifacts_are_not_emptied')) \
     AS guards (of_table, guard) WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = guard \
     AND tgrelid = of_table::regclass AND tgenabled IN ('O', 'A')))";

#[async_trait]
impl HealthCheck for PostgresHealth {
    fn component(&self) -> &'static str {
        "database"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        if let Some(write_health) = self.0.write_health() {
            return Health::Unhealthy(format!("the last write failed: {write_health}"));
        }
        match ask(&self.0, "(SELECT count(*) FROM __diesel_schema_migrations)").await {
            Ok(_) => {
                let (waiting, places) = self.0.waiting();
                Health::Healthy(format!(
                    "PostgreSQL; {waiting} of {places} places in the queue taken"
                ))
            }
            Err(error) => Health::Unhealthy(error.to_string()),
        }
    }
}

#[async_trait]
impl HealthCheck for PostgresAuditHealth {
    fn component(&self) -> &'static str {
        "audit_system"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        let missing = self.0.read("pg_trigger", |connection| {
            async move { diesel::select(sql::<Text>(MISSING_GUARDS)).get_result(connection).await }
                .boxed()
        });
        let missing: Result<String, StoreError> = missing.await;
        match missing {
            Ok(missing) if missing.is_empty() => Health::Healthy("append-only".to_owned()),
            Ok(missing) => Health::Unhealthy(format!(
                "the triggers that keep the log append-only are missing or disabled ({missing}); \
                 restore the database from a backup"
            )),
            Err(error) => Health::Unhealthy(error.to_string()),
        }
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
