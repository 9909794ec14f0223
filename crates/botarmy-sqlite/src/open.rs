//! Checks before the first write: the file belongs to this program, is not damaged, has a known
//! version, and is not in use by another process. A refused file is not changed.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;

use crate::connection::{self, ConnectError, number};
use crate::migrations;

/// Name of the lock file of the data directory. The lock ends with the process; the file stays and
/// has no meaning without the lock.
const LOCK: &str = "botarmy.lock";

/// The `application_id` that `migrations/sqlite` writes: "BArm".
const APPLICATION_ID: i64 = 0x4241_726d;

/// First bytes of every SQLite file (<https://www.sqlite.org/fileformat.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Size in bytes up to which every page of a file is checked when it is opened. Larger files are
/// checked only partly, so that a start stays fast.
const SMALL_FILE_BYTES: u64 = 32 << 20;

/// Error of opening the store. The file has not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be created or used.
    #[error("the data directory {} cannot be used; check its path and permissions", .path.display())]
    Directory {
        /// Path of the directory.
        path: PathBuf,
        /// Error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "another process is using the data directory {}; stop it, or choose another data directory", .path.display()
    )]
    InUse {
        /// Path of the directory.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the database file {} cannot be opened; check its path and permissions", .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error that the operating system returned.
        #[source]
        source: io::Error,
    },
    /// The file is not a SQLite database.
    #[error(
        "{} is not a SQLite database; it was left as it is: choose another path, or move it away \
         to start with an empty one", .path.display()
    )]
    NotSqlite {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file is a SQLite database of another program.
    #[error(
        "{} is a SQLite database that belongs to another program; it was left as it is: choose \
         another path", .path.display()
    )]
    NotOurs {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} was written by a newer version of this program: it has the migration {unknown}, this \
         version knows them up to {newest}. Start the newer version, or restore a backup from \
         before the upgrade; nothing was changed", .path.display()
    )]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Name of the first migration that this version does not know.
        unknown: String,
        /// Name of the last migration that this version knows.
        newest: String,
    },
    /// The file was written by an older version, and the command may only read it.
    #[error(
        "{} was written by an older version of this program: it lacks the migration {missing}. \
         Bring it up to date first: botarmy-server --data-dir {} migrate",
        .path.display(), directory(.path).display()
    )]
    Behind {
        /// Path of the file.
        path: PathBuf,
        /// Name of the first migration that is missing.
        missing: String,
    },
    /// The file does not exist, and the command does not create one.
    #[error("there is no database at {}; check the data directory", .path.display())]
    Missing {
        /// Path of the file.
        path: PathBuf,
    },
    /// A copy into the file was begun and not finished.
    #[error(
        "{} holds a part of {source_name} only: `store copy` was interrupted. Run the same \
         `store copy` again, it goes on where it was; or move the file away to start with an empty \
         one", .path.display()
    )]
    HalfCopied {
        /// Path of the file.
        path: PathBuf,
        /// Name of the source of the copy, without a password.
        source_name: String,
    },
    /// The file is damaged.
    #[error(
        "the database file {} is damaged ({detail}); nothing was changed: restore a backup, or \
         move the file away to start with an empty one", .path.display()
    )]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Error that SQLite returned.
        detail: String,
    },
    /// The file system cannot hold a database with a write-ahead log.
    #[error(
        "the file system of {} does not support a write-ahead log (network file systems do not); \
         choose a path on a local disk", .path.display()
    )]
    NoWriteAheadLog {
        /// Path of the file.
        path: PathBuf,
    },
    /// A migration failed.
    #[error("the database file {} could not be brought up to date; nothing was changed", .path.display())]
    Migration {
        /// Path of the file.
        path: PathBuf,
        /// Cause of the failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement failed.
    #[error("SQLite could not open {}", .path.display())]
    Sqlite {
        /// Path of the file.
        path: PathBuf,
        /// Error that SQLite returned.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The writer thread could not be started.
    #[error("the writer thread could not be started")]
    Thread(#[source] io::Error),
}

impl OpenError {
    pub(crate) fn sqlite(
        path: &Path,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Sqlite { path: path.to_owned(), source: Box::new(source) }
    }
}

/// Returns the directory of a database file.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates the directory if it is missing, and locks it for this process.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let directory = directory(path);
    let failed = |source| OpenError::Directory { path: directory.to_owned(), source };
    make_private_directory(directory).map_err(failed)?;
    let file = private_file(&directory.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Returns an error for a path without a file.
pub(crate) fn must_exist(path: &Path) -> Result<(), OpenError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Missing { path: path.to_owned() }),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

/// Creates an empty database file, readable by its owner only, if there is none. SQLite gives its
/// write-ahead log the same permissions.
pub(crate) fn create(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::File { path: path.to_owned(), source };
    private_file(path).map(drop).map_err(failed)
}

fn make_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns an error for a file that belongs to another program, is damaged or has an unknown
/// version. A missing or empty file is accepted.
pub(crate) fn inspect(path: &Path) -> Result<(), OpenError> {
    let Some(size) = check_magic(path)? else { return Ok(()) };
    let mut connection = connection::visitor(path).map_err(|error| refusal(path, error))?;
    let refused = |error: DieselError| refusal(path, ConnectError::Setting(error));
    let application = number(&mut connection, "(SELECT application_id FROM pragma_application_id)")
        .map_err(refused)?;
    let foreign_tables = number(
        &mut connection,
        "(SELECT count(*) FROM sqlite_schema WHERE name <> '__diesel_schema_migrations' \
         AND name NOT LIKE 'sqlite_%')",
    )
    .map_err(refused)?;
    if application != APPLICATION_ID && (application != 0 || foreign_tables > 0) {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    if let Some(unknown) = migrations::unknown(&mut connection).map_err(refused)? {
        let newest = migrations::newest();
        return Err(OpenError::Newer { path: path.to_owned(), unknown, newest });
    }
    check_pages(&mut connection, size)
        .map_err(refused)?
        .map_or(Ok(()), |detail| Err(OpenError::Damaged { path: path.to_owned(), detail }))
}

/// Checks the first bytes. Returns the size of the file, or `None` if it is missing or empty.
fn check_magic(path: &Path) -> Result<Option<u64>, OpenError> {
    let failed = |source| OpenError::File { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().map_err(failed)?.len();
    if size == 0 {
        return Ok(None);
    }
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == *MAGIC => Ok(Some(size)),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(failed(error)),
        _ => Err(OpenError::NotSqlite { path: path.to_owned() }),
    }
}

/// Checks the pages and returns a description of the damage, if there is any.
fn check_pages(connection: &mut SqliteConnection, size: u64) -> QueryResult<Option<String>> {
    if size <= SMALL_FILE_BYTES {
        let found: String = diesel::select(sql::<Text>(
            "(SELECT group_concat(quick_check, '; ') \
             FROM (SELECT quick_check FROM pragma_quick_check LIMIT 3))",
        ))
        .get_result(connection)?;
        return Ok((found != "ok").then_some(found));
    }
    // Reads the path to the last row of every table: the newest pages are the ones a crash of the
    // machine may have damaged.
    for table in ["events", "tasks", "projects", "hitl_requests", "artifacts"] {
        number(connection, &format!("coalesce((SELECT max(rowid) FROM {table}), 0)"))?;
        number(
            connection,
            &format!("coalesce((SELECT length(id) FROM {table} ORDER BY id DESC LIMIT 1), 0)"),
        )?;
    }
    Ok(None)
}

fn refusal(path: &Path, error: ConnectError) -> OpenError {
    let path = path.to_owned();
    match &error {
        ConnectError::Setting(DieselError::DatabaseError(_, information)) => {
            match information.message() {
                "file is not a database" => OpenError::NotSqlite { path },
                "database disk image is malformed" => {
                    OpenError::Damaged { path, detail: information.message().to_owned() }
                }
                message if message.starts_with("malformed database schema") => {
                    OpenError::Damaged { path, detail: message.to_owned() }
                }
                _ => OpenError::Sqlite { path, source: Box::new(error) },
            }
        }
        _ => OpenError::Sqlite { path, source: Box::new(error) },
    }
}
