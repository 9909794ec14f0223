//! The migrations of `migrations/sqlite`, compiled in, for the start of a server and for the
//! command line.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::{self, ConnectError};
use crate::open::{self, OpenError};
use crate::settings::SqliteSettings;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// A migration and whether a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name, such as `0001_store`.
    pub name: String,
    /// The file has it.
    pub is_applied: bool,
}

/// All migrations of this version, and which of them the file at `path` has. Reads only; a file
/// that does not exist has none.
///
/// # Errors
/// When the file is not ours, not whole or not known.
pub fn status(path: &Path) -> Result<Vec<MigrationState>, OpenError> {
    open::inspect(path)?;
    let applied = if path.exists() {
        let mut connection =
            connection::visitor(path).map_err(|error| OpenError::sqlite(path, error))?;
        applied(&mut connection).map_err(|error| OpenError::sqlite(path, error))?
    } else {
        BTreeSet::new()
    };
    let state = |known: Known| MigrationState {
        is_applied: applied.contains(&known.version),
        name: known.name,
    };
    Ok(known().into_iter().map(state).collect())
}

/// Applies what is missing, each migration in a transaction of its own, and answers the names.
///
/// # Errors
/// When the file is in use, is not ours, not whole or not known, or a migration failed.
pub fn up(path: &Path) -> Result<Vec<String>, OpenError> {
    let (_lock, mut connection) = alone_with(path)?;
    apply(&mut connection, path)
}

/// Takes the last migration back and answers its name; `None` when there is none. What only it had
/// a place for is gone.
///
/// # Errors
/// When the file is in use, is not ours, not whole or not known, or the migration failed.
pub fn down_one(path: &Path) -> Result<Option<String>, OpenError> {
    let (_lock, mut connection) = alone_with(path)?;
    let applied = applied(&mut connection).map_err(|error| OpenError::sqlite(path, error))?;
    let last = known().into_iter().rev().find(|known| applied.contains(&known.version));
    if last.is_some() {
        connection
            .revert_last_migration(MIGRATIONS)
            .map_err(|source| OpenError::Migration { path: path.to_owned(), source })?;
    }
    Ok(last.map(|known| known.name))
}

/// Applies what is missing and takes it back at once; answers the names. The file stays as it is,
/// and one that does not exist is not made.
///
/// # Errors
/// When the file is not ours, not whole or not known, or a migration would fail.
pub fn dry_run(path: &Path) -> Result<Vec<String>, OpenError> {
    open::inspect(path)?;
    let mut connection = connection::rehearsal(Some(path).filter(|path| path.exists()))
        .map_err(|error| OpenError::sqlite(path, error))?;
    let mut names = Ok(Vec::new());
    let rehearsed: QueryResult<()> = connection.immediate_transaction(|connection| {
        names = apply(connection, path);
        Err(DieselError::RollbackTransaction)
    });
    match rehearsed {
        Ok(()) | Err(DieselError::RollbackTransaction) => names,
        Err(error) => Err(OpenError::sqlite(path, error)),
    }
}

/// Applies what is missing.
pub(crate) fn apply(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Vec<String>, OpenError> {
    let applied = connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|source| OpenError::Migration { path: path.to_owned(), source })?;
    let applied: BTreeSet<_> = applied.iter().map(ToString::to_string).collect();
    let new = known().into_iter().filter(|known| applied.contains(&known.version));
    Ok(new.map(|known| known.name).collect())
}

/// The first migration of the file that this version does not know.
pub(crate) fn unknown(connection: &mut SqliteConnection) -> QueryResult<Option<String>> {
    let known: BTreeSet<_> = known().into_iter().map(|known| known.version).collect();
    Ok(applied(connection)?.into_iter().find(|version| !known.contains(version)))
}

/// The name of the last migration that this version knows.
pub(crate) fn newest() -> String {
    known().pop().map(|known| known.name).unwrap_or_default()
}

/// A migration of this version.
struct Known {
    name: String,
    version: String,
}

/// All of them, in order.
fn known() -> Vec<Known> {
    let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .expect("the migrations were read when this was compiled");
    let known = |migration: Box<dyn Migration<Sqlite>>| Known {
        name: migration.name().to_string(),
        version: migration.name().version().to_string(),
    };
    let mut known: Vec<_> = migrations.into_iter().map(known).collect();
    known.sort_by(|a, b| a.version.cmp(&b.version));
    known
}

/// The versions that a file has.
fn applied(connection: &mut SqliteConnection) -> QueryResult<BTreeSet<String>> {
    let tables = open::number(
        connection,
        "(SELECT count(*) FROM sqlite_schema WHERE name = '__diesel_schema_migrations')",
    )?;
    if tables == 0 {
        return Ok(BTreeSet::new());
    }
    let versions: Option<String> = diesel::select(sql::<diesel::sql_types::Nullable<Text>>(
        "(SELECT group_concat(version) FROM __diesel_schema_migrations)",
    ))
    .get_result(connection)?;
    Ok(versions.iter().flat_map(|all| all.split(',')).map(str::to_owned).collect())
}

/// The lock on the directory and a connection that writes.
fn alone_with(path: &Path) -> Result<(File, SqliteConnection), OpenError> {
    let lock = open::lock(path)?;
    open::inspect(path)?;
    open::create(path)?;
    let connection = connection::writer(&SqliteSettings::new(path))
        .map_err(|error: ConnectError| OpenError::sqlite(path, error))?;
    Ok((lock, connection))
}
