//! Readable views of what is under review: documents, source code, failures and questions.

use std::fmt::Write as _;

use botarmy_domain::{Artifact, ArtifactType, HitlKind, HitlRequest, Task, TaskState};
use serde_json::{Map, Value};

use super::text::{one_line, printable};

/// Most files of source code that are listed.
const MAX_FILES: usize = 60;
/// Most lines of a file or of instructions that are shown at once.
const MAX_LINES: usize = 200;
/// Most characters of a text in a list.
const MAX_TEXT: usize = 400;
/// Most entries of a list.
const MAX_ITEMS: usize = 40;

/// Returns the view of a request: its artifacts, or the task that it is about, or the question.
pub(super) fn request(
    request: &HitlRequest,
    artifacts: &[impl AsRef<Artifact>],
    task: Option<&Task>,
) -> String {
    let mut text = String::new();
    for artifact in artifacts {
        let _ = writeln!(text, "{}", self::artifact(artifact.as_ref()).trim_end());
        text.push('\n');
    }
    if request.kind != HitlKind::Approval
        && let Some(task) = task
    {
        text.push_str(&self::task(task));
    }
    if let Some(budget) = &request.budget {
        let _ = writeln!(
            text,
            "Budget account {}: the next attempt may need {} tokens and ${}.{:06}.",
            budget.account,
            budget.needs.tokens,
            budget.needs.cost_micro_usd / 1_000_000,
            budget.needs.cost_micro_usd % 1_000_000
        );
    }
    if text.is_empty() {
        text.push_str("There is nothing to show besides the question.\n");
    }
    text
}

/// Returns a file of the source code under review; `None` if no file has this path.
pub(super) fn file(artifacts: &[impl AsRef<Artifact>], path: &str) -> Option<String> {
    let files = artifacts.iter().filter_map(|artifact| files(artifact.as_ref()));
    let found = files.flatten().find(|file| text_of(file, "path") == Some(path))?;
    let content = text_of(found, "content")?;
    Some(format!("{path}:\n\n{}", lines(content)))
}

fn files(artifact: &Artifact) -> Option<&Vec<Value>> {
    let is_source = artifact.meta.artifact_type == ArtifactType::SourceCode;
    artifact.content.get("files").filter(|_| is_source)?.as_array()
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Returns an artifact as text: its Markdown, its list of files, or its keys.
fn artifact(artifact: &Artifact) -> String {
    let kind = artifact.meta.artifact_type.as_str().replace('_', " ");
    if let Some(markdown) = artifact.content.get("markdown").and_then(Value::as_str) {
        return printable(markdown);
    }
    let mut text = format!("── {kind}, by {} ──\n\n", artifact.meta.source_agent);
    match files(artifact) {
        Some(files) => text.push_str(&source(&artifact.content, files)),
        None => object(&mut text, &artifact.content, 0),
    }
    text
}

/// Returns an overview of source code: what its author says, and the files with their sizes.
fn source(content: &Map<String, Value>, files: &[Value]) -> String {
    let mut text = String::new();
    for key in ["summary", "entry"] {
        if let Some(value) = content.get(key).and_then(Value::as_str) {
            let _ = writeln!(text, "{}: {}", title(key), one_line(value, MAX_TEXT));
        }
    }
    for key in ["notes", "not_built", "deleted"] {
        let list = content.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
        if let Some(list) = list {
            let _ = writeln!(text, "{}:", title(key));
            items(&mut text, list, 1);
        }
    }
    let _ = writeln!(text, "Files ({}):", files.len());
    for file in files.iter().take(MAX_FILES) {
        let content = text_of(file, "content").unwrap_or_default();
        let path = one_line(text_of(file, "path").unwrap_or("?"), MAX_TEXT);
        let (lines, bytes) = (content.lines().count(), content.len());
        let _ = writeln!(text, "  {lines:>6} lines {bytes:>9} bytes  {path}");
    }
    more(&mut text, files.len(), MAX_FILES, "  ");
    text.push_str("Type `s PATH` to see a file.\n");
    text
}

/// Returns the state of a task that failed or asks, with its instructions.
fn task(task: &Task) -> String {
    let mut text = String::new();
    let name = task.step().unwrap_or(task.agent.as_str());
    let _ = writeln!(
        text,
        "Task: {name} ({}), {} attempts, {} of {} failures",
        task.agent, task.attempt, task.failures, task.max_attempts
    );
    let error = match &task.state {
        TaskState::Failed { error, .. } => Some(error),
        TaskState::Pending { last_error } => last_error.as_ref(),
        _ => None,
    };
    if let Some(error) = error {
        let _ = writeln!(text, "Error ({}):\n{}", error.code, indented(&lines(&error.message)));
    }
    let is_new = |reason: &&String| error.is_none_or(|error| error.message != **reason);
    if let Some(reason) = task.validation_error.as_ref().filter(is_new) {
        let _ = writeln!(text, "The last output was not accepted:\n{}", indented(&lines(reason)));
    }
    let _ = writeln!(text, "Instructions:\n{}", indented(&lines(&task.instructions)));
    if matches!(task.state, TaskState::Failed { .. }) {
        text.push_str(
            "Approving tries again, amending changes the instructions, rejecting halts the project.\n",
        );
    }
    text
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
    for item in list.iter().take(MAX_ITEMS) {
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
    more(text, list.len(), MAX_ITEMS, &indent);
}

fn more(text: &mut String, count: usize, shown: usize, indent: &str) {
    if count > shown {
        let _ = writeln!(text, "{indent}… and {} more", count - shown);
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text, MAX_TEXT),
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => one_line(&other.to_string(), MAX_TEXT),
    }
}

fn title(key: &str) -> String {
    let spaced = one_line(key, 60).replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn lines(text: &str) -> String {
    let all = printable(text.trim_end());
    let count = all.lines().count();
    let mut shown: Vec<&str> = all.lines().take(MAX_LINES).collect();
    let rest = format!("… and {} more lines", count.saturating_sub(MAX_LINES));
    if count > MAX_LINES {
        shown.push(&rest);
    }
    shown.join("\n")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use botarmy_domain::artifact::{ArtifactRef, digest};
    use botarmy_domain::{AgentType, Timestamp};
    use serde_json::json;

    use super::*;

    fn made(artifact_type: ArtifactType, content: &Value) -> Arc<Artifact> {
        let content = content.as_object().unwrap().clone();
        let meta = ArtifactRef {
            id: "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap(),
            project_id: "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap(),
            source_agent: AgentType::Coder,
            artifact_type,
            digest: digest(&content),
            previous: None,
            created_at: Timestamp::from_micros(0),
        };
        Arc::new(Artifact { meta, content, metadata: Map::new() })
    }

    #[test]
    fn source_code_is_a_list_of_files_and_a_file_can_be_read() {
        let long = "x".repeat(20_000);
        let code = made(
            ArtifactType::SourceCode,
            &json!({"summary": "Built.", "files": [
                {"path": "a.js", "content": "one\ntwo\n"}, {"path": "b.js", "content": long},
            ]}),
        );
        let text = artifact(&code);
        assert!(text.contains("     2 lines         8 bytes  a.js"), "{text}");
        assert!(text.lines().all(|line| line.len() < 200), "{text}");
        assert_eq!(file(&[Arc::clone(&code)], "a.js").unwrap(), "a.js:\n\none\ntwo");
        assert_eq!(file(&[code], "c.js"), None);
    }

    #[test]
    fn a_document_without_markdown_is_shown_by_its_keys() {
        let plan = made(
            ArtifactType::ProjectPlan,
            &json!({"goals": ["a", {"how_bad": 3}], "is_final": true, "scope": {"in": []}}),
        );
        let text = artifact(&plan);
        for line in ["Goals:", "  - a", "  - How bad: 3", "Is final: yes", "  In: []"] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
