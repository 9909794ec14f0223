//! The storage ports of one adapter, with the use cases that the contracts need.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use botarmy_domain::decide::tasks::Work;
use botarmy_domain::decide::{artifacts, hitl, projects, tasks};
use botarmy_domain::hitl::PendingFilter;
use botarmy_domain::log::{HeadMark, LogId, Verifier};
use botarmy_domain::ports::{AgentStatus, Ledger, StorePorts};
use botarmy_domain::{
    AgentType, ArtifactType, Caller, Claim, Committed, ContextId, Decision, DecisionContext,
    DomainError, Error, HitlRequest, HitlRequestId, LeaseHolder, NewArtifact, NewProject,
    NewRequest, NewTask, Oversight, Page, Project, ProjectId, Reach, Row, Scope, Snapshot,
    StoreError, Task, TaskFilter, TaskId, Timestamp, Usage, WorkerId,
};
use botarmy_memory::MemoryStore;
use botarmy_orchestrator::verify_state;
use botarmy_postgres::{PostgresSettings, PostgresStore};
use botarmy_sqlite::{SqliteSettings, SqliteStore};
use botarmy_tests::services;
use serde_json::{Map, Value};

/// The ports of an adapter, with a separate clock.
#[derive(Clone)]
pub struct Stores {
    ports: StorePorts,
    clock: Arc<AtomicU64>,
    /// Resources that have to live as long as the store.
    _keep: Arc<dyn Send + Sync>,
}

/// Opens an empty store in memory.
pub async fn memory() -> Option<Stores> {
    let store = MemoryStore::new();
    Some(Stores::new(StorePorts::of(store), Arc::new(())))
}

/// Opens an empty SQLite store in a separate folder.
pub async fn sqlite() -> Option<Stores> {
    let dir = tempfile::tempdir().unwrap();
    Some(sqlite_at(&dir.path().join("test.db"), Arc::new(dir)))
}

/// Opens the store in this file.
pub fn sqlite_at(path: &Path, keep: Arc<dyn Send + Sync>) -> Stores {
    let store = SqliteStore::open(SqliteSettings::new(path)).unwrap();
    Stores::new(StorePorts::of(store), keep)
}

/// Opens an empty PostgreSQL store in a separate database.
pub async fn postgres() -> Option<Stores> {
    let database = services::database().await?;
    let url = database.url();
    Some(postgres_at(&url, Arc::new(database)).await)
}

/// Opens the store at this address.
pub async fn postgres_at(url: &str, keep: Arc<dyn Send + Sync>) -> Stores {
    let settings = PostgresSettings::new(url.parse().unwrap());
    let store = PostgresStore::open(settings).await.unwrap();
    Stores::new(StorePorts::of(store), keep)
}

impl std::ops::Deref for Stores {
    type Target = StorePorts;

    fn deref(&self) -> &StorePorts {
        &self.ports
    }
}

impl Stores {
    fn new(ports: StorePorts, keep: Arc<dyn Send + Sync>) -> Self {
        Self { ports, clock: Arc::default(), _keep: keep }
    }

    /// Replaces the ledger and the status of the agent types by others in front of them.
    pub fn with(self, ledger: Arc<dyn Ledger>, agents: Arc<dyn AgentStatus>) -> Self {
        let ports = StorePorts { ledger, agents, ..self.ports };
        Self { ports, ..self }
    }

    /// Returns the next context: a millisecond after the previous one, with a new seed.
    pub fn context(&self) -> DecisionContext {
        let n = self.clock.fetch_add(1, Ordering::SeqCst) + 1;
        let at = 1_767_225_600_000_000 + i64::try_from(n).unwrap() * 1000;
        DecisionContext::new(Timestamp::from_micros(at), n.into(), user())
    }

    /// Advances the clock.
    pub fn pass(&self, time: Duration) {
        self.clock.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn run(
        &self,
        scope: Scope,
        decide: impl Fn(&Snapshot) -> Result<Decision, DomainError> + Send + Sync + 'static,
    ) -> Result<Committed, Error> {
        self.ledger.transact(scope, Box::new(decide)).await
    }

    pub async fn project(&self, name: &str) -> ProjectId {
        self.project_with(name, "Ünïcödé \u{1f600} \"quoted\"").await
    }

    pub async fn project_with(&self, name: &str, description: &str) -> ProjectId {
        self.create(user(), name, description).await
    }

    /// Creates a project on behalf of this caller.
    pub async fn project_as(&self, creator: Caller, name: &str) -> ProjectId {
        self.create(creator, name, "Whatever").await
    }

    async fn create(&self, creator: Caller, name: &str, description: &str) -> ProjectId {
        let context = self.context().by(creator);
        let id = context.fork(1).id_generator().project();
        let new = NewProject {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            workflow: None,
            oversight: Oversight::High,
        };
        self.run(Scope::project(id), move |s| projects::create(&context, s, id, &new, None))
            .await
            .unwrap();
        id
    }

    pub async fn submit(&self, project_id: ProjectId, priority: u8) -> TaskId {
        self.try_submit(project_id, priority, &[]).await.unwrap()
    }

    pub async fn try_submit(
        &self,
        project_id: ProjectId,
        priority: u8,
        artifacts: &[ContextId],
    ) -> Result<TaskId, Error> {
        self.submit_with(project_id, "Do it", priority, artifacts).await
    }

    pub async fn submit_with(
        &self,
        project_id: ProjectId,
        instructions: &str,
        priority: u8,
        artifacts: &[ContextId],
    ) -> Result<TaskId, Error> {
        let context = self.context();
        let id = context.fork(1).id_generator().task();
        let new = NewTask {
            project_id,
            agent: AgentType::Coder,
            instructions: instructions.to_owned(),
            context_ids: artifacts.to_vec(),
            priority: Some(priority),
            max_attempts: None,
        };
        let scope = Scope::project(project_id).artifacts(artifacts);
        self.run(scope, move |s| tasks::submit(&context, s, id, &new)).await?;
        Ok(id)
    }

    /// Claims as a coder; returns the claimed tasks in order.
    pub async fn claim(&self, slots: u32) -> Vec<TaskId> {
        let worker = WorkerId("worker".to_owned());
        let context = self.context().by(Caller::worker(&worker));
        let claim = Claim {
            reach: Reach::everything(),
            worker,
            slots: BTreeMap::from([(AgentType::Coder, slots)]),
            lease: Duration::from_secs(300),
            external: None,
            context,
        };
        let claimed = self.ledger.claim(claim).await.unwrap();
        let tasks = claimed.rows.iter().filter_map(|row| match row {
            Row::Task(task) => Some(task.id),
            _ => None,
        });
        tasks.collect()
    }

    pub async fn complete(&self, project: ProjectId, id: TaskId) -> Result<Committed, Error> {
        let context = self.context();
        self.run(Scope::project(project).task(id), move |s| {
            tasks::complete(
                &context.by(Caller::worker(&holder().worker)),
                s,
                id,
                &holder(),
                &nothing(),
            )
        })
        .await
    }

    pub async fn pause(&self, project: ProjectId) -> Result<Committed, Error> {
        let context = self.context();
        let scope = Scope::project(project).open_requests();
        self.run(scope, move |s| projects::pause(&context, s)).await
    }

    pub async fn raise(&self, project_id: ProjectId) -> HitlRequestId {
        self.raise_with(project_id, "Well?").await
    }

    pub async fn raise_with(&self, project_id: ProjectId, question: &str) -> HitlRequestId {
        let context = self.context();
        let id = context.fork(1).id_generator().request();
        let new = NewRequest {
            project_id,
            task_id: None,
            question: question.to_owned(),
            options: vec!["Yes".to_owned()],
            ttl_s: Some(60),
            artifacts: vec![],
            policy: None,
            assignees: Vec::new(),
            response_schema: None,
        };
        self.run(Scope::project(project_id), move |s| hitl::raise(&context, s, id, &new))
            .await
            .unwrap();
        id
    }

    /// Returns pending requests after this one.
    pub async fn pending(
        &self,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError> {
        let (reach, filter) = (Reach::everything(), PendingFilter::default());
        self.requests.pending(&reach, &filter, after, limit).await
    }

    pub async fn artifact(&self, project: ProjectId, content: Value) -> ContextId {
        let context = self.context();
        let new =
            NewArtifact::new(ArtifactType::AgentOutput, content.as_object().cloned().unwrap());
        let stored = self
            .run(Scope::project(project).open_requests(), move |s| {
                artifacts::store(&context, s, AgentType::Coder, &new)
            })
            .await
            .unwrap();
        let made = stored.rows.iter().find_map(|row| match row {
            Row::Artifact(artifact) => Some(artifact.meta.id),
            _ => None,
        });
        made.unwrap()
    }

    async fn all_projects(&self) -> Vec<Arc<Project>> {
        let mut projects: Vec<Arc<Project>> = Vec::new();
        loop {
            let before = projects.last().map(|project| project.id);
            let page =
                self.projects.projects(&Reach::everything(), None, before, 10_000).await.unwrap();
            let has_more = page.has_more;
            projects.extend(page);
            if !has_more {
                return projects;
            }
        }
    }

    async fn all_tasks(&self, project: ProjectId) -> Vec<Arc<Task>> {
        let mut tasks: Vec<Arc<Task>> = Vec::new();
        loop {
            let after = tasks.last().map(|task| task.id);
            let filter = TaskFilter { after, ..TaskFilter::default() };
            let page = self.tasks.tasks(project, filter, 10_000).await.unwrap();
            let has_more = page.has_more;
            tasks.extend(page);
            if !has_more {
                return tasks;
            }
        }
    }

    /// Checks the invariants after a contract: each log is complete up to its head, every row
    /// follows from it, and the counts match the rows.
    pub async fn check(&self) {
        let projects = self.all_projects().await;
        let logs = projects.iter().map(|project| LogId::Project(project.id));
        for log in logs.chain([LogId::System]) {
            let Some(head) = self.audit.head(log).await.unwrap() else { continue };
            let mut verifier = Verifier::default();
            let mut after = 0;
            loop {
                let page = self.audit.since(log, after, 100).await.unwrap();
                let Some(last) = page.last() else { break };
                after = last.seq;
                page.iter().for_each(|entry| verifier.next(entry));
            }
            let found = verifier.finish(&HeadMark { seq: head.seq, hash: head.hash });
            assert!(found.valid, "{log:?}: {found:?}");
            let found = verify_state(&self.ports, log, None, 100).await.unwrap();
            assert!(found.is_valid(), "{log:?}: {found:?}");
        }
        for project in projects {
            let (_, head) = self.projects.overview(project.id).await.unwrap().unwrap();
            let tasks = self.all_tasks(project.id).await;
            assert_eq!(head.counts.total() as usize, tasks.len());
            let open = tasks.iter().filter(|task| !task.status().is_final()).count();
            assert_eq!(head.counts.open() as usize, open);
        }
    }
}

/// Returns the holder of a task's first lease.
pub fn holder() -> LeaseHolder {
    LeaseHolder { worker: WorkerId("worker".to_owned()), fence: 1 }
}

/// Returns work without a result.
pub fn nothing() -> Work {
    Work { output: Map::new(), artifacts: vec![], confidence: None, usage: Usage::default() }
}

pub fn user() -> Caller {
    Caller::person("someone")
}
