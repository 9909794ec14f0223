//! A copy of the file while a store uses it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::connection;
use crate::migrate;
use crate::open::{self, OpenError};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be backed up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nothing is written over.
    #[error("{} exists already; nothing was written: choose another name", .0.display())]
    Exists(PathBuf),
    /// The backup cannot be written.
    #[error("the backup {} cannot be written; check its folder, permissions and free space", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// SQLite did not write it.
    #[error("SQLite could not write the backup {}; check its folder and free space", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: diesel::result::Error,
    },
}

/// Writes the database as it is at this moment to a new file, readable by its owner only, and
/// answers when the disk has it. A store that uses the database goes on; its write-ahead log grows
/// meanwhile, because what the backup still reads stays in place.
///
/// Until it is whole the file is called `TO.partial`.
///
/// # Errors
/// When there is no database, `to` exists, or there is no room for it.
pub fn backup(path: &Path, to: &Path) -> Result<(), BackupError> {
    open::must_exist(path)?;
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // SQLite writes into an empty file, and so the permissions are right from the start.
    open::create(&partial)?;
    let written = write(path, &partial, to).and_then(|()| {
        fs::rename(&partial, to).map_err(failed)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).map_err(failed)
    });
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write(path: &Path, partial: &Path, to: &Path) -> Result<(), BackupError> {
    let refused = |source| BackupError::Sqlite { path: to.to_owned(), source };
    let mut connection =
        connection::visitor(path).map_err(|error| OpenError::sqlite(path, error))?;
    if let Some(unknown) = migrate::unknown(&mut connection).map_err(refused)? {
        let newest = migrate::newest();
        return Err(OpenError::Newer { path: path.to_owned(), unknown, newest }.into());
    }
    // What is forbidden here is to change the database, and this does not.
    diesel::sql_query("PRAGMA query_only = OFF").execute(&mut connection).map_err(refused)?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(connection::uri(partial, "rw"))
        .execute(&mut connection)
        .map_err(refused)?;
    drop(connection);
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    File::open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
    let mut copy =
        connection::visitor(partial).map_err(|error| OpenError::sqlite(partial, error))?;
    let found: String = diesel::select(diesel::dsl::sql::<Text>(
        "(SELECT group_concat(integrity_check, '; ') \
         FROM (SELECT integrity_check FROM pragma_integrity_check LIMIT 3))",
    ))
    .get_result(&mut copy)
    .map_err(refused)?;
    if found != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), detail: found }.into());
    }
    Ok(())
}
