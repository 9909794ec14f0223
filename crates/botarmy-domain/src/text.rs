//! Text that some store cannot hold, NUL characters and lone surrogates, in one place for all of
//! them: found where a client sent it, replaced by U+FFFD where a runner did. Also blank texts.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Cleans the raw bytes of a JSON document before it is parsed: `\u0000` and lone surrogate escapes
/// become `\ufffd`. Everything else passes unchanged, including bytes that are not JSON.
#[must_use]
pub fn clean_json(raw: &[u8]) -> Cow<'_, [u8]> {
    replace_unstorable(raw, b"\\ufffd")
}

/// Returns the path of the first text or name in a JSON document that no store can hold as it is,
/// such as `files[0].content`. Most documents have none, and are only scanned.
#[must_use]
pub fn find_unstorable(json: &str) -> Option<String> {
    let Cow::Owned(marked) = replace_unstorable(json.as_bytes(), MARK_ESCAPED) else { return None };
    let document = serde_json::from_slice(&marked).ok();
    Some(document.and_then(|document| find_mark(&document)).unwrap_or_else(|| "body".to_owned()))
}

/// A code point that is no character (Unicode standard, section 23.7), in place of what is searched.
const MARK: char = '\u{fdd0}';
const MARK_ESCAPED: &[u8] = b"\\ufdd0";

fn find_mark(value: &Value) -> Option<String> {
    let join = |name: &str, rest: String| match rest.as_str() {
        "" => name.to_owned(),
        index if index.starts_with('[') => format!("{name}{index}"),
        _ => format!("{name}.{rest}"),
    };
    match value {
        Value::String(text) => text.contains(MARK).then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            find_mark(item).map(|rest| join(&format!("[{index}]"), rest))
        }),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let shown = name.replace(MARK, "\u{fffd}");
            let rest = if shown == *name { find_mark(value)? } else { String::new() };
            Some(join(&shown, rest))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Replaces the escapes of NUL and of lone surrogates by another escape.
fn replace_unstorable<'a>(raw: &'a [u8], replacement: &[u8]) -> Cow<'a, [u8]> {
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
            clean.extend_from_slice(replacement);
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

/// Returns the text without surrounding white space, or `None` if nothing that can be seen remains.
#[must_use]
pub fn non_blank(text: &str) -> Option<&str> {
    text.contains(is_visible).then(|| text.trim())
}

/// Returns `true` if a reader sees something of the character, or of a character that it modifies.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_invisible(c)
}

/// Returns `true` for characters without a glyph: the property `Default_Ignorable_Code_Point`
/// (Unicode standard, section 5.21), the other format characters that are not shown (general category
/// `Cf`: interlinear annotations, the controls of Syriac and of Egyptian hieroglyphs), and glyphs that
/// are empty (Braille, hieroglyphs, the null notehead, the filler of Khitan).
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}' | '\u{13441}'..='\u{13446}' | '\u{16fe4}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns `true` for marks that change the direction of the text around them, with which a name can
/// be made to look like another.
#[must_use]
pub const fn is_bidi(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    fn text_that_no_store_can_hold_is_found_and_named() {
        for (json, path) in [
            (r#"{"a": "x"}"#, None),
            (r#"{"a": "\ud83d\ude00 \\u0000 \ufdd0"}"#, None),
            (r#"{"a": "\u0000"}"#, Some("a")),
            (r#"{"a": {"b": [1, {"c": "x\ud800"}]}}"#, Some("a.b[1].c")),
            (r#"{"a": ["x", "\udc00"]}"#, Some("a[1]")),
            (r#"{"a": {"b\u0000": 1}}"#, Some("a.b\u{fffd}")),
            (r#""\u0000""#, Some("")),
            (r#"{"a": "\u0000"#, Some("body")),
        ] {
            assert_eq!(find_unstorable(json).as_deref(), path, "{json}");
        }
    }

    #[test]
    fn a_text_of_which_nothing_can_be_seen_is_blank() {
        for text in [
            "",
            " \t\n",
            "\u{200b}",
            "\u{feff}\u{2060} ",
            "\u{3164}",
            "\u{2800}",
            "\u{0}",
            "\u{202e}",
            "\u{e0041}",
            "\u{ad}",
        ] {
            assert_eq!(non_blank(text), None, "{text:?}");
        }
        for (text, rest) in
            [(" a ", "a"), ("a\u{200d}b", "a\u{200d}b"), ("👩\u{200d}🚀", "👩\u{200d}🚀")]
        {
            assert_eq!(non_blank(text), Some(rest));
        }
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
