//! Texts of others in a form in which nothing in them is hidden.

use botarmy_domain::text::is_invisible;
use serde_json::{Map, Value};

/// Returns the text with characters that are not shown as `\u{…}`: an assistant reads them, and a person
/// who checks what it read would not see them. The two that emoji consist of stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_plain = matches!(c, '\n' | '\t' | '\u{200d}' | '\u{fe0f}');
        if !is_plain && (c.is_control() || is_invisible(c)) {
            shown.push_str(&c.escape_unicode().to_string());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Limits of a value that is shown as a part of a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Largest length of a text, in characters.
    pub(crate) text: usize,
    /// Largest number of items of a list and of members of an object.
    pub(crate) items: usize,
    /// Largest depth.
    pub(crate) depth: usize,
}

/// Limits of an item in a list.
pub(crate) const IN_LIST: Limits = Limits { text: 500, items: 30, depth: 6 };
/// Limits of an event: what it is about, without the documents in it.
pub(crate) const IN_EVENTS: Limits = Limits { text: 300, items: 20, depth: 3 };
/// Limits of something that is shown by itself.
pub(crate) const ALONE: Limits = Limits { text: 16_000, items: 200, depth: 12 };

impl Limits {
    /// Returns the value within these limits, with `…` in the place of what was left out.
    pub(crate) fn apply(self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.cut(text)),
            Value::Array(_) | Value::Object(_) if self.depth == 0 => Value::String("…".to_owned()),
            Value::Array(items) => {
                let mut shown: Vec<_> =
                    items.iter().take(self.items).map(|item| self.below().apply(item)).collect();
                if items.len() > self.items {
                    shown.push(Value::String(format!("… {} more", items.len() - self.items)));
                }
                Value::Array(shown)
            }
            Value::Object(members) => {
                let mut shown: Map<_, _> = members
                    .iter()
                    .take(self.items)
                    .map(|(name, member)| (self.cut(name), self.below().apply(member)))
                    .collect();
                if members.len() > self.items {
                    shown.insert("…".to_owned(), (members.len() - self.items).into());
                }
                Value::Object(shown)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    const fn below(self) -> Self {
        Self { depth: self.depth - 1, ..self }
    }

    fn cut(self, text: &str) -> String {
        match text.char_indices().nth(self.text) {
            Some((end, _)) => visible(&text[..end]) + "…",
            None => visible(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_shown_is_written_out() {
        for (text, shown) in [
            ("a\tb\nc", "a\tb\nc"),
            ("\u{1b}[2J\r", "\\u{1b}[2J\\u{d}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{e0041}\u{200b}", "\\u{e0041}\\u{200b}"),
            ("\u{2764}\u{fe0f}", "\u{2764}\u{fe0f}"),
            ("Zo\u{eb}", "Zo\u{eb}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_value_is_cut_where_it_is_long_and_says_so() {
        let limits = Limits { text: 3, items: 2, depth: 2 };
        let value = json!({"a": "éééé", "b": [1, 2, 3], "c": null});
        assert_eq!(limits.apply(&value), json!({"a": "ééé…", "b": [1, 2, "… 1 more"], "…": 1}));
        assert_eq!(limits.apply(&json!([[[1]]])), json!([["…"]]));
        assert_eq!(limits.apply(&json!("\u{200b}")), json!("\\u{200b}"));
    }
}
