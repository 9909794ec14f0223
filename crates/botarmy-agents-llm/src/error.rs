//! Errors of a conversation, and whether a retry can help.

use std::time::Duration;

use botarmy_domain::{RunError, Usage};

use crate::provider::Provider;
use crate::usage::Counted;

/// A conversation that ended without a document.
#[derive(Debug)]
pub(crate) struct AskError {
    pub(crate) kind: AskErrorKind,
    /// Tokens that the provider counted.
    pub(crate) counted: Counted,
}

impl From<AskErrorKind> for AskError {
    fn from(kind: AskErrorKind) -> Self {
        Self { kind, counted: Counted::default() }
    }
}

/// Cause of an [`AskError`].
#[derive(Debug)]
pub(crate) enum AskErrorKind {
    /// The provider answered with this HTTP status, perhaps with a message.
    Status { status: u16, after: Option<Duration>, message: Option<String> },
    /// No connection to the provider is possible.
    Unreachable,
    /// No byte of the answer arrived for this long.
    Silent(Duration),
    /// The attempt reached its deadline.
    Deadline,
    /// The connection ended before the answer was complete.
    CutOff,
    /// The answer has no content that the protocol knows.
    Empty,
    /// The answer does not follow the protocol.
    Unreadable,
    /// The answer exceeds this number of bytes.
    TooLarge(usize),
    /// The provider sent an error in the place of an answer, of this type and perhaps with an HTTP
    /// status of its own.
    BrokenOff { word: String, status: Option<u16>, message: Option<String> },
    /// The request cannot be built.
    Unusable(String),
    /// The model reached the maximum length of an answer.
    CutShort,
    /// The model, or a filter of the provider, declined to answer.
    Refused,
    /// The model tried to call a tool, and the request has none.
    ToolCall,
    /// The model stopped for an unknown reason.
    Stopped(String),
    /// The document does not have the structure that later steps need.
    InvalidDocument(String),
    /// The model can be shown nothing of the only input.
    InputTooLarge,
}

/// The effect of a retry.
enum Retry {
    /// Yes, after this time if one is given.
    After(Option<Duration>),
    /// Yes, with the reason among the instructions.
    WithReason,
    /// No.
    Never,
}

/// Returns the error code of an HTTP status, and whether a retry can help.
const fn of_status(status: u16, after: Option<Duration>) -> (&'static str, Retry) {
    use Retry::{After, Never};
    match status {
        429 => ("rate_limited", After(after)),
        503 | 529 => ("provider_overloaded", After(after)),
        408 | 409 | 500..=599 => ("provider_unavailable", After(after)),
        401 | 403 => ("provider_unauthorized", Never),
        404 => ("model_not_found", Never),
        413 => ("request_too_large", Never),
        _ => ("provider_refused_request", Never),
    }
}

impl AskErrorKind {
    /// Returns the error code for programs, and whether a retry can help.
    fn code_and_retry(&self) -> (&'static str, Retry) {
        use Retry::{After, Never, WithReason};
        match self {
            Self::Status { status, after, .. } => of_status(*status, *after),
            Self::Unreachable => ("provider_unreachable", After(None)),
            Self::Silent(_) => ("provider_silent", After(None)),
            Self::Deadline => ("timed_out", After(None)),
            Self::CutOff => ("answer_cut_off", After(None)),
            Self::Empty => ("no_answer", After(None)),
            Self::Unreadable => ("unreadable_answer", After(None)),
            Self::TooLarge(_) => ("answer_too_large", Never),
            Self::BrokenOff { word, status, .. } => match (word.as_str(), status) {
                (
                    "authentication_error"
                    | "permission_error"
                    | "UNAUTHENTICATED"
                    | "PERMISSION_DENIED",
                    _,
                ) => ("provider_unauthorized", Never),
                ("invalid_request_error" | "not_found_error", _) => {
                    ("provider_refused_request", Never)
                }
                ("rate_limit_error", _) => ("rate_limited", After(None)),
                ("overloaded_error", _) => ("provider_overloaded", After(None)),
                (_, Some(status)) => of_status(*status, None),
                _ => ("provider_broke_off", After(None)),
            },
            Self::Unusable(_) => ("request_unusable", Never),
            Self::CutShort => ("answer_cut_short", Never),
            Self::Refused => ("model_refused", Never),
            Self::ToolCall => ("unexpected_tool_call", After(None)),
            Self::Stopped(_) => ("answer_unfinished", After(None)),
            Self::InvalidDocument(_) => ("unfit_output", WithReason),
            Self::InputTooLarge => ("input_too_large", Never),
        }
    }

    /// Returns `true` if the next conversation is likely to fail the same way, so that health checks
    /// report it.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Status { status: 401 | 403 | 404, .. })
    }

    /// Returns the cause and the remedy as a sentence without secrets.
    pub(crate) fn detail(&self, provider: &Provider) -> String {
        let name = &provider.name;
        match self {
            Self::Status { status, message, .. } => {
                let advice = match status {
                    401 | 403 => match &provider.key_env {
                        Some(variable) => {
                            format!("It rejects the key; check the variable {variable}.")
                        }
                        None => {
                            "It requires a key; set key_env to the name of its variable.".to_owned()
                        }
                    },
                    404 => "Check the model's name and base_url.".to_owned(),
                    413 => "Reduce context_tokens: the request is too large.".to_owned(),
                    300..=399 => "Check base_url: it redirects to another address.".to_owned(),
                    408 | 409 | 429 | 500..=599 => String::new(),
                    _ => "Check the model's name and what it accepts, such as max_tokens and \
                          schema."
                        .to_owned(),
                };
                let quoted = message.as_ref().map(|message| format!(" Its message: {message}"));
                let text = format!("{name} answered {status}. {advice}");
                format!("{}{}", text.trim_end(), quoted.unwrap_or_default())
            }
            Self::Unreachable => format!("{name} cannot be reached; check base_url."),
            Self::Silent(limit) => {
                format!("{name} sent nothing for {} seconds.", limit.as_secs())
            }
            Self::Deadline => format!("{name} did not finish before the attempt's deadline."),
            Self::CutOff => {
                format!("The connection to {name} ended before the answer was complete.")
            }
            Self::Empty => {
                format!("{name} sent an empty answer; check base_url and kind.")
            }
            Self::Unreadable => {
                format!(
                    "The answer of {name} does not follow the protocol of its kind; check kind."
                )
            }
            Self::TooLarge(limit) => format!("The answer of {name} is larger than {limit} bytes."),
            Self::BrokenOff { message, status, .. } => {
                let number = status.map(|status| format!(" {status}")).unwrap_or_default();
                let quoted = message.as_ref().map(|message| format!(" Its message: {message}"));
                let quoted = quoted.unwrap_or_default();
                format!("{name} sent the error{number} in the place of an answer.{quoted}")
            }
            Self::Unusable(detail) => format!("The request to {name} cannot be sent: {detail}."),
            Self::CutShort => format!(
                "The answer reached the maximum length; raise max_tokens of {name}, now {}, or ask \
                 for less.",
                provider.max_tokens
            ),
            Self::Refused => "The model, or the provider's filter, declined to answer; change the \
                              instructions."
                .to_owned(),
            Self::ToolCall => "The model tried to call a tool, but has none.".to_owned(),
            Self::Stopped(word) => format!("The model stopped with \"{word}\"."),
            Self::InvalidDocument(problem) => {
                format!("The model's answer cannot be used: {problem}.")
            }
            Self::InputTooLarge => format!(
                "Nothing of the input fits into the context of {name}; raise its context_tokens, \
                 now {}.",
                provider.context_tokens
            ),
        }
    }

    /// Converts the error for the orchestrator.
    pub(crate) fn into_run_error(self, provider: &Provider, usage: Usage) -> RunError {
        let (code, retry) = self.code_and_retry();
        let (code, detail, usage) = (code.to_owned(), self.detail(provider), Box::new(usage));
        match retry {
            Retry::After(after) => RunError::Retryable { code, detail, after, usage },
            Retry::WithReason => RunError::InvalidOutput { detail, usage },
            Retry::Never => RunError::Terminal { code, detail, usage },
        }
    }
}
