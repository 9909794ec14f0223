//! Error documents of providers: where they are in an answer, what they mean, and how much of them
//! may be shown.

use serde_json::Value;

use crate::error::AskErrorKind;
use crate::provider::Key;

/// Most characters of a provider's error message that are shown.
const MAX_MESSAGE_CHARS: usize = 300;

/// Returns the error in a JSON document. `is_error` says that the document is an error, so that it may
/// be the error itself.
pub(crate) fn find(document: &Value, is_error: bool) -> Option<&Value> {
    // Gemini streams a list.
    let document = document.get(0).unwrap_or(document);
    let error = document.get("error").filter(|error| !error.is_null());
    error.or_else(|| is_error.then_some(document))
}

/// Returns the text of an error.
pub(crate) fn message(error: &Value) -> Option<&str> {
    error.as_str().or_else(|| error.get("message")?.as_str())
}

/// Returns the meaning of an error in the place of an answer.
pub(crate) fn kind(error: &Value, sanitized: impl Fn(&str) -> String) -> AskErrorKind {
    let word = |key| error.get(key).and_then(Value::as_str);
    let word = word("type").or_else(|| word("status")).or_else(|| word("code"));
    let word = word.unwrap_or_default().to_owned();
    let status = ["code", "status"].iter().find_map(|key| {
        let value = error.get(key)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    });
    let rejects_key = matches!(status, Some(401 | 403))
        || matches!(
            word.as_str(),
            "authentication_error" | "permission_error" | "UNAUTHENTICATED" | "PERMISSION_DENIED"
        );
    // An answer that rejects a key may repeat the key.
    let message = message(error).filter(|_| !rejects_key).map(sanitized);
    AskErrorKind::BrokenOff { word, status, message }
}

/// Returns a provider's text in a form that may be shown: one line of at most
/// [`MAX_MESSAGE_CHARS`] characters, without the key or anything that looks like one.
pub(crate) fn sanitize(text: &str, key: Option<&Key>) -> String {
    let text = match key {
        Some(key) => text.replace(key.secret(), "(key)"),
        None => text.to_owned(),
    };
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let secret = ["sk-", "AIza", "gsk_", "Bearer"].iter().any(|start| bare.starts_with(start));
        if secret { "(key)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_shown_without_keys() {
        let key = Key::new(" s3cr3t\n").unwrap();
        assert_eq!(
            sanitize("Wrong key s3cr3t\u{7}, or sk-12***34.", Some(&key)),
            "Wrong key (key) , or (key)"
        );
    }

    #[test]
    fn an_error_is_found_in_every_form_that_providers_use() {
        for (document, text, number) in [
            (json!({"error": {"message": "Oh no", "type": "server_error"}}), "Oh no", None),
            (json!({"error": {"code": 502, "message": "Oh no"}}), "Oh no", Some(502)),
            (
                json!([{"error": {"code": 429, "message": "Oh no", "status": "X"}}]),
                "Oh no",
                Some(429),
            ),
            (json!({"error": {"code": "429", "message": "Oh no"}}), "Oh no", Some(429)),
            (json!({"error": "Oh no"}), "Oh no", None),
        ] {
            let found = kind(find(&document, false).unwrap(), str::to_owned);
            let AskErrorKind::BrokenOff { status, message, .. } = found else {
                panic!("{found:?}")
            };
            assert_eq!((message.as_deref(), status), (Some(text), number), "{document}");
        }
        for document in [json!({"error": null, "choices": []}), json!({}), json!([]), json!("x")] {
            assert!(find(&document, false).is_none(), "{document}");
        }
    }
}
