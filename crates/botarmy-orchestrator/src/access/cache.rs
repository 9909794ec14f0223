//! The table in memory, and the time until which it is known to be current.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use botarmy_domain::ports::{Records, RecordsExt};
use botarmy_domain::{AccessVersion, StoreError};
use tokio::time::Instant;
use tracing::debug;

use super::table::{KINDS, Table};

/// Time for which a table is used after it was last known to be current.
const USABLE: Duration = Duration::from_secs(5);

/// Number of times that a table is read which is out of date when it was read.
const ATTEMPTS: u32 = 3;

/// Table with its freshness.
pub(super) struct Cache {
    table: RwLock<Arc<Table>>,
    /// Start of the clock of `confirmed`.
    start: Instant,
    /// Microseconds from `start` to the beginning of the last comparison that found the table current,
    /// and one; 0 before the first.
    confirmed: AtomicU64,
    /// Whether people may come whom the table does not have.
    is_open: bool,
    /// Held while the store is read, so that readings end in the order in which they began.
    reading: tokio::sync::Mutex<()>,
}

impl Cache {
    /// Creates a cache without a table. `is_open` says that people may come whom the table does not have,
    /// such as those of a provider.
    pub(super) fn new(is_open: bool) -> Self {
        Self {
            is_open,
            table: RwLock::default(),
            start: Instant::now(),
            confirmed: AtomicU64::new(0),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the table, unless it may be out of date.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        let confirmed = self.confirmed.load(Ordering::Acquire).checked_sub(1)?;
        let age = self.start.elapsed().saturating_sub(Duration::from_micros(confirmed));
        (age < USABLE).then(|| self.latest())
    }

    /// Returns the table, however old it is.
    pub(super) fn latest(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares the stored version with that of the table, and reads the table anew if they differ.
    ///
    /// # Errors
    /// The error of the store. The table stays in use for a while.
    pub(super) async fn compare(&self, records: &dyn Records) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        self.compare_now(records).await
    }

    /// Brings the table up to date after a commit of this server. If the store cannot be read, no
    /// credential is accepted until it can: one of them may have been revoked.
    pub(super) async fn changed(&self, records: &dyn Records) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        let compared = self.compare_now(records).await;
        if compared.is_err() {
            self.confirmed.store(0, Ordering::Release);
        }
        compared
    }

    async fn compare_now(&self, records: &dyn Records) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let began = self.start.elapsed();
            let known = self.latest();
            let is_current = version_of(records).await? == known.version;
            if !is_current {
                self.install(Table::new(&records.together(KINDS).await?, &known, self.is_open));
            }
            let micros = u64::try_from(began.as_micros()).unwrap_or(u64::MAX - 1);
            self.confirmed.fetch_max(micros + 1, Ordering::AcqRel);
            if is_current {
                break;
            }
        }
        Ok(())
    }

    /// Puts a table in the place of an older one. One that was read more slowly than a newer one is
    /// dropped, because it may have a key that was revoked since.
    pub(super) fn install(&self, table: Table) {
        let mut current = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.version > current.version {
            debug!(version = table.version, "Read the principals, keys and sessions");
            *current = Arc::new(table);
        }
    }
}

async fn version_of(records: &dyn Records) -> Result<u64, StoreError> {
    let stored = records.record::<AccessVersion>(AccessVersion::KEY).await?;
    Ok(stored.map_or(0, |stored| stored.version))
}
