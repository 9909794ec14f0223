//! Templates, and the escaping of text from outside for HTML, Markdown and scripts.

use std::collections::BTreeMap;

/// Values for the placeholders of a template.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Sets the value of a placeholder.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// Fills in a template in one pass: `{{name}}` with the escaped value, `{{{name}}}` with the value
/// itself. Values are not scanned again, so text that looks like a placeholder stays text. A name
/// without a value becomes an empty text.
pub(crate) fn render(template: &str, values: &Values, escape: fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        out.push_str(&rest[..start]);
        let raw = rest[start..].starts_with("{{{");
        let (open, close) = if raw { (3, "}}}") } else { (2, "}}") };
        let after = &rest[start + open..];
        let Some(end) = after.find(close) else {
            out.push_str(&rest[start..]);
            return out;
        };
        let value = values.0.get(after[..end].trim()).map_or("", String::as_str);
        if raw {
            out.push_str(value);
        } else {
            out.push_str(&escape(value));
        }
        rest = &after[end + close.len()..];
    }
    out.push_str(rest);
    out
}

/// Escapes text for an HTML element or a quoted attribute.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for one line of Markdown: white space becomes single spaces, and no character is
/// markup, also where a renderer accepts HTML.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (n, word) in text.split_whitespace().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        for (at, c) in word.chars().enumerate() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                    out.push('\\');
                    out.push(c);
                }
                '#' | '-' | '+' | '=' if n == 0 && at == 0 => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out
}

/// Returns several lines of text as a Markdown quotation.
pub(crate) fn quotation(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| format!("> {}", markdown(line)).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Returns a Markdown list with one line per entry. The entries are Markdown already.
pub(crate) fn bullets<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> String {
    let lines: Vec<String> =
        entries.into_iter().map(|entry| format!("- {}", entry.as_ref())).collect();
    lines.join("\n")
}

/// Returns a JSON document for use within a script. The characters that could end the script or a
/// line occur in strings only, where JSON allows an escape for them.
pub(crate) fn script_json(value: &serde_json::Value) -> String {
    format!("{value:#}")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Returns text without control characters: NUL becomes U+FFFD, others a space, and line ends become
/// `\n`.
pub(crate) fn clean(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\0' => '\u{fffd}',
            '\r' => '\n',
            '\n' | '\t' => c,
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// Returns at most `limit` characters of a text, with an ellipsis if it was longer.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_once_and_never_scanned_again() {
        let mut values = Values::default();
        values.set("a", "{{b}} <i>").set("b", "hidden");
        assert_eq!(render("[{{a}}|{{{a}}}|{{c}}]", &values, html), "[{{b}} &lt;i&gt;|{{b}} <i>|]");
    }

    #[test]
    fn an_unclosed_placeholder_is_copied_unchanged() {
        assert_eq!(render("x {{a", &Values::default(), html), "x {{a");
    }

    #[test]
    fn markdown_from_outside_is_only_text() {
        assert_eq!(markdown("# *a* <b>\n[c](d)"), "\\# \\*a\\* &lt;b&gt; \\[c\\](d)");
        assert_eq!(quotation("a\n\nb"), "> a\n>\n> b");
    }

    #[test]
    fn json_in_a_script_cannot_end_it() {
        let text = script_json(&serde_json::json!({"a": "</script><!--\u{2028}"}));
        assert!(!text.contains('<') && !text.contains('\u{2028}'));
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["a"], "</script><!--\u{2028}");
    }

    #[test]
    fn control_characters_do_not_survive() {
        assert_eq!(clean("a\0b\u{7}c\r\nd\re"), "a\u{fffd}b c\nd\ne");
        assert_eq!(clip("żółw idzie", 4), "żółw…");
        assert_eq!(clip("żółw", 4), "żółw");
    }
}
