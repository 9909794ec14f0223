//! Parts of a decision. A change holds a new state *together with* the event that caused it, and
//! only this crate can build one: state without a log entry does not compile.

use std::sync::Arc;

use crate::artifact::Artifact;
use crate::hitl::HitlRequest;
use crate::ids::{HitlRequestId, TaskId};
use crate::log::{Entry, Event};
use crate::project::{Counts, Project};
use crate::records::{Listed, RecordKey, RecordValue};
use crate::task::Task;
use crate::timestamp::Timestamp;

/// A row in its new state.
#[derive(Debug, Clone)]
pub enum Row {
    /// A project.
    Project(Arc<Project>),
    /// A task.
    Task(Arc<Task>),
    /// A human-in-the-loop request.
    Request(Arc<HitlRequest>),
    /// An artifact, always a new one.
    Artifact(Arc<Artifact>),
    /// A record, new or replaced.
    Record(RecordValue),
    /// A record that was removed.
    NoRecord(RecordKey),
}

/// New states and the event that caused them. An event can change more than one row: an answer
/// changes the request and the task that waited for it.
#[derive(Debug, Clone)]
pub struct Change {
    pub(crate) rows: Vec<Row>,
    pub(crate) event: Event,
}

/// Changes to be committed together or not at all.
#[derive(Debug, Clone)]
pub struct Decision {
    pub(crate) changes: Vec<Change>,
    pub(crate) counts: Counts,
    pub(crate) next_turn: Timestamp,
}

impl Decision {
    /// Returns whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Result of a commit.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Log entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// Rows in their new states, in order; a row that changed twice occurs twice.
    pub rows: Vec<Row>,
}

impl Committed {
    /// Returns the last state of the project, if it changed.
    #[must_use]
    pub fn project(&self) -> Option<&Arc<Project>> {
        self.rows.iter().rev().find_map(|row| match row {
            Row::Project(project) => Some(project),
            _ => None,
        })
    }

    /// Returns the last state of this task, if it changed.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.rows.iter().rev().find_map(|row| match row {
            Row::Task(task) if task.id == id => Some(task),
            _ => None,
        })
    }

    /// Returns the last state of this request, if it changed.
    #[must_use]
    pub fn request(&self, id: HitlRequestId) -> Option<&Arc<HitlRequest>> {
        self.rows.iter().rev().find_map(|row| match row {
            Row::Request(request) if request.id == id => Some(request),
            _ => None,
        })
    }

    /// Returns the last state of this record, if it changed and was not removed since.
    #[must_use]
    pub fn record<R: Listed>(&self, key: R::Key) -> Option<&Arc<R>> {
        let key = R::any_key(key);
        let last = self.rows.iter().rev().find_map(|row| match row {
            Row::Record(record) if record.key() == key => Some(R::of(record)),
            Row::NoRecord(removed) if *removed == key => Some(None),
            _ => None,
        });
        last.flatten()
    }

    /// Appends the result of another commit.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.rows.extend(other.rows);
    }
}
