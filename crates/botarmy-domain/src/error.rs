//! Errors, named for what the caller can do about them.

/// Error of a decision that was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// The object does not exist.
    #[error("{what} {id} does not exist")]
    NotFound {
        /// Kind of object: `Project`, `Task`, …
        what: &'static str,
        /// Id that was requested.
        id: String,
    },
    /// The state does not allow the action, possibly because a concurrent request was first.
    #[error("{detail}")]
    Conflict {
        /// Code for programs, such as `lease_lost`.
        code: &'static str,
        /// Explanation and remedy for people.
        detail: String,
    },
    /// A field of the request is invalid.
    #[error("{field}: {message}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// Constraint that the field violates.
        message: String,
    },
    /// The request is well-formed but contradicts itself or lacks something.
    #[error("{0}")]
    BadRequest(String),
}

impl DomainError {
    /// Creates the error for an object that does not exist.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// Creates the error for a state that does not allow the action.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }

    /// Creates the error for an invalid field.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

/// Error of a store. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A concurrent transaction wrote the same rows; the request can be retried at once.
    #[error("the store had a conflicting write; the same request can be tried again")]
    Conflict,
    /// The disk of the store is full; an operator has to free space.
    #[error("the disk of the store is full: {detail}")]
    Full {
        /// Operation that failed.
        detail: String,
        /// Error of the driver.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The store is unreachable or overloaded; the request can be retried later.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// Operation that failed.
        detail: String,
        /// Error of the driver.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A stored row cannot be read; an operator has to repair it.
    #[error("row {row} of table {table} cannot be read: {detail}")]
    Corrupt {
        /// Name of the table.
        table: &'static str,
        /// Key of the row.
        row: String,
        /// Defect of the row.
        detail: String,
    },
}

impl StoreError {
    /// Creates the error for a store that is unavailable because of `source`; `detail` names the
    /// operation.
    pub fn unavailable(
        detail: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { detail: detail.into(), source: Some(source.into()) }
    }

    /// Creates the error for a store whose disk is full; `detail` names the operation.
    pub fn full(
        detail: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Full { detail: detail.into(), source: Some(source.into()) }
    }
}

/// Error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain refused the decision.
    #[error(transparent)]
    Refused(#[from] DomainError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
