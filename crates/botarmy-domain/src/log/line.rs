//! Lines of an export: one for each entry, and a last one that states the head.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Entry, HeadMark, hash_bytes};
use crate::ids::{EventId, HitlRequestId, ProjectId, TaskId};
use crate::json;
use crate::timestamp::Timestamp;
use crate::vocabulary::{EventSource, EventType};

/// A line of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An entry.
    Entry(Arc<Entry>),
    /// The place of an entry that the store cannot read.
    Unreadable(Unreadable),
    /// The last line: the head of the log at the time of the export.
    End(HeadMark),
}

/// An entry that the store cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// Position in the log.
    pub seq: u64,
    /// Defect of the row.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnreadableLine<T> {
    unreadable: T,
}

#[derive(Serialize)]
struct EndLine<'a> {
    head: &'a HeadMark,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEnd {
    head: WrittenHead,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead {
    seq: u64,
    #[serde(deserialize_with = "hash")]
    hash: String,
}

/// An entry as a line must have it: every field, no other, each in its one spelling. Otherwise a
/// line could be changed in a place that its hash does not cover.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    #[serde(deserialize_with = "exact")]
    id: EventId,
    #[serde(deserialize_with = "exact_or_null")]
    project_id: Option<ProjectId>,
    #[serde(deserialize_with = "exact_or_null")]
    task_id: Option<TaskId>,
    #[serde(deserialize_with = "exact_or_null")]
    hitl_request_id: Option<HitlRequestId>,
    event_type: EventType,
    event_source: EventSource,
    event_data: Map<String, Value>,
    event_metadata: Map<String, Value>,
    #[serde(deserialize_with = "exact")]
    created_at: Timestamp,
    seq: u64,
    #[serde(deserialize_with = "hash")]
    hash: String,
}

/// Members by which the kind of a line is recognised.
#[derive(Deserialize)]
struct Kind {
    head: Option<IgnoredAny>,
    unreadable: Option<IgnoredAny>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// A description of the defect.
    pub fn read(text: &str) -> Result<Self, String> {
        let line = match json::read::<WrittenEntry>(text) {
            Ok(written) => Self::Entry(Arc::new(written.into())),
            Err(error) => match json::read::<Kind>(text) {
                Ok(Kind { head: Some(_), .. }) => {
                    let WrittenEnd { head } = json::read(text)?;
                    Self::End(HeadMark { seq: head.seq, hash: head.hash })
                }
                Ok(Kind { unreadable: Some(_), .. }) => {
                    let UnreadableLine { unreadable } = json::read(text)?;
                    Self::Unreadable(unreadable)
                }
                _ => return Err(error),
            },
        };
        json::check_written(text).map_err(|error| error.to_string())?;
        Ok(line)
    }

    /// Returns the position in the log.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.seq,
            Self::Unreadable(unreadable) => unreadable.seq,
            Self::End(head) => head.seq,
        }
    }

    /// Appends the line to a text, with its line end.
    ///
    /// # Panics
    /// Never: every kind of line is JSON.
    pub fn write(&self, text: &mut Vec<u8>) {
        let written = match self {
            Self::Entry(entry) => serde_json::to_writer(&mut *text, &**entry),
            Self::Unreadable(unreadable) => {
                serde_json::to_writer(&mut *text, &UnreadableLine { unreadable })
            }
            Self::End(head) => serde_json::to_writer(&mut *text, &EndLine { head }),
        };
        written.expect("a line has text keys and is written to memory");
        text.push(b'\n');
    }
}

impl From<WrittenEntry> for Entry {
    fn from(written: WrittenEntry) -> Self {
        Self {
            id: written.id,
            project_id: written.project_id,
            task_id: written.task_id,
            hitl_request_id: written.hitl_request_id,
            event_type: written.event_type,
            event_source: written.event_source,
            event_data: written.event_data,
            event_metadata: written.event_metadata,
            created_at: written.created_at,
            seq: written.seq,
            hash: written.hash,
        }
    }
}

fn exact<'de, T: FromStr + Display, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    exactly(&text).map_err(D::Error::custom)
}

fn exact_or_null<'de, T: FromStr + Display, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    text.map(|text| exactly(&text)).transpose().map_err(D::Error::custom)
}

/// Reads a value from the only text that it is written as.
fn exactly<T: FromStr + Display>(text: &str) -> Result<T, String> {
    let value: T = text.parse().map_err(|_| format!("`{text}` cannot be read"))?;
    let written = value.to_string();
    if written == text { Ok(value) } else { Err(format!("`{text}` is not written `{written}`")) }
}

/// Reads a hash in either case.
fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match hash_bytes(&text) {
        Some(_) => Ok(text.to_ascii_lowercase()),
        None => Err(D::Error::custom("a hash has 64 hexadecimal digits")),
    }
}
