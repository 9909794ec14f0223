//! JSON that a person has typed, checked like that of the API.

use actix_web::http::StatusCode;
use botarmy_domain::{json, text};
use botarmy_web::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Reads a JSON object.
///
/// # Errors
/// A 422 that says what is wrong, and where.
pub(super) fn read(typed: &str) -> Result<Map<String, Value>, Problem> {
    let refuse = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let malformed =
        |error: serde_json::Error| refuse(format!("Your version is not a JSON object: {error}."));
    serde_json::from_str::<serde::de::IgnoredAny>(typed).map_err(malformed)?;
    json::check(typed, json::MAX_DEPTH).map_err(|error| {
        let place = if error.path.is_empty() { "Your version" } else { error.path.as_str() };
        refuse(format!("{place}: {}.", error.message))
    })?;
    if let Some(path) = text::find_unstorable(typed) {
        let detail = "must not contain NUL or half of a surrogate pair";
        return Err(refuse(format!("{path}: {detail}.")));
    }
    let mut deserializer = serde_json::Deserializer::from_str(typed);
    // The parser's own limit is a level lower than the one that was checked.
    deserializer.disable_recursion_limit();
    Map::deserialize(&mut deserializer).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_and_anything_else_says_why_not() {
        assert_eq!(read("{\"a\": [1]}").unwrap()["a"][0], 1);
        for (text, part) in [
            ("", "not a JSON object"),
            ("[1]", "not a JSON object"),
            ("{\"a\": 1", "not a JSON object"),
            ("{\"a\": 1, \"a\": 2}", "a"),
            ("{\"a\": \"\\u0000\"}", "NUL"),
        ] {
            let problem = read(text).unwrap_err().to_string();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
