//! Tasks: rows of their list, and the page of one.

use botarmy_domain::event::EventPayload;
use botarmy_domain::task::{RefusedResult, TaskState};
use botarmy_domain::{Entry, HitlAction, Task, TaskStatus, Timestamp, Usage};
use serde_json::Value;

use super::amounts;
use super::document;
use super::markdown;
use super::markup::Markup;
use super::sentence::Sentence;
use super::source;
use super::state::{self, StateView};
use super::texts;
use super::time::TimeView;

/// Longest begin of the instructions in a list, in characters.
const MAX_BEGIN: usize = 90;

/// Row of the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) agent: &'static str,
    pub(crate) state: StateView,
    pub(crate) error: Option<String>,
    pub(crate) attempts: String,
    pub(crate) updated: TimeView,
}

/// Returns the row of a task.
pub(crate) fn row(task: &Task, now: Timestamp) -> RowView {
    RowView {
        id: task.id.to_string(),
        title: title(task),
        agent: texts::agent(task.agent),
        state: state::task(task.status()),
        error: task.error().map(|error| begin(&error.message)),
        attempts: match task.attempt {
            0 => "not started".to_owned(),
            n => format!("attempt {n}"),
        },
        updated: TimeView::relative(task.updated_at, now),
    }
}

/// Returns the name of a task: its step, or the beginning of its instructions.
pub(crate) fn title(task: &Task) -> String {
    task.step().map_or_else(|| begin(&task.instructions), str::to_owned)
}

fn begin(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= MAX_BEGIN {
        return line.to_owned();
    }
    let cut: String = line.chars().take(MAX_BEGIN).collect();
    format!("{}…", cut.trim_end())
}

/// Task on its page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) state: StateView,
    pub(crate) facts: Vec<Sentence>,
    pub(crate) created: TimeView,
    pub(crate) error: Option<ErrorView>,
    pub(crate) refused: Option<String>,
    pub(crate) instructions: Markup,
    pub(crate) output: Option<Markup>,
    pub(crate) answers: Vec<AnswerView>,
    pub(crate) attempts: Vec<AttemptView>,
    pub(crate) usage: Vec<(&'static str, String)>,
    pub(crate) can_retry: bool,
    pub(crate) can_cancel: bool,
    /// Request that it waits for.
    pub(crate) request: Option<String>,
}

/// Error of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorView {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Whether the task goes on all the same.
    pub(crate) is_retried: bool,
}

/// Answer that an agent got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerView {
    pub(crate) request: String,
    pub(crate) verb: &'static str,
    pub(crate) text: Option<String>,
}

/// Attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AttemptView {
    pub(crate) number: u32,
    pub(crate) worker: String,
    pub(crate) started: TimeView,
    pub(crate) state: StateView,
    pub(crate) duration: String,
    pub(crate) note: Option<String>,
    pub(crate) cost: Option<String>,
}

/// Returns a task with its attempts. `entries` are those of the log about it, oldest first.
pub(crate) fn view(task: &Task, entries: &[impl AsRef<Entry>], now: Timestamp) -> TaskView {
    let status = task.status();
    let mut facts: Vec<Sentence> = vec![texts::agent(task.agent).into()];
    if let Some(handoff) = &task.handoff {
        facts.push(handoff.phase.clone().into());
    }
    facts.push(match task.attempt {
        0 => "not started".into(),
        n => format!("attempt {n}").into(),
    });
    facts.push(match task.failures {
        0 => format!("at most {} attempts", task.max_attempts).into(),
        n => format!("{n} of {} attempts failed", task.max_attempts).into(),
    });
    facts.push(format!("priority {}", task.priority).into());
    if let Some(lease) = task.lease() {
        facts.push(Sentence::from("worked on by ").name(lease.worker.to_string()));
    }
    TaskView {
        id: task.id.to_string(),
        title: title(task),
        state: state::task(status),
        facts,
        created: TimeView::relative(task.created_at, now),
        error: task.error().map(|error| ErrorView {
            code: error.code.clone(),
            message: error.message.clone(),
            is_retried: status != TaskStatus::Failed,
        }),
        refused: task.refused_result.as_ref().map(refused),
        instructions: markdown::render(&task.instructions),
        output: output(&task.state),
        answers: task.answers.iter().map(answer).collect(),
        attempts: attempts(entries, now),
        usage: usage(&task.usage),
        can_retry: status == TaskStatus::Failed,
        can_cancel: matches!(
            status,
            TaskStatus::Pending | TaskStatus::Working | TaskStatus::WaitingForHitl
        ),
        request: match &task.state {
            TaskState::WaitingForHitl { request_id } => Some(request_id.to_string()),
            _ => None,
        },
    }
}

fn refused(refused: &RefusedResult) -> String {
    let times = if refused.count == 1 { "A result was" } else { "Results were" };
    format!("{times} refused: {}", refused.reason)
}

fn output(state: &TaskState) -> Option<Markup> {
    let TaskState::Completed { output, .. } = state else { return None };
    match output {
        Value::Object(map) if map.is_empty() => None,
        Value::Null => None,
        Value::Object(map) => {
            Some(markdown::render(&document::text(botarmy_domain::ArtifactType::AgentOutput, map)))
        }
        other => {
            let text = serde_json::to_string_pretty(other).unwrap_or_default();
            Some(source::highlight("json", &text))
        }
    }
}

fn answer(answer: &botarmy_domain::task::Answer) -> AnswerView {
    let content = answer.content.as_ref().map(|content| match content {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    });
    AnswerView {
        request: answer.question_id.to_string(),
        verb: match answer.action {
            HitlAction::Approve => "Approved",
            HitlAction::Reject => "Rejected",
            HitlAction::Amend => "Amended",
        },
        text: content.or_else(|| answer.comment.clone()),
    }
}

fn usage(usage: &Usage) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(model) = &usage.model {
        let provider = usage.provider.as_deref().map_or_else(String::new, |one| format!("{one} "));
        rows.push(("Model", format!("{provider}{model}")));
    }
    if usage.is_free() {
        rows.push(("Cost", "nothing".to_owned()));
        return rows;
    }
    rows.push(("Cost", usage.cost_micro_usd.map_or_else(|| "unknown".to_owned(), texts::money)));
    let tokens = |number| texts::grouped(number);
    rows.push((
        "Tokens",
        format!("{} in, {} out", tokens(usage.input_tokens), tokens(usage.output_tokens)),
    ));
    rows
}

/// Returns the attempts that entries of a log tell of.
fn attempts(entries: &[impl AsRef<Entry>], now: Timestamp) -> Vec<AttemptView> {
    let mut found: Vec<(AttemptView, Timestamp)> = Vec::new();
    let end = |found: &mut Vec<(AttemptView, Timestamp)>,
               at: Timestamp,
               status: TaskStatus,
               note: Option<String>,
               usage: Option<&Usage>| {
        let Some((attempt, began)) = found.last_mut() else { return };
        if attempt.state.label != state::task(TaskStatus::Working).label {
            return;
        }
        attempt.state = state::task(status);
        attempt.duration = amounts::duration(at.since(*began));
        attempt.note = note;
        attempt.cost = usage.filter(|usage| !usage.is_free()).map(|usage| {
            usage.cost_micro_usd.map_or_else(
                || format!("{} tokens", texts::grouped(usage.input_tokens + usage.output_tokens)),
                texts::money,
            )
        });
    };
    for entry in entries.iter().map(AsRef::as_ref) {
        let at = entry.created_at;
        match EventPayload::of(entry) {
            Ok(EventPayload::TaskStarted(started)) => {
                let view = AttemptView {
                    number: started.attempt,
                    worker: started.worker.to_string(),
                    started: TimeView::relative(at, now),
                    state: state::task(TaskStatus::Working),
                    duration: amounts::duration(now.since(at)),
                    note: None,
                    cost: None,
                };
                found.push((view, at));
            }
            Ok(EventPayload::TaskCompleted(done)) => {
                let note = done.confidence.map(|confidence| format!("confidence {confidence:.2}"));
                end(&mut found, at, TaskStatus::Completed, note, Some(&done.usage));
            }
            Ok(EventPayload::TaskFailed(failed)) => {
                let note = Some(failed.error);
                end(&mut found, at, TaskStatus::Failed, note, Some(&failed.usage));
            }
            Ok(EventPayload::TaskRetryScheduled(retry)) => {
                let note = retry.error.map(|error| error.message);
                end(&mut found, at, TaskStatus::Failed, note, retry.usage.as_ref());
            }
            Ok(EventPayload::TaskLeaseExpired(expired)) => {
                end(&mut found, at, TaskStatus::Failed, Some(expired.reason), None);
            }
            Ok(EventPayload::TaskCancelled(cancelled)) => {
                end(&mut found, at, TaskStatus::Cancelled, Some(cancelled.reason), None);
            }
            Ok(EventPayload::HitlRequestCreated(_)) => {
                let note = Some("asked a person".to_owned());
                end(&mut found, at, TaskStatus::WaitingForHitl, note, None);
            }
            _ => {}
        }
    }
    found.into_iter().map(|(attempt, _)| attempt).collect()
}

#[cfg(test)]
mod tests {
    use botarmy_domain::task::TaskError;
    use botarmy_domain::{AgentType, EventId, EventSource, EventType, TaskId};
    use serde_json::{Map, json};
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::{NOW, project_id};

    fn task(state: TaskState) -> Task {
        let id = TaskId::from_uuid(Uuid::from_u128(7));
        let instructions = "Write *this*\nand that".to_owned();
        let mut task = Task::new(id, project_id(), AgentType::Coder, instructions, NOW, NOW);
        task.state = state;
        task
    }

    fn entry(seconds: i64, event_type: EventType, data: Value) -> std::sync::Arc<Entry> {
        let Value::Object(event_data) = data else { panic!("an object") };
        std::sync::Arc::new(Entry {
            id: EventId::from_uuid(Uuid::nil()),
            project_id: None,
            task_id: None,
            hitl_request_id: None,
            event_type,
            event_source: EventSource::Agent,
            event_data,
            event_metadata: Map::new(),
            created_at: Timestamp::from_micros(NOW.micros() + seconds * 1_000_000),
            seq: 1,
            hash: String::new(),
        })
    }

    #[test]
    fn the_error_comes_in_full_and_the_attempts_with_their_ends() {
        let error =
            TaskError { code: "invalid_output".to_owned(), message: "line 1\nline 2".to_owned() };
        let task = task(TaskState::Failed { at: NOW, error });
        let started = |attempt: u32| json!({"agent_type": "coder", "status": "working", "attempt": attempt, "worker": "w/1", "step": null});
        let entries = [
            entry(-90, EventType::TaskStarted, started(1)),
            entry(
                -60,
                EventType::TaskFailed,
                json!({
                    "agent_type": "coder", "status": "pending", "attempt": 1, "failures": 1,
                    "error": "bad", "code": "c", "step": null,
                    "usage": {"input_tokens": 1000, "output_tokens": 5, "cost_micro_usd": 20_000},
                }),
            ),
            entry(-45, EventType::TaskStarted, started(2)),
        ];
        let now = Timestamp::from_micros(NOW.micros());
        let view = view(&task, &entries, now);
        let error = view.error.unwrap();
        assert_eq!((error.message.as_str(), error.is_retried), ("line 1\nline 2", false));
        assert!(view.can_retry && !view.can_cancel);
        let attempts: Vec<_> = view
            .attempts
            .iter()
            .map(|one| {
                (one.number, one.state.label.as_str(), one.duration.as_str(), one.note.as_deref())
            })
            .collect();
        assert_eq!(attempts, [(1, "Failed", "30 s", Some("bad")), (2, "Running", "45 s", None)]);
        assert_eq!(view.attempts[0].cost.as_deref(), Some("$0.02"));
        assert_eq!(view.instructions.as_str(), "<p>Write <em>this</em>\nand that</p>");
        assert_eq!(view.title, "Write *this*");
    }

    #[test]
    fn the_output_is_readable_and_an_empty_one_is_left_out() {
        let done = |output| TaskState::Completed {
            at: NOW,
            output,
            artifacts: Vec::new(),
            result_digest: None,
        };
        let none: [std::sync::Arc<Entry>; 0] = [];
        let shown = view(&task(done(json!({"summary": "It <b>works</b>"}))), &none, NOW);
        assert_eq!(shown.output.unwrap().as_str(), "<p>It &lt;b&gt;works&lt;/b&gt;</p>");
        assert_eq!(view(&task(done(json!({}))), &none, NOW).output, None);
        assert_eq!(shown.usage, [("Cost", "nothing".to_owned())]);
    }
}
