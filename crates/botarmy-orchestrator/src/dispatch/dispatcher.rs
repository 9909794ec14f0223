//! The dispatcher, where external workers wait for tasks. One task of the server serves all of them
//! in order of arrival, so that many waiting workers cause no more claims than one.
//!
//! It claims when a request arrives, when there is a wake-up, and once per poll interval while a
//! request waits. A claim that found less than it had room for has emptied the queue of its agent
//! type, which is then not asked for again until the next of these. A request that arrives shortly
//! after waits for its turn: workers that poll again and again cause no more claims either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::Secrets;
use botarmy_domain::{
    AgentType, Claim, ExternalLease, HeldLease, LeaseSecret, LeaseToken, Reach, Row, StoreError,
    Task, WorkQuery,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use super::waiting::Waiting;
use crate::engine::Engine;
use crate::lease_settings::LeaseSettings;
use crate::wake_up_fanout::WakeUpReceiver;

/// Largest number of waiting requests; further ones are answered at once.
const MAX_WAITING: usize = 10_000;
/// Time for which a queue that was found empty counts as empty, unless a wake-up says otherwise. A
/// task that becomes ready without one, on another server, is found so much later.
const STAYS_EMPTY: Duration = Duration::from_millis(200);

/// A waiting request for tasks.
pub(crate) struct PollRequest {
    query: WorkQuery,
    /// Projects on which its caller may work.
    reach: Reach,
    until: Instant,
    answer: oneshot::Sender<Result<ClaimGuard, StoreError>>,
    /// Error of the last claim for it.
    failed: Option<StoreError>,
}

impl PollRequest {
    /// Creates a request that waits from now on, and the receiver of its answer.
    pub(crate) fn new(
        query: WorkQuery,
        reach: Reach,
    ) -> (Self, oneshot::Receiver<Result<ClaimGuard, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + query.wait;
        (Self { query, reach, until, answer, failed: None }, answered)
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

/// Queue of an agent type that was found empty.
struct EmptyQueue {
    agent: AgentType,
    /// Projects whose tasks were looked for.
    reach: Reach,
    at: Instant,
}

/// Claims tasks for waiting external workers.
pub struct LeaseDispatcher {
    engine: Engine,
    receiver: Arc<WakeUpReceiver>,
    settings: LeaseSettings,
    secrets: Arc<dyn Secrets>,
    coming: mpsc::Receiver<PollRequest>,
    waiting: Waiting<PollRequest>,
    /// Queues that were found empty lately. A wake-up removes them.
    emptied: Vec<EmptyQueue>,
    /// Agent types that requests arrived for meanwhile, with the time of the claim for them.
    postponed: BTreeMap<AgentType, Instant>,
}

impl LeaseDispatcher {
    pub(crate) fn new(
        engine: Engine,
        settings: LeaseSettings,
        secrets: Arc<dyn Secrets>,
        coming: mpsc::Receiver<PollRequest>,
    ) -> Self {
        let receiver = engine.wake_up_fanout.add_receiver();
        let (waiting, emptied, postponed) = Default::default();
        Self { engine, receiver, settings, secrets, coming, waiting, emptied, postponed }
    }

    /// Serves requests until `stop` is set. Requests that still wait are then answered without a task.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(self.settings.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            let nobody = self.waiting.is_empty();
            let first_claim = self.postponed.values().min().copied();
            let next = self.waiting.first_end().into_iter().chain(first_claim).min();
            let timer = tokio::time::sleep_until(next.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break },
                woken = self.engine.recv_wake_up(&self.receiver) => {
                    self.emptied.retain(|empty| !woken.contains(&empty.agent));
                    self.serve(woken).await;
                }
                coming = self.coming.recv() => match coming {
                    Some(request) => {
                        if nobody {
                            looks.reset();
                        }
                        self.welcome(request).await;
                    }
                    None => break,
                },
                () = timer, if next.is_some() => {}
                _ = looks.tick(), if !nobody => {
                    self.waiting.retain(|request| !request.answer.is_closed());
                    self.serve(AgentType::ALL.iter().copied().collect()).await;
                }
            }
            self.serve_postponed().await;
            self.dismiss();
        }
        while let Some(number) = self.waiting.first(0, &AgentType::ALL.iter().copied().collect()) {
            if let Some(request) = self.waiting.remove(number) {
                request.leave(&self.engine);
            }
        }
    }

    async fn welcome(&mut self, mut request: PollRequest) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.retain(|request| !request.answer.is_closed());
        }
        if self.waiting.len() >= MAX_WAITING {
            let detail = "too many workers wait".to_owned();
            request.failed = Some(StoreError::Unavailable { detail, source: None });
            return request.leave(&self.engine);
        }
        let (mut agents, now) = (BTreeSet::new(), Instant::now());
        for agent in &request.query.agents {
            match self.emptied_at(*agent, &request.reach).map(|at| at + STAYS_EMPTY) {
                // A request that does not wait gets what there is now.
                Some(again) if again > now && !request.query.wait.is_zero() => {
                    self.postponed.entry(*agent).or_insert(again);
                }
                _ => {
                    agents.insert(*agent);
                }
            }
        }
        let (types, until) = (request.query.agents.clone(), request.until);
        let number = self.waiting.push(types, until, request);
        self.attend(number, &mut agents, now).await;
    }

    /// Returns the time at which no task of an agent type was found within this reach.
    fn emptied_at(&self, agent: AgentType, reach: &Reach) -> Option<Instant> {
        let covers = |empty: &&EmptyQueue| empty.reach.is_everything() || empty.reach == *reach;
        let empty = self.emptied.iter().filter(|empty| empty.agent == agent).filter(covers);
        empty.map(|empty| empty.at).max()
    }

    /// Claims for the agent types whose time has come.
    async fn serve_postponed(&mut self) {
        let now = Instant::now();
        let due = self.postponed.iter().filter(|(_, at)| **at <= now);
        let due: BTreeSet<AgentType> = due.map(|(agent, _)| *agent).collect();
        if !due.is_empty() {
            self.serve(due).await;
        }
    }

    /// Goes along the line as long as there is anything for these agent types.
    async fn serve(&mut self, mut agents: BTreeSet<AgentType>) {
        self.postponed.retain(|agent, _| !agents.contains(agent));
        let (mut from, began) = (0, Instant::now());
        while let Some(number) = self.waiting.first(from, &agents) {
            from = number + 1;
            self.attend(number, &mut agents, began).await;
        }
    }

    /// Claims tasks of these agent types for one request, which leaves when it gets some or its
    /// worker has disconnected. Queues that were found empty after `began` are not asked again.
    async fn attend(&mut self, number: u64, agents: &mut BTreeSet<AgentType>, began: Instant) {
        let Some(request) = self.waiting.get_mut(number) else { return };
        if request.answer.is_closed() {
            self.waiting.remove(number);
            return;
        }
        let (query, reach) = (request.query.clone(), request.reach.clone());
        let claimed = self.claim(&query, &reach, agents, began).await;
        let Some(request) = self.waiting.get_mut(number) else { return };
        match claimed {
            Ok(guard) if guard.tasks.is_empty() => request.failed = None,
            Ok(guard) => {
                if let Some(request) = self.waiting.remove(number) {
                    // If the worker has disconnected, the guard is dropped and returns the tasks.
                    drop(request.answer.send(Ok(guard)));
                }
            }
            Err(error) => {
                warn!(%error, "Claim for worker {} failed", query.worker);
                request.failed = Some(error);
                // The store is away, and would be for the next request too.
                agents.clear();
            }
        }
    }

    /// Claims waiting tasks of these agent types for one worker. Removes agent types whose queue is
    /// empty from `agents`.
    async fn claim(
        &mut self,
        query: &WorkQuery,
        reach: &Reach,
        agents: &mut BTreeSet<AgentType>,
        began: Instant,
    ) -> Result<ClaimGuard, StoreError> {
        let mut guard = ClaimGuard::empty(&self.engine);
        for agent in &query.agents {
            let taken = u32::try_from(guard.tasks.len()).unwrap_or(u32::MAX);
            let room = query.max.saturating_sub(taken);
            if room == 0 {
                break;
            }
            let is_empty = self.emptied_at(*agent, reach).is_some_and(|at| at > began);
            if !agents.contains(agent) || is_empty {
                continue;
            }
            let secret = &mut guard.secret;
            let secret = secret.get_or_insert_with(|| LeaseSecret::new(self.secrets.secret()));
            let claim = Claim {
                reach: reach.clone(),
                worker: query.worker.clone(),
                slots: BTreeMap::from([(*agent, room)]),
                lease: self.settings.lease,
                external: Some(Box::new(ExternalLease {
                    first_call: self.settings.first_call,
                    attempt_timeout: self.settings.attempt_timeout,
                    secret: secret.clone(),
                })),
                context: self.engine.context(query.caller.as_worker(&query.worker)),
            };
            let at = Instant::now();
            self.emptied.retain(|empty| empty.agent != *agent || empty.reach != *reach);
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
                self.emptied.retain(|empty| empty.at + STAYS_EMPTY > at);
                self.emptied.push(EmptyQueue { agent: *agent, reach: reach.clone(), at });
                if reach.is_everything() {
                    agents.remove(agent);
                    // The requests that waited for that claim would find nothing either.
                    self.postponed.remove(agent);
                }
            }
            self.engine.publish(&committed).await;
        }
        Ok(guard)
    }

    /// Answers requests whose time is over.
    fn dismiss(&mut self) {
        let now = Instant::now();
        while let Some(request) = self.waiting.pop_over(now) {
            request.leave(&self.engine);
        }
    }
}
