//! Replacement of text that some store cannot hold, in one place for all of them: NUL characters
//! and lone surrogates become U+FFFD.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Cleans the raw bytes of a JSON document before it is parsed: `\u0000` and lone surrogate escapes
/// become `\ufffd`. Everything else passes unchanged, including bytes that are not JSON.
#[must_use]
pub fn clean_json(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.windows(2).any(|pair| pair == b"\\u") {
        return Cow::Borrowed(raw);
    }
    let mut clean: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(offset) = raw[at..].iter().position(|byte| *byte == b'\\') {
        at += offset;
        let Some(unit) = escaped_unit(&raw[at..]) else {
            at = (at + 2).min(raw.len());
            continue;
        };
        let paired = (0xd800..0xdc00).contains(&unit)
            && escaped_unit(&raw[at + 6..]).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        if paired {
            at += 12;
            continue;
        }
        if unit == 0 || (0xd800..0xe000).contains(&unit) {
            clean.extend_from_slice(&raw[copied..at]);
            clean.extend_from_slice(b"\\ufffd");
            copied = at + 6;
        }
        at += 6;
    }
    if copied == 0 {
        return Cow::Borrowed(raw);
    }
    clean.extend_from_slice(&raw[copied..]);
    Cow::Owned(clean)
}

/// Returns the UTF-16 unit of an escape such as `\u00e9` at the start of `raw`, if there is one.
fn escaped_unit(raw: &[u8]) -> Option<u16> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

/// Cleans a text that was not read from JSON: NUL becomes U+FFFD.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Cleans every text in a JSON value that did not pass through [`clean_json`].
pub fn clean_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(cleaned) = clean(text) {
                *text = cleaned;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean_value),
        Value::Object(map) => clean_map(map),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Cleans every text in a JSON object, including its keys.
pub fn clean_map(map: &mut Map<String, Value>) {
    if map.keys().any(|key| key.contains('\0')) {
        *map = std::mem::take(map).into_iter().map(|(k, v)| (clean(&k).into_owned(), v)).collect();
    }
    map.values_mut().for_each(clean_value);
}

/// Removes control characters other than line ends and tabs from every text in a JSON object,
/// including its keys.
pub fn strip_controls(map: &mut Map<String, Value>) {
    if map.keys().any(|key| key.contains(is_stripped)) {
        *map =
            std::mem::take(map).into_iter().map(|(key, v)| (without_controls(&key), v)).collect();
    }
    map.values_mut().for_each(strip_value);
}

/// Returns the text without control characters other than line ends and tabs.
#[must_use]
pub fn without_controls(text: &str) -> String {
    text.chars().filter(|c| !is_stripped(*c)).collect()
}

fn is_stripped(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

fn strip_value(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(is_stripped) => *text = without_controls(text),
        Value::Array(items) => items.iter_mut().for_each(strip_value),
        Value::Object(map) => strip_controls(map),
        _ => {}
    }
}

/// Returns the text without surrounding white space, or `None` if nothing remains.
#[must_use]
pub fn non_blank(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    (!trimmed.is_empty()).then_some(trimmed)
}

/// Returns the message of a panic, as `std::panic::catch_unwind` returns it.
#[must_use]
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(raw: &str) -> String {
        String::from_utf8(clean_json(raw.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn nul_and_lone_surrogates_become_the_replacement_character() {
        assert_eq!(cleaned(r#"{"a":"x\u0000y"}"#), r#"{"a":"x\ufffdy"}"#);
        assert_eq!(cleaned(r#""\ud800""#), r#""\ufffd""#);
        assert_eq!(cleaned(r#""\udc00\ud800x""#), r#""\ufffd\ufffdx""#);
        assert_eq!(cleaned(r#""\ud800\u0041""#), r#""\ufffd\u0041""#);
    }

    #[test]
    fn pairs_and_escaped_backslashes_stay() {
        for raw in [r#""\ud83d\ude00""#, r#""\\u0000""#, r#""\\\\ud800""#, r#""caf\u00e9""#, "\"\\"]
        {
            assert_eq!(cleaned(raw), raw);
        }
    }

    #[test]
    fn what_is_cleaned_parses_and_holds_no_nul() {
        let raw = r#"["\u0000","\ud800","\\\u0000"]"#;
        let value: Vec<String> = serde_json::from_slice(&clean_json(raw.as_bytes())).unwrap();
        assert_eq!(value, ["\u{fffd}", "\u{fffd}", "\\\u{fffd}"]);
    }
}
