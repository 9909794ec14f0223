//! What can go wrong in a conversation, and whether another try may help.

use std::time::Duration;

use botarmy_domain::ports::{RunError, Usage};

use super::provider::{Provider, Tokens};

/// A conversation that came to nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// What it used, where that is known.
    pub(super) tokens: Option<Tokens>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, tokens: None }
    }
}

/// Why.
#[derive(Debug)]
pub(super) enum Fault {
    /// The provider answered with this HTTP status, and perhaps a sentence.
    Status { status: u16, after: Option<Duration>, message: Option<String> },
    /// There is nobody there.
    Unreachable,
    /// Nothing came for so long.
    Silent(Duration),
    /// The attempt had no time left.
    Deadline,
    /// The connection ended before the answer did.
    CutOff,
    /// An answer without a word of the protocol in it.
    Empty,
    /// Something came that is not the protocol.
    Unreadable,
    /// More than anybody would write.
    TooLarge(usize),
    /// The provider broke off with an error inside the answer.
    BrokenOff { word: String, message: Option<String> },
    /// The request could not be made.
    Unusable(String),
    /// The model reached the length it was allowed.
    CutShort,
    /// The model, or a filter, declined.
    Refused,
    /// It wanted to call a tool, and was given none.
    ToolCall,
    /// It stopped for a reason nobody knows here.
    Stopped(String),
    /// The document is not in the form that later steps need.
    WrongShape(String),
}

/// What to do about a fault.
enum Verdict {
    Again(Option<Duration>),
    /// Yes, once it is known what was wrong.
    Better,
    Never,
}

impl Fault {
    /// A word that programs can match on, and whether another try may help.
    fn verdict(&self) -> (&'static str, Verdict) {
        use Verdict::{Again, Better, Never};
        match self {
            Self::Status { status, after, .. } => match status {
                429 => ("rate_limited", Again(*after)),
                503 | 529 => ("provider_overloaded", Again(*after)),
                408 | 409 | 500..=599 => ("provider_unavailable", Again(*after)),
                401 | 403 => ("provider_unauthorized", Never),
                404 => ("model_not_found", Never),
                413 => ("request_too_large", Never),
                _ => ("provider_refused_request", Never),
            },
            Self::Unreachable => ("provider_unreachable", Again(None)),
            Self::Silent(_) => ("provider_silent", Again(None)),
            Self::Deadline => ("timed_out", Again(None)),
            Self::CutOff => ("answer_cut_off", Again(None)),
            Self::Empty => ("no_answer", Again(None)),
            Self::Unreadable => ("unreadable_answer", Again(None)),
            Self::TooLarge(_) => ("answer_too_large", Never),
            Self::BrokenOff { word, .. } => match word.as_str() {
                "authentication_error" | "permission_error" => ("provider_unauthorized", Never),
                "invalid_request_error" | "not_found_error" => ("provider_refused_request", Never),
                "rate_limit_error" => ("rate_limited", Again(None)),
                "overloaded_error" => ("provider_overloaded", Again(None)),
                _ => ("provider_broke_off", Again(None)),
            },
            Self::Unusable(_) => ("request_unusable", Never),
            Self::CutShort => ("answer_cut_short", Never),
            Self::Refused => ("model_refused", Never),
            Self::ToolCall => ("unexpected_tool_call", Again(None)),
            Self::Stopped(_) => ("answer_unfinished", Again(None)),
            Self::WrongShape(_) => ("unfit_output", Better),
        }
    }

    /// Whether the next conversation is likely to meet it too: what health tells.
    pub(super) fn lasts(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Status { status: 401 | 403 | 404, .. })
    }

    /// What happened and what to look at, without a secret.
    pub(super) fn sentence(&self, provider: &Provider) -> String {
        let name = &provider.name;
        match self {
            Self::Status { status, message, .. } => {
                let advice = match status {
                    401 | 403 => match &provider.key_env {
                        Some(variable) => {
                            format!("It does not accept the key; check the variable {variable}.")
                        }
                        None => "It wants a key; name the variable in key_env.".to_owned(),
                    },
                    404 => "Check the model's name and base_url.".to_owned(),
                    413 => "Check context_tokens: it is too much at once.".to_owned(),
                    300..=399 => "Check base_url: it points elsewhere.".to_owned(),
                    408 | 409 | 429 | 500..=599 => String::new(),
                    _ => "Check the model's name and what it accepts, such as max_tokens and \
                          schema."
                        .to_owned(),
                };
                let said = message.as_ref().map(|said| format!(" It says: {said}"));
                let text = format!("{name} answered {status}. {advice}");
                format!("{}{}", text.trim_end(), said.unwrap_or_default())
            }
            Self::Unreachable => format!("{name} cannot be reached; check base_url."),
            Self::Silent(limit) => {
                format!("{name} said nothing for {} seconds.", limit.as_secs())
            }
            Self::Deadline => format!("{name} did not finish before the attempt's deadline."),
            Self::CutOff => format!("The answer of {name} ended in the middle."),
            Self::Empty => {
                format!("{name} answered nothing that can be read; check base_url and kind.")
            }
            Self::Unreadable => {
                format!("The answer of {name} is not what its kind of provider says; check kind.")
            }
            Self::TooLarge(limit) => format!("{name} answered more than {limit} bytes."),
            Self::BrokenOff { message, .. } => {
                let said = message.as_ref().map(|said| format!(" It says: {said}"));
                format!("{name} broke off with an error.{}", said.unwrap_or_default())
            }
            Self::Unusable(detail) => format!("{name} cannot be asked: {detail}"),
            Self::CutShort => format!(
                "The model reached the length it is allowed; raise max_tokens of {name}, now {}, \
                 or ask for less.",
                provider.max_tokens
            ),
            Self::Refused => "The model, or the provider's filter, declined to answer; change the \
                              instructions."
                .to_owned(),
            Self::ToolCall => "The model wanted to call a tool, and there is none.".to_owned(),
            Self::Stopped(word) => format!("The model stopped with \"{word}\"."),
            Self::WrongShape(problem) => format!("The model's answer cannot be used: {problem}."),
        }
    }

    /// What the orchestrator is told.
    pub(super) fn into_error(self, provider: &Provider, usage: Usage) -> RunError {
        let (code, verdict) = self.verdict();
        let (code, detail, usage) = (code.to_owned(), self.sentence(provider), Box::new(usage));
        match verdict {
            Verdict::Again(after) => RunError::Retryable { code, detail, after, usage },
            Verdict::Better => RunError::InvalidOutput { detail, usage },
            Verdict::Never => RunError::Terminal { code, detail, usage },
        }
    }
}
