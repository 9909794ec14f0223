//! The migrations of `migrations/postgres`, compiled in, for the start of a server and for the
//! command line.

use std::collections::BTreeSet;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connect::{self, ConnectError, Purpose};
use crate::open::{self, OpenError};
use crate::settings::PostgresSettings;
use crate::url::PostgresUrl;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The key of the lock that whoever migrates holds: "BArm". It belongs to the session, and vanishes
/// with it however it ends.
const LOCK: &str = "SELECT pg_advisory_lock(1111585389)";

/// A migration and whether a database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name, such as `0001_store`.
    pub name: String,
    /// The database has it.
    pub is_applied: bool,
}

/// All migrations of this version, and which of them the database has. Reads only.
///
/// # Errors
/// When the database cannot be reached, is not ours or not known.
pub async fn status(settings: &PostgresSettings) -> Result<Vec<MigrationState>, OpenError> {
    let mut connection = visit(settings).await?;
    let applied = applied(&mut connection, &settings.url).await?;
    let state = |known: Known| MigrationState {
        is_applied: applied.contains(&known.version),
        name: known.name,
    };
    Ok(known().into_iter().map(state).collect())
}

/// Applies what is missing, each migration in a transaction of its own, and answers the names.
/// Others who want the same meanwhile wait, and then find nothing to do.
///
/// # Errors
/// When the database cannot be reached, is not ours or not known, or a migration failed.
pub async fn up(settings: &PostgresSettings) -> Result<Vec<String>, OpenError> {
    alone(settings, |connection| {
        let done = connection.run_pending_migrations(MIGRATIONS)?;
        Ok(done.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Takes the last migration back and answers its name; `None` when there is none. What only it had
/// a place for is gone.
///
/// # Errors
/// When the database cannot be reached, is not ours or not known, or the migration failed.
pub async fn down_one(settings: &PostgresSettings) -> Result<Option<String>, OpenError> {
    let done = alone(settings, |connection| {
        if connection.applied_migrations()?.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![connection.revert_last_migration(MIGRATIONS)?.to_string()])
    });
    Ok(done.await?.pop())
}

/// Applies what is missing and takes it back at once; answers the names. The database stays as it
/// is.
///
/// # Errors
/// When the database cannot be reached, is not ours or not known, or a migration would fail.
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

/// Does something with migrations that nobody else does at the same time, and answers the names of
/// the versions it answers. It runs on a thread and a runtime of its own: Diesel's migrations block.
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
            let mut connection = visit(&settings).await?;
            let locked = connection.batch_execute(LOCK).await;
            locked.map_err(|error| OpenError::database(url, error))?;
            // Whoever held the lock before may have been newer than we are.
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

/// A connection to a database that may be used.
pub(crate) async fn visit(settings: &PostgresSettings) -> Result<AsyncPgConnection, OpenError> {
    let mut connection = connect::connect(settings, Purpose::Migrating)
        .await
        .map_err(|error| OpenError::connect(&settings.url, error))?;
    open::inspect(&mut connection, &settings.url).await?;
    Ok(connection)
}

/// The versions that a database has.
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

/// The name of the last migration that this version knows.
fn newest() -> String {
    known().pop().map(|known| known.name).unwrap_or_default()
}

/// A migration of this version.
struct Known {
    name: String,
    version: String,
}

/// All of them, in order.
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
