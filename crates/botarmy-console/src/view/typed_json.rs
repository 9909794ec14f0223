//! JSON that a person has typed, checked like that of the API.

use botarmy_domain::{json, text};
use serde_json::{Map, Value};

/// Reads JSON; `what` names it in the message of an error.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub(crate) fn read(typed: &str, what: &str) -> Result<Value, String> {
    read_as(typed, what, "JSON")
}

fn read_as(typed: &str, what: &str, kind: &str) -> Result<Value, String> {
    let malformed = |error: serde_json::Error| format!("{what} is not {kind}: {error}.");
    serde_json::from_str::<serde::de::IgnoredAny>(typed).map_err(malformed)?;
    json::check(typed, json::MAX_DEPTH).map_err(|error| {
        let place = if error.path.is_empty() { what } else { error.path.as_str() };
        format!("{place}: {}.", error.message)
    })?;
    if let Some(path) = text::find_unstorable(typed) {
        return Err(format!("{path}: must not contain NUL or half of a surrogate pair."));
    }
    let mut deserializer = serde_json::Deserializer::from_str(typed);
    // The parser's own limit is a level lower than the one that was checked.
    deserializer.disable_recursion_limit();
    serde::Deserialize::deserialize(&mut deserializer).map_err(malformed)
}

/// Reads a JSON object.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub(crate) fn object(typed: &str, what: &str) -> Result<Map<String, Value>, String> {
    match read_as(typed, what, "a JSON object")? {
        Value::Object(members) => Ok(members),
        _ => Err(format!("{what} is not a JSON object.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_and_anything_else_says_why_not() {
        assert_eq!(object("{\"a\": [1]}", "It").unwrap()["a"][0], 1);
        for (text, part) in [
            ("", "It is not a JSON object"),
            ("[1]", "It is not a JSON object"),
            ("{\"a\": 1", "It is not a JSON object"),
            ("{\"a\": 1, \"a\": 2}", "a"),
            ("{\"a\": \"\\u0000\"}", "NUL"),
        ] {
            let message = object(text, "It").unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
