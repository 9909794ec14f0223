//! Frames: the form of log entries on the wire. An entry becomes one frame, or two if a decision
//! also resumes work. Each is serialised once, for all subscribers.
//!
//! `seq` is the position in the log that the frame's `project_id` names: the project's, or with
//! `project_id: null` the system log's. Each log counts 1, 2, 3, … A frame without `seq` is in no
//! log: it repeats what an entry beside it says, or is of the moment only.

use std::borrow::Cow;

use botarmy_domain::event::{self, HitlResponse};
use botarmy_domain::{
    AgentType, Entry, EventId, EventPayload, EventType, HitlAction, LogId, Permission, ProjectId,
    TaskId, TaskProgress, Timestamp,
};
use bytestring::ByteString;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A frame as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Type of the event: the member `event_type` of the text.
    pub event_type: &'static str,
    /// Log that the event belongs to; `None` for one that belongs to no single log.
    pub log: Option<LogId>,
    /// Position in that log which a client that has this frame has reached; `None` for a frame that
    /// reaches none.
    pub seq: Option<u64>,
    /// Time of the event.
    pub at: Timestamp,
    /// The frame as JSON.
    pub text: ByteString,
}

/// The frames of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frames {
    pub(crate) first: Frame,
    pub(crate) then: Option<Frame>,
    /// Permission that is needed to see them, in a log that is seen.
    pub(crate) needs: Permission,
}

impl Frames {
    const fn one(first: Frame) -> Self {
        Self { first, then: None, needs: Permission::ProjectRead }
    }

    /// Returns the size of the frames, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.first.text.len() + self.then.as_ref().map_or(0, |then| then.text.len())
    }
}

/// The members of a frame.
#[derive(Serialize)]
struct Members<'a> {
    event_type: &'static str,
    project_id: Option<ProjectId>,
    task_id: Option<TaskId>,
    agent_type: Option<&'a str>,
    data: &'a Map<String, Value>,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
}

impl Members<'_> {
    /// Writes the frame. `log` is the log that it belongs to.
    fn write(&self, log: Option<LogId>) -> Frame {
        let text = serde_json::to_string(self).expect("a frame can be written as JSON").into();
        Frame { event_type: self.event_type, log, seq: self.seq, at: self.timestamp, text }
    }
}

/// Returns the frames of an entry.
pub(crate) fn of_entry(entry: &Entry) -> Frames {
    let response = match entry.event_type {
        EventType::HitlResponse => response_of(entry),
        _ => None,
    };
    let (event_type, data) = told_as(entry, response.as_ref());
    let members = Members {
        event_type,
        project_id: entry.project_id,
        task_id: entry.task_id,
        agent_type: event::agent_type_of(entry).map(AgentType::as_str),
        data: &data,
        timestamp: entry.created_at,
        seq: Some(entry.seq),
        id: Some(entry.id),
    };
    let then = response.and_then(|response| resumed(entry, &response));
    Frames { first: members.write(Some(entry.log())), then, needs: needs(entry) }
}

/// Returns the permission that is needed to see an entry, in a log that is seen.
fn needs(entry: &Entry) -> Permission {
    match entry.event_type {
        _ if entry.project_id.is_some() => Permission::ProjectRead,
        EventType::AgentStatusChanged => Permission::AgentsRead,
        // Work that was stopped everywhere was stopped in every project.
        EventType::EmergencyStopped | EventType::EmergencyReleased => Permission::ProjectRead,
        _ => Permission::SystemRead,
    }
}

/// Returns the live type of an entry, and the data that goes with it. Only the payloads that a live
/// type adds something to are read; the others are sent as they are stored. One that cannot be read
/// is sent with what is known of its type.
fn told_as<'a>(
    entry: &'a Entry,
    response: Option<&HitlResponse>,
) -> (&'static str, Cow<'a, Map<String, Value>>) {
    let as_it_is = Cow::Borrowed(&entry.event_data);
    let with = |more: Value| {
        let mut data = entry.event_data.clone();
        if let Value::Object(more) = more {
            data.extend(more);
        }
        Cow::Owned(data)
    };
    match entry.event_type {
        EventType::AgentStatusChanged => ("agent_status_change", as_it_is),
        EventType::ProjectCreated
        | EventType::ProjectStarted
        | EventType::ProjectPaused
        | EventType::ProjectResumed
        | EventType::ProjectReopened
        | EventType::ProjectCompleted
        | EventType::ProjectHalted
        | EventType::ProjectFailed
        | EventType::ProjectCancelled => {
            let payload = EventPayload::of(entry).ok();
            let completed_at = match &payload {
                Some(EventPayload::ProjectCompleted(completed)) => Some(completed.completed_at),
                _ => None,
            };
            let more = json!({
                "event": entry.event_type, "message": project_message(entry, payload.as_ref()),
                "completed_at": completed_at,
                "artifacts_generating": entry.event_type == EventType::ProjectCompleted,
            });
            ("workflow_event", with(more))
        }
        EventType::ArtifactCreated => {
            let what = match EventPayload::of(entry) {
                Ok(EventPayload::ArtifactCreated(stored)) => stored.artifact_type.as_str(),
                _ => "artifact",
            };
            let message = format!("Stored: {}.", what.replace('_', " "));
            ("workflow_event", with(json!({"event": entry.event_type, "message": message})))
        }
        EventType::ArtifactsGenerated => {
            let (message, generated_at) = match EventPayload::of(entry) {
                Ok(EventPayload::ArtifactsGenerated(made)) => (made.message, made.generated_at),
                _ => ("The package can be downloaded.".to_owned(), entry.created_at),
            };
            let more = json!({
                "message": message, "download_available": true, "generated_at": generated_at,
            });
            ("artifact_created", with(more))
        }
        EventType::HitlResponse => {
            let more = match response {
                Some(response) => json!({
                    "amended_content": amended(response), "user_response": response.status,
                    "content": response.user_response,
                }),
                None => json!({"amended_content": null}),
            };
            ("hitl_response", with(more))
        }
        EventType::SystemError | EventType::AgentError => {
            let message = match EventPayload::of(entry) {
                Ok(EventPayload::SystemError(note) | EventPayload::AgentError(note)) => {
                    note.text("message").or_else(|| note.text("error")).map(str::to_owned)
                }
                _ => None,
            };
            let message = message.unwrap_or_else(|| "An error was logged.".to_owned());
            ("error", with(json!({"event": entry.event_type, "message": message})))
        }
        EventType::TaskCreated
        | EventType::TaskStarted
        | EventType::TaskCompleted
        | EventType::TaskFailed
        | EventType::TaskCancelled
        | EventType::TaskRetryScheduled
        | EventType::TaskLeaseExpired
        | EventType::TaskResultRefused
        | EventType::HitlRequestCreated
        | EventType::HitlTimeout
        | EventType::HitlCancelled
        | EventType::ArtifactsDeleted
        | EventType::HandoffCreated
        | EventType::SystemWarning
        | EventType::BudgetReserved
        | EventType::BudgetExhausted
        | EventType::BudgetChanged
        | EventType::EmergencyStopped
        | EventType::EmergencyReleased
        | EventType::PrincipalCreated
        | EventType::GrantChanged
        | EventType::KeyCreated
        | EventType::KeyRotated
        | EventType::KeyRevoked
        | EventType::SessionStarted
        | EventType::SessionEnded
        | EventType::AccessDenied
        | EventType::SignInLinkCreated
        | EventType::WebhookCreated
        | EventType::WebhookChanged
        | EventType::WebhookDisabled
        | EventType::WebhookDeleted
        | EventType::HitlVoteCast
        | EventType::HitlVoteWithdrawn
        | EventType::HitlSubjectChanged
        | EventType::HitlClaimed
        | EventType::HitlUnclaimed
        | EventType::HitlDelegated
        | EventType::HitlCommented
        | EventType::HitlReminded
        | EventType::HitlEscalated
        | EventType::HitlExtended
        | EventType::HitlUnsatisfiable
        | EventType::HitlLinkIssued
        | EventType::HitlLinkRevoked
        | EventType::DelegationChanged
        | EventType::WebhookReceived => (entry.event_type.as_str(), as_it_is),
    }
}

/// Reads the payload of a `hitl_response` entry.
fn response_of(entry: &Entry) -> Option<HitlResponse> {
    match EventPayload::of(entry) {
        Ok(EventPayload::HitlResponse(response)) => Some(response),
        _ => None,
    }
}

/// Returns the second frame of a decision that resumes work.
fn resumed(entry: &Entry, response: &HitlResponse) -> Option<Frame> {
    if !response.workflow_resumed {
        return None;
    }
    let more = json!({
        "message": format!("The request was {}; work goes on.", response.status),
        "task_id": entry.task_id, "agent_type": response.agent_type,
        "hitl_request_id": entry.hitl_request_id,
    });
    let members = Members {
        event_type: "workflow_resumed",
        project_id: entry.project_id,
        task_id: entry.task_id,
        agent_type: response.agent_type.map(AgentType::as_str),
        data: more.as_object()?,
        timestamp: entry.created_at,
        seq: None,
        id: None,
    };
    Some(members.write(Some(entry.log())))
}

/// Returns an amendment in the form in which a request shows it.
fn amended(response: &HitlResponse) -> Value {
    if response.action != HitlAction::Amend {
        return Value::Null;
    }
    let text = || response.user_response.clone().map_or(Value::Null, Value::String);
    json!({
        "amended_content": response.amended_content.clone().unwrap_or_else(text),
        "comment": response.response_comment,
    })
}

fn project_message(entry: &Entry, payload: Option<&EventPayload>) -> String {
    match payload {
        Some(EventPayload::ProjectCompleted(completed)) => completed.message.clone(),
        Some(EventPayload::ProjectHalted(halted)) => {
            format!("The project was halted: {}.", halted.reason)
        }
        Some(EventPayload::ProjectFailed(note)) => match note.text("reason") {
            Some(reason) => format!("The project failed: {reason}."),
            None => format!("The project failed by {}.", entry.actor()),
        },
        _ => {
            let what = entry.event_type.as_str().trim_start_matches("project_");
            format!("The project was {what} by {}.", entry.actor())
        }
    }
}

/// Returns the frame of a task's progress, which is in no log.
pub(crate) fn of_progress(progress: &TaskProgress) -> Frames {
    let data = json!({"message": progress.message, "progress": progress.percent});
    Frames::one(unlogged(
        "task_progress",
        Some(progress.project_id),
        Some(progress.task_id),
        Some(progress.agent_type.as_str()),
        data,
        progress.at,
    ))
}

/// Returns the frame of an error in what a client sent.
pub(crate) fn error(message: &str, at: Timestamp) -> Frame {
    unlogged("error", None, None, None, json!({"message": message}), at)
}

/// Type of the frame that stands in place of others.
pub(crate) const GAP: &str = "gap";

/// Returns the frame in place of entries that cannot be sent: they are no longer kept, or a
/// subscriber of `all` fell too far behind. `data` names them, and `place` is the log with the position
/// that was reached beyond them, if it is one.
pub(crate) fn gap(place: Option<(LogId, u64)>, data: Value, at: Timestamp) -> Frame {
    let project_id = place.and_then(|(log, _)| log.project());
    let frame = unlogged(GAP, project_id, None, None, data, at);
    Frame { log: place.map(|(log, _)| log), seq: place.map(|(_, seq)| seq), ..frame }
}

/// Returns the frame for more entries than a scan of all logs reads: some were not sent.
pub(crate) fn loss(at: Timestamp) -> Frames {
    let data = json!({
        "message": "More happened at once than could be told: events were left out. Read the audit \
                    log, or subscribe to a project with `after`.",
    });
    Frames::one(gap(None, data, at))
}

fn unlogged(
    event_type: &'static str,
    project_id: Option<ProjectId>,
    task_id: Option<TaskId>,
    agent_type: Option<&str>,
    data: Value,
    timestamp: Timestamp,
) -> Frame {
    let Value::Object(data) = data else { unreachable!("frame data is written as an object") };
    let (seq, id) = (None, None);
    let members =
        Members { event_type, project_id, task_id, agent_type, data: &data, timestamp, seq, id };
    members.write(project_id.map(LogId::Project))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::LogWriter;

    fn frames(log: LogId, event_type: EventType, data: Value) -> (Entry, Value, Option<Value>) {
        let entry = LogWriter::new(log).write(event_type, data);
        let frames = of_entry(&entry);
        assert_eq!((frames.first.log, frames.first.seq), (Some(log), Some(entry.seq)));
        let read = |frame: &Frame| {
            let read: Value = serde_json::from_str(&frame.text).unwrap();
            assert_eq!(read["event_type"], frame.event_type);
            read
        };
        ((*entry).clone(), read(&frames.first), frames.then.as_ref().map(read))
    }

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const THEN: &str = "2026-01-01T00:00:00.000000Z";

    /// The payload of an answer that resumes work, with `more` in it.
    fn response(action: &str, status: &str, more: Value) -> Value {
        let mut data = json!({
            "hitl_request_id": ID, "kind": "approval", "action": action, "status": status,
            "user_response": null, "response_comment": null, "amended_content": null,
            "workflow_resumed": true, "agent_type": null, "step": null, "subject_digest": "d",
        });
        let Value::Object(more) = more else { panic!("{more}") };
        data.as_object_mut().unwrap().extend(more);
        data
    }

    /// Log type, its data, live type, agent type, and what its data must hold beside its own.
    fn table() -> Vec<(EventType, Value, &'static str, Option<&'static str>, Value)> {
        use EventType as E;
        let task = |status: &str| json!({"agent_type": "coder", "status": status});
        let project = |event: &str, message: &str| {
            json!({"event": event, "message": message, "completed_at": null,
                   "artifacts_generating": false})
        };
        let own = json!({});
        vec![
            (
                E::ProjectCreated,
                json!({"name": "x"}),
                "workflow_event",
                None,
                project("project_created", "The project was created by ada."),
            ),
            (
                E::ProjectStarted,
                json!({"workflow": "sdlc"}),
                "workflow_event",
                None,
                project("project_started", "The project was started by ada."),
            ),
            (
                E::ProjectPaused,
                json!({"paused_by": "ada"}),
                "workflow_event",
                None,
                project("project_paused", "The project was paused by ada."),
            ),
            (
                E::ProjectResumed,
                json!({}),
                "workflow_event",
                None,
                project("project_resumed", "The project was resumed by ada."),
            ),
            (
                E::ProjectCompleted,
                json!({"message": "Done.", "completed_at": "2026-01-01T00:00:00.000000Z",
                       "status": "completed", "completed_by": "ada", "forced": false,
                       "overridden": []}),
                "workflow_event",
                None,
                json!({"event": "project_completed", "message": "Done.",
                       "completed_at": "2026-01-01T00:00:00.000000Z",
                       "artifacts_generating": true}),
            ),
            (
                E::ProjectHalted,
                json!({"status": "halted", "halted_by": "ada", "reason": "no"}),
                "workflow_event",
                None,
                project("project_halted", "The project was halted: no."),
            ),
            (
                E::ProjectFailed,
                json!({"reason": "no"}),
                "workflow_event",
                None,
                project("project_failed", "The project failed: no."),
            ),
            (
                E::ProjectCancelled,
                json!({}),
                "workflow_event",
                None,
                project("project_cancelled", "The project was cancelled by ada."),
            ),
            (E::TaskCreated, task("pending"), "task_created", Some("coder"), own.clone()),
            (E::TaskStarted, task("working"), "task_started", Some("coder"), own.clone()),
            (
                E::TaskCompleted,
                json!({"agent_type": "coder", "status": "completed", "output": {"a": 1}}),
                "task_completed",
                Some("coder"),
                json!({"output": {"a": 1}}),
            ),
            (
                E::TaskFailed,
                json!({"agent_type": "coder", "status": "failed", "error": "It broke."}),
                "task_failed",
                Some("coder"),
                json!({"error": "It broke."}),
            ),
            (E::TaskCancelled, task("cancelled"), "task_cancelled", Some("coder"), own.clone()),
            (
                E::TaskRetryScheduled,
                task("pending"),
                "task_retry_scheduled",
                Some("coder"),
                own.clone(),
            ),
            (E::TaskLeaseExpired, task("pending"), "task_lease_lapsed", Some("coder"), own.clone()),
            (
                E::TaskResultRefused,
                json!({"agent_type": "coder", "attempt": 1, "reason": "output: is missing"}),
                "task_result_refused",
                Some("coder"),
                own.clone(),
            ),
            (
                E::HitlRequestCreated,
                json!({"hitl_request_id": "r", "question": "Good?", "expires_at": "then"}),
                "hitl_request_created",
                None,
                json!({"question": "Good?"}),
            ),
            (
                E::HitlResponse,
                response("approve", "approved", json!({"workflow_resumed": false})),
                "hitl_response",
                None,
                json!({"amended_content": null, "user_response": "approved", "content": null}),
            ),
            (E::HitlTimeout, json!({"status": "expired"}), "hitl_timeout", None, own.clone()),
            (E::HitlCancelled, json!({"status": "cancelled"}), "hitl_cancelled", None, own.clone()),
            (
                E::AgentStatusChanged,
                json!({"agent_type": "tester", "status": "idle", "current_task_id": null,
                       "last_activity": null, "error_message": null}),
                "agent_status_change",
                Some("tester"),
                own.clone(),
            ),
            (
                E::AgentError,
                json!({"agent_type": "coder", "error": "It broke."}),
                "error",
                Some("coder"),
                json!({"event": "agent_error", "message": "It broke."}),
            ),
            (
                E::ArtifactCreated,
                json!({"artifact_type": "project_plan", "source_agent": "analyst",
                       "context_id": ID, "digest": "d", "previous": null}),
                "workflow_event",
                Some("analyst"),
                json!({"event": "artifact_created", "message": "Stored: project plan."}),
            ),
            (
                E::ArtifactsGenerated,
                json!({"message": "Ready.", "generated_at": THEN, "download_available": true,
                       "artifact_count": 3, "digest": "d"}),
                "artifact_created",
                None,
                json!({"message": "Ready.", "download_available": true, "generated_at": THEN}),
            ),
            (E::ArtifactsDeleted, json!({"digest": "d"}), "artifacts_deleted", None, own.clone()),
            (
                E::HandoffCreated,
                json!({"handoff": {"from": "analyst", "to": "architect"}}),
                "handoff_created",
                Some("architect"),
                own.clone(),
            ),
            (
                E::SystemError,
                json!({"message": "Full."}),
                "error",
                None,
                json!({"event": "system_error", "message": "Full."}),
            ),
            (E::SystemWarning, json!({"message": "Slow."}), "system_warning", None, own.clone()),
            (E::WebhookReceived, json!({"x": 1}), "webhook_received", None, own.clone()),
            (
                E::BudgetReserved,
                json!({"agent_type": "coder", "reserved": {"tokens": 1}}),
                "budget_reserved",
                Some("coder"),
                own.clone(),
            ),
            (
                E::BudgetExhausted,
                json!({"agent_type": "coder", "purse": "coder/2026-11-27"}),
                "budget_exhausted",
                Some("coder"),
                own.clone(),
            ),
            (E::BudgetChanged, json!({"limit": {}}), "budget_changed", None, own.clone()),
            (
                E::EmergencyStopped,
                json!({"agent_type": "coder", "reason": "r"}),
                "emergency_stopped",
                Some("coder"),
                own.clone(),
            ),
            (
                E::PrincipalCreated,
                json!({"principal_id": ID, "name": "ci"}),
                "principal_created",
                None,
                own.clone(),
            ),
            (E::GrantChanged, json!({"grants": []}), "grant_changed", None, own.clone()),
            (E::KeyCreated, json!({"key_id": ID}), "key_created", None, own.clone()),
            (E::KeyRotated, json!({"key_id": ID}), "key_rotated", None, own.clone()),
            (E::KeyRevoked, json!({"key_id": ID}), "key_revoked", None, own.clone()),
            (E::SessionStarted, json!({"session_id": ID}), "session_started", None, own.clone()),
            (E::SessionEnded, json!({"session_id": ID}), "session_ended", None, own.clone()),
            (E::AccessDenied, json!({"count": 1}), "access_denied", None, own.clone()),
            (
                E::SignInLinkCreated,
                json!({"link_id": ID}),
                "sign_in_link_created",
                None,
                own.clone(),
            ),
            (E::WebhookCreated, json!({"webhook_id": ID}), "webhook_created", None, own.clone()),
            (E::WebhookChanged, json!({"webhook_id": ID}), "webhook_changed", None, own.clone()),
            (E::WebhookDisabled, json!({"webhook_id": ID}), "webhook_disabled", None, own.clone()),
            (E::WebhookDeleted, json!({"webhook_id": ID}), "webhook_deleted", None, own.clone()),
            (E::HitlVoteCast, json!({"hitl_request_id": ID}), "hitl_vote_cast", None, own.clone()),
            (
                E::HitlVoteWithdrawn,
                json!({"hitl_request_id": ID}),
                "hitl_vote_withdrawn",
                None,
                own.clone(),
            ),
            (
                E::HitlSubjectChanged,
                json!({"hitl_request_id": ID}),
                "hitl_subject_changed",
                None,
                own.clone(),
            ),
            (E::HitlClaimed, json!({"hitl_request_id": ID}), "hitl_claimed", None, own.clone()),
            (E::HitlUnclaimed, json!({"hitl_request_id": ID}), "hitl_unclaimed", None, own.clone()),
            (E::HitlDelegated, json!({"hitl_request_id": ID}), "hitl_delegated", None, own.clone()),
            (E::HitlCommented, json!({"hitl_request_id": ID}), "hitl_commented", None, own.clone()),
            (E::HitlReminded, json!({"hitl_request_id": ID}), "hitl_reminded", None, own.clone()),
            (E::HitlEscalated, json!({"hitl_request_id": ID}), "hitl_escalated", None, own.clone()),
            (E::HitlExtended, json!({"hitl_request_id": ID}), "hitl_extended", None, own.clone()),
            (
                E::HitlUnsatisfiable,
                json!({"hitl_request_id": ID}),
                "hitl_unsatisfiable",
                None,
                own.clone(),
            ),
            (
                E::HitlLinkIssued,
                json!({"hitl_request_id": ID}),
                "hitl_link_issued",
                None,
                own.clone(),
            ),
            (
                E::HitlLinkRevoked,
                json!({"hitl_request_id": ID}),
                "hitl_link_revoked",
                None,
                own.clone(),
            ),
            (
                E::DelegationChanged,
                json!({"principal": ID}),
                "delegation_changed",
                None,
                own.clone(),
            ),
            (E::EmergencyReleased, json!({"reason": "r"}), "emergency_released", None, own),
            (
                E::ProjectReopened,
                json!({"status": "active", "reopened_by": "ada", "was": "halted", "reason": "r"}),
                "workflow_event",
                None,
                project("project_reopened", "The project was reopened by ada."),
            ),
        ]
    }

    #[test]
    fn every_log_type_has_its_live_frame() {
        let table = table();
        for event_type in EventType::ALL {
            assert!(table.iter().any(|row| row.0 == *event_type), "{event_type} is not here");
        }
        for (event_type, data, live, agent, more) in table {
            let project = LogWriter::project();
            let (entry, frame, then) = frames(project, event_type, data.clone());
            let mut expected = data.as_object().unwrap().clone();
            expected.extend(more.as_object().unwrap().clone());
            assert_eq!(
                frame,
                json!({
                    "event_type": live, "project_id": entry.project_id, "task_id": entry.task_id,
                    "agent_type": agent, "data": expected, "timestamp": entry.created_at,
                    "seq": entry.seq, "id": entry.id,
                }),
                "{event_type}"
            );
            assert_eq!(then, None, "{event_type}");
        }
    }

    #[test]
    fn the_documentation_names_the_frame_of_every_entry() {
        let page = include_str!("../../../docs/events.md");
        for (event_type, _, live, _, _) in table() {
            let start = format!("\n#### `{event_type}`\n");
            let (_, section) = page.split_once(&start).unwrap_or_else(|| panic!("no {event_type}"));
            let section = section.split("\n#### ").next().unwrap();
            assert!(section.contains(&format!("Frame: `{live}`.")), "{event_type}: {section}");
        }
        for frame in ["workflow_resumed", "task_progress", "gap", "error", "pong"] {
            assert!(page.contains(&format!("\n| `{frame}` | ")), "{frame}");
        }
    }

    #[test]
    fn a_decision_that_resumes_work_says_so_in_a_frame_without_a_place() {
        let more = json!({
            "user_response": "shorter", "response_comment": "please", "agent_type": "analyst",
        });
        let data = response("amend", "amended", more);
        let (entry, first, then) = frames(LogWriter::project(), EventType::HitlResponse, data);
        let amended = json!({"amended_content": "shorter", "comment": "please"});
        assert_eq!(first["data"]["amended_content"], amended);
        assert_eq!(first["data"]["user_response"], "amended");
        assert_eq!(first["data"]["response_comment"], "please");
        assert_eq!(first["data"]["content"], "shorter");
        let then = then.unwrap();
        assert_eq!(then["event_type"], "workflow_resumed");
        assert_eq!(then["data"]["message"], "The request was amended; work goes on.");
        assert_eq!(then["data"]["agent_type"], "analyst");
        assert_eq!(then["data"]["task_id"], json!(entry.task_id));
        assert!(then.get("seq").is_none() && then.get("id").is_none());
    }

    #[test]
    fn a_document_put_in_place_is_shown_as_the_request_shows_it() {
        let more = json!({"amended_content": {"a": 1}, "user_response": "b"});
        let data = response("amend", "amended", more);
        let (_, first, _) = frames(LogWriter::project(), EventType::HitlResponse, data);
        let amended = json!({"amended_content": {"a": 1}, "comment": null});
        assert_eq!(first["data"]["amended_content"], amended);
    }

    #[test]
    fn an_event_of_the_system_has_no_project() {
        let (_, frame, _) = frames(LogId::System, EventType::SystemWarning, json!({}));
        assert_eq!(frame["project_id"], Value::Null);
        assert_eq!(frame["seq"], 1);
    }

    #[test]
    fn progress_has_no_place_in_the_log() {
        let entry = LogWriter::new(LogWriter::project()).write(EventType::TaskStarted, json!({}));
        let frames = of_progress(&TaskProgress {
            project_id: entry.project_id.unwrap(),
            task_id: entry.task_id.unwrap(),
            agent_type: AgentType::Coder,
            message: "half way".to_owned(),
            percent: Some(50),
            at: entry.created_at,
        });
        let frame: Value = serde_json::from_str(&frames.first.text).unwrap();
        assert_eq!(frame["event_type"], "task_progress");
        assert_eq!(frame["agent_type"], "coder");
        assert_eq!(frame["data"], json!({"message": "half way", "progress": 50}));
        assert!(frame.get("seq").is_none());
    }
}
