//! The use cases in memory, with a manual clock and a scripted runner. The general invariants are
//! checked at the end of each [`TestHarness::work`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::hitl::GateSettings;
use botarmy_domain::log::{HeadMark, LogId, Verifier};
use botarmy_domain::ports::{
    Access, AgentRunner, AuditLog, Clock, ContextStore, Gates, HitlStore, Ids, Ledger,
    ProjectStore, Projects, StorePorts, TaskStore,
};
use botarmy_domain::{
    AgentType, Caller, DecisionContext, Defaults, Entry, EventType, HitlAction, HitlRequest,
    HitlStatus, NewProject, Oversight, Project, ProjectId, ProjectStatus, Reach, Response, Task,
    TaskStatus, WorkerId,
};
use botarmy_memory::{
    CountingIds, CountingSecrets, ManualClock, MemoryEventBus, MemoryStore, MemoryTickets,
    MemoryWakeUps,
};
use botarmy_orchestrator::{
    AccessControl, AccessSettings, Budgets, Engine, EngineSettings, LeaseSettings, Leases, Ports,
    Runners, Worker, WorkerSettings, Workflows, verify_state,
};
use tokio::sync::watch;

use crate::scripted_runner::ScriptedRunner;

/// The use cases with everything that their tests need.
pub struct TestHarness {
    /// Store in memory.
    pub store: MemoryStore,
    /// Manual clock.
    pub clock: Arc<ManualClock>,
    /// Use cases.
    pub engine: Engine,
    /// Worker that runs the runner.
    pub worker: Arc<Worker>,
    /// Scripted runner of all agent types.
    pub runner: Arc<ScriptedRunner>,
    /// Event bus.
    pub bus: MemoryEventBus,
}

/// Configuration of a harness.
pub struct Setup {
    /// Available workflows.
    pub workflows: Workflows,
    /// Settings of the use cases.
    pub settings: EngineSettings,
    /// Number of concurrent tasks of each agent type.
    pub slots: u32,
}

impl Default for Setup {
    fn default() -> Self {
        // Tests let requests expire soon after a start.
        let gates = Arc::new(GateSettings { grace_s: 0, ..GateSettings::default() });
        let defaults = Defaults { gates, ..Defaults::default() };
        let settings = EngineSettings { defaults, ..EngineSettings::default() };
        Self { workflows: Workflows::default(), settings, slots: 4 }
    }
}

impl TestHarness {
    /// Creates a harness with this runner for every agent type.
    #[must_use]
    pub fn new(runner: ScriptedRunner) -> Self {
        Self::with(runner, Setup::default())
    }

    /// Creates a harness with additional workflows.
    #[must_use]
    pub fn with_workflows(runner: ScriptedRunner, workflows: Workflows) -> Self {
        Self::with(runner, Setup { workflows, ..Setup::default() })
    }

    /// Creates a harness with budgets.
    #[must_use]
    pub fn with_budgets(runner: ScriptedRunner, budgets: Budgets) -> Self {
        let settings = EngineSettings { budgets, ..Setup::default().settings };
        Self::with(runner, Setup { settings, ..Setup::default() })
    }

    /// Creates a harness with this configuration.
    #[must_use]
    pub fn with(runner: ScriptedRunner, setup: Setup) -> Self {
        Self::build(runner, setup, |ledger| ledger)
    }

    /// Creates a harness whose ledger is wrapped by `wrap`.
    #[must_use]
    pub fn with_ledger(wrap: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>) -> Self {
        Self::build(ScriptedRunner::default(), Setup::default(), wrap)
    }

    /// Creates a harness with this configuration, whose ledger is wrapped by `wrap`.
    #[must_use]
    pub fn build(
        runner: ScriptedRunner,
        setup: Setup,
        wrap: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>,
    ) -> Self {
        let clock = Arc::new(ManualClock::default());
        Self::build_on(Arc::clone(&clock), clock, runner, setup, wrap)
    }

    /// Like [`Self::build`], with another clock for the use cases than the one that is set by hand.
    #[must_use]
    pub fn build_on(
        clock: Arc<ManualClock>,
        shown: Arc<dyn Clock>,
        runner: ScriptedRunner,
        setup: Setup,
        wrap: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>,
    ) -> Self {
        let store = MemoryStore::new();
        let stores =
            StorePorts { ledger: wrap(Arc::new(store.clone())), ..StorePorts::of(store.clone()) };
        Self::on(clock, shown, runner, setup, store, stores)
    }

    /// Creates a harness whose artifacts are read from what `wrap` makes of the store.
    #[must_use]
    pub fn with_context(
        runner: ScriptedRunner,
        wrap: impl FnOnce(MemoryStore) -> Arc<dyn ContextStore>,
    ) -> Self {
        let store = MemoryStore::new();
        let stores = StorePorts { context: wrap(store.clone()), ..StorePorts::of(store.clone()) };
        let clock = Arc::new(ManualClock::default());
        Self::on(Arc::clone(&clock), clock, runner, Setup::default(), store, stores)
    }

    fn on(
        clock: Arc<ManualClock>,
        shown: Arc<dyn Clock>,
        runner: ScriptedRunner,
        setup: Setup,
        store: MemoryStore,
        stores: StorePorts,
    ) -> Self {
        let bus = MemoryEventBus::default();
        let ports = Ports {
            stores,
            bus: Arc::new(bus.clone()),
            wake_ups: Arc::new(MemoryWakeUps::default()),
            clock: shown,
            ids: Arc::new(CountingIds::default()),
            secrets: Arc::new(CountingSecrets::default()),
        };
        let engine = Engine::new(ports, setup.workflows, setup.settings);
        let runner = Arc::new(runner);
        let runners: Runners = AgentType::ALL
            .iter()
            .map(|agent| (*agent, Arc::clone(&runner) as Arc<dyn AgentRunner>))
            .collect();
        let settings = WorkerSettings {
            id: WorkerId("worker-1".to_owned()),
            slots: AgentType::ALL
                .iter()
                .map(|agent| (*agent, setup.slots))
                .collect::<BTreeMap<_, _>>(),
            leases: lease_settings(Duration::from_millis(20)),
        };
        let worker = Worker::new(engine.clone(), runners, settings);
        Self { store, clock, engine, worker, runner, bus }
    }

    /// Returns a context for a decision that a test commits by itself, on behalf of the owner.
    pub fn context(&self) -> DecisionContext {
        DecisionContext::new(self.clock.now(), CountingIds::default().seed(), owner())
    }

    /// Works until there is nothing to do, then checks the invariants.
    ///
    /// # Panics
    /// If an invariant is violated.
    pub async fn work(&self) {
        self.worker.run_until_idle().await.unwrap();
        self.check().await;
    }

    /// Returns leases for external workers, which are granted until the test ends.
    #[must_use]
    pub fn leases(&self) -> Leases {
        let (leases, stop) = self.leases_until();
        std::mem::forget(stop);
        leases
    }

    /// Returns leases for external workers, which are granted until the server is stopped through
    /// the sender.
    #[must_use]
    pub fn leases_until(&self) -> (Leases, watch::Sender<bool>) {
        self.leases_with(Duration::from_millis(20))
    }

    /// Like [`Self::leases_until`], with this poll interval for waits without notifications.
    #[must_use]
    pub fn leases_with(&self, poll: Duration) -> (Leases, watch::Sender<bool>) {
        // No principal has a key, so no lease asks for one.
        let settings =
            AccessSettings { is_required: false, key_lifetime: None, ..AccessSettings::default() };
        let secrets = Arc::new(CountingSecrets::default());
        let access = AccessControl::new(
            self.engine.clone(),
            secrets,
            Arc::new(MemoryTickets::default()),
            settings,
        );
        self.leases_under(Arc::new(access), poll)
    }

    /// Like [`Self::leases_with`], for workers with keys of this access control.
    #[must_use]
    pub fn leases_under(
        &self,
        access: Arc<dyn Access>,
        poll: Duration,
    ) -> (Leases, watch::Sender<bool>) {
        let secrets = Arc::new(CountingSecrets::default());
        let settings = lease_settings(poll);
        let (leases, dispatcher) = Leases::new(self.engine.clone(), settings, secrets, access);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(dispatcher.run(stopped));
        (leases, stop)
    }

    /// Advances the clock and runs the timers that are due.
    ///
    /// # Panics
    /// If the store fails, which the one in memory does not.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.engine.run_due().await.unwrap();
    }

    /// Checks the invariants: every log is complete up to its recorded head, every row follows from
    /// it, the counts match the rows, and every lease has a holder.
    ///
    /// # Panics
    /// If an invariant is violated.
    pub async fn check(&self) {
        for project in self.store.projects(&Reach::everything(), None, None, 1000).await.unwrap() {
            let (_, head) = self.store.overview(project.id).await.unwrap().unwrap();
            let entries = self.log(project.id).await;
            let mut verifier = Verifier::default();
            entries.iter().for_each(|entry| verifier.next(entry));
            let found = verifier.finish(&HeadMark { seq: head.seq, hash: head.hash });
            assert!(found.valid, "the log of {} is broken: {found:?}", project.id);
            let stores = StorePorts::of(self.store.clone());
            let found = verify_state(&stores, LogId::Project(project.id), None, 100).await.unwrap();
            assert!(found.is_valid(), "the rows of {} do not follow: {found:?}", project.id);
            let tasks = self.tasks(project.id).await;
            let with = |status| tasks.iter().filter(|task| task.status() == status).count() as u32;
            let counts = head.counts;
            assert_eq!(
                [
                    counts.pending,
                    counts.working,
                    counts.waiting_for_hitl,
                    counts.completed,
                    counts.failed,
                    counts.cancelled
                ],
                [
                    with(TaskStatus::Pending),
                    with(TaskStatus::Working),
                    with(TaskStatus::WaitingForHitl),
                    with(TaskStatus::Completed),
                    with(TaskStatus::Failed),
                    with(TaskStatus::Cancelled)
                ],
                "the counts are not the rows"
            );
            let open = self.gates(project.id).await.len() as u32;
            assert_eq!(counts.open_requests, open, "open requests are not counted right");
            if !project.status().is_open() {
                assert_eq!(counts.open() + open, 0, "something outlived its project");
            }
        }
    }

    /// Creates and starts a project.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn start(&self, workflow: &str, oversight: Oversight) -> ProjectId {
        let new = NewProject {
            name: "Recipes".to_owned(),
            description: Some("A recipe-sharing site for small families".to_owned()),
            workflow: Some(workflow.to_owned()),
            oversight,
        };
        self.engine.create_project(new, owner()).await.unwrap().id
    }

    /// Creates a project without a workflow.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn by_hand(&self) -> ProjectId {
        let new = NewProject {
            name: "By hand".to_owned(),
            description: None,
            workflow: None,
            oversight: Oversight::Standard,
        };
        self.engine.create_project(new, owner()).await.unwrap().id
    }

    /// Returns the project.
    ///
    /// # Panics
    /// If it does not exist.
    pub async fn project(&self, id: ProjectId) -> Arc<Project> {
        self.store.project(id).await.unwrap().unwrap()
    }

    /// Returns the status of the project.
    pub async fn status(&self, id: ProjectId) -> ProjectStatus {
        self.project(id).await.status()
    }

    /// Returns its tasks, oldest first.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn tasks(&self, id: ProjectId) -> Vec<Arc<Task>> {
        let (mut tasks, mut filter) = (Vec::new(), botarmy_domain::TaskFilter::default());
        loop {
            let page = self.store.tasks(id, filter.clone(), 1000).await.unwrap();
            filter.after = page.last_before_next().map(|task| task.id);
            tasks.extend(page);
            if filter.after.is_none() {
                return tasks;
            }
        }
    }

    /// Returns its open gates, oldest first.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn gates(&self, id: ProjectId) -> Vec<Arc<HitlRequest>> {
        let pending = Some(HitlStatus::Pending);
        let mut open = self.store.requests(id, pending, None, 1000).await.unwrap().items;
        open.reverse();
        open
    }

    /// Returns the only open gate.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub async fn gate(&self, id: ProjectId) -> Arc<HitlRequest> {
        let mut open = self.gates(id).await;
        assert_eq!(open.len(), 1, "one open gate was expected: {open:?}");
        open.remove(0)
    }

    /// Returns its log.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn log(&self, id: ProjectId) -> Vec<Arc<Entry>> {
        let mut entries: Vec<Arc<Entry>> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |entry| entry.seq);
            let page = self.store.since(LogId::Project(id), after, 1000).await.unwrap();
            let has_more = page.has_more;
            entries.extend(page);
            if !has_more {
                return entries;
            }
        }
    }

    /// Returns the number of entries with this event type in its log.
    pub async fn count(&self, id: ProjectId, event: EventType) -> usize {
        self.log(id).await.iter().filter(|entry| entry.event_type == event).count()
    }

    /// Returns the content of the newest artifact of a type.
    ///
    /// # Panics
    /// If there is none.
    pub async fn newest(
        &self,
        id: ProjectId,
        artifact_type: botarmy_domain::ArtifactType,
    ) -> Arc<botarmy_domain::Artifact> {
        let mut filter = botarmy_domain::ArtifactFilter {
            artifact_type: Some(artifact_type),
            ..Default::default()
        };
        loop {
            let page = self.store.artifacts(id, filter.clone(), 1000).await.unwrap();
            filter.after = page.last_before_next().map(|artifact| artifact.meta.id);
            if filter.after.is_none() {
                return page.into_iter().last().unwrap();
            }
        }
    }

    /// Answers the only open gate, and names the digest of what is under review.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn answer(&self, id: ProjectId, response: Response) {
        let gate = self.gate(id).await;
        let response = Response { subject_digest: Some(gate.subject.digest.clone()), ..response };
        self.engine.respond(gate.id, response, owner()).await.unwrap();
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> botarmy_domain::Timestamp {
        self.clock.now()
    }
}

/// Returns the caller who owns the project.
#[must_use]
pub fn owner() -> Caller {
    Caller::person("owner")
}

/// Returns a response with nothing but its action.
#[must_use]
pub const fn simply(action: HitlAction) -> Response {
    Response {
        action,
        content: None,
        comment: None,
        amended_content: None,
        subject_digest: None,
        response: None,
        in_bulk: false,
        link: None,
    }
}

/// Returns an amendment with instructions.
#[must_use]
pub fn amend(text: &str) -> Response {
    Response { content: Some(text.to_owned()), ..simply(HitlAction::Amend) }
}

/// Returns the usual limits, with this poll interval.
fn lease_settings(poll: Duration) -> LeaseSettings {
    LeaseSettings {
        lease: botarmy_domain::lease::LEASE,
        first_call: botarmy_domain::lease::FIRST_CALL,
        attempt_timeout: Duration::from_secs(600),
        poll,
        max_output_bytes: 1 << 20,
    }
}
