//! The position in a distributed trace, in the form in which requests carry it (W3C Trace Context), and the
//! spans that are recorded of it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Position in a trace: the span that causes what follows. Its text is a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

/// A text that is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a traceparent of W3C Trace Context")]
pub struct InvalidTraceContext;

impl TraceContext {
    /// Creates a position; `None` if an id is zero, which stands for no id.
    #[must_use]
    pub const fn new(trace_id: u128, span_id: u64, is_sampled: bool) -> Option<Self> {
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self { trace_id, span_id, is_sampled })
    }

    /// Returns the id of the trace.
    #[must_use]
    pub const fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the span.
    #[must_use]
    pub const fn span_id(self) -> u64 {
        self.span_id
    }

    /// Returns whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.is_sampled
    }

    /// Returns the position of another span in the same trace.
    #[must_use]
    pub const fn with_span(self, span_id: u64) -> Option<Self> {
        Self::new(self.trace_id, span_id, self.is_sampled)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

impl TryFrom<String> for TraceContext {
    type Error = InvalidTraceContext;

    fn try_from(text: String) -> Result<Self, InvalidTraceContext> {
        text.parse()
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Reads a `traceparent` of version 00, and the beginning of one of a later version, as the
    /// recommendation asks.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let mut parts = text.split('-');
        let mut hex = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            part.bytes().all(is_hex).then_some(part)
        };
        let read = (|| Some((hex(2)?, hex(32)?, hex(16)?, hex(2)?)))();
        let (version, trace, span, flags) = read.ok_or(InvalidTraceContext)?;
        let is_longer = parts.next().is_some();
        if version == "ff" || (version == "00" && is_longer) {
            return Err(InvalidTraceContext);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceContext)?;
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceContext)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| InvalidTraceContext)?;
        Self::new(trace_id, span_id, flags & 1 == 1).ok_or(InvalidTraceContext)
    }
}

/// Role of a span, as OpenTelemetry names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Work inside the server.
    Internal,
    /// A request that the server answers.
    Server,
    /// A request to another program.
    Client,
    /// Work that was queued.
    Consumer,
}

/// Value of an attribute of a span.
#[derive(Debug, Clone, PartialEq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for SpanValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Step of a trace that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Name of what was done, with few different values.
    pub name: Cow<'static, str>,
    /// Role.
    pub kind: SpanKind,
    /// Position of the span itself.
    pub context: TraceContext,
    /// Id of the span that caused it.
    pub parent: Option<u64>,
    /// Time of the beginning.
    pub began: Timestamp,
    /// Time of the end.
    pub ended: Timestamp,
    /// Attributes.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Whether it failed.
    pub is_error: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_asks() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context: TraceContext = good.parse().unwrap();
        assert_eq!((context.to_string(), context.is_sampled()), (good.clone(), true));
        for (accepted, is_sampled) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-00"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-ff"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes-later"), true),
        ] {
            assert_eq!(
                accepted.parse().map(TraceContext::is_sampled),
                Ok(is_sampled),
                "{accepted}"
            );
        }
        for refused in [
            String::new(),
            good.to_uppercase(),
            format!("{good}-more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-00f067aa0ba902b-01"),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-1"),
            format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
            format!(" {good}"),
            format!("00_{TRACE}_00f067aa0ba902b7_01"),
        ] {
            assert_eq!(refused.parse::<TraceContext>(), Err(InvalidTraceContext), "{refused}");
        }
    }
}
