//! The dispatcher, where external workers wait for tasks. One task of the server serves all of them
//! in order of arrival, so that many waiting workers cause no more claims than one.
//!
//! It claims when a request arrives, when there is a wake-up, and once per poll interval while a
//! request waits. A claim that found less than it had room for has emptied the queue of its agent
//! type, which is then not asked for again until the next of these.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use botarmy_domain::ports::Secrets;
use botarmy_domain::{
    AgentType, Caller, Claim, ExternalLease, HeldLease, LeaseSecret, LeaseToken, Row, StoreError,
    Task, WorkQuery,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::engine::Engine;
use crate::lease_settings::LeaseSettings;
use crate::wake_up_fanout::WakeUpReceiver;

/// Largest number of waiting requests; further ones are answered at once.
const MAX_WAITING: usize = 10_000;

/// A waiting request for tasks.
pub(crate) struct PollRequest {
    query: WorkQuery,
    until: Instant,
    answer: oneshot::Sender<Result<ClaimGuard, StoreError>>,
    /// Error of the last claim for it.
    failed: Option<StoreError>,
}

impl PollRequest {
    /// Creates a request that waits from now on, and the receiver of its answer.
    pub(crate) fn new(
        query: WorkQuery,
    ) -> (Self, oneshot::Receiver<Result<ClaimGuard, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + query.wait;
        (Self { query, until, answer, failed: None }, answered)
    }

    fn leave(self, engine: &Engine) {
        let nothing = ClaimGuard::empty(engine);
        // The worker may have disconnected.
        drop(self.answer.send(self.failed.map_or(Ok(nothing), Err)));
    }
}

/// Claimed tasks on their way to a worker. Tasks that do not arrive are returned to the queue.
pub(crate) struct ClaimGuard {
    engine: Engine,
    tasks: Vec<Arc<Task>>,
    /// Source of the tokens of their leases.
    secret: Option<LeaseSecret>,
}

impl ClaimGuard {
    fn empty(engine: &Engine) -> Self {
        Self { engine: engine.clone(), tasks: Vec::new(), secret: None }
    }

    /// Returns the tasks.
    pub(crate) fn tasks(&self) -> &[Arc<Task>] {
        &self.tasks
    }

    /// Returns the token of the lease on one of the tasks.
    pub(crate) fn token(&self, lease: &HeldLease) -> Option<LeaseToken> {
        Some(self.secret.as_ref()?.token(lease.task, &lease.holder))
    }

    /// Marks the tasks as arrived.
    pub(crate) fn arrived(mut self) {
        self.tasks.clear();
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        let (engine, tasks) = (self.engine.clone(), std::mem::take(&mut self.tasks));
        // Without a runtime the process is ending, and the leases will expire.
        let (false, Ok(runtime)) = (tasks.is_empty(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            let leases = tasks.iter().filter_map(|task| HeldLease::of(task)).collect();
            // Failures are logged there.
            drop(engine.requeue_all(leases, "its worker went away").await);
        });
    }
}

/// Claims tasks for waiting external workers.
pub struct LeaseDispatcher {
    engine: Engine,
    receiver: Arc<WakeUpReceiver>,
    settings: LeaseSettings,
    secrets: Arc<dyn Secrets>,
    coming: mpsc::Receiver<PollRequest>,
    waiting: VecDeque<PollRequest>,
}

impl LeaseDispatcher {
    pub(crate) fn new(
        engine: Engine,
        settings: LeaseSettings,
        secrets: Arc<dyn Secrets>,
        coming: mpsc::Receiver<PollRequest>,
    ) -> Self {
        let receiver = engine.wake_up_fanout.add_receiver();
        Self { engine, receiver, settings, secrets, coming, waiting: VecDeque::new() }
    }

    /// Serves requests until `stop` is set. Requests that still wait are then answered without a task.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(self.settings.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            let first = self.waiting.iter().map(|request| request.until).min();
            let nobody = first.is_none();
            let patience = tokio::time::sleep_until(first.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break },
                woken = self.engine.recv_wake_up(&self.receiver) => self.serve(woken).await,
                coming = self.coming.recv() => match coming {
                    Some(request) => {
                        if nobody {
                            looks.reset();
                        }
                        self.welcome(request).await;
                    }
                    None => break,
                },
                () = patience, if !nobody => {}
                _ = looks.tick(), if !nobody => {
                    self.serve(AgentType::ALL.iter().copied().collect()).await;
                }
            }
            self.dismiss();
        }
        for request in self.waiting.drain(..) {
            request.leave(&self.engine);
        }
    }

    async fn welcome(&mut self, mut request: PollRequest) {
        if self.waiting.len() >= MAX_WAITING {
            let detail = "too many workers wait".to_owned();
            request.failed = Some(StoreError::Unavailable { detail, source: None });
            return request.leave(&self.engine);
        }
        let mut agents = request.query.agents.iter().copied().collect();
        if let Some(request) = self.attend(request, &mut agents).await {
            self.waiting.push_back(request);
        }
    }

    /// Goes along the line as long as there is anything for these agent types.
    async fn serve(&mut self, mut agents: BTreeSet<AgentType>) {
        let mut left = VecDeque::new();
        while let Some(request) = self.waiting.pop_front() {
            if agents.is_empty() {
                left.push_back(request);
                break;
            }
            let Some(request) = self.attend(request, &mut agents).await else { continue };
            left.push_back(request);
        }
        left.append(&mut self.waiting);
        self.waiting = left;
    }

    /// Claims tasks of these agent types for one request. Returns the request if it still waits.
    async fn attend(
        &self,
        mut request: PollRequest,
        agents: &mut BTreeSet<AgentType>,
    ) -> Option<PollRequest> {
        if request.answer.is_closed() {
            return None;
        }
        match self.claim(&request.query, agents).await {
            Ok(guard) if guard.tasks.is_empty() => request.failed = None,
            Ok(guard) => {
                // If the worker has disconnected, the guard is dropped and returns the tasks.
                drop(request.answer.send(Ok(guard)));
                return None;
            }
            Err(error) => {
                warn!(%error, "Claim for worker {} failed", request.query.worker);
                request.failed = Some(error);
                // The store is away, and would be for the next request too.
                agents.clear();
            }
        }
        Some(request)
    }

    /// Claims waiting tasks of these agent types for one worker. Removes agent types whose queue is
    /// empty from `agents`.
    async fn claim(
        &self,
        query: &WorkQuery,
        agents: &mut BTreeSet<AgentType>,
    ) -> Result<ClaimGuard, StoreError> {
        let mut guard = ClaimGuard::empty(&self.engine);
        for agent in &query.agents {
            let taken = u32::try_from(guard.tasks.len()).unwrap_or(u32::MAX);
            let room = query.max.saturating_sub(taken);
            if room == 0 {
                break;
            }
            if !agents.contains(agent) {
                continue;
            }
            let secret = &mut guard.secret;
            let secret = secret.get_or_insert_with(|| LeaseSecret::new(self.secrets.secret()));
            let claim = Claim {
                worker: query.worker.clone(),
                slots: BTreeMap::from([(*agent, room)]),
                lease: self.settings.lease,
                external: Some(Box::new(ExternalLease {
                    first_call: self.settings.first_call,
                    attempt_timeout: self.settings.attempt_timeout,
                    secret: secret.clone(),
                })),
                context: self.engine.context(Caller::worker(&query.worker)),
            };
            let committed = match self.engine.ports.stores.ledger.claim(claim).await {
                Ok(committed) => committed,
                Err(error) if guard.tasks.is_empty() => return Err(error),
                Err(_) => break,
            };
            let before = guard.tasks.len();
            guard.tasks.extend(committed.rows.iter().filter_map(|row| match row {
                Row::Task(task) => Some(Arc::clone(task)),
                _ => None,
            }));
            if guard.tasks.len() - before < room as usize {
                agents.remove(agent);
            }
            self.engine.publish(&committed).await;
        }
        Ok(guard)
    }

    /// Answers requests whose time is over or whose worker has disconnected.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let over = |request: &PollRequest| request.until <= now || request.answer.is_closed();
        if !self.waiting.iter().any(over) {
            return;
        }
        let (over, left) = std::mem::take(&mut self.waiting).into_iter().partition(over);
        self.waiting = left;
        for request in Vec::from(over) {
            request.leave(&self.engine);
        }
    }
}
