//! Mapping of PostgreSQL errors to errors of the ports.

use std::sync::Arc;

use botarmy_domain::StoreError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Returns the error of a read from `table`.
pub(crate) fn reading(table: &'static str, error: DieselError) -> StoreError {
    if matches!(error, DieselError::DeserializationError(_)) {
        return StoreError::Corrupt { table, row: "unknown".to_owned(), detail: error.to_string() };
    }
    let reading = format!("reading {table}");
    if is_full(&error) {
        return StoreError::full(reading, error);
    }
    StoreError::unavailable(reading, error)
}

/// Ends of the messages for a disk or a quota without room: the code 53100, which Diesel does not
/// pass on.
const FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// Whether the disk of the database is full.
fn is_full(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(_, information) => {
            FULL.iter().any(|full| information.message().ends_with(full))
        }
        _ => false,
    }
}

/// Beginnings of the messages with which a server ends a connection or accepts none: the codes
/// 57P01 to 57P03, which Diesel does not pass on.
const ENDED: [&str; 2] = ["terminating connection", "the database system is "];

/// Whether the connection is gone or of no use, and the database perhaps with it. A server that
/// accepts no writes (25006) has become a standby: another one may accept them.
pub(crate) fn is_lost(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(kind, information) => {
            matches!(
                kind,
                DatabaseErrorKind::UnableToSendCommand
                    | DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::ReadOnlyTransaction
            ) || ENDED.iter().any(|ended| information.message().starts_with(ended))
        }
        _ => false,
    }
}

/// Returns an error and its sources as one text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// Error of a transaction; its outcome may be unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DbError {
    /// PostgreSQL rejected a statement.
    #[error("{0}")]
    Database(Arc<DieselError>),
    /// The connection was lost, or there was no answer in time. The statements may have been
    /// executed.
    #[error("the connection to the database was lost: {0}")]
    Lost(String),
    /// The server accepts no writes (25006), so nothing was written in this attempt. Another server
    /// may accept them.
    #[error("the database accepts no writes: {0}")]
    ReadOnly(String),
    /// There is no connection, so nothing was sent in this attempt. Earlier attempts stay in doubt.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// Another replica wrote to the same log at the same time.
    #[error("another replica wrote to the same log at the same instant")]
    Moved,
    /// A row cannot be read; decisions that do not need it can still succeed.
    #[error("{0}")]
    Unreadable(String),
    /// A decision panicked.
    #[error("a decision panicked: {0}")]
    Panic(String),
}

impl From<DieselError> for DbError {
    fn from(error: DieselError) -> Self {
        if let DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) = &error {
            Self::ReadOnly(error.to_string())
        } else if is_lost(&error) {
            Self::Lost(error.to_string())
        } else {
            Self::Database(Arc::new(error))
        }
    }
}

impl DbError {
    /// Whether a single decision of the batch may be the cause, so that the others can still
    /// succeed.
    pub(crate) fn may_be_one_units(&self) -> bool {
        !matches!(self, Self::Away(_))
    }

    /// Whether an immediate retry may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Lost(_) | Self::ReadOnly(_) | Self::Moved => true,
            Self::Database(error) => {
                matches!(
                    **error,
                    DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)
                ) || error.to_string() == "deadlock detected"
            }
            Self::Away(_) | Self::Panic(_) | Self::Unreadable(_) => false,
        }
    }

    /// Whether the statements may have been executed.
    pub(crate) const fn leaves_in_doubt(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Database(_))
    }

    /// Whether the next write may fail too although the database answers, as with a full disk.
    /// Errors from locks of other sessions do not count.
    pub(crate) fn may_last(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match &**error {
            DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
                let said = information.message();
                !said.starts_with("canceling statement") && said != "deadlock detected"
            }
            _ => false,
        }
    }

    /// Returns the error for the caller of the operation.
    pub(crate) fn store_error(&self) -> StoreError {
        match self {
            Self::Moved => StoreError::Conflict,
            Self::Database(error) => match **error {
                DieselError::DatabaseError(
                    DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure,
                    _,
                ) => StoreError::Conflict,
                _ if is_full(error) => StoreError::full("committing", Arc::clone(error)),
                _ => StoreError::unavailable("committing", Arc::clone(error)),
            },
            other => StoreError::Unavailable { detail: other.to_string(), source: None },
        }
    }
}
