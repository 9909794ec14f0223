//! Filling in templates, and the escaping that every text from outside goes through on its way
//! into HTML, Markdown or a script.

use std::collections::BTreeMap;

/// What the placeholders of a template stand for.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeMap<String, String>);

impl Values {
    /// Sets one value.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// Fills in a template in one pass: `{{name}}` through `escape`, `{{{name}}}` as it is. A value
/// is never scanned again, so text that looks like a placeholder stays text. A name that was not
/// set becomes nothing.
pub(super) fn render(template: &str, values: &Values, escape: fn(&str) -> String) -> String {
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

/// Text for an HTML element or a quoted attribute.
pub(super) fn html(text: &str) -> String {
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

/// One line of Markdown text: white space runs become one space, and nothing in it is markup,
/// also not in a renderer that lets HTML through.
pub(super) fn markdown(text: &str) -> String {
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

/// Several lines of text as a Markdown quotation.
pub(super) fn quotation(text: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| format!("> {}", markdown(line)).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// A Markdown list with one line per entry. The entries are Markdown already.
pub(super) fn bullets<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> String {
    let lines: Vec<String> =
        entries.into_iter().map(|entry| format!("- {}", entry.as_ref())).collect();
    lines.join("\n")
}

/// A JSON document that may stand inside a script: what could end the script or a line is
/// written as an escape, which JSON allows inside of strings, and those characters occur nowhere
/// else.
pub(super) fn script_json(value: &serde_json::Value) -> String {
    format!("{value:#}")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Text without what breaks documents: NUL becomes U+FFFD, other control characters a space,
/// line ends become `\n`.
pub(super) fn clean(text: &str) -> String {
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

/// At most `limit` characters, with an ellipsis where something was cut off.
pub(super) fn clip(text: &str, limit: usize) -> String {
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
    fn a_template_that_breaks_off_is_copied_as_it_is() {
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
