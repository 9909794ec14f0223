//! The ports that read.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::event::agent_record_of;
use botarmy_domain::hitl::{Counted, HitlLine, OldestRequest, PendingFilter, SampleWindow};
use botarmy_domain::log::{Entry, Head, HeadMark, LogId, LogSpan};
use botarmy_domain::page::{PART_BYTES, Page};
use botarmy_domain::ports::{
    AgentStatus, AuditLog, ContextStore, HealthCheck, HitlStore, ProjectStore, Records, TaskStore,
};
use botarmy_domain::task::STATUS_BYTES;
use botarmy_domain::{
    AgentRecord, AgentType, Artifact, ArtifactFilter, ArtifactRef, ContextId, CredentialId,
    EntryFilter, EventId, Health, HitlKind, HitlRequest, HitlRequestId, HitlSample, HitlStatus,
    Listed, ObjectId, OpenRequests, Package, PastStatus, Project, ProjectId, ProjectStatus, Reach,
    ReadyTasks, RecordKey, RecordKind, RecordValue, StoreError, Task, TaskFilter, TaskId, TaskLine,
    TaskStatus, TaskStatusList, Timestamp, Workload,
};

use serde::Serialize;

use crate::MemoryStore;

/// Returns the page that begins with these rows; their size is that of their JSON.
fn page<T: Serialize>(rows: impl Iterator<Item = Arc<T>>, limit: u32) -> Page<Arc<T>> {
    let rows = rows.map(|row| {
        let size = serde_json::to_string(&*row).map_or(0, |json| json.len());
        Ok::<_, Infallible>((row, size))
    });
    Page::part(rows, limit, PART_BYTES).unwrap_or_else(|never| match never {})
}

/// Returns the first `limit` rows.
fn take<T: Clone>(rows: impl Iterator<Item = T>, limit: u32) -> Vec<T> {
    rows.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}

#[async_trait]
impl ProjectStore for MemoryStore {
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError> {
        Ok(self.state().projects.get(&id).cloned())
    }

    async fn overview(&self, id: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError> {
        let state = self.state();
        let log = LogId::Project(id);
        Ok(state.projects.get(&id).map(|project| {
            let head = state.heads.get(&log).cloned().unwrap_or_else(|| Head::empty(log));
            (Arc::clone(project), head)
        }))
    }

    async fn projects(
        &self,
        reach: &Reach,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, StoreError> {
        let state = self.state();
        let rows = state.projects.values().rev().filter(|project| {
            status.is_none_or(|status| project.status() == status)
                && before.is_none_or(|before| project.id < before)
                && reach.sees(project.id, project.creator)
        });
        Ok(page(rows.cloned(), limit))
    }

    async fn within(
        &self,
        reach: &Reach,
        objects: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>, StoreError> {
        let state = self.state();
        let is_within = |object: &&ObjectId| {
            let (project, exists) = state.nearest(**object);
            project.is_some_and(|id| state.projects.contains_key(&id) && state.sees(reach, id))
                && exists
        };
        Ok(objects.iter().filter(is_within).copied().collect())
    }
}

#[async_trait]
impl TaskStore for MemoryStore {
    async fn task(&self, id: TaskId) -> Result<Option<Arc<Task>>, StoreError> {
        Ok(self.state().tasks.get(&id).cloned())
    }

    async fn tasks(
        &self,
        project: ProjectId,
        filter: TaskFilter,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let state = self.state();
        let rows = state.tasks.values().filter(|task| {
            task.project_id == project
                && filter.status.is_none_or(|status| task.status() == status)
                && filter.agent.is_none_or(|agent| task.agent == agent)
                && filter.after.is_none_or(|after| task.id > after)
        });
        Ok(page(rows.cloned(), limit))
    }

    async fn status(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Option<TaskStatusList>, StoreError> {
        let state = self.state();
        let Some(found) = state.projects.get(&project) else { return Ok(None) };
        let rows = state.tasks.values().filter(|task| task.project_id == project);
        let lines = rows.map(|task| {
            let line = TaskLine::from(&**task);
            let size = line.size();
            Ok::<_, StoreError>((line, size))
        });
        let tasks = Page::part(lines, limit, STATUS_BYTES)?;
        let head = state.heads.get(&LogId::Project(project));
        Ok(Some(TaskStatusList {
            seq: head.map_or(0, |head| head.seq),
            project_status: found.status(),
            tasks,
        }))
    }

    async fn expired_leases(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<Task>>, StoreError> {
        let state = self.state();
        let mut rows: Vec<_> = state
            .tasks
            .values()
            .filter(|task| task.lease().is_some_and(|lease| lease.expires_at <= now))
            .cloned()
            .collect();
        rows.sort_by_key(|task| task.lease().map(|lease| lease.expires_at));
        Ok(take(rows.into_iter(), limit))
    }

    async fn working(&self, limit: u32) -> Result<Vec<Arc<Task>>, StoreError> {
        let state = self.state();
        Ok(take(state.tasks.values().filter(|task| task.lease().is_some()).cloned(), limit))
    }

    async fn leased(
        &self,
        reach: &Reach,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let state = self.state();
        let rows = state.tasks.values().filter(|task| {
            task.lease().is_some()
                && after.is_none_or(|after| task.id > after)
                && state.sees(reach, task.project_id)
        });
        Ok(page(rows.cloned(), limit))
    }

    async fn backlog(&self) -> Result<u64, StoreError> {
        let state = self.state();
        let pending = state.tasks.values().filter(|task| task.status() == TaskStatus::Pending);
        Ok(pending.count() as u64)
    }

    async fn ready(&self, now: Timestamp) -> Result<Vec<ReadyTasks>, StoreError> {
        let state = self.state();
        let is_active = |id: &ProjectId| {
            state.projects.get(id).is_some_and(|one| one.status() == ProjectStatus::Active)
        };
        let ready: Vec<_> = state
            .tasks
            .values()
            .filter(|task| task.status() == TaskStatus::Pending && task.ready_at <= now)
            .filter(|task| is_active(&task.project_id))
            .collect();
        let of = |agent: &AgentType| ReadyTasks {
            agent: *agent,
            count: ready.iter().filter(|task| task.agent == *agent).count() as u64,
        };
        Ok(AgentType::ALL.iter().map(of).filter(|found| found.count > 0).collect())
    }

    async fn workload(&self, now: Timestamp) -> Result<Vec<Workload>, StoreError> {
        let state = self.state();
        let is_ready = |task: &&Arc<Task>| {
            let project = state.projects.get(&task.project_id);
            task.ready_at <= now && project.is_some_and(|one| one.status() == ProjectStatus::Active)
        };
        let of = |agent: &AgentType| {
            let tasks = || state.tasks.values().filter(|task| task.agent == *agent);
            let pending = || tasks().filter(|task| task.status() == TaskStatus::Pending);
            Workload {
                agent: *agent,
                pending: pending().count() as u64,
                ready: pending().filter(is_ready).count() as u64,
                ready_since: pending().filter(is_ready).map(|task| task.ready_at).min(),
                working: tasks().filter(|task| task.status() == TaskStatus::Working).count() as u64,
            }
        };
        let has_work = |load: &Workload| load.pending + load.working > 0;
        Ok(AgentType::ALL.iter().map(of).filter(has_work).collect())
    }
}

#[async_trait]
impl HitlStore for MemoryStore {
    async fn request(&self, id: HitlRequestId) -> Result<Option<Arc<HitlRequest>>, StoreError> {
        Ok(self.state().requests.get(&id).cloned())
    }

    async fn requests(
        &self,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let state = self.state();
        let rows = state.requests.values().rev().filter(|request| {
            request.project_id == project
                && status.is_none_or(|status| request.status() == status)
                && before.is_none_or(|before| request.id < before)
        });
        Ok(page(rows.cloned(), limit))
    }

    async fn pending(
        &self,
        reach: &Reach,
        filter: &PendingFilter,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let state = self.state();
        let rows = state.requests.values().filter(|request| {
            let sees = |reach: &Reach| state.sees(reach, request.project_id);
            after.is_none_or(|after| request.id > after)
                && sees(reach)
                && filter.selects(request, sees)
        });
        Ok(page(rows.cloned(), limit))
    }

    async fn sample(
        &self,
        reach: &Reach,
        project: Option<ProjectId>,
        window: SampleWindow,
        limit: u32,
    ) -> Result<HitlSample, StoreError> {
        let state = self.state();
        let of_project = |request: &&Arc<HitlRequest>| {
            project.is_none_or(|id| request.project_id == id)
                && state.sees(reach, request.project_id)
        };
        let is_pending = |request: &&Arc<HitlRequest>| request.status() == HitlStatus::Pending;
        let mut pending: BTreeMap<(HitlKind, Option<AgentType>, Option<&str>), (u64, u64)> =
            BTreeMap::new();
        for request in state.requests.values().filter(of_project).filter(is_pending) {
            let key = (request.kind, request.agent, request.policy_name());
            let (count, overdue) = pending.entry(key).or_default();
            *count += 1;
            *overdue += u64::from(request.overdue_from().is_some_and(|from| from <= window.now));
        }
        let counted = |((kind, agent, policy), (count, overdue)): (_, (u64, u64))| {
            let policy: Option<&str> = policy;
            Counted { kind, agent, policy: policy.map(str::to_owned), count, overdue }
        };
        let oldest = state.requests.values().filter(of_project).find(is_pending);
        let ended = state.requests.values().rev().filter(of_project).filter(|request| {
            request.status() != HitlStatus::Pending && request.created_at >= window.since
        });
        Ok(HitlSample {
            pending: pending.into_iter().map(counted).collect(),
            oldest: oldest.map(|request| OldestRequest {
                id: request.id,
                project_id: request.project_id,
                created_at: request.created_at,
            }),
            ended: take(ended.map(|request| HitlLine::from(&**request)), limit),
        })
    }

    async fn due(
        &self,
        now: Timestamp,
        may_expire: bool,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError> {
        let state = self.state();
        let mut due: Vec<_> = state
            .requests
            .values()
            .filter_map(|request| Some((request.due()?.0, request)))
            .filter(|(at, request)| *at <= now && (may_expire || *at < request.expires_at))
            .collect();
        due.sort_by_key(|(at, request)| (*at, request.id));
        Ok(take(due.into_iter().map(|(_, request)| Arc::clone(request)), limit))
    }

    async fn open_requests(&self) -> Result<Vec<OpenRequests>, StoreError> {
        let state = self.state();
        let of = |kind: &HitlKind| {
            let pending = || {
                let pending = state.requests.values();
                pending.filter(|one| one.kind == *kind && one.status() == HitlStatus::Pending)
            };
            let oldest = pending().map(|request| request.created_at).min()?;
            Some(OpenRequests { kind: *kind, count: pending().count() as u64, oldest })
        };
        Ok(HitlKind::ALL.iter().filter_map(of).collect())
    }
}

#[async_trait]
impl ContextStore for MemoryStore {
    async fn artifact(&self, id: ContextId) -> Result<Option<Arc<Artifact>>, StoreError> {
        Ok(self.state().artifacts.get(&id).cloned())
    }

    async fn artifacts_by_id(&self, ids: &[ContextId]) -> Result<Vec<Arc<Artifact>>, StoreError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| state.artifacts.get(id).cloned()).collect())
    }

    async fn artifacts(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, StoreError> {
        let state = self.state();
        let rows = state.artifacts.values().filter(|one| matches(&one.meta, project, &filter));
        Ok(page(rows.cloned(), limit))
    }

    async fn artifact_refs(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, StoreError> {
        let state = self.state();
        let rows = state.artifacts.values().map(|artifact| &artifact.meta);
        let rows = rows.filter(|meta| matches(meta, project, &filter));
        Ok(Page::first(rows.take(limit as usize + 1).cloned().collect(), limit))
    }

    async fn artifact_sizes(&self, ids: &[ContextId]) -> Result<Vec<(ContextId, u64)>, StoreError> {
        let state = self.state();
        let found = ids.iter().filter_map(|id| state.artifacts.get(id));
        let size = |artifact: &Arc<Artifact>| {
            let text = serde_json::to_string(&artifact.content).unwrap_or_default();
            (artifact.meta.id, text.len() as u64)
        };
        Ok(found.map(size).collect())
    }
}

/// Whether an artifact is one of this project that passes the filter.
fn matches(meta: &ArtifactRef, project: ProjectId, filter: &ArtifactFilter) -> bool {
    meta.project_id == project
        && filter.artifact_type.is_none_or(|kind| meta.artifact_type == kind)
        && filter.source_agent.is_none_or(|agent| meta.source_agent == agent)
        && filter.after.is_none_or(|after| meta.id > after)
}

#[async_trait]
impl Records for MemoryStore {
    async fn find(&self, key: RecordKey) -> Result<Option<RecordValue>, StoreError> {
        Ok(self.state().records.get(&key).cloned())
    }

    async fn list(&self, kind: RecordKind, limit: u32) -> Result<Vec<RecordValue>, StoreError> {
        let state = self.state();
        let mut found: Vec<_> =
            state.records.iter().filter(|(key, _)| key.kind() == kind).collect();
        found.sort_by_key(|(key, _)| key.to_string());
        Ok(take(found.into_iter().map(|(_, record)| record.clone()), limit))
    }

    async fn together(&self, kinds: &'static [RecordKind]) -> Result<Vec<RecordValue>, StoreError> {
        let state = self.state();
        let mut found: Vec<_> = state
            .records
            .iter()
            .filter_map(|(key, record)| {
                let kind = kinds.iter().position(|kind| *kind == key.kind())?;
                Some((kind, key.to_string(), record.clone()))
            })
            .collect();
        found.sort_by(|(kind, key, _), (other, another, _)| (kind, key).cmp(&(other, another)));
        Ok(found.into_iter().map(|(_, _, record)| record).collect())
    }

    async fn key_uses(&self) -> Result<Vec<(CredentialId, Timestamp)>, StoreError> {
        Ok(self.state().key_uses.iter().map(|(key, at)| (*key, *at)).collect())
    }

    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError> {
        let state = self.state();
        let packages = state.records.values().filter_map(Package::of);
        let rows = packages.filter(|package| package.generated_at < time);
        Ok(take(rows.map(|package| package.project_id), limit))
    }
}

#[async_trait]
impl AuditLog for MemoryStore {
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        let state = self.state();
        let newest_first: Box<dyn Iterator<Item = &Arc<Entry>>> = match filter.project {
            None => Box::new(state.entries.values().rev()),
            Some(id) => Box::new(state.logs.get(&LogId::Project(id)).into_iter().flatten().rev()),
        };
        // A cursor is a position in the order of the page, if its entry is in this log.
        let cursor = filter.before.and_then(|id| state.entries.get(&id));
        let cursor = cursor.filter(|entry| entry.project_id == filter.project);
        let reach = &filter.reach;
        let is_visible = |entry: &Entry| match entry.project_id {
            Some(id) => state.sees(reach, id),
            None => reach.is_everything(),
        };
        let before = |entry: &Entry| match (filter.project, cursor) {
            (Some(_), Some(cursor)) => entry.seq < cursor.seq,
            _ => filter.before.is_none_or(|before| entry.id < before),
        };
        let rows = newest_first.filter(|entry| {
            filter.task.is_none_or(|task| entry.task_id == Some(task))
                && filter.request.is_none_or(|request| entry.hitl_request_id == Some(request))
                && filter.event_type.is_none_or(|kind| entry.event_type == kind)
                && filter.event_source.is_none_or(|source| entry.event_source == source)
                && filter.from.is_none_or(|from| entry.created_at >= from)
                && filter.to.is_none_or(|to| entry.created_at <= to)
                && before(entry)
                && is_visible(entry)
        });
        let offset = usize::try_from(filter.offset).unwrap_or(usize::MAX);
        Ok(page(rows.skip(offset).cloned(), limit))
    }

    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError> {
        Ok(self.state().entries.get(&id).cloned())
    }

    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError> {
        let state = self.state();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(page(state.logs.get(&log).into_iter().flatten().skip(after).cloned(), limit))
    }

    async fn spans(&self, from: Timestamp, limit: u32) -> Result<Option<Vec<LogSpan>>, StoreError> {
        let state = self.state();
        let mut spans: BTreeMap<LogId, LogSpan> = BTreeMap::new();
        let newest = state.entries.values().rev();
        // Entries are in the order of their ids, which begin with the time in milliseconds.
        let found = newest.take_while(|entry| entry.created_at.millis() >= from.millis());
        for (n, entry) in found.enumerate() {
            if n >= limit as usize {
                return Ok(None);
            }
            let (log, seq) = (entry.log(), entry.seq);
            let span = spans.entry(log).or_insert(LogSpan { log, first: seq, last: seq });
            span.first = span.first.min(seq);
            span.last = span.last.max(seq);
        }
        Ok(Some(spans.into_values().collect()))
    }

    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError> {
        let state = self.state();
        Ok(state.heads.get(&log).map(|head| HeadMark { seq: head.seq, hash: head.hash.clone() }))
    }
}

#[async_trait]
impl AgentStatus for MemoryStore {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let state = self.state();
        let record = |agent: &AgentType| {
            let record = state.record::<AgentRecord>(*agent);
            record.map_or_else(|| AgentRecord::idle(*agent), |record| (**record).clone())
        };
        Ok(AgentType::ALL.iter().map(record).collect())
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        let state = self.state();
        let record = state.record::<AgentRecord>(agent);
        Ok(record.map_or_else(|| AgentRecord::idle(agent), |record| (**record).clone()))
    }

    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError> {
        let state = self.state();
        let log = state.logs.get(&LogId::System).into_iter().flatten().rev();
        let log = log.filter(|entry| before.is_none_or(|before| entry.seq < before));
        let found = log.filter_map(|entry| {
            let record = agent_record_of(entry).filter(|record| record.agent_type == agent)?;
            let size = record.error_message.as_ref().map_or(0, String::len);
            Some(Ok((PastStatus { seq: entry.seq, record }, size)))
        });
        Page::part(found, limit, PART_BYTES)
    }
}

#[async_trait]
impl HealthCheck for MemoryStore {
    fn component(&self) -> &'static str {
        "database"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        Health::Healthy("in memory; nothing outlives the process".to_owned())
    }
}
