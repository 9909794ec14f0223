//! The store: opening it, handing decisions to its lanes, reading beside them, closing it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::CommitObserver;
use botarmy_domain::{LogId, StoreError};
use botarmy_sql::ObservedCommits;
use botarmy_sql::health::WriteHealth;
use botarmy_sql::log_pages::SearchMemory;
use diesel::QueryResult;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::info;

use crate::claims::{Claims, Request};
use crate::commit_worker::CommitWorker;
use crate::connect::{ConnectError, Purpose};
use crate::database_copy;
use crate::error::{chain, is_lost, reading as reading_failed};
use crate::head_cache::HeadCache;
use crate::job::Message;
use crate::limits;
use crate::migrate;
use crate::open::OpenError;
use crate::outdated::Outdated;
use crate::settings::PostgresSettings;
use crate::writer::Writer;

/// Time for which the error of a write is reported.
const WRITE_ERROR_REPORTED: Duration = Duration::from_secs(10);

/// Every storage port on one PostgreSQL database, which other replicas may use at the same time.
/// Clones share it.
///
/// Its connections live on the Tokio runtime that opened it. [`PostgresStore::close`] waits until
/// all queued decisions are committed.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<PostgresSettings>,
    write_health: WriteHealth,
    observed: ObservedCommits,
    pool: Pool<AsyncPgConnection>,
    outdated: Outdated,
    search_memory: Arc<SearchMemory>,
    lanes: Vec<mpsc::Sender<Message>>,
    claims: mpsc::Sender<Request>,
    working: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("url", &self.inner.settings.url)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the store and applies missing migrations; of several replicas that start at once, one
    /// migrates and the others wait.
    ///
    /// # Errors
    /// Returns an error that names the remedy; the database has not changed then.
    pub async fn open(settings: PostgresSettings) -> Result<Self, OpenError> {
        limits::check(&settings).await?;
        let applied = migrate::up(&settings).await?;
        let mut connection = migrate::visit(&settings, Purpose::Migrating).await?;
        database_copy::refuse_a_half(&mut connection, &settings.url).await?;
        drop(connection);
        if !applied.is_empty() {
            info!(migrations = ?applied, "The database was brought up to date");
        }
        let settings = Arc::new(settings);
        let write_health = WriteHealth::new(WRITE_ERROR_REPORTED);
        let observed = ObservedCommits::default();
        let outdated = Outdated::default();
        let writer = || {
            let (health, observed) = (write_health.clone(), observed.clone());
            Writer::new(Arc::clone(&settings), health, observed, outdated.clone())
        };
        let head_cache = HeadCache::default();
        let mut working = Vec::new();
        let mut lanes = Vec::new();
        for _ in 0..settings.lanes.max(1) {
            let (commit_worker, queue) = mpsc::channel(settings.queue.max(1));
            working
                .push(tokio::spawn(CommitWorker::new(writer(), queue, head_cache.clone()).run()));
            lanes.push(commit_worker);
        }
        let (claims, queue) = mpsc::channel(settings.queue.max(1));
        working.push(tokio::spawn(Claims::new(writer(), queue, head_cache).run()));
        let inner = Inner {
            pool: pool(&settings, &outdated)?,
            write_health,
            observed,
            outdated,
            search_memory: Arc::default(),
            lanes,
            claims,
            working: Mutex::new(working),
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
        let status = self.inner.pool.status();
        (status.size.saturating_sub(status.available), status.size, status.max_size)
    }

    /// Commits the queued decisions and closes every connection. Later calls on a clone return that
    /// the store is unavailable.
    pub async fn close(&self) {
        // A closed queue means that another clone has closed the store.
        for commit_worker in &self.inner.lanes {
            let _ = commit_worker.send(Message::Close).await;
        }
        let _ = self.inner.claims.send(Request::Close).await;
        let working =
            std::mem::take(&mut *self.inner.working.lock().unwrap_or_else(PoisonError::into_inner));
        for one in working {
            let _ = one.await;
        }
        self.inner.pool.close();
    }

    /// Queues a decision in the lane of its log.
    pub(crate) async fn enqueue(&self, log: LogId, message: Message) -> Result<(), StoreError> {
        // The last bytes of an id are random.
        let key = log.key();
        let bytes = key.bytes();
        let commit_worker = usize::from(bytes[15]) % self.inner.lanes.len();
        self.send(&self.inner.lanes[commit_worker], message).await
    }

    /// Queues a claim or an extension.
    pub(crate) async fn request(&self, request: Request) -> Result<(), StoreError> {
        self.send(&self.inner.claims, request).await
    }

    async fn send<T>(&self, queue: &mpsc::Sender<T>, message: T) -> Result<(), StoreError> {
        match queue.try_send(message) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
            Err(mpsc::error::TrySendError::Full(message)) => {
                let patience = self.inner.settings.patience;
                match tokio::time::timeout(patience, queue.send(message)).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(closed()),
                    Err(_) => Err(unavailable(format!(
                        "{} decisions have been waiting to be committed for {patience:?}",
                        self.inner.settings.queue
                    ))),
                }
            }
        }
    }

    /// Reads on a connection of the pool. A lost connection is replaced once: the database may have
    /// been restarted since its last use.
    pub(crate) async fn read<T: Send>(
        &self,
        table: &'static str,
        read: impl for<'a> Fn(&'a mut AsyncPgConnection) -> BoxFuture<'a, QueryResult<T>> + Send + Sync,
    ) -> Result<T, StoreError> {
        let limit = self.inner.settings.timeout;
        let mut is_first = true;
        loop {
            let mut connection = Borrowed(Some(self.connection().await?));
            let reading = read(connection.0.as_mut().expect("it is taken in the end"));
            match tokio::time::timeout(limit, reading).await {
                Ok(Ok(rows)) => {
                    connection.give_back();
                    return Ok(rows);
                }
                Ok(Err(error)) => {
                    if !is_lost(&error) && connection.answers(limit).await {
                        connection.give_back();
                        return Err(reading_failed(table, error));
                    }
                    self.inner.pool.retain(|_, _| false);
                    if !is_first {
                        return Err(reading_failed(table, error));
                    }
                    is_first = false;
                }
                Err(_) => {
                    // The other connections are probably lost too, and each would take as long to
                    // fail.
                    self.inner.pool.retain(|_, _| false);
                    return Err(unavailable(format!("reading {table} took longer than {limit:?}")));
                }
            }
        }
    }

    async fn connection(&self) -> Result<Object<AsyncPgConnection>, StoreError> {
        let patience = self.inner.settings.patience;
        let getting = async {
            loop {
                let connection = self.inner.pool.get().await;
                match connection {
                    Ok(connection)
                        if self.inner.outdated.is(Object::metrics(&connection).created) =>
                    {
                        drop(Object::take(connection));
                    }
                    got => return got,
                }
            }
        };
        match tokio::time::timeout(patience, getting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(StoreError::unavailable("connecting to the database", error)),
            Err(_) => Err(unavailable(format!("no connection was free for {patience:?}"))),
        }
    }

    /// Returns what searches have found out about the logs.
    pub(crate) fn search_memory(&self) -> Arc<SearchMemory> {
        Arc::clone(&self.inner.search_memory)
    }

    /// Returns the error of the last transaction, or `None` if it was committed.
    pub(crate) fn last_write_error(&self) -> Option<String> {
        let has_ended = self.inner.lanes.iter().any(mpsc::Sender::is_closed);
        if has_ended || self.inner.claims.is_closed() {
            return Some("the store is closed".to_owned());
        }
        self.inner.write_health.last_error()
    }

    /// Returns the number of waiting decisions and the capacity of the queues.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let lanes = &self.inner.lanes;
        let most: usize = lanes.iter().map(mpsc::Sender::max_capacity).sum();
        let free: usize = lanes.iter().map(mpsc::Sender::capacity).sum();
        (most - free, most)
    }
}

/// A connection of the pool that returns to it only when its statement has been answered: a reader
/// that is cancelled leaves its connection busy.
struct Borrowed(Option<Object<AsyncPgConnection>>);

impl Borrowed {
    fn give_back(mut self) {
        drop(self.0.take());
    }

    /// Returns whether the connection still answers. The message of an error that ended it may be
    /// in any language.
    async fn answers(&mut self, limit: Duration) -> bool {
        let Some(connection) = &mut self.0 else { return false };
        let asked = tokio::time::timeout(limit, connection.batch_execute(""));
        matches!(asked.await, Ok(Ok(())))
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Returns the error of every operation after [`PostgresStore::close`].
pub(crate) fn closed() -> StoreError {
    unavailable("the store is closed".to_owned())
}

fn unavailable(detail: String) -> StoreError {
    StoreError::Unavailable { detail, source: None }
}

/// Creates the pool of read connections. They are opened on the runtime of the store, also for
/// callers on another one.
fn pool(
    settings: &Arc<PostgresSettings>,
    outdated: &Outdated,
) -> Result<Pool<AsyncPgConnection>, OpenError> {
    let runtime = Handle::current();
    let shared = (Arc::clone(settings), outdated.clone());
    let mut config = ManagerConfig::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |_| {
        let (settings, outdated) = shared.clone();
        let opening =
            runtime.spawn(async move { outdated.connect(&settings, Purpose::Reading).await });
        async move {
            let opened = opening.await.unwrap_or(Err(ConnectError::Interrupted));
            opened.map_err(|error| diesel::ConnectionError::BadConnection(chain(&error)))
        }
        .boxed()
    });
    // The manager may print its address, so it gets the one without a password.
    let manager = AsyncDieselConnectionManager::new_with_config(settings.url.to_string(), config);
    Pool::builder(manager)
        .max_size(settings.readers.max(1))
        .build()
        .map_err(|error| OpenError::Pool(error.to_string()))
}
