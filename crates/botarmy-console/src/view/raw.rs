//! Documents and entries as JSON. A page shows the first part of a long one; the whole is a file of its own.

use serde::Serialize;

use super::amounts;
use super::markup::Markup;
use super::source;

/// Longest text that a page shows, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// JSON on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawView {
    pub(crate) json: Markup,
    /// Sizes of the part that is shown and of the whole, if it is cut.
    pub(crate) cut: Option<(String, String)>,
}

/// Returns a value as JSON with lines and indents.
pub(crate) fn view(value: &impl Serialize) -> RawView {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let size = |bytes: usize| amounts::size(bytes as u64);
    RawView {
        json: source::highlight("json", &text[..end]),
        cut: (end < text.len()).then(|| (size(end), size(text.len()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::markup::testing::parse;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let short = view(&json!({"a": 1}));
        assert_eq!((short.cut, parse(&short.json).text.as_str()), (None, "{\n  \"a\": 1\n}"));
        let long = view(&json!({"a": "é".repeat(MAX_BYTES)}));
        let text = parse(&long.json).text;
        assert!((MAX_BYTES - 1..=MAX_BYTES).contains(&text.len()), "{}", text.len());
        let (shown, whole) = long.cut.unwrap();
        assert!(shown.contains("256") && shown != whole, "{shown} {whole}");
    }
}
