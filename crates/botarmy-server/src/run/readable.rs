//! Readable views of what is under review: documents, source code, failures and questions.

use std::fmt::Write as _;

use botarmy_domain::{Artifact, HitlKind, HitlRequest, Task, TaskState};
use botarmy_terminal::text::printable;
use botarmy_terminal::{Look, document};

/// Width where the output is no terminal: lines stay whole.
const UNLIMITED: usize = 10_000;
/// Most lines of a file or of instructions that are shown at once.
const MAX_LINES: usize = 200;

/// Returns the view of a request: its artifacts, or the task that it is about, or the question.
pub(super) fn request(
    request: &HitlRequest,
    artifacts: &[impl AsRef<Artifact>],
    task: Option<&Task>,
    width: Option<usize>,
) -> String {
    let mut text = String::new();
    for artifact in artifacts {
        let _ = writeln!(text, "{}", self::artifact(artifact.as_ref(), width).trim_end());
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
    let content = artifacts.iter().find_map(|artifact| {
        let artifact = artifact.as_ref();
        let kind = artifact.meta.artifact_type.as_str();
        let files = document::source_files(kind, &artifact.content)?;
        files.into_iter().find_map(|(name, content)| (name == path).then_some(content))
    })?;
    Some(format!("{path}:\n\n{}", lines(content)))
}

/// Returns an artifact as text: its Markdown, its list of files, or its keys.
fn artifact(artifact: &Artifact, width: Option<usize>) -> String {
    let kind = artifact.meta.artifact_type;
    let look = Look { width: width.unwrap_or(UNLIMITED), has_colour: false };
    let agent = artifact.meta.source_agent.as_str();
    let mut text = document::render(kind.as_str(), agent, &artifact.content, look);
    if document::source_files(kind.as_str(), &artifact.content).is_some() {
        text.push_str("\nType `s PATH` to see a file.\n");
    }
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
    use botarmy_domain::{AgentType, ArtifactType, Timestamp};
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn source_code_is_a_list_of_files_and_a_file_can_be_read() {
        let content = json!({"files": [{"path": "a.js", "content": "one\ntwo\n"}]});
        let content = content.as_object().unwrap().clone();
        let meta = ArtifactRef {
            id: "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap(),
            project_id: "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap(),
            source_agent: AgentType::Coder,
            artifact_type: ArtifactType::SourceCode,
            digest: digest(&content),
            previous: None,
            created_at: Timestamp::from_micros(0),
        };
        let code = Arc::new(Artifact { meta, content, metadata: Map::new() });
        let text = artifact(&code, None);
        assert!(text.contains("     2 lines         8 bytes  a.js"), "{text}");
        assert!(text.ends_with("Type `s PATH` to see a file.\n"), "{text}");
        assert_eq!(file(&[Arc::clone(&code)], "a.js").unwrap(), "a.js:\n\none\ntwo");
        assert_eq!(file(&[code], "c.js"), None);
    }
}
