//! Errors of the engine.

use botarmy_domain::source_code::SourceCodeError;

/// A step cannot be done with its input. A retry with the same input fails the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// An input of the step is missing.
    #[error("{step} needs {what}")]
    Missing {
        /// Name of the step.
        step: &'static str,
        /// Missing input.
        what: &'static str,
    },
    /// An artifact does not have the structure that the step reads.
    #[error("the {artifact} artifact cannot be used: {detail}")]
    Malformed {
        /// Type of the artifact.
        artifact: &'static str,
        /// First problem found, as a clause.
        detail: String,
    },
    /// The files must not be written to the deployment folder.
    #[error("the files cannot be deployed: {0}")]
    Refused(String),
}

impl DraftError {
    /// Returns the error code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing_input",
            Self::Malformed { .. } => "malformed_input",
            Self::Refused(_) => "deployment_refused",
        }
    }
}

impl From<SourceCodeError> for DraftError {
    fn from(error: SourceCodeError) -> Self {
        Self::Malformed { artifact: "source_code", detail: error.detail }
    }
}
