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

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be backed up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nothing is written over.
    #[error("{} exists already; nothing was written: choose another name", .0.display())]
    Exists(PathBuf),
    /// One at a time.
    #[error("another backup is writing {}; wait for it, or choose another name", .0.display())]
    InProgress(PathBuf),
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
/// Until it is whole the file is called `TO.partial`, and locked. One that is not locked was left by
/// a backup that was killed, and is replaced.
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

/// Makes the file that is written into, for this process alone. It is new and empty, so nothing
/// that somebody put in its place is written through, and the permissions are right from the start.
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
        // Until it was locked, somebody else may have taken it for a rest and put another there.
        match (is_at(&file, partial).map_err(failed)?, is_new) {
            (true, true) => return Ok(file),
            (true, false) => fs::remove_file(partial).map_err(failed)?,
            (false, _) => {}
        }
    }
}

/// Whether this file is what the path names.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the file its name, where there is none of that name, and sees to it that it stays.
fn publish(partial: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(partial, to) {
        // Not every file system has links; what is replaced then is the empty file made here.
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
    // What is forbidden here is to change the database, and this does not.
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
        return Err(failed(io::Error::other("somebody else put another file in its place")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;

    /// A database, and where its backup goes.
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
