//! Health checks of the database and of the audit log.

use async_trait::async_trait;
use botarmy_domain::ports::HealthCheck;
use botarmy_domain::{Health, StoreError};
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;

use crate::connection::number;
use crate::error::reading;
use crate::store::SqliteStore;

/// Health check of the database: it can be read, and the last transaction was committed.
#[derive(Debug, Clone)]
pub struct SqliteHealth(pub SqliteStore);

/// Health check of the audit log: it can be read, and its guards against changes are in place.
#[derive(Debug, Clone)]
pub struct SqliteAuditHealth(pub SqliteStore);

/// The guards that are missing, separated by commas: the triggers that keep the log append-only and
/// artifacts unchanged.
const MISSING_GUARDS: &str = "(WITH guards (guard) AS (VALUES ('events_are_not_changed'), \
     ('events_are_not_removed'), ('events_are_not_replaced'), ('artifacts_are_not_changed'), \
     ('artifacts_are_not_removed'), ('artifacts_are_not_replaced')) \
     SELECT coalesce(group_concat(guard, ', '), '') FROM guards WHERE guard NOT IN \
     (SELECT name FROM sqlite_schema WHERE type = 'trigger'))";

#[async_trait]
impl HealthCheck for SqliteHealth {
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
        match ask(&self.0, "(SELECT count(*) FROM sqlite_schema)").await {
            Ok(_) => {
                let (waiting, places) = self.0.waiting();
                Health::Healthy(format!("SQLite; {waiting} of {places} places in the queue taken"))
            }
            Err(error) => Health::Unhealthy(error.to_string()),
        }
    }
}

#[async_trait]
impl HealthCheck for SqliteAuditHealth {
    fn component(&self) -> &'static str {
        "audit_system"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        let missing = self.0.read_aside(|connection| {
            let missing = diesel::select(sql::<Text>(MISSING_GUARDS)).get_result(connection);
            missing.map_err(|error| reading("sqlite_schema", error))
        });
        let missing: Result<String, StoreError> = missing.await;
        match missing {
            Ok(missing) if missing.is_empty() => Health::Healthy("append-only".to_owned()),
            Ok(missing) => Health::Unhealthy(format!(
                "the triggers that keep the log append-only are missing ({missing}); restore the \
                 database from a backup"
            )),
            Err(error) => Health::Unhealthy(error.to_string()),
        }
    }
}

async fn ask(store: &SqliteStore, expression: &'static str) -> Result<i64, StoreError> {
    store
        .read_aside(move |connection| {
            number(connection, expression).map_err(|error| reading("sqlite_schema", error))
        })
        .await
}
