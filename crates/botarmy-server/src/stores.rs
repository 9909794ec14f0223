//! The database: SQLite in the data directory, or PostgreSQL if `store.url` names one. The rest of
//! the server uses its ports only.

use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::ports::{CommitObserver, HealthCheck, StorePorts, Tickets};
use botarmy_memory::MemoryTickets;
#[cfg(feature = "postgres")]
use botarmy_postgres::{PostgresSettings, PostgresStore};
use botarmy_sql::health::{AuditHealth, CheckedDatabase, DatabaseHealth};
use botarmy_sqlite::{SqliteSettings, SqliteStore};

use crate::settings::{Settings, Synchronous};

/// The database file in the data directory.
pub const DATABASE: &str = "botarmy.db";

/// The database with the ports that it serves.
#[derive(Clone)]
pub struct Stores {
    /// The storage ports, all served by this database.
    pub ports: StorePorts,
    /// Tickets: of all servers of the database.
    pub tickets: Arc<dyn Tickets>,
    /// Health checks of the database and of the log.
    pub health: Vec<Arc<dyn HealthCheck>>,
    /// Time at which the database was created.
    pub created_at: Timestamp,
    database: Database,
}

#[derive(Clone)]
enum Database {
    Sqlite(SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

impl Stores {
    /// Opens the database that the settings name, and migrates it.
    ///
    /// # Errors
    /// A database that cannot be used, with the remedy.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        #[cfg(feature = "postgres")]
        if let Some(settings) = postgres(settings)? {
            let store = PostgresStore::open(settings).await?;
            return Ok(Self {
                ports: StorePorts::of(store.clone()),
                tickets: Arc::new(store.clone()),
                created_at: store.created_at().await?,
                health: health_checks(&store),
                database: Database::Postgres(store),
            });
        }
        let settings = sqlite(settings);
        let store = tokio::task::spawn_blocking(move || SqliteStore::open(settings)).await??;
        Ok(Self {
            ports: StorePorts::of(store.clone()),
            // No other server uses the file.
            tickets: Arc::new(MemoryTickets::default()),
            created_at: store.created_at()?,
            health: health_checks(&store),
            database: Database::Sqlite(store),
        })
    }

    /// Opens the database that the settings name if it exists and needs no migration.
    ///
    /// # Errors
    /// A database that does not exist, is not up to date, or cannot be used.
    pub async fn open_unchanged(settings: &Settings) -> anyhow::Result<Self> {
        #[cfg(feature = "postgres")]
        if let Some(postgres) = postgres(settings)? {
            botarmy_postgres::PostgresDatabaseCopy::source(&postgres).await?;
            return Self::open(settings).await;
        }
        let path = sqlite(settings).path;
        botarmy_sqlite::SqliteDatabaseCopy::source(&path)?;
        Self::open(settings).await
    }

    /// Returns `true` if other replicas can use the database too.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match self.database {
            Database::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => true,
        }
    }

    /// Tells this observer of every transaction of the database from now on.
    pub fn observe_commits(&self, observer: Arc<dyn CommitObserver>) {
        match &self.database {
            Database::Sqlite(store) => store.observe_commits(observer),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.observe_commits(observer),
        }
    }

    /// Returns the number of decisions that wait to be committed, and that can wait.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        match &self.database {
            Database::Sqlite(store) => store.waiting(),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.waiting(),
        }
    }

    /// Returns the number of reading connections that are in use, that are open, and that there can be.
    #[must_use]
    pub fn connections(&self) -> (usize, usize, usize) {
        match &self.database {
            Database::Sqlite(store) => store.connections(),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.connections(),
        }
    }

    /// Commits the waiting writes and closes the database.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.close().await,
        }
    }
}

fn health_checks<D>(store: &D) -> Vec<Arc<dyn HealthCheck>>
where
    D: CheckedDatabase + Clone,
{
    vec![Arc::new(DatabaseHealth(store.clone())), Arc::new(AuditHealth(store.clone()))]
}

/// Returns the settings for SQLite.
#[must_use]
pub fn sqlite(settings: &Settings) -> SqliteSettings {
    let store = &settings.store;
    SqliteSettings {
        synchronous: match store.synchronous {
            Synchronous::Full => botarmy_sqlite::Synchronous::Full,
            Synchronous::Normal => botarmy_sqlite::Synchronous::Normal,
        },
        readers: store.readers,
        max_batch: store.max_batch,
        queue: store.queue,
        ..SqliteSettings::new(store.data_dir.join(DATABASE))
    }
}

/// Returns the settings for PostgreSQL, if `store.url` names one.
///
/// # Errors
/// An invalid URL.
#[cfg(feature = "postgres")]
pub fn postgres(settings: &Settings) -> anyhow::Result<Option<PostgresSettings>> {
    let store = &settings.store;
    if store.url.is_empty() {
        return Ok(None);
    }
    let url = store.url.parse().map_err(|error| anyhow::anyhow!("store.url: {error}"))?;
    Ok(Some(PostgresSettings {
        waits_for_disk: store.synchronous == Synchronous::Full,
        readers: store.readers,
        lanes: store.lanes,
        max_batch: store.max_batch,
        queue: store.queue,
        timeout: Duration::from_secs(store.timeout_s),
        ..PostgresSettings::new(url)
    }))
}
