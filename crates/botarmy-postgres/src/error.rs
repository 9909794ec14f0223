//! Mapping of PostgreSQL errors to errors of the ports.

use std::sync::Arc;

use botarmy_domain::StoreError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Returns the error of a read from `table`.
pub(crate) fn reading(table: &'static str, error: DieselError) -> StoreError {
    if matches!(error, DieselError::DeserializationError(_)) {
        return StoreError::Corrupt { table, row: "unknown".to_owned(), detail: error.to_string() };
    }
    StoreError::unavailable(format!("reading {table}"), error)
}

/// Whether the connection is gone, and the database perhaps with it.
pub(crate) fn is_lost(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(kind, information) => {
            matches!(
                kind,
                DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection
            ) || information.message().starts_with("terminating connection")
        }
        _ => false,
    }
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
        if is_lost(&error) {
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
            Self::Lost(_) | Self::Moved => true,
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

    /// Whether the next write may fail too although the database answers, as with a full disk or a
    /// read-only database. Errors from locks of other sessions do not count.
    pub(crate) fn may_last(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match &**error {
            DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => true,
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
                _ => StoreError::unavailable("committing", Arc::clone(error)),
            },
            other => StoreError::Unavailable { detail: other.to_string(), source: None },
        }
    }
}
