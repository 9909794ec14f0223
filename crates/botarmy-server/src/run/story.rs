//! The lines in which a person at the terminal follows a project: what begins, what ends, and how
//! much time, how many tokens and what money it took.

use std::collections::BTreeMap;

use botarmy_domain::{AgentType, Entry, EventPayload, TaskId, Timestamp, Usage};
use botarmy_terminal::text;
use serde_json::{Map, Value};
use tracing::warn;

/// Attempts that are running, as far as the entries that were shown tell.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Begin of the running attempts.
    started: BTreeMap<TaskId, Timestamp>,
    /// Last message of each running task.
    reported: BTreeMap<TaskId, String>,
}

impl Story {
    /// Returns the line for an entry that a person wants to see; `None` for others.
    pub(crate) fn entry(&mut self, entry: &Entry) -> Option<String> {
        let line = match EventPayload::of(entry) {
            Ok(EventPayload::TaskStarted(e)) => {
                if let Some(task) = entry.task_id {
                    self.started.insert(task, entry.created_at);
                }
                let again =
                    if e.attempt > 1 { format!(", attempt {}", e.attempt) } else { String::new() };
                format!("  ▸ {} ({}{again})", name(e.step, e.agent_type), e.agent_type)
            }
            Ok(EventPayload::TaskCompleted(e)) => {
                let spent = self.spent(entry, Some(&e.usage));
                let name = name(e.step, e.agent_type);
                match failure(&e.output) {
                    Some(failure) => format!("  ✗ {name}: {failure} ({spent})"),
                    None => format!("  ✓ {name} ({spent})"),
                }
            }
            Ok(EventPayload::TaskFailed(e)) => {
                let spent = self.spent(entry, Some(&e.usage));
                let name = name(e.step, e.agent_type);
                format!("  ✗ {name}: {} ({spent})", text::one_line(&e.error, 600))
            }
            Ok(EventPayload::TaskRetryScheduled(e)) => {
                let reason = e.error.map_or_else(String::new, |error| {
                    format!(": {}", text::one_line(&error.message, 300))
                });
                format!("  ↻ {} is tried again{reason}", name(e.step, e.agent_type))
            }
            Ok(EventPayload::TaskLeaseExpired(e)) => {
                format!("  ↻ {}: {}", name(e.step, e.agent_type), text::one_line(&e.reason, 300))
            }
            Ok(EventPayload::TaskResultRefused(e)) => {
                let name = name(e.step, e.agent_type);
                format!("  ↻ {name}: refused: {}", text::one_line(&e.reason, 300))
            }
            Ok(EventPayload::HitlResponse(e)) => format!("  ● {} by {}", e.status, entry.actor()),
            Ok(EventPayload::HitlTimeout(e)) => format!("  ● {}", text::one_line(&e.comment, 300)),
            Ok(EventPayload::ProjectHalted(e)) => {
                format!("  ■ halted: {}", text::one_line(&e.reason, 600))
            }
            Ok(EventPayload::ArtifactsGenerated(_)) => "  ▣ the package is ready".to_owned(),
            Ok(_) => return None,
            Err(error) => {
                warn!(entry.seq, %error, "Entry {} cannot be shown", entry.seq);
                return None;
            }
        };
        Some(line)
    }

    /// Returns the line for what an agent reports, unless it said the same before.
    pub(crate) fn progress(&mut self, task: TaskId, message: &str) -> Option<String> {
        let message = text::one_line(message, 300);
        let last = self.reported.insert(task, message.clone());
        (!message.is_empty() && last.as_ref() != Some(&message)).then(|| format!("    · {message}"))
    }

    /// Returns time, tokens and cost of the attempt that an entry ends.
    fn spent(&mut self, entry: &Entry, usage: Option<&Usage>) -> String {
        let task = entry.task_id;
        let started = task.and_then(|task| self.started.remove(&task));
        if let Some(task) = task {
            self.reported.remove(&task);
        }
        let time = started.map(|started| text::duration(entry.created_at.since(started)));
        let usage = usage.and_then(|usage| {
            text::usage(usage.input_tokens, usage.output_tokens, usage.cost_micro_usd)
        });
        let parts: Vec<String> = time.into_iter().chain(usage).collect();
        if parts.is_empty() { "no time known".to_owned() } else { parts.join(", ") }
    }
}

/// Returns the name of a task: its step, or else its agent type.
pub(crate) fn name(step: Option<String>, agent: AgentType) -> String {
    step.map_or_else(|| agent.as_str().to_owned(), |step| text::one_line(&step, 200))
}

/// Returns what failed, if the output of a completed task says that something did: the first
/// sentence of its summary.
fn failure(output: &Map<String, Value>) -> Option<String> {
    let failed = ["passed", "ok"].iter().any(|key| output.get(*key) == Some(&Value::Bool(false)));
    let summary = output.get("summary").and_then(Value::as_str).unwrap_or_default();
    let first = summary.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let first = text::one_line(first, 300);
    failed.then(|| if first.is_empty() { "it did not pass".to_owned() } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_did_not_pass_is_shown_as_failed() {
        let output = |value: Value| value.as_object().unwrap().clone();
        let said = |value: Value| failure(&output(value));
        assert_eq!(said(serde_json::json!({"passed": true, "summary": "All 10 passed."})), None);
        let failed =
            serde_json::json!({"passed": false, "summary": "2 of 14 checks failed. One: x"});
        assert_eq!(said(failed).as_deref(), Some("2 of 14 checks failed"));
        assert_eq!(said(serde_json::json!({"ok": false})).as_deref(), Some("it did not pass"));
        assert_eq!(said(serde_json::json!({})), None);
    }
}
