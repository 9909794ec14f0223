//! The maps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use botarmy_domain::batch::{Batch, ReadSet, Rows, WriteSet};
use botarmy_domain::ids::{ContextId, EventId, HitlRequestId, ProjectId, TaskId};
use botarmy_domain::log::{Entry, Head, LogId};
use botarmy_domain::{
    AgentFacts, AgentRecord, AgentType, Artifact, BudgetAccount, BudgetKey, HitlKind, HitlRequest,
    HitlStatus, Package, Project, Stop, StopScope, Task, TaskStatus,
};

/// All storage ports in memory. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic while the state is held leaves it whole: it is only written at the end.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) heads: HashMap<LogId, Head>,
    pub(crate) projects: BTreeMap<ProjectId, Arc<Project>>,
    pub(crate) tasks: BTreeMap<TaskId, Arc<Task>>,
    pub(crate) requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    pub(crate) artifacts: BTreeMap<ContextId, Arc<Artifact>>,
    pub(crate) packages: BTreeMap<ProjectId, Arc<Package>>,
    pub(crate) agents: BTreeMap<AgentType, Arc<AgentRecord>>,
    pub(crate) budget_accounts: BTreeMap<BudgetKey, Arc<BudgetAccount>>,
    pub(crate) stops: BTreeMap<StopScope, Arc<Stop>>,
    pub(crate) logs: HashMap<LogId, Vec<Arc<Entry>>>,
    pub(crate) entries: BTreeMap<EventId, Arc<Entry>>,
}

impl State {
    /// A batch that knows all of this.
    pub(crate) fn batch(&self, read_set: impl FnOnce(&Batch) -> ReadSet) -> Batch {
        let mut batch = Batch::default();
        let read_set = read_set(&batch);
        let loaded = self.load(&read_set);
        batch.admit(&read_set, loaded);
        batch
    }

    fn load(&self, read_set: &ReadSet) -> Rows {
        let open_tasks = self.tasks.values().filter(|task| {
            read_set.open_tasks.contains(&task.project_id) && !task.status().is_final()
        });
        let open_requests = self.requests.values().filter(|request| {
            read_set.open_requests.contains(&request.project_id)
                && request.status() == HitlStatus::Pending
        });
        Rows {
            heads: read_set.heads.iter().filter_map(|log| self.heads.get(log).cloned()).collect(),
            projects: read_set
                .projects
                .iter()
                .filter_map(|id| self.projects.get(id).cloned())
                .collect(),
            tasks: found(&self.tasks, &read_set.tasks)
                .into_iter()
                .chain(open_tasks.map(|task| (**task).clone()))
                .collect(),
            requests: found(&self.requests, &read_set.requests)
                .into_iter()
                .chain(open_requests.map(|request| (**request).clone()))
                .collect(),
            artifacts: found(&self.artifacts, &read_set.artifacts)
                .into_iter()
                .map(|artifact| artifact.meta)
                .collect(),
            packages: found(&self.packages, &read_set.packages),
            agents: read_set.agents.iter().map(|agent| self.agent(*agent)).collect(),
            budget_accounts: found(&self.budget_accounts, &read_set.budget_accounts),
            stops: found(&self.stops, &read_set.stops),
        }
    }

    fn agent(&self, agent: AgentType) -> (AgentRecord, AgentFacts) {
        let record =
            self.agents.get(&agent).map_or_else(|| AgentRecord::idle(agent), |r| (**r).clone());
        let is_open =
            |project| self.projects.get(project).is_some_and(|found| found.status().is_open());
        let working = || {
            self.tasks.values().filter(|task| {
                task.agent == agent
                    && task.status() == TaskStatus::Working
                    && is_open(&task.project_id)
            })
        };
        let pending = || {
            self.requests.values().filter(|request| {
                request.agent == Some(agent)
                    && request.status() == HitlStatus::Pending
                    && is_open(&request.project_id)
            })
        };
        let facts = AgentFacts {
            working: u32::try_from(working().count()).unwrap_or(u32::MAX),
            current_task: working().next().map(|task| task.id),
            waiting: u32::try_from(pending().filter(|r| r.kind != HitlKind::Failure).count())
                .unwrap_or(u32::MAX),
            failure: pending()
                .filter(|request| request.kind == HitlKind::Failure)
                .max_by_key(|request| (request.created_at, request.id))
                .map(|request| (request.created_at, request.question.clone())),
        };
        (record, facts)
    }

    pub(crate) fn write(&mut self, writes: WriteSet) {
        self.heads.extend(writes.heads.into_iter().map(|head| (head.log, head)));
        self.projects.extend(writes.projects.into_iter().map(|row| (row.id, row)));
        self.tasks.extend(writes.tasks.into_iter().map(|row| (row.id, row)));
        self.requests.extend(writes.requests.into_iter().map(|row| (row.id, row)));
        self.artifacts.extend(writes.artifacts.into_iter().map(|row| (row.meta.id, row)));
        for (project, package) in writes.packages {
            match package {
                Some(package) => drop(self.packages.insert(project, package)),
                None => drop(self.packages.remove(&project)),
            }
        }
        self.agents.extend(writes.agents.into_iter().map(|row| (row.agent_type, row)));
        self.budget_accounts.extend(writes.budget_accounts.into_iter().map(|row| (row.key, row)));
        for (scope, stop) in writes.stops {
            match stop {
                Some(stop) => drop(self.stops.insert(scope, stop)),
                None => drop(self.stops.remove(&scope)),
            }
        }
        for entry in writes.entries {
            self.logs.entry(entry.log()).or_default().push(Arc::clone(&entry));
            self.entries.insert(entry.id, entry);
        }
    }
}

fn found<K: Ord, V: Clone>(
    map: &BTreeMap<K, Arc<V>>,
    keys: &std::collections::BTreeSet<K>,
) -> Vec<V> {
    keys.iter().filter_map(|key| map.get(key)).map(|row| (**row).clone()).collect()
}
