//! Entries of a log as sentences.

use botarmy_domain::event::{EventPayload, HitlRequestCreated};
use botarmy_domain::{AgentStatusKind, Entry, EventType, HitlAction, ProjectStatus, Timestamp};

use super::document;
use super::sentence::Sentence;
use super::texts;
use super::time::{TimeView, duration};

/// Longest text of a person or an agent in a sentence, in characters.
const MAX_QUOTE: usize = 160;

/// Entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryView {
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) time: TimeView,
    /// Words in bold, with which the sentence begins.
    pub(crate) lead: String,
    pub(crate) rest: Sentence,
    /// Short form of a digest, if the entry is about a document.
    pub(crate) digest: Option<String>,
    pub(crate) actor: String,
    /// Kind of the entry, as the log has it.
    pub(crate) kind: &'static str,
    pub(crate) hash: String,
    /// First characters of the hash.
    pub(crate) short_hash: String,
    /// Path of the object that it is about.
    pub(crate) path: Option<String>,
    /// Number of entries between this one and the next one of the list, if some are missing.
    pub(crate) missing_after: u64,
}

/// Returns entries as they are shown, newest first. Positions that are missing between two of them are
/// marked, unless a filter leaves entries out.
pub(crate) fn entries(
    found: &[impl AsRef<Entry>],
    now: Timestamp,
    is_filtered: bool,
) -> Vec<EntryView> {
    let mut views: Vec<EntryView> =
        found.iter().map(|entry| entry_view(entry.as_ref(), now)).collect();
    if !is_filtered {
        for n in 1..views.len() {
            let gap = views[n - 1].seq.saturating_sub(views[n].seq).saturating_sub(1);
            views[n - 1].missing_after = gap;
        }
    }
    views
}

/// Returns an entry as it is shown.
fn entry_view(entry: &Entry, now: Timestamp) -> EntryView {
    let (lead, rest, digest) = sentence(entry);
    let path = entry
        .hitl_request_id
        .map(|id| format!("/console/requests/{id}"))
        .or_else(|| artifact_path(entry))
        .or_else(|| entry.task_id.map(|id| format!("/console/tasks/{id}")));
    EntryView {
        id: entry.id.to_string(),
        seq: entry.seq,
        time: moment(entry.created_at, now),
        lead,
        rest,
        digest: digest.map(|digest| shortened_hash(&digest)),
        actor: entry.actor().to_owned(),
        kind: entry.event_type.as_str(),
        short_hash: shortened_hash(&entry.hash),
        hash: entry.hash.clone(),
        path,
        missing_after: 0,
    }
}

/// Returns a time to the second, with the date if it is not today.
fn moment(at: Timestamp, now: Timestamp) -> TimeView {
    let text = at.to_string();
    let is_today = text.get(..10) == now.to_string().get(..10);
    let shown = if is_today { text.get(11..19) } else { text.get(5..16) };
    TimeView::with_text(at, shown.unwrap_or(&text).replace('T', " "))
}

/// Returns the first and last characters of a hash.
pub(crate) fn shortened_hash(hash: &str) -> String {
    match (hash.get(..8), hash.get(hash.len().saturating_sub(4)..)) {
        (Some(begin), Some(end)) if hash.len() > 16 => format!("{begin}…{end}"),
        _ => hash.to_owned(),
    }
}

fn artifact_path(entry: &Entry) -> Option<String> {
    if entry.event_type != EventType::ArtifactCreated {
        return None;
    }
    let id = entry.event_data.get("context_id")?.as_str()?;
    Some(format!("/console/artifacts/{id}"))
}

/// Returns the words in bold, the rest of the sentence, and a digest.
fn sentence(entry: &Entry) -> (String, Sentence, Option<String>) {
    let by = |text: &str| Sentence::from(format!("{text} by ")).name(entry.actor());
    let of = |step: &Option<String>, agent: &dyn std::fmt::Display| match step {
        Some(step) => step.clone(),
        None => format!("A task of the {agent}"),
    };
    let plain = |lead: &str, rest: Sentence| (lead.to_owned(), rest, None);
    let Ok(payload) = EventPayload::of(entry) else {
        return (document::title(entry.event_type.as_str()), "cannot be read".into(), None);
    };
    match payload {
        EventPayload::ProjectCreated(_) => plain("Project", by("created")),
        EventPayload::ProjectStarted(started) => {
            plain("Project", by(&format!("started with the workflow {}", started.workflow)))
        }
        EventPayload::ProjectPaused(_) => plain("Project", by("paused")),
        EventPayload::ProjectResumed(_) => plain("Project", by("resumed")),
        EventPayload::ProjectCompleted(done) => {
            let how = if done.forced { "completed by force" } else { "completed" };
            plain("Project", by(how))
        }
        EventPayload::ProjectHalted(halted) => {
            plain("Project", by("halted").text(format!(": {}", quoted(&halted.reason))))
        }
        EventPayload::ProjectCancelled(_) => plain("Project", by("cancelled")),
        EventPayload::ProjectReopened(reopened) => {
            let reason = reopened.reason.as_deref().map_or_else(String::new, said);
            let how = if reopened.was == ProjectStatus::Halted { "reopened" } else { "continued" };
            plain("Project", by(how).text(reason))
        }
        EventPayload::TaskCreated(created) => {
            (of(&created.step, &created.agent_type), "is ready to start".into(), None)
        }
        EventPayload::TaskStarted(started) => (
            of(&started.step, &started.agent_type),
            Sentence::from(format!("started, attempt {}, by ", started.attempt))
                .name(started.worker.to_string()),
            None,
        ),
        EventPayload::TaskCompleted(done) => (
            of(&done.step, &done.agent_type),
            format!("completed by {}", done.agent_type).into(),
            None,
        ),
        EventPayload::TaskFailed(failed) => (
            of(&failed.step, &failed.agent_type),
            format!("failed in attempt {}{}", failed.attempt, said(&failed.error)).into(),
            None,
        ),
        EventPayload::TaskCancelled(cancelled) => {
            plain("Task", by("cancelled").text(said(&cancelled.reason)))
        }
        EventPayload::TaskRetryScheduled(retry) => {
            let error = retry.error.map_or_else(String::new, |error| said(&error.message));
            (of(&retry.step, &retry.agent_type), format!("will be tried again{error}").into(), None)
        }
        EventPayload::TaskLeaseExpired(expired) => (
            of(&expired.step, &expired.agent_type),
            format!("lost its worker{}", said(&expired.reason)).into(),
            None,
        ),
        EventPayload::TaskResultRefused(refused) => (
            of(&refused.step, &refused.agent_type),
            format!("had its result refused{}", said(&refused.reason)).into(),
            None,
        ),
        EventPayload::HandoffCreated(handoff) => {
            let handoff = handoff.handoff;
            (
                handoff.step,
                if handoff.from == handoff.to {
                    format!("stays with the {}", handoff.to).into()
                } else {
                    format!("handed from the {} to the {}", handoff.from, handoff.to).into()
                },
                None,
            )
        }
        EventPayload::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
            plain("Request created:", quoted(&opened.question).into())
        }
        EventPayload::HitlRequestCreated(HitlRequestCreated::SubjectChanged(changed)) => {
            plain("Request changed:", quoted(&changed.question).into())
        }
        EventPayload::HitlResponse(response) => {
            let verb = match response.action {
                HitlAction::Approve => "approved",
                HitlAction::Reject => "rejected",
                HitlAction::Amend => "amended",
            };
            let comment = response.response_comment.as_deref().map_or_else(String::new, said);
            let lead = response.step.unwrap_or_else(|| "Request".to_owned());
            (lead, by(verb).text(comment), Some(response.subject_digest))
        }
        EventPayload::HitlVoteCast(vote) => {
            let verb = match vote.action {
                HitlAction::Approve => "an approval",
                HitlAction::Reject => "a rejection",
                HitlAction::Amend => "an amendment",
            };
            let mut rest = Sentence::from(format!("got {verb} by ")).name(entry.actor());
            if let Some(of) = &vote.on_behalf_of {
                rest = rest.text(" for ").name(&of.name);
            }
            let more = match vote.needs.approvals {
                0 => String::new(),
                more => format!(", {more} more needed"),
            };
            let comment = vote.response_comment.as_deref().map_or_else(String::new, said);
            let lead = vote.step.unwrap_or_else(|| "Request".to_owned());
            (lead, rest.text(more + &comment), Some(vote.subject_digest))
        }
        EventPayload::HitlVoteWithdrawn(withdrawn) => {
            let what = match withdrawn.action {
                HitlAction::Reject => "rejection taken back",
                _ => "approval taken back",
            };
            plain("Request:", by(what))
        }
        EventPayload::HitlSubjectChanged(changed) => {
            let voided = match changed.voided {
                0 => String::new(),
                1 => "; one vote is void".to_owned(),
                voided => format!("; {voided} votes are void"),
            };
            let rest = by("its subject was replaced").text(voided);
            ("Request:".to_owned(), rest, Some(changed.subject.digest))
        }
        EventPayload::HitlClaimed(_) => plain("Request", by("reserved")),
        EventPayload::HitlUnclaimed(unclaimed) => {
            let rest = Sentence::from("of ").name(unclaimed.claimed_by.name).text(" ended by ");
            plain("Reservation", rest.name(entry.actor()))
        }
        EventPayload::HitlDelegated(delegated) => {
            let rest = Sentence::from("delegated from ")
                .name(delegated.of.name)
                .text(" to ")
                .name(delegated.to.name);
            let comment = delegated.comment.as_deref().map_or_else(String::new, said);
            plain("Request", rest.text(comment))
        }
        EventPayload::HitlCommented(commented) => {
            let what = if commented.reply_to.is_some() { "answered" } else { "made" };
            plain("Remark", by(what).text(said(&commented.text)))
        }
        EventPayload::HitlReminded(reminded) => {
            let rest = if reminded.by_hand { by("sent") } else { "sent".into() };
            plain("Reminder", rest.text(said(&reminded.question)))
        }
        EventPayload::HitlEscalated(escalated) => {
            let to: Vec<_> = escalated.to.iter().map(ToString::to_string).collect();
            let rest = if escalated.by_hand { by("escalated") } else { "escalated".into() };
            plain("Request", rest.text(" to ").name(to.join(", ")).text(said(&escalated.question)))
        }
        EventPayload::HitlExtended(extended) => {
            let time = duration(extended.by_s.into());
            let reason = extended.comment.as_deref().map_or_else(String::new, said);
            plain("Request", by(&format!("given {time} more")).text(reason))
        }
        EventPayload::HitlUnsatisfiable(unsatisfiable) => {
            let more = unsatisfiable.needs.approvals;
            let rest = match unsatisfiable.unsatisfiable {
                true => format!("cannot be approved: too few people are left, {more} more needed"),
                false => "can be approved again: enough people are left".to_owned(),
            };
            plain("Request", rest.into())
        }
        EventPayload::HitlLinkIssued(issued) => {
            let rest = Sentence::from("for ").name(issued.link.person.name).text(" made by ");
            plain("Link to a request", rest.name(entry.actor()))
        }
        EventPayload::HitlLinkRevoked(_) => plain("Link to a request", by("revoked")),
        EventPayload::DelegationChanged(changed) => {
            let how = if changed.delegation.is_some() { "set" } else { "ended" };
            plain("Standing delegation", by(how))
        }
        EventPayload::HitlTimeout(timeout) => {
            plain("Request expired", format!("and is {}", timeout.status).into())
        }
        EventPayload::HitlCancelled(cancelled) => {
            plain("Request cancelled:", quoted(&cancelled.reason).into())
        }
        EventPayload::AgentStatusChanged(agent) => {
            let status = match agent.0.status {
                AgentStatusKind::Idle => "is idle",
                AgentStatusKind::Working => "is working",
                AgentStatusKind::WaitingForHitl => "waits for a person",
                AgentStatusKind::Error => "has an error",
            };
            plain(&format!("Agent {}", agent.0.agent_type), status.into())
        }
        EventPayload::ArtifactCreated(created) => (
            texts::artifact(created.artifact_type).to_owned(),
            format!("stored by {}", created.source_agent).into(),
            Some(created.digest),
        ),
        EventPayload::ArtifactsGenerated(generated) => (
            "Package".to_owned(),
            format!("made of {} files", generated.artifact_count).into(),
            Some(generated.digest),
        ),
        EventPayload::ArtifactsDeleted(deleted) => {
            ("Package".to_owned(), by("deleted"), Some(deleted.digest))
        }
        EventPayload::BudgetChanged(_) => plain("Budget", by("changed")),
        EventPayload::BudgetReserved(_) => plain("Budget", "reserved for an attempt".into()),
        EventPayload::BudgetExhausted(_) => plain("Budget", "exhausted".into()),
        EventPayload::EmergencyStopped(_) => plain("Emergency stop", by("set")),
        EventPayload::EmergencyReleased(_) => plain("Emergency stop", by("released")),
        other => {
            let by = Sentence::from("by ").name(entry.actor());
            (document::title(other.event_type().as_str()), by, None)
        }
    }
}

/// Returns what was said, as the end of a sentence.
fn said(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {}", quoted(text)) }
}

fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_QUOTE {
        return line;
    }
    let cut: String = line.chars().take(MAX_QUOTE).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use botarmy_domain::{EventId, EventSource};
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::NOW;

    fn entry(seq: u64, event_type: EventType, data: Value) -> std::sync::Arc<Entry> {
        let Value::Object(event_data) = data else { panic!("an object") };
        let metadata: Map<String, Value> =
            [("actor".to_owned(), Value::from("ada"))].into_iter().collect();
        std::sync::Arc::new(Entry {
            id: EventId::from_uuid(Uuid::from_u128(seq.into())),
            project_id: None,
            task_id: None,
            hitl_request_id: None,
            event_type,
            event_source: EventSource::User,
            event_data,
            event_metadata: metadata,
            created_at: NOW,
            seq,
            hash: "0123456789abcdef".repeat(4),
        })
    }

    #[test]
    fn entries_are_sentences_and_gaps_are_marked() {
        let found = [
            entry(9, EventType::ProjectPaused, json!({"status": "paused", "paused_by": "ada"})),
            entry(
                6,
                EventType::ArtifactCreated,
                json!({
                    "context_id": Uuid::from_u128(5), "artifact_type": "project_plan",
                    "digest": "abcdefgh".repeat(8), "source_agent": "analyst", "previous": null,
                }),
            ),
            entry(5, EventType::ProjectHalted, json!({"status": 1})),
        ];
        let views = entries(&found, NOW, false);
        let shown: Vec<_> = views
            .iter()
            .map(|view| (view.lead.clone(), view.rest.to_string(), view.missing_after))
            .collect();
        assert_eq!(
            shown,
            [
                ("Project", "paused by <bdi>ada</bdi>", 2),
                ("Project plan", "stored by analyst", 0),
                ("Project halted", "cannot be read", 0),
            ]
            .map(|(lead, rest, missing)| (lead.to_owned(), rest.to_owned(), missing))
        );
        assert_eq!(views[1].digest.as_deref(), Some("abcdefgh…efgh"));
        assert_eq!(views[1].path, Some(format!("/console/artifacts/{}", Uuid::from_u128(5))));
        assert_eq!(
            (views[0].time.text.as_str(), views[0].short_hash.as_str()),
            ("08:00:00", "01234567…cdef")
        );
        assert!(entries(&found, NOW, true).iter().all(|view| view.missing_after == 0));
    }

    #[test]
    fn what_people_and_agents_wrote_is_cut_to_one_line() {
        let reason = format!("line\n<b>{}", "x".repeat(500));
        let data = json!({"status": "halted", "halted_by": "ada", "reason": reason});
        let view = &entries(&[entry(1, EventType::ProjectHalted, data)], NOW, false)[0];
        let rest = view.rest.plain();
        assert!(rest.starts_with("halted by ada: line <b>xxx") && rest.ends_with('…'));
        assert!(rest.chars().count() < MAX_QUOTE + 30);
    }
}
