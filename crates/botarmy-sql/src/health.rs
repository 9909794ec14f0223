//! Health checks of a database and of the audit log in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use botarmy_domain::ports::HealthCheck;
use botarmy_domain::{Health, StoreError};

/// Error of the last write, which health checks report for a while. After that only another write
/// can show whether the cause remains.
#[derive(Debug, Clone)]
pub struct WriteHealth {
    last_error: Arc<Mutex<Option<(Instant, String)>>>,
    reported_for: Duration,
}

impl WriteHealth {
    /// Creates a state without an error. An error is reported for the given time.
    #[must_use]
    pub fn new(reported_for: Duration) -> Self {
        Self { last_error: Arc::default(), reported_for }
    }

    /// Returns the error of the last write, if it failed and the error is recent.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = last.as_ref().filter(|(since, _)| since.elapsed() < self.reported_for);
        recent.map(|(_, error)| error.clone())
    }

    /// Records that a write failed.
    pub fn failed(&self, error: String) {
        let failed = Some((Instant::now(), error));
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    /// Records that a write succeeded.
    pub fn succeeded(&self) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A database whose health can be checked.
#[async_trait]
pub trait CheckedDatabase: Send + Sync + 'static {
    /// Name of the product, for people.
    const NAME: &'static str;

    /// Returns the error of the last write, or `None` if it succeeded.
    fn write_error(&self) -> Option<String>;

    /// Returns the number of waiting decisions and the capacity of the queues.
    fn waiting(&self) -> (usize, usize);

    /// Reads something that is always there.
    ///
    /// # Errors
    /// The database cannot be read.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns the names of the triggers that keep the log append-only and artifacts unchanged and
    /// that are missing or disabled, separated by commas.
    ///
    /// # Errors
    /// The database cannot be read.
    async fn missing_guards(&self) -> Result<String, StoreError>;
}

/// Health check of a database: it can be read, and the last write was committed.
#[derive(Debug, Clone)]
pub struct DatabaseHealth<D>(pub D);

/// Health check of the audit log: it can be read, and its guards against changes are in place.
#[derive(Debug, Clone)]
pub struct AuditHealth<D>(pub D);

#[async_trait]
impl<D: CheckedDatabase> HealthCheck for DatabaseHealth<D> {
    fn component(&self) -> &'static str {
        "database"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        if let Some(error) = self.0.write_error() {
            return Health::Unhealthy(format!("the last write failed: {error}"));
        }
        match self.0.ping().await {
            Ok(()) => {
                let (name, (waiting, places)) = (D::NAME, self.0.waiting());
                Health::Healthy(format!("{name}; {waiting} of {places} places in the queue taken"))
            }
            Err(error) => Health::Unhealthy(error.to_string()),
        }
    }
}

#[async_trait]
impl<D: CheckedDatabase> HealthCheck for AuditHealth<D> {
    fn component(&self) -> &'static str {
        "audit_system"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        match self.0.missing_guards().await {
            Ok(missing) if missing.is_empty() => Health::Healthy("append-only".to_owned()),
            Ok(missing) => Health::Unhealthy(format!(
                "the triggers that keep the log append-only are missing or disabled ({missing}); \
                 restore the database from a backup"
            )),
            Err(error) => Health::Unhealthy(error.to_string()),
        }
    }
}
