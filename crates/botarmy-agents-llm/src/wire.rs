//! The connection to a model as the runner sees it: one request, one streamed answer.

use async_trait::async_trait;
use botarmy_domain::TraceContext;
use serde_json::Value;

use crate::error::{AskError, AskErrorKind};
use crate::usage::Counted;

/// A connection to one model.
#[async_trait]
pub(crate) trait Wire: Send + Sync {
    /// Sends one request and reads the streamed answer; calls `received` with the number of bytes of
    /// each part that arrives.
    async fn ask(
        &self,
        request: &Request<'_>,
        received: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Answer, AskError>;
}

/// A request to a model.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Role of the model and the structure of the answer.
    pub(crate) system: &'a str,
    /// The task with its context.
    pub(crate) text: &'a str,
    /// JSON Schema of the answer.
    pub(crate) schema: &'a Value,
    /// Position in a trace, which the provider is told.
    pub(crate) trace: Option<TraceContext>,
}

/// The answer of a model, perhaps without its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) stop: Stop,
    pub(crate) counted: Counted,
}

/// Reason for the end of an answer.
#[derive(Debug)]
pub(crate) enum Stop {
    Done,
    Length,
    Refused,
    ToolCall,
    /// A reason that is not known, in the provider's word.
    Other(String),
    /// The connection ended or fell silent, and no reason had arrived.
    BrokenOff(AskErrorKind),
}
