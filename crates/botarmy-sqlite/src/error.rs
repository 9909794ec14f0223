//! Mapping of SQLite errors to errors of the ports.

use std::sync::Arc;

use botarmy_domain::StoreError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Messages of SQLite for a damaged file.
const DAMAGED: [&str; 2] = ["database disk image is malformed", "file is not a database"];

/// Message of SQLite for a disk without room, also for its temporary files.
const FULL: &str = "database or disk is full";

/// Messages of SQLite for problems of the machine: the same statement would fail alone too.
const ENVIRONMENT: [&str; 7] = [
    FULL,
    "disk I/O error",
    "database is locked",
    "attempt to write a readonly database",
    "unable to open database file",
    "out of memory",
    "database disk image is malformed",
];

/// Messages of the triggers for a new row with the key of an existing one.
const TAKEN: [&str; 2] = [
    "the log is append-only: an entry cannot be replaced",
    "artifacts are immutable: store a new version instead",
];

fn says(error: &DieselError, sentences: &[&str]) -> bool {
    match error {
        DieselError::DatabaseError(_, information) => sentences.contains(&information.message()),
        _ => false,
    }
}

/// Whether the key of a new row exists already.
fn is_taken(error: &DieselError) -> bool {
    says(error, &TAKEN)
        || matches!(error, DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
}

/// Returns the error of a read from `table`.
pub(crate) fn reading(table: &'static str, error: DieselError) -> StoreError {
    if says(&error, &DAMAGED) || matches!(error, DieselError::DeserializationError(_)) {
        return StoreError::Corrupt { table, row: "unknown".to_owned(), detail: error.to_string() };
    }
    let reading = format!("reading {table}");
    if says(&error, &[FULL]) {
        return StoreError::full(reading, error);
    }
    StoreError::unavailable(reading, error)
}

/// Error of a transaction that was rolled back.
#[derive(Debug, Clone)]
pub(crate) enum DbError {
    /// A statement failed.
    Database(Arc<DieselError>),
    /// A decision panicked.
    Panic(String),
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl DbError {
    /// Whether a single decision of the batch may be the cause, so that the others can still
    /// succeed.
    pub(crate) fn may_be_one_units(&self) -> bool {
        match self {
            Self::Database(error) => !says(error, &ENVIRONMENT),
            Self::Panic(_) => true,
        }
    }

    /// Returns the error for the caller of the operation.
    pub(crate) fn store_error(&self) -> StoreError {
        match self {
            Self::Database(error) if is_taken(error) => StoreError::Conflict,
            Self::Database(error) if says(error, &[FULL]) => {
                StoreError::full("committing", Arc::clone(error))
            }
            Self::Database(error) => StoreError::unavailable("committing", Arc::clone(error)),
            Self::Panic(message) => StoreError::Unavailable {
                detail: format!("the decision panicked: {message}"),
                source: None,
            },
        }
    }
}

impl std::fmt::Display for DbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Panic(message) => write!(f, "a decision panicked: {message}"),
        }
    }
}

/// Returns the error of every operation on a store that was closed.
pub(crate) fn closed() -> StoreError {
    StoreError::Unavailable { detail: "the store is closed".to_owned(), source: None }
}
