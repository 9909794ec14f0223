//! The state of the store: maps behind one lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use botarmy_domain::batch::{Batch, ReadSet, Rows, WriteSet};
use botarmy_domain::ids::{ContextId, CredentialId, EventId, HitlRequestId, ProjectId, TaskId};
use botarmy_domain::log::{Entry, Head, LogId};
use botarmy_domain::{
    AgentFacts, AgentType, Artifact, HitlKind, HitlRequest, HitlStatus, Listed, ObjectId, Project,
    Reach, RecordKey, RecordValue, Task, TaskStatus, Timestamp,
};

use crate::webhook_state::WebhookState;

/// All storage ports in memory. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the state. A panic under the lock leaves the state consistent, because it is written
    /// only at the end.
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
    pub(crate) records: BTreeMap<RecordKey, RecordValue>,
    pub(crate) key_uses: BTreeMap<CredentialId, Timestamp>,
    pub(crate) webhooks: WebhookState,
    pub(crate) logs: HashMap<LogId, Vec<Arc<Entry>>>,
    pub(crate) entries: BTreeMap<EventId, Arc<Entry>>,
}

impl State {
    /// Creates a batch with the rows of this read set.
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
            records: read_set
                .records
                .iter()
                .filter_map(|key| self.records.get(key).cloned())
                .collect(),
            agent_facts: read_set
                .agent_facts
                .iter()
                .map(|agent| (*agent, self.agent_facts(*agent)))
                .collect(),
        }
    }

    /// Returns the record with this key.
    pub(crate) fn record<R: Listed>(&self, key: R::Key) -> Option<&Arc<R>> {
        self.records.get(&R::any_key(key)).and_then(R::of)
    }

    /// Returns the project of the last object of its kind whose id is not after this one, and whether
    /// that is this object. Looking for an object that does not exist is the same work as looking for one
    /// that does.
    pub(crate) fn nearest(&self, object: ObjectId) -> (Option<ProjectId>, bool) {
        fn last<K: Ord + Copy, V>(rows: &BTreeMap<K, V>, id: K) -> Option<(K, &V)> {
            rows.range(..=id).next_back().map(|(found, row)| (*found, row))
        }
        let (project, found) = match object {
            ObjectId::Project(id) => {
                last(&self.projects, id).map(|(found, row)| (Some(row.id), found == id))
            }
            ObjectId::Task(id) => {
                last(&self.tasks, id).map(|(found, row)| (Some(row.project_id), found == id))
            }
            ObjectId::Request(id) => {
                last(&self.requests, id).map(|(found, row)| (Some(row.project_id), found == id))
            }
            ObjectId::Artifact(id) => last(&self.artifacts, id)
                .map(|(found, row)| (Some(row.meta.project_id), found == id)),
            ObjectId::Entry(id) => {
                last(&self.entries, id).map(|(found, row)| (row.project_id, found == id))
            }
        }
        .unwrap_or_default();
        (project, found)
    }

    /// Returns whether a project is within the reach.
    pub(crate) fn sees(&self, reach: &Reach, id: ProjectId) -> bool {
        let creator = self.projects.get(&id).and_then(|project| project.creator);
        reach.sees(id, creator)
    }

    fn agent_facts(&self, agent: AgentType) -> AgentFacts {
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
        AgentFacts {
            working: u32::try_from(working().count()).unwrap_or(u32::MAX),
            current_task: working().next().map(|task| task.id),
            waiting: u32::try_from(pending().filter(|r| r.kind != HitlKind::Failure).count())
                .unwrap_or(u32::MAX),
            failure: pending()
                .filter(|request| request.kind == HitlKind::Failure)
                .max_by_key(|request| (request.created_at, request.id))
                .map(|request| (request.created_at, request.question.clone())),
        }
    }

    pub(crate) fn write(&mut self, writes: WriteSet) {
        self.heads.extend(writes.heads.into_iter().map(|head| (head.log, head)));
        self.projects.extend(writes.projects.into_iter().map(|row| (row.id, row)));
        self.tasks.extend(writes.tasks.into_iter().map(|row| (row.id, row)));
        self.requests.extend(writes.requests.into_iter().map(|row| (row.id, row)));
        self.artifacts.extend(writes.artifacts.into_iter().map(|row| (row.meta.id, row)));
        for write in writes.records {
            match write.value {
                Some(record) => drop(self.records.insert(write.key, record)),
                None => drop(self.records.remove(&write.key)),
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
