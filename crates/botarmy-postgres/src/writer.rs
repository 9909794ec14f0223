//! The connection of a lane, and what becomes of it when something fails.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tracing::error;

use crate::connect::{self, Purpose};
use crate::error::Fault;
use crate::job::Job;
use crate::settings::PostgresSettings;
use crate::statements;
use crate::store::Trouble;

/// One connection that writes, with the way to get it back when it is lost.
pub(crate) struct Writer {
    pub(crate) settings: Arc<PostgresSettings>,
    pub(crate) trouble: Trouble,
    connection: Option<AsyncPgConnection>,
}

impl Writer {
    pub(crate) const fn new(settings: Arc<PostgresSettings>, trouble: Trouble) -> Self {
        Self { settings, trouble, connection: None }
    }

    /// The connection; a new one where there is none.
    pub(crate) async fn open(&mut self) -> Result<&AsyncPgConnection, Fault> {
        if self.connection.is_none() {
            let away = |error: &dyn std::error::Error| Fault::Away(error.to_string());
            let connection = connect::connect(&self.settings, Purpose::Writing)
                .await
                .map_err(|error| away(&error))?;
            // Prepared before anything is sent without waiting for the answer before it.
            in_time(self.settings.timeout, statements::prepare_all(&connection))
                .await
                .map_err(|fault| away(&fault))?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was made above"))
    }

    /// After something failed: takes back what is open, or lets go of the connection. A fault after
    /// which not even that can be done was the loss of the connection, whatever it said.
    pub(crate) async fn recover(&mut self, fault: Fault) -> Fault {
        let Some(mut connection) = self.connection.take() else { return fault };
        if matches!(fault, Fault::Lost(_) | Fault::Away(_)) {
            return fault;
        }
        match in_time(self.settings.timeout, connection.batch_execute("ROLLBACK")).await {
            Ok(()) => {
                self.connection = Some(connection);
                fault
            }
            Err(_) => Fault::Lost(fault.to_string()),
        }
    }

    /// Tells everybody that nothing came of it.
    pub(crate) fn give_up(&self, jobs: Vec<Job>, fault: &Fault) {
        error!(error = %fault, units = jobs.len(), "A transaction came to nothing: {fault}");
        // Whether the database is there at all is seen by whoever asks it.
        if fault.may_last() {
            self.trouble.set(fault.to_string());
        }
        for job in jobs {
            job.answer(Err(fault.store_error().into()));
        }
    }
}

/// Waits for the database, but not for ever. Whoever did not get an answer gives the connection up:
/// it may still come.
pub(crate) async fn in_time<T, E: Into<Fault>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Fault::Lost(format!("it has not answered for {limit:?}"))),
    }
}
