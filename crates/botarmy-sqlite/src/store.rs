//! The store: opening it, handing jobs to its writer, reading beside it, closing it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use botarmy_domain::StoreError;
use botarmy_domain::ports::CommitObserver;
use botarmy_sql::ObservedCommits;
use botarmy_sql::health::WriteHealth;
use botarmy_sql::log_pages::SearchMemory;
use diesel::prelude::*;
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use crate::connection;
use crate::database_copy;
use crate::error::closed;
use crate::migrate;
use crate::open::{self, OpenError};
use crate::readers::Readers;
use crate::settings::SqliteSettings;
use crate::writer::{Job, Writer};

/// Time for which the error of a write is reported.
const WRITE_ERROR_REPORTED: Duration = Duration::from_secs(30);
/// Maximum length of lists that are read on the calling thread.
const SHORT_LIST: u32 = 32;

/// Every storage port on one SQLite file. Clones share it.
///
/// Has to be used inside a Tokio runtime with time enabled. When the last clone is dropped, queued
/// decisions are still committed in the background; [`SqliteStore::close`] waits for that.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: SqliteSettings,
    queue: mpsc::Sender<Job>,
    write_health: WriteHealth,
    observed: ObservedCommits,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Connections for reads that take microseconds.
    short: Readers,
    /// Connections for longer reads; their number limits how many run at the same time.
    long: Readers,
    long_permits: Arc<Semaphore>,
    search_memory: Arc<SearchMemory>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store, creates it if it is missing, and applies missing migrations. Blocks the
    /// thread, so call it at the start of a process.
    ///
    /// # Errors
    /// Returns an error that names the remedy; the file has not changed then.
    pub fn open(settings: SqliteSettings) -> Result<Self, OpenError> {
        let path = settings.path.clone();
        let lock = open::lock(&path)?;
        open::inspect(&path)?;
        open::create(&path)?;
        let mut connection =
            connection::writer(&settings).map_err(|error| OpenError::sqlite(&path, error))?;
        check_mode(&mut connection, &path)?;
        let applied = migrate::apply(&mut connection, &path)?;
        database_copy::refuse_a_half(&mut connection, &path)?;
        if !applied.is_empty() {
            info!(migrations = ?applied, "The database was brought up to date");
        }
        let (queue, jobs) = mpsc::channel(settings.queue.max(1));
        let write_health = WriteHealth::new(WRITE_ERROR_REPORTED);
        let observed = ObservedCommits::default();
        let writer = Writer {
            connection,
            queue: jobs,
            max_batch: settings.max_batch.max(1),
            write_health: write_health.clone(),
            observed: observed.clone(),
            lock,
            has_written: false,
        };
        let writer = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        let inner = Inner {
            queue,
            write_health,
            observed,
            writer: Mutex::new(Some(writer)),
            short: Readers::new(&settings),
            long: Readers::new(&settings),
            search_memory: Arc::default(),
            long_permits: Arc::new(Semaphore::new(settings.readers.max(1))),
            settings,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Tells this observer of every transaction from now on.
    pub fn observe_commits(&self, observer: Arc<dyn CommitObserver>) {
        self.inner.observed.set(observer);
    }

    /// Returns the number of reading connections that are lent, that are open, and that there can be.
    #[must_use]
    pub fn connections(&self) -> (usize, usize, usize) {
        let (short, long) = (self.inner.short.connections(), self.inner.long.connections());
        (short.0 + long.0, short.1 + long.1, 2 * self.inner.settings.readers.max(1))
    }

    /// Commits the queued decisions, moves the write-ahead log into the database file and unlocks
    /// the directory. Later calls on a clone return that the store is unavailable.
    pub async fn close(&self) {
        // A closed queue means that another clone has closed the store.
        let _ = self.inner.queue.send(Job::Close).await;
        let inner = Arc::clone(&self.inner);
        let waiting = tokio::task::spawn_blocking(move || {
            inner.short.close();
            inner.long.close();
            let writer = inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            writer.map(JoinHandle::join)
        });
        let _ = waiting.await;
    }

    /// Queues a job, or returns that the store is overloaded or closed.
    pub(crate) async fn enqueue(&self, job: Job) -> Result<(), StoreError> {
        match self.inner.queue.try_send(job) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
            Err(mpsc::error::TrySendError::Full(job)) => {
                let patience = self.patience();
                match tokio::time::timeout(patience, self.inner.queue.send(job)).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(closed()),
                    Err(_) => Err(StoreError::Unavailable {
                        detail: format!(
                            "{} decisions have been waiting to be committed for {patience:?}",
                            self.inner.settings.queue
                        ),
                        source: None,
                    }),
                }
            }
        }
    }

    /// Runs a read that takes microseconds on the calling thread.
    pub(crate) fn read_now<T>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.inner.short.read(read)
    }

    /// Runs a longer read on a blocking thread.
    pub(crate) async fn read_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permits = Arc::clone(&self.inner.long_permits);
        let permit = match tokio::time::timeout(self.patience(), permits.acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            _ => {
                return Err(StoreError::Unavailable {
                    detail: "every reading connection is busy".to_owned(),
                    source: None,
                });
            }
        };
        let inner = Arc::clone(&self.inner);
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inner.long.read(read)
        });
        reading.await.unwrap_or_else(|error| Err(StoreError::unavailable("reading", error)))
    }

    /// Reads a list of at most `limit` rows; a short one on the calling thread.
    pub(crate) async fn read_list<T: Send + 'static>(
        &self,
        limit: u32,
        read: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if limit <= SHORT_LIST { self.read_now(read) } else { self.read_aside(read).await }
    }

    /// Returns what searches have found out about the logs.
    pub(crate) fn search_memory(&self) -> Arc<SearchMemory> {
        Arc::clone(&self.inner.search_memory)
    }

    /// Returns the error of the last transaction, or `None` if it was committed.
    pub(crate) fn last_write_error(&self) -> Option<String> {
        if self.inner.queue.is_closed() {
            return Some("the store is closed".to_owned());
        }
        self.inner.write_health.last_error()
    }

    /// Returns the number of waiting decisions and the capacity of the queues.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let queue = &self.inner.queue;
        (queue.max_capacity() - queue.capacity(), queue.max_capacity())
    }

    fn patience(&self) -> Duration {
        self.inner.settings.patience
    }
}

fn check_mode(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    use diesel::dsl::sql;
    use diesel::sql_types::Text;
    let mode = sql::<Text>("(SELECT journal_mode FROM pragma_journal_mode)");
    let mode: String = diesel::select(mode)
        .get_result(connection)
        .map_err(|error| OpenError::sqlite(path, error))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(OpenError::NoWriteAheadLog { path: path.to_owned() })
}
