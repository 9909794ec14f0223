//! A copy of the file while a store uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::connection;
use crate::migrations;
use crate::open::{self, OpenError};

/// Error of writing a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be backed up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The target exists; backups never overwrite a file.
    #[error("{} exists already; nothing was written: choose another name", .0.display())]
    Exists(PathBuf),
    /// Another backup is writing to the same target.
    #[error("another backup is writing {}; wait for it, or choose another name", .0.display())]
    InProgress(PathBuf),
    /// The backup cannot be written.
    #[error("the backup {} cannot be written; check its folder, permissions and free space", .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// SQLite could not write the backup.
    #[error("SQLite could not write the backup {}; check its folder and free space", .path.display())]
    Sqlite {
        /// Path of the file.
        path: PathBuf,
        /// Error that SQLite returned.
        #[source]
        source: diesel::result::Error,
    },
}

/// Writes a snapshot of the database to a new file, readable by its owner only, and returns once it
/// is on disk. A store can use the database at the same time; its write-ahead log grows meanwhile,
/// because the pages that the backup still reads stay in place.
///
/// Until it is complete the file is called `TO.partial` and is locked. An unlocked one was left by
/// a killed backup and is replaced.
///
/// # Errors
/// When there is no database, `to` exists or is being written, or there is no room for it.
pub fn backup(path: &Path, to: &Path) -> Result<(), BackupError> {
    open::must_exist(path)?;
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    match fs::symlink_metadata(to) {
        Ok(_) => return Err(BackupError::Exists(to.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let lock = claim(&partial, to)?;
    let written = write(path, &partial, &lock, to).and_then(|()| match publish(&partial, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(to.to_owned()))
        }
        published => published.map_err(failed),
    });
    if written.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Creates the partial file and locks it for this process. It is always new and empty, so a planted
/// link is never followed, and the permissions are right from the start.
fn claim(partial: &Path, to: &Path) -> Result<File, BackupError> {
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    let create = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).open(partial)
    };
    loop {
        let (file, is_new) = match create() {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match fs::symlink_metadata(partial) {
                    Ok(there) if !there.is_file() => return Err(failed(error)),
                    Ok(_) => (File::open(partial).map_err(failed)?, false),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::InProgress(to.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Before the lock, another backup may have replaced the file as a leftover.
        match (is_at(&file, partial).map_err(failed)?, is_new) {
            (true, true) => return Ok(file),
            (true, false) => fs::remove_file(partial).map_err(failed)?,
            (false, _) => {}
        }
    }
}

/// Whether the path names this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames the file to its final name, unless that exists, and syncs the directory.
fn publish(partial: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(partial, to) {
        // Not every file system has hard links; then the rename replaces an empty file created
        // here.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            OpenOptions::new().write(true).create_new(true).open(to)?;
            fs::rename(partial, to)?;
        }
        linked => linked.and_then(|()| fs::remove_file(partial))?,
    }
    File::open(open::directory(to)).and_then(|folder| folder.sync_all())
}

fn write(path: &Path, partial: &Path, lock: &File, to: &Path) -> Result<(), BackupError> {
    let refused = |source| BackupError::Sqlite { path: to.to_owned(), source };
    let mut connection =
        connection::visitor(path).map_err(|error| OpenError::sqlite(path, error))?;
    if let Some(unknown) = migrations::unknown(&mut connection).map_err(refused)? {
        let newest = migrations::newest();
        return Err(OpenError::Newer { path: path.to_owned(), unknown, newest }.into());
    }
    // The connection is set to reject writes, but writing the backup does not change the database.
    diesel::sql_query("PRAGMA query_only = OFF").execute(&mut connection).map_err(refused)?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(connection::uri(partial, "rw"))
        .execute(&mut connection)
        .map_err(refused)?;
    drop(connection);
    let failed = |source| BackupError::File { path: to.to_owned(), source };
    lock.sync_all().map_err(failed)?;
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
    if !is_at(lock, partial).map_err(failed)? {
        return Err(failed(io::Error::other("another process replaced it")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;

    /// Creates a database and returns the paths of it and of its backup.
    fn place() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let [path, to, partial] =
            ["a.db", "b.db", "b.db.partial"].map(|name| dir.path().join(name));
        migrate::up(&path).unwrap();
        (dir, path, to, partial)
    }

    #[test]
    fn one_that_is_being_written_is_left_alone_and_one_that_was_left_is_replaced() {
        let (_dir, path, to, partial) = place();
        let other = claim(&partial, &to).unwrap();
        fs::write(&partial, "half").unwrap();
        let error = backup(&path, &to).unwrap_err();
        assert!(matches!(error, BackupError::InProgress(_)), "{error}");
        assert_eq!(fs::read(&partial).unwrap(), b"half");
        drop(other);
        backup(&path, &to).unwrap();
        assert!(to.exists() && !partial.exists());
    }

    #[test]
    fn of_many_at_once_one_writes_it() {
        let (_dir, path, to, partial) = place();
        let results: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| backup(&path, &to))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            let refused = matches!(error, BackupError::InProgress(_) | BackupError::Exists(_));
            assert!(refused, "{error:?}");
        }
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(open::inspect(&to).is_ok() && !partial.exists());
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let (dir, path, to, partial) = place();
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, &partial).unwrap();
        assert!(matches!(backup(&path, &to), Err(BackupError::File { .. })));
        fs::remove_file(&partial).unwrap();
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &to).unwrap();
        assert!(matches!(backup(&path, &to), Err(BackupError::Exists(_))));
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
    }

    #[test]
    fn what_appeared_meanwhile_is_not_replaced() {
        let (_dir, _, to, partial) = place();
        fs::write(&partial, "new").unwrap();
        fs::write(&to, "there").unwrap();
        let error = publish(&partial, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"there");
    }
}
