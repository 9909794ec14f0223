//! Rendering of JSON documents as Markdown.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::artifact::canonical;
use crate::json;

/// Deepest level that is rendered with headings; deeper levels are lists.
const HEADINGS: usize = 3;

/// Renders a document as Markdown: its `markdown` key if it has one, otherwise its keys followed by
/// the complete JSON.
pub(super) fn document(title: &str, content: &Map<String, Value>) -> String {
    if let Some(Value::String(markdown)) = content.get("markdown") {
        let mut text = markdown.clone();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return text;
    }
    // A store preserves the canonical form only, which excludes the order of keys.
    let text = String::from_utf8(canonical(content)).expect("canonical JSON is UTF-8");
    let content: Map<String, Value> =
        json::read(&text).expect("the canonical form of an object is an object");
    let mut text = format!("# {title}\n");
    section(&mut text, &content, 2);
    let json = serde_json::to_string_pretty(&content).expect("a JSON value can be written");
    text.push_str("\n## JSON\n\n");
    fence(&mut text, "json", &json);
    text
}

/// Renders the keys of an object under headings.
fn section(text: &mut String, content: &Map<String, Value>, level: usize) {
    for (key, value) in content {
        let _ = write!(text, "\n{} {}\n", "#".repeat(level), title(key));
        match value {
            Value::Object(map) if level <= HEADINGS && !map.is_empty() => {
                section(text, map, level + 1);
            }
            Value::Object(_) | Value::Array(_) => {
                text.push('\n');
                list(text, value, 0);
            }
            Value::String(paragraphs) => {
                let _ = writeln!(text, "\n{}", paragraphs.trim_end());
            }
            other => {
                let _ = writeln!(text, "\n{}", scalar(other));
            }
        }
    }
}

/// Renders a nested list.
fn list(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Array(items) if items.is_empty() => {
            let _ = writeln!(text, "{indent}(none)");
        }
        Value::Object(map) if map.is_empty() => {
            let _ = writeln!(text, "{indent}(none)");
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Array(_) | Value::Object(_) => {
                        let _ = writeln!(text, "{indent}-");
                        list(text, item, depth + 1);
                    }
                    _ => {
                        let _ = writeln!(text, "{indent}- {}", scalar(item));
                    }
                }
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                match item {
                    Value::Array(_) | Value::Object(_) => {
                        let _ = writeln!(text, "{indent}- **{}**", title(key));
                        list(text, item, depth + 1);
                    }
                    _ => {
                        let _ = writeln!(text, "{indent}- **{}**: {}", title(key), scalar(item));
                    }
                }
            }
        }
        other => {
            let _ = writeln!(text, "{indent}{}", scalar(other));
        }
    }
}

/// Renders a value on one line.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        Value::Null => "(none)".to_owned(),
        other => other.to_string(),
    }
}

/// Renders a code block whose content cannot close it.
fn fence(text: &mut String, language: &str, code: &str) {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "{fence}{language}\n{code}\n{fence}");
}

/// Turns a word such as `project_plan` into a title such as `Project plan`.
pub(super) fn title(word: &str) -> String {
    let spaced = one_line(word).replace('_', " ");
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Joins text into one line, so that it cannot begin a heading or a table.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escapes text for a table cell.
pub(super) fn cell(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> String {
        let Value::Object(map) = value else { unreachable!() };
        document("Project plan", &map)
    }

    #[test]
    fn markdown_is_taken_as_it_is() {
        assert_eq!(of(json!({"markdown": "# Mine\n\ntext", "other": 1})), "# Mine\n\ntext\n");
    }

    #[test]
    fn json_becomes_headings_and_lists_with_the_json_below() {
        let text = of(json!({
            "summary": "A plan.",
            "risks": ["late", {"what": "x|y", "how_bad": 3}],
            "team": {"lead": {"name": null}},
            "empty": [],
        }));
        assert_eq!(
            text.split("\n## JSON").next().unwrap(),
            "# Project plan\n\n## Empty\n\n(none)\n\n## Risks\n\n- late\n-\n  - **How bad**: 3\n  - \
             **What**: x|y\n\n## Summary\n\nA plan.\n\n## Team\n\n### Lead\n\n#### Name\n\n(none)\n"
        );
        assert!(text.contains("\n## JSON\n\n```json\n{\n"));
    }

    #[test]
    fn a_code_block_cannot_be_closed_from_inside() {
        let text = of(json!({"code": "````\nrm"}));
        assert!(text.ends_with("\n`````\n"), "{text}");
    }
}
