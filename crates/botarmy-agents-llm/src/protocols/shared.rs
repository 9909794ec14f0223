//! The parts that all protocols share: the content of a request, and the state of an answer.

use serde_json::{Value, json};

use crate::provider::Key;
use crate::usage::Counted;
use crate::wire::Stop;

/// The content of a request, before it has the form of a protocol.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    pub(crate) key: Option<&'a Key>,
    pub(crate) max_tokens: u32,
    /// Schema that the provider constrains the answer to.
    pub(crate) schema: Option<&'a Value>,
    pub(crate) system: &'a str,
    pub(crate) text: &'a str,
}

/// A request in the form of a protocol.
pub(crate) struct Call {
    /// Path and query below the base URL.
    pub(crate) path: String,
    /// Headers besides the usual ones; one of them holds the key.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Body, as JSON.
    pub(crate) body: Value,
}

/// The part of an answer that has arrived.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) text: String,
    pub(crate) counted: Counted,
    /// Reason for the end, once one has arrived.
    pub(crate) reason: Option<Stop>,
    /// `true` after the mark with which the protocol ends an answer.
    pub(crate) is_ended: bool,
    /// `true` if the model called a tool.
    pub(crate) has_tool_call: bool,
    /// Bytes of text, thoughts and calls.
    pub(crate) bytes: usize,
}

impl Reading {
    pub(super) fn say(&mut self, text: &str) {
        self.bytes += text.len();
        self.text.push_str(text);
    }

    pub(super) fn think(&mut self, text: &str) {
        self.bytes += text.len();
    }

    pub(super) fn call_tool(&mut self, call: &Value) {
        self.has_tool_call = true;
        self.bytes += call.to_string().len();
    }

    /// Records the reason for the end. Some servers send an empty one with every frame, and a refusal
    /// is not taken back.
    pub(super) fn end_with(&mut self, word: Option<&str>) {
        let is_refused = matches!(self.reason, Some(Stop::Refused));
        if let Some(word) = word.filter(|word| !word.is_empty() && !is_refused) {
            self.reason = Some(reason(word));
        }
    }

    /// Records a number of input tokens. A request is never empty, so 0 means that it was not
    /// counted.
    pub(super) fn count_input(&mut self, tokens: Option<u64>) {
        self.counted.input = tokens.filter(|tokens| *tokens > 0).or(self.counted.input);
    }

    /// Records a number of output tokens. The number of an empty answer is estimated as 0, so 0 is
    /// not needed.
    pub(super) fn count_output(&mut self, tokens: Option<u64>) {
        self.counted.output = tokens.filter(|tokens| *tokens > 0).or(self.counted.output);
    }

    /// Returns the reason for the end; `None` if the answer broke off.
    pub(crate) fn stop(&mut self) -> Option<Stop> {
        match self.reason.take() {
            Some(Stop::Done | Stop::Other(_)) | None if self.has_tool_call => Some(Stop::ToolCall),
            None => self.is_ended.then_some(Stop::Done),
            reason => reason,
        }
    }
}

/// Returns the meaning of a reason. Servers use each other's words, so all protocols share them.
fn reason(word: &str) -> Stop {
    match word {
        "stop" | "end_turn" | "stop_sequence" | "STOP" | "STOP_SEQUENCE" | "COMPLETE"
        | "completed" => Stop::Done,
        "length"
        | "max_tokens"
        | "MAX_TOKENS"
        | "incomplete"
        | "model_length"
        | "model_context_window_exceeded" => Stop::Length,
        "tool_calls"
        | "tool_use"
        | "function_call"
        | "UNEXPECTED_TOOL_CALL"
        | "MALFORMED_FUNCTION_CALL" => Stop::ToolCall,
        "content_filter" | "refusal" | "SAFETY" | "RECITATION" | "BLOCKLIST"
        | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" | "ERROR_TOXIC" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

pub(super) fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer)?.as_u64()
}

/// Returns the sum of the numbers that are there; `None` if there are none.
pub(super) fn sum(numbers: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    numbers.into_iter().flatten().reduce(u64::saturating_add)
}

pub(super) fn bearer(key: Option<&Key>) -> Vec<(&'static str, String)> {
    key.map(|key| ("authorization", format!("Bearer {}", key.secret()))).into_iter().collect()
}

pub(super) fn messages(ask: &Ask<'_>) -> Value {
    json!([{"role": "system", "content": ask.system}, {"role": "user", "content": ask.text}])
}
