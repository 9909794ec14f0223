//! Applying and reverting migrations, for the start of a server and for the command line.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_migrations::MigrationHarness;

use crate::connection::{self, ConnectError};
use crate::migrations::{Known, MIGRATIONS, applied, known};
use crate::open::{self, OpenError};
use crate::settings::SqliteSettings;

/// A migration and whether the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Name, such as `0001_store`.
    pub name: String,
    /// Whether the migration is applied to the file.
    pub is_applied: bool,
}

/// Returns all migrations of this version and whether the file at `path` has them. Only reads; a
/// missing file has none.
///
/// # Errors
/// When the file belongs to another program, is damaged or has an unknown version.
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

/// Applies the missing migrations in one transaction, and returns their names.
///
/// # Errors
/// When the file is in use, belongs to another program, is damaged or has an unknown version, or a
/// migration failed.
pub fn up(path: &Path) -> Result<Vec<String>, OpenError> {
    let (_lock, mut connection) = alone_with(path)?;
    apply(&mut connection, path)
}

/// Reverts the last migration and returns its name, or `None` when there is none. Data that only
/// this migration had a column or table for is lost.
///
/// # Errors
/// When the file is in use, belongs to another program, is damaged or has an unknown version, or
/// the migration failed.
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

/// Applies the missing migrations, rolls them back at once, and returns their names. The file does
/// not change, and a missing file is not created.
///
/// # Errors
/// When the file belongs to another program, is damaged or has an unknown version, or a migration
/// would fail.
pub fn dry_run(path: &Path) -> Result<Vec<String>, OpenError> {
    open::inspect(path)?;
    let mut connection = connection::rehearsal(Some(path).filter(|path| path.exists()))
        .map_err(|error| OpenError::sqlite(path, error))?;
    in_a_transaction(&mut connection, path, false)
}

/// Applies the missing migrations in one transaction: a start on an empty folder waits for the disk
/// once, and an upgrade that fails leaves the file as it was.
pub(crate) fn apply(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Vec<String>, OpenError> {
    in_a_transaction(connection, path, true)
}

/// Applies the missing migrations, and keeps them or rolls them back.
fn in_a_transaction(
    connection: &mut SqliteConnection,
    path: &Path,
    is_kept: bool,
) -> Result<Vec<String>, OpenError> {
    let mut names = Ok(Vec::new());
    let done: QueryResult<()> = connection.immediate_transaction(|connection| {
        names = apply_each(connection, path);
        if is_kept && names.is_ok() { Ok(()) } else { Err(DieselError::RollbackTransaction) }
    });
    match done {
        Ok(()) | Err(DieselError::RollbackTransaction) => names,
        Err(error) => Err(OpenError::sqlite(path, error)),
    }
}

fn apply_each(connection: &mut SqliteConnection, path: &Path) -> Result<Vec<String>, OpenError> {
    let applied = connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|source| OpenError::Migration { path: path.to_owned(), source })?;
    let applied: BTreeSet<_> = applied.iter().map(ToString::to_string).collect();
    let new = known().into_iter().filter(|known| applied.contains(&known.version));
    Ok(new.map(|known| known.name).collect())
}

/// Locks the directory and opens a connection that writes.
fn alone_with(path: &Path) -> Result<(File, SqliteConnection), OpenError> {
    let lock = open::lock(path)?;
    open::inspect(path)?;
    open::create(path)?;
    let connection = connection::writer(&SqliteSettings::new(path))
        .map_err(|error: ConnectError| OpenError::sqlite(path, error))?;
    Ok((lock, connection))
}
