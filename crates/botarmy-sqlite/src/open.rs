//! Before the first statement: whose file this is, whether it is whole, whether this binary knows
//! it, and whether somebody else is using it. Whatever is refused here is left as it was.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;

use crate::connection::{self, ConnectError, number};
use crate::migrations;

/// The name of the file whose lock says that a process uses the directory. The lock belongs to
/// the process and vanishes with it, however it ends; the file stays and means nothing.
const LOCK: &str = "botarmy.lock";

/// What `migrations/sqlite` writes as `application_id`: "BArm".
const APPLICATION_ID: i64 = 0x4241_726d;

/// What every SQLite file begins with (<https://www.sqlite.org/fileformat.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Up to this size a file is checked page by page when it is opened, beyond it only along its
/// edges: a start takes a moment, however much there is.
const SMALL_FILE_BYTES: u64 = 32 << 20;

/// Why the store was not opened. Nothing in the file has changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("the data directory {} cannot be used; check its path and permissions", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "another process is using the data directory {}; stop it, or choose another data directory", .path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the database file {} cannot be opened; check its path and permissions", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is something else.
    #[error(
        "{} is not a SQLite database; it was left as it is: choose another path, or move it away \
         to start with an empty one", .path.display()
    )]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// The file is a SQLite database of another program.
    #[error(
        "{} is a SQLite database that belongs to another program; it was left as it is: choose \
         another path", .path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} was written by a newer version of this program: it has the migration {unknown}, this \
         version knows them up to {newest}. Start the newer version, or restore a backup from \
         before the upgrade; nothing was changed", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The first migration that this version does not know.
        unknown: String,
        /// The last one that it knows.
        newest: String,
    },
    /// The file was written by an older version, and is not to be changed.
    #[error(
        "{} was written by an older version of this program: it lacks the migration {missing}. \
         Bring it up to date first: botarmy-server --data-dir {} migrate",
        .path.display(), directory(.path).display()
    )]
    Behind {
        /// The file.
        path: PathBuf,
        /// The first migration that it lacks.
        missing: String,
    },
    /// There is no file, and none is to be made.
    #[error("there is no database at {}; check the data directory", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A copy into the file was begun and not finished.
    #[error(
        "{} holds a part of {source_name} only: `store copy` was interrupted. Run the same \
         `store copy` again, it goes on where it was; or move the file away to start with an empty \
         one", .path.display()
    )]
    HalfCopied {
        /// The file.
        path: PathBuf,
        /// What was being copied.
        source_name: String,
    },
    /// The file is damaged.
    #[error(
        "the database file {} is damaged ({detail}); nothing was changed: restore a backup, or \
         move the file away to start with an empty one", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// The file system cannot hold a database with a write-ahead log.
    #[error(
        "the file system of {} does not support a write-ahead log (network file systems do not); \
         choose a path on a local disk", .path.display()
    )]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
    },
    /// A migration failed.
    #[error("the database file {} could not be brought up to date; nothing was changed", .path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQLite did not do it.
    #[error("SQLite could not open {}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that writes could not be started.
    #[error("the thread that writes could not be started")]
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

/// The directory of a database file.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the directory if there is none, and claims it for this process.
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

/// Refuses a path where there is no file.
pub(crate) fn must_exist(path: &Path) -> Result<(), OpenError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Missing { path: path.to_owned() }),
        Err(source) => Err(OpenError::File { path: path.to_owned(), source }),
    }
}

/// Makes an empty database file, readable by its owner only, if there is none. SQLite gives the
/// files beside it the same permissions.
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

/// Refuses a file that is not ours, not whole or not known. A file that is missing or empty is
/// fine.
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

/// The size of the file, or `None` when there is nothing in it.
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

/// What is wrong with the pages, if anything was found.
fn check_pages(connection: &mut SqliteConnection, size: u64) -> QueryResult<Option<String>> {
    if size <= SMALL_FILE_BYTES {
        let found: String = diesel::select(sql::<Text>(
            "(SELECT group_concat(quick_check, '; ') \
             FROM (SELECT quick_check FROM pragma_quick_check LIMIT 3))",
        ))
        .get_result(connection)?;
        return Ok((found != "ok").then_some(found));
    }
    // The way down to the last row of every table: what was written last, and so what a crash of
    // the machine would have hit.
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
