//! Objects of projects by their ids, whatever kind they are of.

use uuid::Uuid;

use crate::ids::{ContextId, EventId, HitlRequestId, ProjectId, TaskId};

/// Id of an object that belongs to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// The project itself.
    Project(ProjectId),
    /// A task.
    Task(TaskId),
    /// A request to people.
    Request(HitlRequestId),
    /// An artifact.
    Artifact(ContextId),
    /// A log entry. One of the system log belongs to no project.
    Entry(EventId),
}

impl ObjectId {
    /// Returns the UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        match self {
            Self::Project(id) => id.uuid(),
            Self::Task(id) => id.uuid(),
            Self::Request(id) => id.uuid(),
            Self::Artifact(id) => id.uuid(),
            Self::Entry(id) => id.uuid(),
        }
    }

    /// Returns the kind of object, as errors name it.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Project(_) => "Project",
            Self::Task(_) => "Task",
            Self::Request(_) => "Request",
            Self::Artifact(_) => "Artifact",
            Self::Entry(_) => "Event",
        }
    }
}
