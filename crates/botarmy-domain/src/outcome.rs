//! Results of an attempt, as its runner reports them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::artifact::NewArtifact;
use crate::ids::ContextId;
use crate::usage::Usage;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The work is done.
    Completed {
        /// What there is to say about it: a JSON object.
        output: Map<String, Value>,
        /// What was made.
        artifacts: Vec<NewArtifact>,
        /// 0 to 1, where the agent knows.
        confidence: Option<f64>,
        /// What it used.
        usage: Usage,
    },
    /// A person has to say something first.
    Ask {
        /// What is asked.
        question: Question,
        /// What it used so far.
        usage: Usage,
        /// What it wants to be reminded of.
        session: Option<String>,
    },
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The sentence.
    pub question: String,
    /// Suggested answers.
    pub options: Vec<String>,
    /// Artifacts it is about; they must be of the project.
    pub artifacts: Vec<ContextId>,
}

/// Why a run did not end well.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RunError {
    /// Another try may help.
    #[error("{code}: {detail}")]
    Retryable {
        /// A word that programs can match on.
        code: String,
        /// A sentence for people.
        detail: String,
        /// Not before this long.
        after: Option<Duration>,
        /// What it used.
        usage: Box<Usage>,
    },
    /// Another try would end the same way.
    #[error("{code}: {detail}")]
    Terminal {
        /// A word that programs can match on.
        code: String,
        /// A sentence for people.
        detail: String,
        /// What it used.
        usage: Box<Usage>,
    },
    /// What came back is not in the form that was asked for. It is asked for once more, with the
    /// reason among the instructions; if that does not help, a person is asked.
    #[error("unfit_output: {detail}")]
    InvalidOutput {
        /// A sentence for whoever is to do better.
        detail: String,
        /// What it used.
        usage: Box<Usage>,
    },
}

impl RunError {
    /// Another try may help, at the usual time; nothing was used.
    pub fn retryable(code: &str, detail: impl Into<String>) -> Self {
        let usage = Box::default();
        Self::Retryable { code: code.to_owned(), detail: detail.into(), after: None, usage }
    }

    /// Another try would end the same way; nothing was used.
    pub fn terminal(code: &str, detail: impl Into<String>) -> Self {
        Self::Terminal { code: code.to_owned(), detail: detail.into(), usage: Box::default() }
    }

    /// What the attempt used.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        match self {
            Self::Retryable { usage, .. }
            | Self::Terminal { usage, .. }
            | Self::InvalidOutput { usage, .. } => usage,
        }
    }

    /// The same, having used this.
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
