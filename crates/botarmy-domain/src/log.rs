//! The append-only log: one per project and one for the system. Entries are numbered without a
//! gap in commit order, and each carries a hash over itself and the hash before it.
//! `docs/log.md` describes the format for readers outside.

mod export;
mod line;
mod verify;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::Reach;
use crate::artifact::digest_bytes;
use crate::canonical;
use crate::ids::{CredentialId, EventId, HitlRequestId, PrincipalId, ProjectId, TaskId};
use crate::project::Counts;
use crate::timestamp::Timestamp;
use crate::trace::TraceContext;
use crate::vocabulary::{Authentication, EventSource, EventType, Via};

pub use crate::hash::{hash_bytes, hash_text};
pub use export::{ExportError, ExportVerifier};
pub use line::{Line, Unreadable};
pub use verify::{Verification, Verifier};

/// A log: that of a project, or the system log for events without a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogId {
    /// Log of events without a project.
    System,
    /// Log of a project.
    Project(ProjectId),
}

impl LogId {
    /// Returns the key under which a store keeps the log: the project's id, or all zeros for the
    /// system log.
    #[must_use]
    pub const fn key(self) -> ProjectId {
        match self {
            Self::System => ProjectId::from_uuid(uuid::Uuid::nil()),
            Self::Project(id) => id,
        }
    }

    /// Returns the log with this key.
    #[must_use]
    pub const fn from_key(key: ProjectId) -> Self {
        if key.uuid().is_nil() { Self::System } else { Self::Project(key) }
    }

    /// Returns the project, or `None` for the system log.
    #[must_use]
    pub const fn project(self) -> Option<ProjectId> {
        match self {
            Self::System => None,
            Self::Project(id) => Some(id),
        }
    }
}

/// Positions in a log, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogSpan {
    /// The log.
    pub log: LogId,
    /// First position.
    pub first: u64,
    /// Last position.
    pub last: u64,
}

/// End of a log, with the counts of its project. Locked while a decision is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// Position of its last entry; 0 if it is empty.
    pub seq: u64,
    /// Hash of its last entry; [`GENESIS`] if it is empty.
    pub hash: String,
    /// Counts of the project's tasks, requests and artifacts.
    pub counts: Counts,
    /// Earliest queue position of the project's next task; see [`crate::task::Task::turn_at`].
    pub next_turn: Timestamp,
}

/// Hash before the first entry of a log.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Head {
    /// Returns the head of a log without entries.
    #[must_use]
    pub fn empty(log: LogId) -> Self {
        Self {
            log,
            seq: 0,
            hash: GENESIS.to_owned(),
            counts: Counts::default(),
            next_turn: Timestamp::from_micros(0),
        }
    }
}

/// Party that caused an entry; made by [`crate::caller::Caller::origin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Kind of party.
    pub source: EventSource,
    /// Name of the party: a user's name, a worker's id, `scheduler`, …
    pub actor: String,
    /// Id of the request that caused it, as in the server's own log.
    pub request_id: Option<String>,
    /// Way by which the request reached the server; `None` for workers and for parts of the server.
    pub via: Option<Via>,
    /// Position in the trace that the request belongs to.
    pub trace: Option<TraceContext>,
    /// Proof of the identity; `None` for parts of the server and on an open server.
    pub proof: Option<Arc<Proof>>,
}

/// Principal behind an entry, and how it proved that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Id of the principal; `None` for a command with access to the store.
    pub principal: Option<PrincipalId>,
    /// Way in which it proved its identity.
    pub authentication: Authentication,
    /// Id of the credential.
    pub credential: Option<CredentialId>,
    /// User whom a program named.
    pub claimed_user: Option<String>,
}

impl Origin {
    /// Returns the metadata of an entry. Its keys are in order, because canonical JSON of other maps is
    /// several times slower to write.
    fn into_metadata(self) -> Map<String, Value> {
        let proof = self.proof.as_deref();
        let members = [
            ("actor", Some(self.actor)),
            ("auth", proof.map(|proof| proof.authentication.to_string())),
            ("claimed_user", proof.and_then(|proof| proof.claimed_user.clone())),
            ("credential", proof.and_then(|proof| proof.credential).map(|id| id.to_string())),
            ("principal", proof.and_then(|proof| proof.principal).map(|id| id.to_string())),
            ("request_id", self.request_id),
            ("traceparent", self.trace.map(String::from)),
            ("via", self.via.map(|via| via.to_string())),
        ];
        let known = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }
}

/// An event before it has a position in a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id of the event.
    pub id: EventId,
    /// Type of the event.
    pub event_type: EventType,
    /// Party that caused the event.
    pub origin: Origin,
    /// Task that the event concerns.
    pub task_id: Option<TaskId>,
    /// Human-in-the-loop request that the event concerns.
    pub hitl_request_id: Option<HitlRequestId>,
    /// Payload; its form depends on the event type.
    pub data: Map<String, Value>,
    /// Time of the event.
    pub at: Timestamp,
}

/// An entry of a log. Its JSON is the format of the audit API and of exports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the entry.
    pub id: EventId,
    /// Project that the log belongs to; `None` in the system log.
    pub project_id: Option<ProjectId>,
    /// Task that the entry concerns.
    pub task_id: Option<TaskId>,
    /// Human-in-the-loop request that the entry concerns.
    pub hitl_request_id: Option<HitlRequestId>,
    /// Type of the event.
    pub event_type: EventType,
    /// Kind of party that caused the event.
    pub event_source: EventSource,
    /// Payload; its form depends on the event type.
    pub event_data: Map<String, Value>,
    /// `actor` and, if known, `request_id`, `via`, `principal`, `auth`, `credential`, `claimed_user` and
    /// `traceparent`.
    pub event_metadata: Map<String, Value>,
    /// Time of the event.
    pub created_at: Timestamp,
    /// Position in the log: 1, 2, 3, …
    pub seq: u64,
    /// SHA-256 over the canonical JSON of all fields above and the previous hash, in lower-case
    /// hexadecimal; see [`Form`].
    pub hash: String,
}

/// Form of the canonical JSON that a hash was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// That of earlier versions, which round numbers of 2^53 or more. A hash in this form does not
    /// show a change of their last digits.
    Rounded,
    /// The present one, with every digit of an integer.
    Exact,
}

/// Input of the hash: every field of the entry except the hash itself, and the previous hash. In
/// alphabetical order, which is the canonical one.
#[derive(Serialize)]
struct Sealed<'a> {
    created_at: Timestamp,
    event_data: &'a Map<String, Value>,
    event_metadata: &'a Map<String, Value>,
    event_source: EventSource,
    event_type: EventType,
    hitl_request_id: Option<HitlRequestId>,
    id: EventId,
    previous: &'a str,
    project_id: Option<ProjectId>,
    seq: u64,
    task_id: Option<TaskId>,
}

impl Entry {
    /// Appends an event after `head` and advances the head to it.
    #[must_use]
    pub fn append(head: &mut Head, event: Event) -> Self {
        let event_source = event.origin.source;
        let mut entry = Self {
            id: event.id,
            project_id: head.log.project(),
            task_id: event.task_id,
            hitl_request_id: event.hitl_request_id,
            event_type: event.event_type,
            event_source,
            event_data: canonical::in_order(event.data),
            event_metadata: event.origin.into_metadata(),
            created_at: event.at,
            seq: head.seq + 1,
            hash: String::new(),
        };
        entry.hash = entry.seal(&head.hash);
        head.seq = entry.seq;
        head.hash.clone_from(&entry.hash);
        entry
    }

    /// Computes the hash that this entry must have after `previous`.
    #[must_use]
    pub fn seal(&self, previous: &str) -> String {
        digest_bytes(&canonical::form_2(&self.sealed(previous)))
    }

    /// Returns the form in which the entry has the hash that it must have after `previous`, or
    /// `None` if it has another hash.
    #[must_use]
    pub fn form_after(&self, previous: &str) -> Option<Form> {
        if self.hash == self.seal(previous) {
            return Some(Form::Exact);
        }
        let rounded = canonical::form_1(&self.sealed(previous))?;
        (self.hash == digest_bytes(&rounded)).then_some(Form::Rounded)
    }

    fn sealed<'a>(&'a self, previous: &'a str) -> Sealed<'a> {
        Sealed {
            created_at: self.created_at,
            event_data: &self.event_data,
            event_metadata: &self.event_metadata,
            event_source: self.event_source,
            event_type: self.event_type,
            hitl_request_id: self.hitl_request_id,
            id: self.id,
            previous,
            project_id: self.project_id,
            seq: self.seq,
            task_id: self.task_id,
        }
    }

    /// Returns the log that the entry belongs to.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.project_id.map_or(LogId::System, LogId::Project)
    }

    /// Returns the id of the principal that caused the entry.
    #[must_use]
    pub fn principal(&self) -> Option<PrincipalId> {
        self.event_metadata.get("principal")?.as_str()?.parse().ok()
    }

    /// Returns the name of the party that caused the entry.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.event_metadata.get("actor").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A position in a log and the hash there. Its text is `SEQ:HASH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMark {
    /// Position in the log.
    pub seq: u64,
    /// Hash of the entry at that position.
    pub hash: String,
}

impl std::fmt::Display for HeadMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for HeadMark {
    type Err = String;

    /// Reads `SEQ:HASH`; the hash may be in upper case.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "must be SEQ:HASH, a position and the 64 hexadecimal digits there".to_owned();
        let (seq, hash) = text.trim().split_once(':').ok_or_else(wrong)?;
        let seq = seq.parse().map_err(|_| wrong())?;
        hash_bytes(hash).ok_or_else(wrong)?;
        Ok(Self { seq, hash: hash.to_ascii_lowercase() })
    }
}

/// Filter for entries of all logs. A field that is `None` does not restrict the result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Project of the log.
    pub project: Option<ProjectId>,
    /// Task that the entry concerns.
    pub task: Option<TaskId>,
    /// Human-in-the-loop request that the entry concerns.
    pub request: Option<HitlRequestId>,
    /// Type of the event.
    pub event_type: Option<EventType>,
    /// Kind of party that caused the event.
    pub event_source: Option<EventSource>,
    /// Earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// Latest time, inclusive.
    pub to: Option<Timestamp>,
    /// Id of the entry before which the page begins.
    pub before: Option<EventId>,
    /// Number of entries to skip.
    pub offset: u32,
    /// Projects whose entries the caller sees. Entries of the system log are in no limited reach.
    pub reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::id_generator::IdGenerator;

    pub(super) fn log_of(length: usize) -> (Head, Vec<Entry>) {
        let mut id_generator = IdGenerator::new(Timestamp::from_micros(1_000_000), 1);
        let mut head = Head::empty(LogId::Project(id_generator.project()));
        let mut entries = Vec::new();
        for _ in 0..length {
            let event = event_after(&entries);
            entries.push(Entry::append(&mut head, event));
        }
        (head, entries)
    }

    /// Returns an event to be appended to these entries.
    pub(super) fn event_after(entries: &[Entry]) -> Event {
        let n = entries.len() as u64;
        let mut id_generator =
            IdGenerator::new(Timestamp::from_micros(1_000_000), u128::from(n) + 2);
        Event {
            id: id_generator.event(),
            event_type: EventType::TaskCreated,
            origin: Caller::person("someone").origin(),
            task_id: Some(id_generator.task()),
            hitl_request_id: None,
            data: Map::from_iter([("n".to_owned(), n.into())]),
            at: id_generator.now(),
        }
    }

    #[test]
    fn what_is_sealed_is_canonical() {
        let (_, entries) = log_of(1);
        let entry = &entries[0];
        let mut whole = serde_json::to_value(entry).unwrap();
        let fields = whole.as_object_mut().unwrap();
        fields.remove("hash");
        fields.insert("previous".to_owned(), GENESIS.into());
        assert_eq!(entry.seal(GENESIS), crate::artifact::digest(&whole));
    }

    #[test]
    fn the_metadata_of_an_entry_is_in_canonical_order() {
        let (mut head, entries) = log_of(1);
        let proof = Proof {
            principal: Some(PrincipalId::from_uuid(uuid::Uuid::nil())),
            authentication: Authentication::Key,
            credential: Some(CredentialId::from_uuid(uuid::Uuid::nil())),
            claimed_user: Some("ada".to_owned()),
        };
        let caller = Caller::local("ci").with_request_id(Some("r".to_owned()));
        let caller = caller.with_trace(TraceContext::new(1, 2, true));
        let mut event = event_after(&entries);
        event.origin = Origin { proof: Some(Arc::new(proof)), ..caller.origin() };
        let entry = Entry::append(&mut head, event);
        let keys: Vec<_> = entry.event_metadata.keys().collect();
        let sorted = [
            "actor",
            "auth",
            "claimed_user",
            "credential",
            "principal",
            "request_id",
            "traceparent",
            "via",
        ];
        assert_eq!(keys, sorted);
    }

    #[test]
    fn a_head_is_read_from_its_text_in_either_case() {
        let mark = HeadMark { seq: 7, hash: "ab".repeat(32) };
        assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
        assert_eq!(format!(" 7:{} ", "AB".repeat(32)).parse(), Ok(mark));
        for wrong in [
            "",
            "7",
            "7:",
            ":",
            "x:00",
            &format!("-1:{GENESIS}"),
            &format!("1:{}+f", "0".repeat(62)),
        ] {
            assert!(wrong.parse::<HeadMark>().is_err(), "{wrong}");
        }
    }
}
