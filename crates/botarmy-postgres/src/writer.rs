//! The connection of a commit worker, and its recovery after errors.

use std::sync::Arc;
use std::time::Duration;

use botarmy_sql::ObservedCommits;
use botarmy_sql::health::WriteHealth;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tracing::error;

use crate::connect::Purpose;
use crate::error::DbError;
use crate::job::Job;
use crate::outdated::Outdated;
use crate::settings::PostgresSettings;
use crate::statements;

/// One connection that writes, with the settings to open it again.
pub(crate) struct Writer {
    pub(crate) settings: Arc<PostgresSettings>,
    pub(crate) write_health: WriteHealth,
    pub(crate) observed: ObservedCommits,
    outdated: Outdated,
    connection: Option<AsyncPgConnection>,
}

impl Writer {
    pub(crate) const fn new(
        settings: Arc<PostgresSettings>,
        write_health: WriteHealth,
        observed: ObservedCommits,
        outdated: Outdated,
    ) -> Self {
        Self { settings, write_health, observed, outdated, connection: None }
    }

    /// Returns the connection; opens one if there is none.
    pub(crate) async fn open(&mut self) -> Result<&AsyncPgConnection, DbError> {
        if self.connection.is_none() {
            let away = |error: &dyn std::error::Error| DbError::Away(error.to_string());
            let connection = self
                .outdated
                .connect(&self.settings, Purpose::Writing)
                .await
                .map_err(|error| away(&error))?;
            // Pipelined statements have to be prepared before the first batch.
            in_time(self.settings.timeout, statements::prepare_all(&connection))
                .await
                .map_err(|db_error| away(&db_error))?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was made above"))
    }

    /// Rolls back after an error, or drops the connection. An error after which the rollback fails
    /// is reported as a lost connection.
    pub(crate) async fn recover(&mut self, db_error: DbError) -> DbError {
        let Some(mut connection) = self.connection.take() else { return db_error };
        match db_error {
            DbError::Lost(_) | DbError::Away(_) => return db_error,
            DbError::ReadOnly(_) => {
                // What is read there may be older than what was acknowledged.
                self.outdated.mark();
                return db_error;
            }
            _ => {}
        }
        match in_time(self.settings.timeout, connection.batch_execute("ROLLBACK")).await {
            Ok(()) => {
                self.connection = Some(connection);
                db_error
            }
            Err(_) => DbError::Lost(db_error.to_string()),
        }
    }

    /// Answers all decisions with the error.
    pub(crate) fn give_up(&self, jobs: Vec<Job>, db_error: &DbError) {
        error!(error = %db_error, units = jobs.len(), "Transaction failed");
        // Health checks detect an unreachable database on their own.
        if db_error.may_last() {
            self.write_health.failed(db_error.to_string());
        }
        for job in jobs {
            job.answer(Err(db_error.store_error().into()));
        }
    }
}

/// Waits for the database with a time limit. The caller must drop the connection after a timeout,
/// because the answer may still arrive on it.
pub(crate) async fn in_time<T, E: Into<DbError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, DbError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(DbError::Lost(format!("it has not answered for {limit:?}"))),
    }
}
