//! Error of loading the rows that a decision needs.

use botarmy_domain::StoreError;
use diesel::result::Error as DieselError;

use crate::error::DbError;

/// Error of loading rows for a decision.
pub(crate) enum LoadError {
    /// A row cannot be read. Only decisions that need the row fail.
    Row(StoreError),
    /// The database failed.
    Database(DbError),
}

impl From<DieselError> for LoadError {
    fn from(error: DieselError) -> Self {
        Self::Database(error.into())
    }
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        Self::Row(error)
    }
}
