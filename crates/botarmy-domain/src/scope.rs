//! What a decision needs to see, and what it then sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::{AgentFacts, AgentRecord};
use crate::artifact::ArtifactRef;
use crate::budget::{BudgetAccount, BudgetKey};
use crate::emergency::{Stop, StopScope};
use crate::hitl::HitlRequest;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::log::{Head, LogId};
use crate::package::Package;
use crate::project::Project;
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
    /// The project's package.
    pub package: bool,
    /// The record of this agent type, and the facts its status follows from.
    pub agent: Option<AgentType>,
    /// These budget accounts. Other logs write to them too, so a store MUST lock them.
    pub budget_accounts: Vec<BudgetKey>,
    /// The emergency stop of this scope.
    pub stop: Option<StopScope>,
}

impl Scope {
    /// A project, and nothing of it.
    #[must_use]
    pub const fn project(id: ProjectId) -> Self {
        Self::log(LogId::Project(id))
    }

    /// The status of an agent type; written to the system log.
    #[must_use]
    pub const fn agent(agent: AgentType) -> Self {
        let mut scope = Self::log(LogId::System);
        scope.agent = Some(agent);
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
            package: false,
            agent: None,
            budget_accounts: Vec::new(),
            stop: None,
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

    /// These budget accounts too.
    #[must_use]
    pub fn budget_accounts(mut self, keys: impl IntoIterator<Item = BudgetKey>) -> Self {
        self.budget_accounts.extend(keys);
        self
    }

    /// The emergency stop of this scope too.
    #[must_use]
    pub const fn stop(mut self, scope: StopScope) -> Self {
        self.stop = Some(scope);
        self
    }

    /// The package too.
    #[must_use]
    pub const fn package(mut self) -> Self {
        self.package = true;
        self
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
    /// The package, if it was asked for.
    pub package: Option<Arc<Package>>,
    /// The agent type's record and facts, if they were asked for.
    pub agent: Option<(Arc<AgentRecord>, AgentFacts)>,
    /// The budget accounts that were asked for; one that nothing was written to is there and empty.
    pub budget_accounts: BTreeMap<BudgetKey, Arc<BudgetAccount>>,
    /// The emergency stop, if it was asked for and there is one.
    pub stops: BTreeMap<StopScope, Arc<Stop>>,
}
