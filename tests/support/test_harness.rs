//! The use cases on memory, with a clock that is turned by hand and a runner that does what it is
//! told. What every test may rely on is checked at the end of each [`TestHarness::work`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::log::{HeadMark, LogId, Verifier};
use botarmy_domain::ports::{
    AgentRunner, AuditLog, Clock, ContextStore, Gates, HitlStore, Ids, Ledger, ProjectStore,
    Projects, StorePorts, TaskStore,
};
use botarmy_domain::{
    AgentType, Caller, DecisionContext, Entry, EventType, HitlAction, HitlRequest, HitlStatus,
    NewProject, Oversight, Project, ProjectId, ProjectStatus, Response, Task, TaskStatus, WorkerId,
};
use botarmy_memory::{CountingIds, ManualClock, MemoryEventBus, MemoryStore, MemoryWakeUps};
use botarmy_orchestrator::{
    Budgets, Engine, EngineSettings, LeaseSettings, Leases, Ports, Runners, Worker, WorkerSettings,
    Workflows,
};
use tokio::sync::watch;

use crate::scripted_runner::ScriptedRunner;

/// Everything a test of the use cases needs.
pub struct TestHarness {
    /// What is stored.
    pub store: MemoryStore,
    /// Turned by hand.
    pub clock: Arc<ManualClock>,
    /// The use cases.
    pub engine: Engine,
    /// Lets the runner work.
    pub worker: Arc<Worker>,
    /// Does what it is told.
    pub runner: Arc<ScriptedRunner>,
    /// Carries news.
    pub bus: MemoryEventBus,
}

/// What a rig can be told.
pub struct Setup {
    /// The workflows there are.
    pub workflows: Workflows,
    /// What applies where nobody says otherwise.
    pub settings: EngineSettings,
    /// How many tasks of each agent type are done at once.
    pub slots: u32,
}

impl Default for Setup {
    fn default() -> Self {
        let settings = EngineSettings::default();
        Self { workflows: Workflows::default(), settings, slots: 4 }
    }
}

impl TestHarness {
    /// A rig with this runner for every agent type.
    #[must_use]
    pub fn new(runner: ScriptedRunner) -> Self {
        Self::with(runner, Setup::default())
    }

    /// A rig with these workflows too.
    #[must_use]
    pub fn with_workflows(runner: ScriptedRunner, workflows: Workflows) -> Self {
        Self::with(runner, Setup { workflows, ..Setup::default() })
    }

    /// A rig with limits to what may be spent.
    #[must_use]
    pub fn with_budgets(runner: ScriptedRunner, budgets: Budgets) -> Self {
        let settings = EngineSettings { budgets, ..EngineSettings::default() };
        Self::with(runner, Setup { settings, ..Setup::default() })
    }

    /// A rig that is set up like this.
    #[must_use]
    pub fn with(runner: ScriptedRunner, setup: Setup) -> Self {
        Self::build(runner, setup, |ledger| ledger)
    }

    /// A rig that commits through what `wrap` makes of its ledger.
    #[must_use]
    pub fn with_ledger(wrap: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>) -> Self {
        Self::build(ScriptedRunner::default(), Setup::default(), wrap)
    }

    /// A rig that is set up like this, and commits through what `wrap` makes of its ledger.
    #[must_use]
    pub fn build(
        runner: ScriptedRunner,
        setup: Setup,
        wrap: impl FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger>,
    ) -> Self {
        let store = MemoryStore::new();
        let clock = Arc::new(ManualClock::default());
        let bus = MemoryEventBus::default();
        let ports = Ports {
            stores: StorePorts {
                ledger: wrap(Arc::new(store.clone())),
                ..StorePorts::of(store.clone())
            },
            bus: Arc::new(bus.clone()),
            wake_ups: Arc::new(MemoryWakeUps::default()),
            clock: clock.clone(),
            ids: Arc::new(CountingIds::default()),
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
            lease: botarmy_domain::lease::LEASE,
            attempt_timeout: Duration::from_secs(600),
            poll: Duration::from_millis(20),
            max_output_bytes: 1 << 20,
        };
        let worker = Worker::new(engine.clone(), runners, settings);
        Self { store, clock, engine, worker, runner, bus }
    }

    /// Context for a decision that a test commits by itself, on behalf of the owner.
    pub fn context(&self) -> DecisionContext {
        DecisionContext::new(self.clock.now(), CountingIds::default().seed(), owner())
    }

    /// Works until there is nothing to do, then checks what must always hold.
    ///
    /// # Panics
    /// When something does not hold.
    pub async fn work(&self) {
        self.worker.run_until_idle().await.unwrap();
        self.check().await;
    }

    /// Work for agents outside, handed out until the test ends.
    #[must_use]
    pub fn leases(&self) -> Leases {
        let (leases, stop) = self.leases_until();
        std::mem::forget(stop);
        leases
    }

    /// Work for agents outside, handed out until it is told to stop.
    #[must_use]
    pub fn leases_until(&self) -> (Leases, watch::Sender<bool>) {
        self.leases_with(Duration::from_millis(20))
    }

    /// The same, looking into the queue so often where nobody rings.
    #[must_use]
    pub fn leases_with(&self, poll: Duration) -> (Leases, watch::Sender<bool>) {
        let settings = LeaseSettings {
            lease: botarmy_domain::lease::LEASE,
            attempt_timeout: Duration::from_secs(600),
            poll,
            max_output_bytes: 1 << 20,
        };
        let (leases, desk) = Leases::new(self.engine.clone(), settings);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(desk.run(stopped));
        (leases, stop)
    }

    /// Turns the clock, and does what is due then.
    ///
    /// # Panics
    /// When the store fails, which memory does not.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.engine.run_due().await.unwrap();
    }

    /// What must always hold: every log is whole, its head is where it says, the counts are the
    /// rows, and nothing is held by nobody.
    ///
    /// # Panics
    /// When it does not.
    pub async fn check(&self) {
        for project in self.store.projects(None, None, 1000).await.unwrap() {
            let (_, head) = self.store.overview(project.id).await.unwrap().unwrap();
            let entries = self.log(project.id).await;
            let mut verifier = Verifier::default();
            entries.iter().for_each(|entry| verifier.next(entry));
            let found = verifier.finish(&HeadMark { seq: head.seq, hash: head.hash });
            assert!(found.valid, "the log of {} is broken: {found:?}", project.id);
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

    /// Makes and starts a project.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn start(&self, workflow: &str, oversight: Oversight) -> ProjectId {
        let new = NewProject {
            name: "Recipes".to_owned(),
            description: Some("A recipe-sharing site for small families".to_owned()),
            workflow: Some(workflow.to_owned()),
            oversight,
        };
        self.engine.create_project(new, owner()).await.unwrap().id
    }

    /// Makes a project that is driven by hand.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn by_hand(&self) -> ProjectId {
        let new = NewProject {
            name: "By hand".to_owned(),
            description: None,
            workflow: None,
            oversight: Oversight::Standard,
        };
        self.engine.create_project(new, owner()).await.unwrap().id
    }

    /// The project now.
    ///
    /// # Panics
    /// When it does not exist.
    pub async fn project(&self, id: ProjectId) -> Arc<Project> {
        self.store.project(id).await.unwrap().unwrap()
    }

    /// Where the project stands.
    pub async fn status(&self, id: ProjectId) -> ProjectStatus {
        self.project(id).await.status()
    }

    /// Its tasks, oldest first.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn tasks(&self, id: ProjectId) -> Vec<Arc<Task>> {
        self.store.tasks(id, botarmy_domain::TaskFilter::default(), 10_000).await.unwrap()
    }

    /// Its open gates, oldest first.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn gates(&self, id: ProjectId) -> Vec<Arc<HitlRequest>> {
        let mut open = self.store.requests(id, Some(HitlStatus::Pending), 1000).await.unwrap();
        open.reverse();
        open
    }

    /// The one open gate.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub async fn gate(&self, id: ProjectId) -> Arc<HitlRequest> {
        let mut open = self.gates(id).await;
        assert_eq!(open.len(), 1, "one open gate was expected: {open:?}");
        open.remove(0)
    }

    /// Its log.
    ///
    /// # Panics
    /// Never with memory.
    pub async fn log(&self, id: ProjectId) -> Vec<Arc<Entry>> {
        self.store.since(LogId::Project(id), 0, 100_000).await.unwrap()
    }

    /// How often something happened in it.
    pub async fn count(&self, id: ProjectId, event: EventType) -> usize {
        self.log(id).await.iter().filter(|entry| entry.event_type == event).count()
    }

    /// The newest artifact of a type, by its content.
    ///
    /// # Panics
    /// When there is none.
    pub async fn newest(
        &self,
        id: ProjectId,
        artifact_type: botarmy_domain::ArtifactType,
    ) -> Arc<botarmy_domain::Artifact> {
        let filter = botarmy_domain::ArtifactFilter {
            artifact_type: Some(artifact_type),
            ..Default::default()
        };
        self.store.artifacts(id, filter, 10_000).await.unwrap().pop().unwrap()
    }

    /// Answers the one open gate.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn answer(&self, id: ProjectId, response: Response) {
        let gate = self.gate(id).await;
        self.engine.respond(gate.id, response, owner()).await.unwrap();
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> botarmy_domain::Timestamp {
        self.clock.now()
    }
}

/// Somebody who owns the project.
#[must_use]
pub fn owner() -> Caller {
    Caller::person("owner")
}

/// A response without anything but its action.
#[must_use]
pub const fn simply(action: HitlAction) -> Response {
    Response { action, content: None, comment: None, amended_content: None, subject_digest: None }
}

/// An amendment in words.
#[must_use]
pub fn amend(text: &str) -> Response {
    Response { content: Some(text.to_owned()), ..simply(HitlAction::Amend) }
}
