//! Errors, named for what the caller can do about them.

use crate::vocabulary::{Permission, Role};

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
    /// The caller did not prove that it may make the request.
    #[error("{detail}")]
    Unauthenticated {
        /// Code for programs, such as `token_required`.
        code: &'static str,
        /// Explanation and remedy for people.
        detail: String,
    },
    /// The caller may see the object, but not do this.
    #[error("{}", not_permitted(*.permission, *.elsewhere))]
    NotPermitted {
        /// Permission that is needed.
        permission: Permission,
        /// Whether the caller has the permission on some projects, but would need it on all, or to
        /// create a project on those that it creates.
        elsewhere: bool,
    },
    /// The caller is of the wrong kind, whatever its permissions are.
    #[error("{detail}")]
    Forbidden {
        /// Code for programs, such as `persons_only`.
        code: &'static str,
        /// Explanation and remedy for people.
        detail: String,
    },
    /// Parts of a document in the request are invalid.
    #[error("{}", .0.iter().map(|one| format!("{}: {}", one.pointer, one.message)).collect::<Vec<_>>().join("; "))]
    InvalidDocument(Vec<InvalidPart>),
    /// The request has to state what it is about.
    #[error("{detail}")]
    PreconditionRequired {
        /// Code for programs, such as `digest_required`.
        code: &'static str,
        /// Explanation and remedy for people.
        detail: String,
    },
    /// The object existed, and is over.
    #[error("{detail}")]
    Gone {
        /// Code for programs, such as `link_used`.
        code: &'static str,
        /// Explanation and remedy for people.
        detail: String,
    },
    /// The request is well-formed but contradicts itself or lacks something.
    #[error("{0}")]
    BadRequest(String),
}

/// Part of a document that is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPart {
    /// JSON Pointer (RFC 6901) of the part in the request.
    pub pointer: String,
    /// Constraint that the part violates.
    pub message: String,
}

/// Returns the explanation of a missing permission.
fn not_permitted(permission: Permission, elsewhere: bool) -> String {
    let roles: Vec<_> = permission.roles().map(Role::as_str).collect();
    let roles = match roles.as_slice() {
        [] => "no role has it".to_owned(),
        [role] => format!("the role {role} has it"),
        [some @ .., last] => format!("the roles {} and {last} have it", some.join(", ")),
    };
    let place = match permission {
        _ if !elsewhere => "",
        Permission::ProjectCreate => " on all projects, or on those that the caller creates",
        _ => " on all projects",
    };
    format!("This needs the permission {permission}{place}; {roles}.")
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

/// Returns an error with the errors behind it, separated by colons. An error that is part of the text
/// before it already is left out: some libraries include their causes, and some do not.
#[must_use]
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !chain.contains(&text) {
            chain.push_str(": ");
            chain.push_str(&text);
        }
        next = cause.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of a library, with its cause in its text or without.
    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("connection refused")]
        Bottom,
        #[error("error connecting to server: {0}")]
        Including(#[source] Box<Layer>),
        #[error("no connection")]
        Plain(#[source] Box<Layer>),
    }

    #[test]
    fn a_chain_of_errors_names_every_cause_once() {
        let including = Layer::Including(Box::new(Layer::Bottom));
        let twice = Layer::Including(Box::new(Layer::Plain(Box::new(including))));
        let error = StoreError::unavailable("connecting", twice);
        assert_eq!(
            error_chain(&error),
            "the store is unavailable: connecting: error connecting to server: no connection: \
             error connecting to server: connection refused"
        );
        let plain = Layer::Plain(Box::new(Layer::Including(Box::new(Layer::Bottom))));
        let chain = error_chain(&plain);
        assert_eq!(chain, "no connection: error connecting to server: connection refused");
        assert_eq!(chain.matches("refused").count(), 1);
    }
}
