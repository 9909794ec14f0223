//! Results of an attempt, as its runner reports them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::artifact::NewArtifact;
use crate::hitl::Selector;
use crate::ids::ContextId;
use crate::usage::Usage;

/// Result of a run that did not fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is finished.
    Completed {
        /// Report of the agent about its work, as a JSON object.
        output: Map<String, Value>,
        /// Artifacts that were produced.
        artifacts: Vec<NewArtifact>,
        /// Confidence of the agent, 0 to 1, where known.
        confidence: Option<f64>,
        /// Usage of the attempt.
        usage: Usage,
    },
    /// The agent needs an answer from a person before it can continue.
    Ask {
        /// The question.
        question: Question,
        /// Usage so far.
        usage: Usage,
        /// Opaque text that the agent gets back with the answer.
        session: Option<String>,
    },
}

/// A question to a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Question in plain text.
    pub question: String,
    /// Suggested answers.
    pub options: Vec<String>,
    /// Artifacts that the question is about; they must be of the same project.
    pub artifacts: Vec<ContextId>,
    /// Name of a policy of the project's workflow.
    pub policy: Option<String>,
    /// People who are asked first.
    pub assignees: Vec<Selector>,
    /// JSON Schema of the answer.
    pub response_schema: Option<Map<String, Value>>,
}

/// Error of a run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// Another attempt may succeed.
    #[error("{code}: {detail}")]
    Retryable {
        /// Code for programs.
        code: String,
        /// Explanation for people.
        detail: String,
        /// Minimum delay before the next attempt.
        after: Option<Duration>,
        /// Usage of the attempt.
        usage: Box<Usage>,
    },
    /// Another attempt would fail in the same way.
    #[error("{code}: {detail}")]
    Terminal {
        /// Code for programs.
        code: String,
        /// Explanation for people.
        detail: String,
        /// Usage of the attempt.
        usage: Box<Usage>,
    },
    /// The output does not match the requested form. It is requested once more with the reason
    /// among the instructions; if that fails too, a person is asked.
    #[error("unfit_output: {detail}")]
    InvalidOutput {
        /// Explanation for the agent of the next attempt.
        detail: String,
        /// Usage of the attempt.
        usage: Box<Usage>,
    },
}

impl RunError {
    /// Creates an error that another attempt may avoid, at the usual delay; nothing was used.
    pub fn retryable(code: &str, detail: impl Into<String>) -> Self {
        let usage = Box::default();
        Self::Retryable { code: code.to_owned(), detail: detail.into(), after: None, usage }
    }

    /// Creates an error that another attempt would repeat; nothing was used.
    pub fn terminal(code: &str, detail: impl Into<String>) -> Self {
        Self::Terminal { code: code.to_owned(), detail: detail.into(), usage: Box::default() }
    }

    /// Returns the code for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Retryable { code, .. } | Self::Terminal { code, .. } => code,
            Self::InvalidOutput { .. } => "unfit_output",
        }
    }

    /// Returns the usage of the attempt.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        match self {
            Self::Retryable { usage, .. }
            | Self::Terminal { usage, .. }
            | Self::InvalidOutput { usage, .. } => usage,
        }
    }

    /// Returns the error with this usage.
    #[must_use]
    pub fn having_used(mut self, used: Usage) -> Self {
        match &mut self {
            Self::Retryable { usage, .. }
            | Self::Terminal { usage, .. }
            | Self::InvalidOutput { usage, .. } => **usage = used,
        }
        self
    }
}
