//! Artifacts as text: Markdown, an overview of source code, or the keys of a document.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::markdown;
use crate::style::{Look, Style};
use crate::text::{one_line, printable, wrap_hard};

/// Width of a text that is not cut: a person decides on the whole document.
const WHOLE: usize = usize::MAX;

/// Returns a document as text that fits the width. Nothing of it is left out but the contents of files.
#[must_use]
pub fn render(
    artifact_type: &str,
    agent: &str,
    content: &Map<String, Value>,
    look: Look,
) -> String {
    if let Some(markdown) = content.get("markdown").and_then(Value::as_str) {
        let rest = wrap_hard(beside_markdown(content).trim_end(), look.width);
        let rendered = markdown::render(markdown, look);
        return if rest.is_empty() { rendered } else { format!("{rendered}\n\n{rest}") };
    }
    let kind = one_line(artifact_type, 60).replace('_', " ");
    let title = format!("── {kind}, by {} ──", one_line(agent, 60));
    let text = wrap_hard(plain(artifact_type, content).trim_end(), look.width);
    format!("{}\n\n{text}", look.paint(Style::Strong, &title))
}

/// Returns a document as text without colours, whose lines are as long as they are. Two versions of
/// a document are compared in this form.
#[must_use]
pub fn plain(artifact_type: &str, content: &Map<String, Value>) -> String {
    if let Some(markdown) = content.get("markdown").and_then(Value::as_str) {
        return format!("{}\n{}", printable(markdown).trim_end(), beside_markdown(content));
    }
    let mut text = String::new();
    match files(artifact_type, content) {
        Some(files) => source(&mut text, content, files),
        None => object(&mut text, content, 0),
    }
    text
}

/// Returns the members of a document beside its Markdown.
fn beside_markdown(content: &Map<String, Value>) -> String {
    let rest = content.iter().filter(|(key, _)| *key != "markdown");
    let rest: Map<String, Value> = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut text = String::new();
    object(&mut text, &rest, 0);
    text
}

/// Returns the files of source code with their contents; `None` for other documents.
#[must_use]
pub fn source_files<'a>(
    artifact_type: &str,
    content: &'a Map<String, Value>,
) -> Option<Vec<(&'a str, &'a str)>> {
    let files = files(artifact_type, content)?.iter();
    Some(
        files
            .filter_map(|file| Some((text_of(file, "path")?, text_of(file, "content")?)))
            .collect(),
    )
}

fn files<'a>(artifact_type: &str, content: &'a Map<String, Value>) -> Option<&'a Vec<Value>> {
    content.get("files").filter(|_| artifact_type == "source_code")?.as_array()
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Writes an overview of source code: what its author says, and the files with their sizes.
fn source(text: &mut String, content: &Map<String, Value>, files: &[Value]) {
    let said = content.iter().filter(|(key, _)| *key != "files");
    let said: Map<String, Value> = said.map(|(key, value)| (key.clone(), value.clone())).collect();
    object(text, &said, 0);
    let _ = writeln!(text, "Files ({}):", files.len());
    for file in files {
        let content = text_of(file, "content").unwrap_or_default();
        let path = one_line(text_of(file, "path").unwrap_or("?"), WHOLE);
        let (lines, bytes) = (content.lines().count(), content.len());
        let _ = writeln!(text, "  {lines:>6} lines {bytes:>9} bytes  {path}");
    }
}

fn object(text: &mut String, content: &Map<String, Value>, depth: usize) {
    for (key, value) in content {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                let _ = writeln!(text, "{indent}{}:", title(key));
                object(text, inner, depth + 1);
            }
            Value::Array(list) if !list.is_empty() => {
                let _ = writeln!(text, "{indent}{}:", title(key));
                items(text, list, depth + 1);
            }
            other => {
                let _ = writeln!(text, "{indent}{}: {}", title(key), scalar(other));
            }
        }
    }
}

fn items(text: &mut String, list: &[Value], depth: usize) {
    let indent = "  ".repeat(depth);
    for item in list {
        match item {
            Value::Object(inner) => {
                let parts: Vec<_> = inner
                    .iter()
                    .map(|(key, value)| format!("{}: {}", title(key), scalar(value)))
                    .collect();
                let _ = writeln!(text, "{indent}- {}", parts.join("; "));
            }
            other => {
                let _ = writeln!(text, "{indent}- {}", scalar(other));
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text, WHOLE),
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => one_line(&other.to_string(), WHOLE),
    }
}

fn title(key: &str) -> String {
    let spaced = one_line(key, 60).replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LOOK: Look = Look { width: 60, has_colour: false };

    fn object_of(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("{value}") };
        object
    }

    #[test]
    fn source_code_is_a_list_of_files() {
        let code = object_of(json!({"summary": "Built.", "files": [
            {"path": "a.js", "content": "one\ntwo\n"}, {"path": "b.js", "content": "x".repeat(20_000)},
        ]}));
        let text = render("source_code", "coder", &code, LOOK);
        assert!(text.starts_with("── source code, by coder ──\n\nSummary: Built."), "{text}");
        assert!(text.contains("     2 lines         8 bytes  a.js"), "{text}");
        assert!(text.lines().all(|line| crate::text::width(line) <= 60), "{text}");
        assert_eq!(source_files("source_code", &code).unwrap()[0], ("a.js", "one\ntwo\n"));
        assert_eq!(source_files("project_plan", &code), None);
    }

    #[test]
    fn nothing_that_is_decided_on_is_left_out() {
        let long = format!("{}the end", "x ".repeat(1_000));
        let items: Vec<_> = (0..100).map(|n| format!("item{n}")).collect();
        let plan = object_of(json!({
            "markdown": "# Harmless", "tasks": [{"do": "delete everything"}], "why": long,
            "items": items,
        }));
        let files: Vec<_> =
            (0..100).map(|n| json!({"path": format!("f{n}.sh"), "content": ""})).collect();
        let code = object_of(json!({"files": files, "also": "this"}));
        let texts = [
            render("project_plan", "analyst", &plan, LOOK),
            plain("project_plan", &plan),
            render("source_code", "coder", &code, LOOK),
            plain("source_code", &code),
        ];
        for text in &texts[..2] {
            for part in ["Harmless", "delete everything", "the end", "item99"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        for text in &texts[2..] {
            assert!(text.contains("f99.sh") && text.contains("Also: this"), "{text}");
        }
    }

    #[test]
    fn a_document_without_markdown_is_shown_by_its_keys() {
        let plan = object_of(
            json!({"goals": ["a", {"how_bad": 3}], "is_final": true, "scope": {"in": []}}),
        );
        let text = render("project_plan", "analyst", &plan, LOOK);
        for line in ["Goals:", "  - a", "  - How bad: 3", "Is final: yes", "  In: []"] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
