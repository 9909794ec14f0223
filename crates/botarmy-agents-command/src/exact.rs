//! Reading the JSON that programs print: a text in which a key or a digit would get lost is refused.

use botarmy_domain::json;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Reason for which a text is not read as JSON.
#[derive(Debug, PartialEq)]
pub(crate) enum NotExact {
    /// The text is not JSON.
    NotJson(String),
    /// The text is JSON that would not be stored as it is.
    Lossy(json::JsonError),
}

impl std::fmt::Display for NotExact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson(error) => f.write_str(error),
            Self::Lossy(error) => error.fmt(f),
        }
    }
}

/// Reads JSON that is stored as it is.
pub(crate) fn read(text: &str) -> Result<Value, NotExact> {
    // Without a limit of depth: JSON that is nested too deep is JSON all the same.
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| NotExact::NotJson(e.to_string()))?;
    json::check(text, json::MAX_DEPTH).map_err(NotExact::Lossy)?;
    json::read(text).map_err(NotExact::NotJson)
}

/// Returns the values of a JSON list, each as its text; nothing for other JSON.
pub(crate) fn elements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let Some(mut rest) = text.trim_start().strip_prefix('[') else { return found };
    loop {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let Some(Ok(_)) = values.next() else { return found };
        let (value, after) = rest.split_at(values.byte_offset());
        found.push(value);
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_of_a_list_keep_their_text() {
        assert_eq!(
            elements(" [ {\"a\":[1, 2]},3.10 , \"],\"]"),
            [" {\"a\":[1, 2]}", "3.10", " \"],\""]
        );
        assert_eq!(elements("[]"), [""; 0]);
        assert_eq!(elements("{\"a\":[1]}"), [""; 0]);
        assert_eq!(elements("[1,"), ["1"]);
    }

    #[test]
    fn json_that_would_not_be_stored_as_it_is_is_told_from_other_text() {
        assert_eq!(read("[1.5]"), Ok(serde_json::json!([1.5])));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(128)).is_ok());
        for lossy in [r#"{"a":1,"a":1}"#, "[18446744073709551616]", &nested(129), &nested(10_000)] {
            assert!(matches!(read(lossy), Err(NotExact::Lossy(_))), "{lossy:.40}");
        }
        for other in ["", "# Plan", "{\"a\":1", "[1] and more", "{\"a\":1,\"a\":1} x"] {
            assert!(matches!(read(other), Err(NotExact::NotJson(_))), "{other}");
        }
    }
}
