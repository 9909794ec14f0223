//! The worker of a server: claims tasks, runs their agents, and commits the results.
//!
//! This file claims and counts; `worker/attempt.rs` is one attempt, `worker/cancellation.rs` ends
//! attempts that were cancelled or stopped.

mod attempt;
mod cancellation;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::{AgentRunner, HealthCheck};
use botarmy_domain::{
    AgentType, Caller, Claim, Health, HeldLease, LeaseHolder, ProjectId, Reach, Row, SpanKind,
    StoreError, Task, TaskId, Timestamp, TraceContext, WorkerId,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::assignment::SharedProject;
use crate::engine::Engine;
use crate::lease_settings::LeaseSettings;

/// Time that returning tasks may take when the worker stops.
const RETURN_TIMEOUT: Duration = Duration::from_secs(4);

/// The runner of each agent type.
pub type Runners = BTreeMap<AgentType, Arc<dyn AgentRunner>>;

/// Settings of a worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Name in leases and in the log, different in every process.
    pub id: WorkerId,
    /// Number of tasks of each agent type that run at the same time.
    pub slots: BTreeMap<AgentType, u32>,
    /// Limits of its leases and attempts.
    pub leases: LeaseSettings,
}

/// Claims tasks and runs their agents.
pub struct Worker {
    pub(crate) engine: Engine,
    pub(crate) runners: Runners,
    pub(crate) settings: WorkerSettings,
    running: Mutex<HashMap<TaskId, Running>>,
    freed: Notify,
    /// Notified when an emergency stop was published.
    pub(crate) stopped: Notify,
    /// Agent types with a slot that was freed since the last claim.
    with_room: Mutex<BTreeSet<AgentType>>,
    /// Whether the last claim failed.
    claim_failed: AtomicBool,
}

/// Returns every agent type.
fn all_agents() -> BTreeSet<AgentType> {
    AgentType::ALL.iter().copied().collect()
}

/// A task that this worker holds.
struct Running {
    agent: AgentType,
    project: ProjectId,
    fence: u32,
    abort: Arc<Notify>,
}

impl Worker {
    /// Creates a worker for these runners.
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
            claim_failed: AtomicBool::new(false),
        })
    }

    /// Claims and starts tasks for all free slots. Returns the number of tasks started.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn step(self: &Arc<Self>) -> Result<usize, StoreError> {
        self.step_for(&all_agents()).await
    }

    async fn step_for(self: &Arc<Self>, agents: &BTreeSet<AgentType>) -> Result<usize, StoreError> {
        let mut slots = self.free_slots();
        slots.retain(|agent, _| agents.contains(agent));
        if slots.is_empty() {
            return Ok(0);
        }
        let claim = Claim {
            reach: Reach::everything(),
            worker: self.settings.id.clone(),
            slots,
            lease: self.settings.leases.lease,
            external: None,
            context: self.engine.context(Caller::worker(&self.settings.id)),
        };
        let began = self.engine.ports.clock.now();
        let committed = self.engine.ports.stores.ledger.claim(claim).await?;
        let mut started = 0;
        let mut projects: BTreeMap<ProjectId, SharedProject> = BTreeMap::new();
        for row in &committed.rows {
            if let Row::Task(task) = row {
                let project = projects.entry(task.project_id).or_default();
                let trace = self.claimed(task, began);
                self.start(Arc::clone(task), Arc::clone(project), trace);
                started += 1;
            }
        }
        self.engine.publish(&committed).await;
        Ok(started)
    }

    /// Works until `stop` is set, then waits at most `grace` for running tasks and returns the rest
    /// to the queue. A store that hangs delays the end by the duration of one claim and by
    /// `RETURN_TIMEOUT`.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, grace: Duration) {
        let watching_cancellations = tokio::spawn(Arc::clone(&self).watch_cancellations());
        let watching_stops = tokio::spawn(Arc::clone(&self).watch_stops());
        let has_slots = |agent: &AgentType| self.settings.slots.get(agent).is_some_and(|n| *n > 0);
        let served: Vec<_> = self.runners.keys().copied().filter(has_slots).collect();
        self.engine.served_agents.by_runners(served);
        let receiver = self.engine.wake_up_fanout.add_receiver();
        let mut stopping = stop.clone();
        let over = tokio::spawn(async move {
            // The sender may have been dropped, which means the same.
            drop(stopping.wait_for(|stop| *stop).await);
            tokio::time::sleep(grace).await;
        });
        // Only agent types that were woken or have a freed slot are claimed for: a claim that found
        // less than it had room for has emptied the queue of its agent type.
        let mut agents = all_agents();
        while !*stop.borrow() {
            let claimed = self.step_for(&agents).await;
            self.claim_failed.store(claimed.is_err(), Ordering::Relaxed);
            if let Err(error) = claimed {
                warn!(%error, "Claim failed; trying again");
                tokio::time::sleep(self.settings.leases.poll).await;
                agents = all_agents();
                continue;
            }
            agents = tokio::select! {
                woken = self.engine.recv_wake_up(&receiver) => woken,
                () = self.freed.notified() => BTreeSet::new(),
                () = tokio::time::sleep(self.settings.leases.poll) => all_agents(),
                _ = stop.changed() => BTreeSet::new(),
            };
            let mut with_room = self.with_room.lock().unwrap_or_else(PoisonError::into_inner);
            agents.append(&mut with_room);
        }
        self.drain(over).await;
        watching_cancellations.abort();
        watching_stops.abort();
    }

    /// Works until the queue is empty. For tests.
    ///
    /// # Errors
    /// Returns the error of the store.
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

    /// Returns whether any task is running.
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

    /// Records the claim of a task in the trace of the request that created it. Returns the position to
    /// which the attempt belongs.
    fn claimed(&self, task: &Task, began: Timestamp) -> Option<TraceContext> {
        let mut span = self.engine.span("claim", SpanKind::Consumer, task.trace);
        span.began_at(began);
        if span.is_recorded() {
            span.set("botarmy.task.id", task.id.to_string());
            span.set("botarmy.task.attempt", u64::from(task.attempt));
        }
        span.context()
    }

    fn start(
        self: &Arc<Self>,
        task: Arc<Task>,
        project: SharedProject,
        trace: Option<TraceContext>,
    ) {
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
            let slot = SlotGuard { worker: &worker, task: task.id, agent: task.agent };
            let name = format!("invoke_agent {}", task.agent);
            let mut span = worker.engine.span(name, SpanKind::Internal, trace);
            span.set("gen_ai.operation.name", "invoke_agent");
            span.set("gen_ai.agent.name", task.agent.as_str());
            tokio::select! {
                () = worker.work(&task, &project, fence, &mut span) => {}
                () = abort.notified() => {
                    info!(task.id = %task.id, "The attempt at task {} was aborted", task.id);
                }
            }
            drop(slot);
        });
    }

    /// Waits for running tasks until `over` ends, then returns the rest to the queue.
    async fn drain(self: &Arc<Self>, mut over: JoinHandle<()>) {
        while self.is_busy() {
            tokio::select! {
                () = self.freed.notified() => {}
                _ = &mut over => break,
            }
        }
        over.abort();
        let leases: Vec<_> = self.held().into_iter().map(|held| self.lease(held)).collect();
        for lease in &leases {
            self.abort(lease.task, None);
        }
        let left = leases.len();
        let returning = self.engine.requeue_all(leases, "the server is stopping");
        if tokio::time::timeout(RETURN_TIMEOUT, returning).await.is_err() {
            let limit = RETURN_TIMEOUT.as_secs();
            warn!(
                left,
                "Not all of {left} tasks could be returned to the queue within {limit} s; the leases \
                 of the others will expire"
            );
        }
    }

    fn lease(&self, (task, _, _, fence): (TaskId, AgentType, ProjectId, u32)) -> HeldLease {
        HeldLease { task, holder: LeaseHolder { worker: self.settings.id.clone(), fence } }
    }

    /// Returns the running tasks, each with its agent type, project and fencing token.
    pub(crate) fn held(&self) -> Vec<(TaskId, AgentType, ProjectId, u32)> {
        let running = self.running();
        running.iter().map(|(id, one)| (*id, one.agent, one.project, one.fence)).collect()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the slot of a task when dropped, however the attempt ends.
struct SlotGuard<'a> {
    worker: &'a Worker,
    task: TaskId,
    agent: AgentType,
}

impl Drop for SlotGuard<'_> {
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
        if self.claim_failed.load(Ordering::Relaxed) {
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
