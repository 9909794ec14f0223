//! Members of the server's JSON, as text.

use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_domain::ports::Clock;
use botarmy_terminal::text;
use serde_json::{Map, Value};

use crate::system::SystemClock;

/// Returns a text; an empty one where there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a number; 0 where there is none.
pub(super) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// Returns a list; an empty one where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns an object; an empty one where there is none.
pub(super) fn object(value: &Value, pointer: &str) -> Map<String, Value> {
    value.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Returns the time that has passed since a time, such as `3 min`.
pub(super) fn age(value: &Value, pointer: &str) -> String {
    since(value, pointer).map_or_else(|| "-".to_owned(), text::age)
}

/// Returns the time that has passed since a time.
pub(super) fn since(value: &Value, pointer: &str) -> Option<Duration> {
    Some(SystemClock.now().since(time(value, pointer)?))
}

/// Returns a time.
pub(super) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    self::text(value, pointer).parse().ok()
}

/// Returns a time to the second, as `2026-12-01 08:30:00`, in UTC.
pub(super) fn clock(value: &Value, pointer: &str) -> String {
    let text = self::text(value, pointer);
    let seconds = text.split_once('.').map_or(text, |(seconds, _)| seconds);
    text::one_line(&seconds.trim_end_matches('Z').replace('T', " "), 19)
}
