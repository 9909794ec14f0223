//! The worker: claims tasks, lets agents do them, and brings back what they return.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::{AgentRunner, HealthCheck};
use botarmy_domain::{
    AgentType, BusMessage, Caller, Claim, Entry, EventPayload, EventType, Health, HeldLease,
    LeaseHolder, Project, ProjectId, Row, StoreError, Task, TaskId, WorkerId,
};
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

use crate::engine::Engine;

/// How long tasks may take to be given back when it stops.
const GIVING_BACK: Duration = Duration::from_secs(4);

/// Which runner serves which role.
pub type Runners = BTreeMap<AgentType, Arc<dyn AgentRunner>>;

/// What a worker can be told.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// What it is called in leases and in the log; different in every process.
    pub id: WorkerId,
    /// How many tasks of each agent type it runs at once.
    pub slots: BTreeMap<AgentType, u32>,
    /// How long a task may be silent before it is given to somebody else.
    pub lease: Duration,
    /// The longest one attempt may take where its step does not say.
    pub attempt_timeout: Duration,
    /// How long it sleeps when nobody rings.
    pub poll: Duration,
    /// The most bytes of JSON one attempt may return.
    pub max_output_bytes: usize,
}

/// Hands tasks to agents.
pub struct Worker {
    pub(crate) engine: Engine,
    pub(crate) runners: Runners,
    pub(crate) settings: WorkerSettings,
    running: Mutex<HashMap<TaskId, Running>>,
    freed: Notify,
    /// There is news of an emergency stop.
    pub(crate) stopped: Notify,
    /// Agent types with a slot that was freed since somebody looked.
    with_room: Mutex<BTreeSet<AgentType>>,
    /// The last claim failed: the store is away.
    claim_failed: std::sync::atomic::AtomicBool,
}

/// Every agent type.
fn everyone() -> BTreeSet<AgentType> {
    AgentType::ALL.iter().copied().collect()
}

/// A task this worker holds.
struct Running {
    agent: AgentType,
    project: ProjectId,
    fence: u32,
    abort: Arc<Notify>,
}

/// A project, asked for once for all of its tasks that are started together.
pub(crate) type SharedProject = Arc<OnceCell<Option<Arc<Project>>>>;

impl Worker {
    /// A worker for these runners.
    #[must_use]
    pub fn new(engine: Engine, runners: Runners, settings: WorkerSettings) -> Arc<Self> {
        Arc::new(Self {
            engine,
            runners,
            settings,
            running: Mutex::default(),
            freed: Notify::new(),
            stopped: Notify::new(),
            with_room: Mutex::default(),
            claim_failed: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Claims what there is room for, and starts it. Answers how many tasks were started.
    ///
    /// # Errors
    /// What the store could not do.
    pub async fn step(self: &Arc<Self>) -> Result<usize, StoreError> {
        self.step_for(&everyone()).await
    }

    async fn step_for(self: &Arc<Self>, agents: &BTreeSet<AgentType>) -> Result<usize, StoreError> {
        let mut slots = self.free_slots();
        slots.retain(|agent, _| agents.contains(agent));
        if slots.is_empty() {
            return Ok(0);
        }
        let claim = Claim {
            worker: self.settings.id.clone(),
            slots,
            lease: self.settings.lease,
            context: self.engine.context(Caller::worker(&self.settings.id)),
        };
        let committed = self.engine.ports.stores.ledger.claim(claim).await?;
        let mut started = 0;
        let mut projects: BTreeMap<ProjectId, SharedProject> = BTreeMap::new();
        for row in &committed.rows {
            if let Row::Task(task) = row {
                let project = projects.entry(task.project_id).or_default();
                self.start(Arc::clone(task), Arc::clone(project));
                started += 1;
            }
        }
        self.engine.publish(&committed).await;
        Ok(started)
    }

    /// Works until `stop` says so, then waits for what runs, `grace` from there at the most, and
    /// gives the rest back. A store that hangs delays the end by as much as one claim may take, and
    /// by four seconds.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let cancelling = tokio::spawn(Arc::clone(&self).heed_cancellations());
        let stopping = tokio::spawn(Arc::clone(&self).heed_stops());
        let receiver = self.engine.add_receiver();
        let mut told = stop.clone();
        let over = tokio::spawn(async move {
            // Who would say so may be gone.
            drop(told.wait_for(|stop| *stop).await);
            tokio::time::sleep(grace).await;
        });
        // Whoever there may be work for: those somebody rang for, and those with a freed slot. A
        // claim that found less than it had room for has emptied the queue of its agent type.
        let mut agents = everyone();
        while !*stop.borrow() {
            let claimed = self.step_for(&agents).await;
            self.claim_failed.store(claimed.is_err(), std::sync::atomic::Ordering::Relaxed);
            if let Err(error) = claimed {
                warn!(%error, "No work could be claimed; trying again");
                tokio::time::sleep(self.settings.poll).await;
                agents = everyone();
                continue;
            }
            agents = tokio::select! {
                woken = self.engine.recv_wake_up(&receiver) => woken,
                () = self.freed.notified() => BTreeSet::new(),
                () = tokio::time::sleep(self.settings.poll) => everyone(),
                _ = stop.changed() => BTreeSet::new(),
            };
            let mut with_room = self.with_room.lock().unwrap_or_else(PoisonError::into_inner);
            agents.append(&mut with_room);
        }
        self.drain(over).await;
        cancelling.abort();
        stopping.abort();
    }

    /// Works until there is nothing to do: what tests call.
    ///
    /// # Errors
    /// What the store could not do.
    pub async fn run_until_idle(self: &Arc<Self>) -> Result<(), StoreError> {
        loop {
            let started = self.step().await?;
            while self.is_busy() {
                self.freed.notified().await;
            }
            if started == 0 {
                self.engine.settle_agents().await;
                return Ok(());
            }
        }
    }

    /// Whether it holds anything.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.running().is_empty()
    }

    fn free_slots(&self) -> BTreeMap<AgentType, u32> {
        let running = self.running();
        let mut slots = self.settings.slots.clone();
        slots.retain(|agent, _| self.runners.contains_key(agent));
        for one in running.values() {
            if let Some(free) = slots.get_mut(&one.agent) {
                *free = free.saturating_sub(1);
            }
        }
        slots.retain(|_, free| *free > 0);
        slots
    }

    fn start(self: &Arc<Self>, task: Arc<Task>, project: SharedProject) {
        let Some(lease) = task.lease() else { return };
        let fence = lease.fence;
        let abort = Arc::new(Notify::new());
        let running = Running {
            agent: task.agent,
            project: task.project_id,
            fence,
            abort: Arc::clone(&abort),
        };
        self.running().insert(task.id, running);
        let worker = Arc::clone(self);
        tokio::spawn(async move {
            let done = Done { worker: &worker, task: task.id, agent: task.agent };
            tokio::select! {
                () = worker.work(&task, &project, fence) => {}
                () = abort.notified() => {
                    info!(task.id = %task.id, "Task {} was taken from its agent", task.id);
                }
            }
            drop(done);
        });
    }

    /// Stops agents whose task was cancelled or given to somebody else, wherever that was decided.
    async fn heed_cancellations(self: Arc<Self>) {
        loop {
            match self.engine.ports.bus.subscribe().await {
                Ok(mut messages) => {
                    while let Some(messages) = messages.next().await {
                        match messages {
                            BusMessage::Entry(entry) => self.react_to(&entry),
                            BusMessage::Lagged => self.check_all().await,
                            BusMessage::Progress(_) => {}
                        }
                    }
                }
                Err(error) => warn!(%error, "Cancellations cannot be heard; leases still end"),
            }
            tokio::time::sleep(self.settings.poll).await;
        }
    }

    /// Stops an agent. With an attempt, only if it is on that one.
    pub(crate) fn abort(&self, task: TaskId, attempt: Option<u64>) {
        if let Some(running) = self.running().get(&task)
            && attempt.is_none_or(|attempt| attempt == u64::from(running.fence))
        {
            running.abort.notify_one();
        }
    }

    /// News were lost: looks whether what runs here is still held.
    async fn check_all(&self) {
        let held: Vec<_> = self.running().iter().map(|(id, one)| (*id, one.fence)).collect();
        for (id, fence) in held {
            let task = self.engine.ports.stores.tasks.task(id).await;
            let Ok(Some(task)) = task else { continue };
            if task.lease().is_none_or(|lease| lease.fence != fence) {
                self.abort(id, None);
            }
        }
    }

    /// Aborts the attempt that an entry ends, and notes an emergency stop.
    fn react_to(&self, entry: &Entry) {
        match entry.event_type {
            EventType::EmergencyStopped => self.stopped.notify_one(),
            EventType::TaskCancelled | EventType::TaskLeaseExpired => {
                let attempt = match EventPayload::of(entry) {
                    Ok(EventPayload::TaskLeaseExpired(expired)) => Some(expired.attempt.into()),
                    // A cancelled task is cancelled whatever the attempt.
                    _ => None,
                };
                if let Some(task) = entry.task_id {
                    self.abort(task, attempt);
                }
            }
            _ => {}
        }
    }

    async fn drain(self: &Arc<Self>, mut over: JoinHandle<()>) {
        while self.is_busy() {
            tokio::select! {
                () = self.freed.notified() => {}
                _ = &mut over => break,
            }
        }
        over.abort();
        let held: Vec<_> = self.running().iter().map(|(id, one)| (*id, one.fence)).collect();
        let mut giving = JoinSet::new();
        for (id, fence) in held {
            self.abort(id, None);
            let worker = Arc::clone(self);
            giving.spawn(async move {
                let holder = LeaseHolder { worker: worker.settings.id.clone(), fence };
                let lease = HeldLease { task: id, holder };
                let given = worker.engine.requeue(lease, "the server is stopping").await;
                if let Err(error) = given {
                    warn!(task.id = %id, %error, "Task {id} could not be given back; its lease will lapse");
                }
            });
        }
        let all = async { while giving.join_next().await.is_some() {} };
        if tokio::time::timeout(GIVING_BACK, all).await.is_err() {
            let left = giving.len();
            warn!(left, "{left} tasks could not be given back in time; their leases will lapse");
        }
    }

    /// What it holds, each with its fence.
    pub(crate) fn held(&self) -> Vec<(TaskId, AgentType, ProjectId, u32)> {
        let running = self.running();
        running.iter().map(|(id, one)| (*id, one.agent, one.project, one.fence)).collect()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the slot of a task however its work ends.
struct Done<'a> {
    worker: &'a Worker,
    task: TaskId,
    agent: AgentType,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.worker.running().remove(&self.task);
        let with_room = self.worker.with_room.lock();
        with_room.unwrap_or_else(PoisonError::into_inner).insert(self.agent);
        self.worker.freed.notify_one();
    }
}

#[async_trait::async_trait]
impl HealthCheck for Worker {
    fn component(&self) -> &'static str {
        "task_queue"
    }

    fn needed(&self) -> bool {
        true
    }

    async fn check(&self) -> Health {
        if self.claim_failed.load(std::sync::atomic::Ordering::Relaxed) {
            return Health::Unhealthy("the last attempt to claim work failed".to_owned());
        }
        match self.engine.ports.stores.tasks.backlog().await {
            Ok(backlog) => {
                let running = self.running().len();
                Health::Healthy(format!("{running} tasks running, {backlog} waiting"))
            }
            Err(_) => Health::Unhealthy("the queue cannot be read".to_owned()),
        }
    }
}
