//! Rows that a decision needs: their names before, and their states when it runs.

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

/// Rows that a decision concerns: one log with its project, and the rows named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Log that is written, and locked meanwhile.
    pub log: LogId,
    /// Tasks by id.
    pub tasks: Vec<TaskId>,
    /// Whether to include every task of the project that is not final.
    pub open_tasks: bool,
    /// Requests by id.
    pub requests: Vec<HitlRequestId>,
    /// Whether to include every pending request of the project.
    pub open_requests: bool,
    /// Artifacts by id, without their content.
    pub artifacts: Vec<ContextId>,
    /// Records by key. A store MUST lock those that decisions about other logs write too.
    pub records: Vec<RecordKey>,
    /// Agent type whose facts are included; its status is derived from them.
    pub agent_facts: Option<AgentType>,
}

impl Scope {
    /// Returns the scope of a project without further rows.
    #[must_use]
    pub const fn project(id: ProjectId) -> Self {
        Self::log(LogId::Project(id))
    }

    /// Returns the scope of an agent type's status, which is written to the system log.
    #[must_use]
    pub fn agent(agent: AgentType) -> Self {
        let mut scope = Self::log(LogId::System).record::<AgentRecord>(agent);
        scope.agent_facts = Some(agent);
        scope
    }

    /// Returns the scope of a log without further rows.
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

    /// Adds this task.
    #[must_use]
    pub fn task(mut self, id: TaskId) -> Self {
        self.tasks.push(id);
        self
    }

    /// Adds this request.
    #[must_use]
    pub fn request(mut self, id: HitlRequestId) -> Self {
        self.requests.push(id);
        self
    }

    /// Adds these artifacts.
    #[must_use]
    pub fn artifacts(mut self, ids: &[ContextId]) -> Self {
        self.artifacts.extend_from_slice(ids);
        self
    }

    /// Adds every open task and every pending request.
    #[must_use]
    pub const fn everything_open(mut self) -> Self {
        self.open_tasks = true;
        self.open_requests = true;
        self
    }

    /// Adds every pending request.
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

/// State of the rows of a scope. A row of the scope that is missing here does not exist.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// End of the log.
    pub head: Head,
    /// Project; `None` in the system log or if it does not exist.
    pub project: Option<Arc<Project>>,
    /// Tasks of the scope.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// Requests of the scope.
    pub requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    /// Artifacts of the scope.
    pub artifacts: BTreeMap<ContextId, Arc<ArtifactRef>>,
    /// Records of the scope; `None` for one that does not exist.
    pub records: BTreeMap<RecordKey, Option<RecordValue>>,
    /// Agent type and its facts, if the scope includes them.
    pub agent_facts: Option<(AgentType, AgentFacts)>,
    /// Whether the project has released artifacts that its row does not have yet. They are written
    /// with whatever is decided.
    pub is_rebuilt: bool,
}

impl Snapshot {
    /// Returns the record with this key, if it is in the scope and exists.
    #[must_use]
    pub fn record<R: Listed>(&self, key: R::Key) -> Option<&Arc<R>> {
        self.records.get(&R::any_key(key))?.as_ref().and_then(R::of)
    }
}
