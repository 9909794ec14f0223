//! Applying and reverting the compiled-in migrations of `migrations/postgres`, for the start of a
//! server and for the command line.

use std::collections::BTreeSet;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connect::{self, ConnectError, Purpose};
use crate::open::{self, OpenError};
use crate::pooling;
use crate::settings::PostgresSettings;
use crate::url::PostgresUrl;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Advisory lock of a migrating session; the key spells "BArm". The lock ends with the session.
const LOCK: &str = "SELECT pg_advisory_lock(1111585389)";

/// A migration and whether a database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Name, such as `0001_store`.
    pub name: String,
    /// Whether the migration is applied to the database.
    pub is_applied: bool,
}

/// Returns all migrations of this version and whether the database has them. Only reads.
///
/// # Errors
/// When the database cannot be reached, belongs to another program or has an unknown version.
pub async fn status(settings: &PostgresSettings) -> Result<Vec<MigrationState>, OpenError> {
    let mut connection = visit(settings, Purpose::Visiting).await?;
    let applied = applied(&mut connection, &settings.url).await?;
    let state = |known: Known| MigrationState {
        is_applied: applied.contains(&known.version),
        name: known.name,
    };
    Ok(known().into_iter().map(state).collect())
}

/// Applies the missing migrations, each in a transaction of its own, and returns their names. Other
/// processes that migrate at the same time wait, and then find nothing to do.
///
/// # Errors
/// When the database cannot be reached, belongs to another program or has an unknown version, or a
/// migration failed.
pub async fn up(settings: &PostgresSettings) -> Result<Vec<String>, OpenError> {
    alone(settings, |connection| {
        let done = connection.run_pending_migrations(MIGRATIONS)?;
        Ok(done.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Reverts the last migration and returns its name, or `None` when there is none. Data that only
/// this migration had a column or table for is lost.
///
/// # Errors
/// When the database cannot be reached, belongs to another program or has an unknown version, or
/// the migration failed.
pub async fn down_one(settings: &PostgresSettings) -> Result<Option<String>, OpenError> {
    let done = alone(settings, |connection| {
        if connection.applied_migrations()?.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![connection.revert_last_migration(MIGRATIONS)?.to_string()])
    });
    Ok(done.await?.pop())
}

/// Applies the missing migrations, rolls them back at once, and returns their names. The database
/// does not change.
///
/// # Errors
/// When the database cannot be reached, belongs to another program or has an unknown version, or a
/// migration would fail.
pub async fn dry_run(settings: &PostgresSettings) -> Result<Vec<String>, OpenError> {
    alone(settings, |connection| {
        diesel::connection::SimpleConnection::batch_execute(connection, "BEGIN")?;
        let done = (|| {
            let mut versions = Vec::new();
            for migration in connection.pending_migrations(MIGRATIONS)? {
                migration.run(connection)?;
                versions.push(migration.name().version().to_string());
            }
            Ok(versions)
        })();
        diesel::connection::SimpleConnection::batch_execute(connection, "ROLLBACK")?;
        done
    })
    .await
}

type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;
type MigrationResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs an operation on migrations under the advisory lock and returns the names of the migrations
/// it affected. It has a thread and a runtime of its own, because Diesel's migrations block.
async fn alone(
    settings: &PostgresSettings,
    work: impl FnOnce(&mut Blocking) -> MigrationResult<Vec<String>> + Send + 'static,
) -> Result<Vec<String>, OpenError> {
    let settings = settings.clone();
    let url = settings.url.clone();
    let thread = std::thread::spawn(move || -> Result<Vec<String>, OpenError> {
        let url = &settings.url;
        let failed = |source| OpenError::Migration { url: url.to_string(), source };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        let _entered = runtime.enter();
        let connection = runtime.block_on(async {
            let mut connection = visit(&settings, Purpose::Migrating).await?;
            let locked = connection.batch_execute(LOCK).await;
            locked.map_err(|error| OpenError::database(url, error))?;
            // The previous holder of the lock may have been a newer version.
            applied(&mut connection, url).await?;
            Ok(connection)
        })?;
        let versions = work(&mut Blocking::from(connection)).map_err(failed)?;
        let known = known();
        let name = |version: String| {
            let known = known.iter().find(|known| known.version == version);
            known.map_or(version, |known| known.name.clone())
        };
        Ok(versions.into_iter().map(name).collect())
    });
    let joined = tokio::task::spawn_blocking(move || thread.join());
    match joined.await {
        Ok(Ok(done)) => done,
        _ => Err(OpenError::connect(&url, ConnectError::Interrupted)),
    }
}

/// Opens a connection and checks that this version can use the database.
pub(crate) async fn visit(
    settings: &PostgresSettings,
    purpose: Purpose,
) -> Result<AsyncPgConnection, OpenError> {
    pooling::refuse(settings, purpose).await?;
    let mut connection = connect::connect(settings, purpose)
        .await
        .map_err(|error| OpenError::connect(&settings.url, error))?;
    open::inspect(&mut connection, &settings.url).await?;
    Ok(connection)
}

/// Returns the versions of the migrations that a database has.
async fn applied(
    connection: &mut AsyncPgConnection,
    url: &PostgresUrl,
) -> Result<BTreeSet<String>, OpenError> {
    let failed = |source| OpenError::database(url, source);
    let tables = "coalesce(to_regclass('__diesel_schema_migrations')::text, '')";
    if open::text(connection, tables).await.map_err(failed)?.is_empty() {
        return Ok(BTreeSet::new());
    }
    let versions =
        "coalesce((SELECT string_agg(version, ',') FROM __diesel_schema_migrations), '')";
    let versions = open::text(connection, versions).await.map_err(failed)?;
    let applied: BTreeSet<String> =
        versions.split(',').filter(|version| !version.is_empty()).map(str::to_owned).collect();
    let known: BTreeSet<_> = known().into_iter().map(|known| known.version).collect();
    match applied.iter().find(|version| !known.contains(*version)) {
        None => Ok(applied),
        Some(unknown) => Err(OpenError::Newer {
            url: url.to_string(),
            unknown: unknown.clone(),
            newest: newest(),
        }),
    }
}

/// Returns the name of the last migration that this version knows.
fn newest() -> String {
    known().pop().map(|known| known.name).unwrap_or_default()
}

/// A migration of this version.
struct Known {
    name: String,
    version: String,
}

/// Returns all migrations of this version, in order.
fn known() -> Vec<Known> {
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .expect("the migrations were read when this was compiled");
    let known = |migration: Box<dyn Migration<Pg>>| Known {
        name: migration.name().to_string(),
        version: migration.name().version().to_string(),
    };
    let mut known: Vec<_> = migrations.into_iter().map(known).collect();
    known.sort_by(|a, b| a.version.cmp(&b.version));
    known
}
