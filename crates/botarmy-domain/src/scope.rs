//! What a decision needs to see, and what it then sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{AgentFacts, AgentRecord};
use crate::artifact::ArtifactRef;
use crate::hitl::HitlRequest;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::log::{Head, LogId};
use crate::project::Project;
use crate::records::{Listed, RecordKey, RecordValue};
use crate::task::Task;
use crate::vocabulary::AgentType;

/// The rows a decision concerns: one log with its project, and what is named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The log that is written, and locked meanwhile.
    pub log: LogId,
    /// These tasks.
    pub tasks: Vec<TaskId>,
    /// Every task of the project that is not final.
    pub open_tasks: bool,
    /// These requests.
    pub requests: Vec<HitlRequestId>,
    /// Every pending request of the project.
    pub open_requests: bool,
    /// These artifacts, without their content.
    pub artifacts: Vec<ContextId>,
    /// These records. A store MUST lock those that decisions about other logs write too.
    pub records: Vec<RecordKey>,
    /// The facts that the status of this agent type follows from.
    pub agent_facts: Option<AgentType>,
}

impl Scope {
    /// A project, and nothing of it.
    #[must_use]
    pub const fn project(id: ProjectId) -> Self {
        Self::log(LogId::Project(id))
    }

    /// The status of an agent type; written to the system log.
    #[must_use]
    pub fn agent(agent: AgentType) -> Self {
        let mut scope = Self::log(LogId::System).record::<AgentRecord>(agent);
        scope.agent_facts = Some(agent);
        scope
    }

    /// A log, and nothing else.
    #[must_use]
    pub const fn log(log: LogId) -> Self {
        Self {
            log,
            tasks: Vec::new(),
            open_tasks: false,
            requests: Vec::new(),
            open_requests: false,
            artifacts: Vec::new(),
            records: Vec::new(),
            agent_facts: None,
        }
    }

    /// This task too.
    #[must_use]
    pub fn task(mut self, id: TaskId) -> Self {
        self.tasks.push(id);
        self
    }

    /// This request too.
    #[must_use]
    pub fn request(mut self, id: HitlRequestId) -> Self {
        self.requests.push(id);
        self
    }

    /// These artifacts too.
    #[must_use]
    pub fn artifacts(mut self, ids: &[ContextId]) -> Self {
        self.artifacts.extend_from_slice(ids);
        self
    }

    /// Everything that is still open.
    #[must_use]
    pub const fn everything_open(mut self) -> Self {
        self.open_tasks = true;
        self.open_requests = true;
        self
    }

    /// Every pending request.
    #[must_use]
    pub const fn open_requests(mut self) -> Self {
        self.open_requests = true;
        self
    }

    /// Adds the record with this key.
    #[must_use]
    pub fn record<R: Listed>(self, key: R::Key) -> Self {
        self.records::<R>([key])
    }

    /// Adds the records with these keys.
    #[must_use]
    pub fn records<R: Listed>(mut self, keys: impl IntoIterator<Item = R::Key>) -> Self {
        self.records.extend(keys.into_iter().map(R::any_key));
        self
    }

    /// Returns whether it names a record that decisions about other logs write too.
    #[must_use]
    pub fn has_shared_record(&self) -> bool {
        self.records.iter().any(|key| key.kind().is_shared())
    }
}

/// What a decision sees. What was asked for and is not in here does not exist.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The end of the log.
    pub head: Head,
    /// The project, unless it is the system log or does not exist.
    pub project: Option<Arc<Project>>,
    /// The tasks that were asked for.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// The requests that were asked for.
    pub requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    /// The artifacts that were asked for.
    pub artifacts: BTreeMap<ContextId, Arc<ArtifactRef>>,
    /// The records that were asked for; `None` where there is none.
    pub records: BTreeMap<RecordKey, Option<RecordValue>>,
    /// The agent type and its facts, if they were asked for.
    pub agent_facts: Option<(AgentType, AgentFacts)>,
}

impl Snapshot {
    /// Returns the record with this key, if it was asked for and exists.
    #[must_use]
    pub fn record<R: Listed>(&self, key: R::Key) -> Option<&Arc<R>> {
        self.records.get(&R::any_key(key))?.as_ref().and_then(R::of)
    }
}
