//! How an agent really runs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::artifact::{Artifact, NewArtifact};
use crate::budget::Amount;
use crate::handoff::Handoff;
use crate::ids::{ContextId, ProjectId, TaskId};
use crate::task::Answer;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType};

/// Does the work of an agent type: a model provider, a local command, the built-in drafter.
///
/// An implementation
/// - MUST make exactly one try; retrying is the orchestrator's affair;
/// - MUST stop all its work within a second when the future is dropped: that is how it is
///   cancelled and how its deadline is kept;
/// - MUST return [`Outcome::Ask`] when it needs a person, and hold nothing meanwhile;
/// - MUST say what it used also when it fails, where it knows;
/// - MUST be able to do the same assignment twice: a server that was killed starts it again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentRunner: Send + Sync + 'static {
    /// Its name in configuration and in logs: `offline`, `scripted`, …
    fn kind(&self) -> &'static str;

    /// Whether it could work now. Never spends anything.
    async fn probe(&self) -> Probe;

    /// The most that this assignment may cost; `None` from a runner that costs nothing. A runner
    /// that does not know beforehand says zero: it is held to the limit once it has passed it.
    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        None
    }

    /// Does one assignment.
    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError>;
}

/// Whether a runner could work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// It could.
    pub ready: bool,
    /// A sentence for people.
    pub message: String,
}

/// What an agent is given.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The project.
    pub project_id: ProjectId,
    /// Its name.
    pub project_name: String,
    /// The task.
    pub task_id: TaskId,
    /// Who is asked.
    pub agent: AgentType,
    /// 1 for the first try.
    pub attempt: u32,
    /// What is to be done.
    pub instructions: String,
    /// The hand-off, when it is a step of a workflow.
    pub handoff: Option<Handoff>,
    /// The artifacts it may look at, in the order of the task's list.
    pub context: Vec<Arc<Artifact>>,
    /// What it is expected to make.
    pub output_type: Option<ArtifactType>,
    /// What that must look like, as JSON Schema; the orchestrator looks whether it does.
    pub output_schema: Option<Map<String, Value>>,
    /// What it needs to go on after a question.
    pub resume: Option<Resume>,
}

/// What a runner needs to go on after a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resume {
    /// What it wanted to be reminded of.
    pub session: Option<String>,
    /// What people answered, oldest first.
    pub answers: Vec<Answer>,
}

/// What surrounds a run.
pub struct RunContext {
    /// When it will be dropped.
    pub deadline: Timestamp,
    /// The fencing token of the lease.
    pub fence: u32,
    /// Takes a line about how it is getting on, and per cent where they are known. Also shows
    /// that the agent is alive.
    pub progress: Box<dyn Fn(String, Option<u8>) + Send + Sync>,
}

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

/// What an attempt used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The provider, such as `offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

impl Usage {
    /// True when nothing was used and nobody named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when it cost neither tokens nor money, whoever did the work.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.input_tokens == 0
            && self.output_tokens == 0
            && matches!(self.cost_micro_usd, None | Some(0))
    }

    /// Adds what another attempt used.
    pub fn add(&mut self, other: &Self) {
        self.provider = other.provider.clone().or_else(|| self.provider.take());
        self.model = other.model.clone().or_else(|| self.model.take());
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micro_usd = match (self.cost_micro_usd, other.cost_micro_usd) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
    }
}
