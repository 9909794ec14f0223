//! The one error of the client.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

/// Error of a request to a server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with an error.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No connection was made.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// Address of the server.
        server: String,
        /// Cause in words.
        reason: String,
    },
    /// The answer did not arrive in time.
    #[error("{server} did not answer within {} s; it may have done what was asked", after.as_secs())]
    TimedOut {
        /// Address of the server.
        server: String,
        /// Time that was waited.
        after: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {server} broke off: {reason}")]
    BrokenOff {
        /// Address of the server.
        server: String,
        /// Cause in words.
        reason: String,
    },
    /// The answer is not one of a BotArmy server.
    #[error("{server} gave an answer that cannot be used: {reason}")]
    Unexpected {
        /// Address of the server.
        server: String,
        /// Cause in words.
        reason: String,
    },
    /// The connection cannot be configured: an address, a key or a file is not acceptable.
    #[error("{0}")]
    Configuration(String),
    /// A file cannot be read or written.
    #[error("{what} cannot be {}", if *.is_written { "written" } else { "read" })]
    File {
        /// Path, with the kind of file.
        what: String,
        /// Whether it was to be written.
        is_written: bool,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

impl ClientError {
    /// Returns whether the server, or what is before it, is away for now.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::BrokenOff { .. } => true,
            _ => self.status().is_some_and(|status| (502..=504).contains(&status)),
        }
    }

    /// Returns the problem document, if the server answered with one.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Returns the status of the server's answer, if it answered with an error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }
}

/// Error that a server answered with: a problem document (RFC 9457), or a bare status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// Status of the answer.
    pub status: u16,
    /// `about:blank`, or a name that programs can match on.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of this kind of problem.
    pub title: String,
    /// Sentence that a person can act on.
    pub detail: String,
    /// Fields of the request that are not acceptable.
    pub errors: Vec<FieldError>,
    /// Time after which to try again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// Id of the request in the server's log.
    #[serde(skip)]
    pub request_id: Option<String>,
}

/// Field of a request that is not acceptable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FieldError {
    /// Path of the field.
    pub field: String,
    /// Requirement that the value does not meet.
    pub message: String,
}

impl Problem {
    /// Returns the last part of the type, such as `not_pending`; `None` for `about:blank`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.kind.strip_prefix("urn:botarmy:problem:")
    }

    /// Returns the problem of an answer with this status and body.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let read: Option<Self> = serde_json::from_slice(body).ok();
        match read.filter(|problem| !problem.detail.is_empty() || !problem.title.is_empty()) {
            Some(problem) => Self { status, ..problem },
            // A proxy answers so, or a server that is none of ours.
            None => Self {
                status,
                kind: "about:blank".to_owned(),
                detail: format!("The answer has the status {status} and no explanation."),
                ..Self::default()
            },
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = if self.detail.is_empty() { &self.title } else { &self.detail };
        let mut text = detail.clone();
        for error in &self.errors {
            let line = format!("{}: {}", error.field, error.message);
            // The detail of a single error repeats it.
            if !detail.contains(&line) {
                let _ = write!(text, "\n  {line}");
            }
        }
        if self.status >= 500
            && let Some(id) = &self.request_id
        {
            let _ = write!(text, "\nThe server's log has it under the request id {id}.");
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_fields_and_other_answers_their_status() {
        let body = br#"{"type":"urn:botarmy:problem:not_pending","title":"Conflict","status":409,
            "detail":"It is decided.","errors":[{"field":"name","message":"must not be blank"}]}"#;
        let problem = Problem::read(409, body);
        assert_eq!((problem.status, problem.code()), (409, Some("not_pending")));
        assert_eq!(problem.to_string(), "It is decided.\n  name: must not be blank");
        for body in [&b"<html>"[..], b"", b"[]", b"{}", b"{\"status\":\"x\"}"] {
            let problem = Problem::read(502, body);
            assert_eq!(problem.status, 502);
            assert!(problem.to_string().contains("502"), "{problem}");
        }
    }
}
