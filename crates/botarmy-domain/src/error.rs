//! What can go wrong, named for what the caller can do next.

/// A decision that is not taken. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// There is no such thing.
    #[error("{what} {id} does not exist")]
    NotFound {
        /// The noun: `Project`, `Task`, …
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The state does not allow it, or somebody else was first.
    #[error("{detail}")]
    Conflict {
        /// A word that programs can match on, such as `lease_lost`.
        code: &'static str,
        /// A sentence a person can act on.
        detail: String,
    },
    /// Understood, but not acceptable; the field is named.
    #[error("{field}: {message}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The action makes no sense as it was asked.
    #[error("{0}")]
    BadRequest(String),
}

impl DomainError {
    /// Something that does not exist.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// A state that does not allow what was asked.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }

    /// A field that is not acceptable.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

/// A store that did not do what it was asked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was there at the same instant: try again.
    #[error("the store had a conflicting write; the same request can be tried again")]
    Conflict,
    /// The store is away, full or overloaded: try later.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What was being done.
        detail: String,
        /// The driver's own error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A stored row cannot be read: call someone.
    #[error("row {row} of table {table} cannot be read: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl StoreError {
    /// Unavailable, because of `source`, while doing `detail`.
    pub fn unavailable(
        detail: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { detail: detail.into(), source: Some(source.into()) }
    }
}

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain said no.
    #[error(transparent)]
    Refused(#[from] DomainError),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}
