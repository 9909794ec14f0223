//! What PostgreSQL says, in the words of the ports.

use std::sync::Arc;

use botarmy_domain::StoreError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// What to tell whoever asked for rows of `table`.
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

/// Why a transaction came to nothing, or may have.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DbError {
    /// PostgreSQL refused something.
    #[error("{0}")]
    Database(Arc<DieselError>),
    /// The connection was lost, or there was no answer in time. What was sent may have been done.
    #[error("the connection to the database was lost: {0}")]
    Lost(String),
    /// There is no connection; nothing was sent on one now. What was sent before is in doubt.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// Somebody else moved a log at the same instant.
    #[error("another replica wrote to the same log at the same instant")]
    Moved,
    /// A row cannot be read; whoever does not want it is not concerned.
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
    /// Whether one decision of several may be the cause, so that the others can still succeed.
    pub(crate) fn may_be_one_units(&self) -> bool {
        !matches!(self, Self::Away(_))
    }

    /// Whether the same may work at once when it is tried again.
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

    /// Whether what was sent may have been done.
    pub(crate) const fn leaves_in_doubt(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Database(_))
    }

    /// Whether the next write may well meet it too, although the database answers: a full disk, a
    /// database that is only read. Not what others cause who hold a lock.
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

    /// What to tell whoever asked for it.
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
