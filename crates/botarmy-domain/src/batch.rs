//! Many decisions in one database transaction. A batch holds the rows that waiting decisions
//! concern; each decision runs against them in turn and sees the changes of those before it; then
//! all changed rows are written at once. A refused decision leaves the batch unchanged, so it does
//! not affect the others.
//!
//! An adapter loads the rows that [`Batch::read_set`] returns, passes them to [`Batch::admit`],
//! runs [`Batch::decide`] or [`Batch::claim`], and writes the rows of [`Batch::take_write_set`].
//! The source of the rows and the transaction are up to the adapter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use crate::agent::AgentFacts;
use crate::artifact::{Artifact, ArtifactRef};
use crate::change::{Committed, Decision, Row};
use crate::claim::Claim;
use crate::decide;
use crate::error::DomainError;
use crate::hitl::HitlRequest;
use crate::ids::{ContextId, HitlRequestId, ProjectId, TaskId};
use crate::log::{Entry, Head, LogId};
use crate::project::Project;
use crate::records::{RecordKey, RecordValue};
use crate::scope::{Scope, Snapshot};
use crate::task::Task;
use crate::vocabulary::{AgentType, HitlStatus};

/// Rows by key: the known state of each, including that it does not exist, and the keys to be
/// written.
#[derive(Debug)]
struct RowCache<K, V> {
    known: HashMap<K, Option<V>>,
    dirty: BTreeSet<K>,
}

impl<K: Copy + Ord + Hash, V> Default for RowCache<K, V> {
    fn default() -> Self {
        Self { known: HashMap::new(), dirty: BTreeSet::new() }
    }
}

impl<K: Copy + Ord + Hash, V: Clone> RowCache<K, V> {
    fn lacks(&self, key: &K) -> bool {
        !self.known.contains_key(key)
    }

    /// Adds a loaded row, unless the batch has a newer one.
    fn admit(&mut self, key: K, row: Option<V>) {
        self.known.entry(key).or_insert(row);
    }

    fn put(&mut self, key: K, row: Option<V>) {
        self.known.insert(key, row);
        self.dirty.insert(key);
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key).and_then(Option::as_ref)
    }

    fn take_dirty(&mut self) -> impl Iterator<Item = (K, Option<V>)> + '_ {
        let known = &self.known;
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(move |key| (key, known.get(&key).cloned().flatten()))
    }
}

/// Rows to be loaded before a decision can run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadSet {
    /// Ends of logs.
    pub heads: BTreeSet<LogId>,
    /// Projects.
    pub projects: BTreeSet<ProjectId>,
    /// Tasks.
    pub tasks: BTreeSet<TaskId>,
    /// Projects whose tasks are to be loaded, except final ones.
    pub open_tasks: BTreeSet<ProjectId>,
    /// Requests.
    pub requests: BTreeSet<HitlRequestId>,
    /// Projects whose pending requests are to be loaded.
    pub open_requests: BTreeSet<ProjectId>,
    /// Artifacts, without their content.
    pub artifacts: BTreeSet<ContextId>,
    /// Records.
    pub records: BTreeSet<RecordKey>,
    /// Agent types whose facts are to be counted.
    pub agent_facts: BTreeSet<AgentType>,
}

/// Loaded rows.
#[derive(Debug, Default)]
pub struct Rows {
    /// Ends of logs; one that is missing is empty.
    pub heads: Vec<Head>,
    /// Projects; shared, because a store may keep them from one batch to the next.
    pub projects: Vec<Arc<Project>>,
    /// Tasks, requested by id or as open ones.
    pub tasks: Vec<Task>,
    /// Requests, requested by id or as pending ones.
    pub requests: Vec<HitlRequest>,
    /// Artifacts.
    pub artifacts: Vec<ArtifactRef>,
    /// Records.
    pub records: Vec<RecordValue>,
    /// Facts about agent types.
    pub agent_facts: Vec<(AgentType, AgentFacts)>,
}

/// Rows to be written, each once in its last state. They are new or changed and need an upsert;
/// artifacts and entries are always new.
#[derive(Debug, Default)]
pub struct WriteSet {
    /// Ends of logs.
    pub heads: Vec<Head>,
    /// Projects.
    pub projects: Vec<Arc<Project>>,
    /// Tasks.
    pub tasks: Vec<Arc<Task>>,
    /// Requests.
    pub requests: Vec<Arc<HitlRequest>>,
    /// New artifacts.
    pub artifacts: Vec<Arc<Artifact>>,
    /// Records, in the order of their keys.
    pub records: Vec<RecordWrite>,
    /// New log entries, in order within each log.
    pub entries: Vec<Arc<Entry>>,
}

/// A record to be written or removed.
#[derive(Debug, Clone)]
pub struct RecordWrite {
    /// Log of the decision that changed it last.
    pub log: LogId,
    /// Key of the record.
    pub key: RecordKey,
    /// The record; `None` if it was removed.
    pub value: Option<RecordValue>,
}

impl WriteSet {
    /// Returns whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The rows that a group of decisions concerns.
#[derive(Debug, Default)]
pub struct Batch {
    heads: HashMap<LogId, Head>,
    dirty_heads: BTreeSet<LogId>,
    projects: RowCache<ProjectId, Arc<Project>>,
    tasks: RowCache<TaskId, Arc<Task>>,
    requests: RowCache<HitlRequestId, Arc<HitlRequest>>,
    artifacts: RowCache<ContextId, Arc<ArtifactRef>>,
    records: RowCache<RecordKey, RecordValue>,
    /// Log of the decision that changed each record last.
    record_logs: HashMap<RecordKey, LogId>,
    agent_facts: HashMap<AgentType, AgentFacts>,
    open_tasks: BTreeSet<ProjectId>,
    open_requests: BTreeSet<ProjectId>,
    new_artifacts: Vec<Arc<Artifact>>,
    entries: Vec<Arc<Entry>>,
}

impl Batch {
    /// Returns the rows to be loaded for these scopes, without those that the batch has already.
    #[must_use]
    pub fn read_set<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> ReadSet {
        let mut read_set = ReadSet::default();
        for scope in scopes {
            if !self.heads.contains_key(&scope.log) {
                read_set.heads.insert(scope.log);
            }
            if let Some(project) = scope.log.project() {
                if self.projects.lacks(&project) {
                    read_set.projects.insert(project);
                }
                if scope.open_tasks && !self.open_tasks.contains(&project) {
                    read_set.open_tasks.insert(project);
                }
                if scope.open_requests && !self.open_requests.contains(&project) {
                    read_set.open_requests.insert(project);
                }
            }
            read_set.tasks.extend(scope.tasks.iter().filter(|id| self.tasks.lacks(id)));
            read_set.requests.extend(scope.requests.iter().filter(|id| self.requests.lacks(id)));
            read_set.artifacts.extend(scope.artifacts.iter().filter(|id| self.artifacts.lacks(id)));
            read_set.records.extend(scope.records.iter().filter(|key| self.records.lacks(key)));
            read_set.agent_facts.extend(scope.agent_facts);
        }
        read_set
    }

    /// Adds the rows that were loaded for `read_set`. A row that is missing does not exist.
    pub fn admit(&mut self, read_set: &ReadSet, loaded: Rows) {
        for head in loaded.heads {
            self.heads.entry(head.log).or_insert(head);
        }
        for log in &read_set.heads {
            self.heads.entry(*log).or_insert_with(|| Head::empty(*log));
        }
        for project in loaded.projects {
            self.projects.admit(project.id, Some(project));
        }
        for task in loaded.tasks {
            self.tasks.admit(task.id, Some(Arc::new(task)));
        }
        for request in loaded.requests {
            self.requests.admit(request.id, Some(Arc::new(request)));
        }
        for artifact in loaded.artifacts {
            self.artifacts.admit(artifact.id, Some(Arc::new(artifact)));
        }
        for record in loaded.records {
            self.records.admit(record.key(), Some(record));
        }
        read_set.records.iter().for_each(|key| self.records.admit(*key, None));
        read_set.projects.iter().for_each(|id| self.projects.admit(*id, None));
        read_set.tasks.iter().for_each(|id| self.tasks.admit(*id, None));
        read_set.requests.iter().for_each(|id| self.requests.admit(*id, None));
        read_set.artifacts.iter().for_each(|id| self.artifacts.admit(*id, None));
        self.open_tasks.extend(&read_set.open_tasks);
        self.open_requests.extend(&read_set.open_requests);
        self.agent_facts.extend(loaded.agent_facts);
        for agent in &read_set.agent_facts {
            self.agent_facts.entry(*agent).or_default();
        }
    }

    /// Runs a decision on the rows of its scope.
    ///
    /// # Errors
    /// The error of the decision; the batch is unchanged then.
    pub fn decide(
        &mut self,
        scope: &Scope,
        decide: impl FnOnce(&Snapshot) -> Result<Decision, DomainError>,
    ) -> Result<Committed, DomainError> {
        let decision = decide(&self.snapshot(scope))?;
        Ok(self.apply(scope.log, decision))
    }

    /// Starts those candidates that are still pending and ready in an active project. The scopes of
    /// all candidates must have been admitted.
    pub fn claim(&mut self, claim: &Claim, candidates: &[(ProjectId, TaskId)]) -> Committed {
        let mut committed = Committed::default();
        for (n, (project, task)) in (0..).zip(candidates) {
            let scope = Scope::project(*project).task(*task);
            let context = claim.context.fork(n);
            let started = self.decide(&scope, |snapshot| {
                let external = claim.external.as_deref();
                decide::tasks::claim(
                    &context,
                    snapshot,
                    *task,
                    &claim.worker,
                    claim.lease,
                    external,
                )
            });
            if let Ok(started) = started {
                committed.extend(started);
            }
        }
        committed
    }

    /// Returns the rows that changed since the last call.
    pub fn take_write_set(&mut self) -> WriteSet {
        WriteSet {
            heads: std::mem::take(&mut self.dirty_heads)
                .into_iter()
                .filter_map(|log| self.heads.get(&log).cloned())
                .collect(),
            projects: self.projects.take_dirty().filter_map(|(_, row)| row).collect(),
            tasks: self.tasks.take_dirty().filter_map(|(_, row)| row).collect(),
            requests: self.requests.take_dirty().filter_map(|(_, row)| row).collect(),
            artifacts: std::mem::take(&mut self.new_artifacts),
            records: self
                .records
                .take_dirty()
                .map(|(key, value)| RecordWrite { log: self.record_logs[&key], key, value })
                .collect(),
            entries: std::mem::take(&mut self.entries),
        }
    }

    fn snapshot(&self, scope: &Scope) -> Snapshot {
        let mut tasks: BTreeMap<_, _> = named(&self.tasks, &scope.tasks);
        let mut requests: BTreeMap<_, _> = named(&self.requests, &scope.requests);
        let project = scope.log.project();
        if scope.open_tasks {
            let open = self.tasks.known.values().flatten();
            let open = open.filter(|t| Some(t.project_id) == project && !t.status().is_final());
            tasks.extend(open.map(|task| (task.id, Arc::clone(task))));
        }
        if scope.open_requests {
            let open = self.requests.known.values().flatten();
            let open =
                open.filter(|r| Some(r.project_id) == project && r.status() == HitlStatus::Pending);
            requests.extend(open.map(|request| (request.id, Arc::clone(request))));
        }
        Snapshot {
            head: self.heads.get(&scope.log).cloned().unwrap_or_else(|| Head::empty(scope.log)),
            project: project.and_then(|id| self.projects.get(&id).cloned()),
            tasks,
            requests,
            artifacts: named(&self.artifacts, &scope.artifacts),
            records: scope
                .records
                .iter()
                .map(|key| (*key, self.records.get(key).cloned()))
                .collect(),
            agent_facts: scope
                .agent_facts
                .and_then(|agent| Some((agent, self.agent_facts.get(&agent)?.clone()))),
            is_rebuilt: false,
        }
    }

    fn apply(&mut self, log: LogId, decision: Decision) -> Committed {
        let mut committed = Committed::default();
        if decision.changes.is_empty() {
            return committed;
        }
        let head = self.heads.entry(log).or_insert_with(|| Head::empty(log));
        head.counts = decision.counts;
        head.next_turn = decision.next_turn;
        for change in decision.changes {
            let entry = Arc::new(Entry::append(head, change.event));
            self.entries.push(Arc::clone(&entry));
            committed.entries.push(entry);
            for row in change.rows {
                match &row {
                    Row::Project(project) => {
                        self.projects.put(project.id, Some(Arc::clone(project)));
                    }
                    Row::Task(task) => self.tasks.put(task.id, Some(Arc::clone(task))),
                    Row::Request(request) => {
                        self.requests.put(request.id, Some(Arc::clone(request)));
                    }
                    Row::Artifact(artifact) => {
                        let meta = Arc::new(artifact.meta.clone());
                        self.artifacts.admit(artifact.meta.id, Some(meta));
                        self.new_artifacts.push(Arc::clone(artifact));
                    }
                    Row::Record(record) => {
                        self.record_logs.insert(record.key(), log);
                        self.records.put(record.key(), Some(record.clone()));
                    }
                    Row::NoRecord(key) => {
                        self.record_logs.insert(*key, log);
                        self.records.put(*key, None);
                    }
                }
                committed.rows.push(row);
            }
        }
        self.dirty_heads.insert(log);
        committed
    }
}

fn named<K: Copy + Ord + Hash, V: Clone>(cache: &RowCache<K, V>, keys: &[K]) -> BTreeMap<K, V> {
    keys.iter().filter_map(|key| Some((*key, cache.get(key)?.clone()))).collect()
}
