//! The desk: where workers outside wait for work. One task serves all of them, first come, first
//! served, so that many who wait ask the store no more often than one.
//!
//! It claims when somebody comes, when the bell rings, and once in a poll interval while anybody
//! waits. A claim that found less than it had room for has emptied the queue of its agent type, and
//! nobody else asks for that type until the next of these.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::tasks::Holder;
use botarmy_domain::ports::{Claim, HeldLease, WorkQuery};
use botarmy_domain::{AgentType, Row, StoreError, Task};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::ears::Ear;
use crate::engine::Engine;

/// The most that wait; more are turned away.
const MAX_WAITING: usize = 10_000;

/// Somebody who waits.
pub(crate) struct Waiter {
    query: WorkQuery,
    until: Instant,
    answer: oneshot::Sender<Result<HandOut, StoreError>>,
    /// Why the last look into the queue brought nothing.
    failed: Option<StoreError>,
}

impl Waiter {
    /// Somebody who waits from now on, and where the answer will come.
    pub(crate) fn new(query: WorkQuery) -> (Self, oneshot::Receiver<Result<HandOut, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let until = Instant::now() + query.wait;
        (Self { query, until, answer, failed: None }, answered)
    }

    fn leave(self, engine: &Engine) {
        let nothing = HandOut { engine: engine.clone(), tasks: Vec::new() };
        // Whoever went away needs no answer.
        drop(self.answer.send(self.failed.map_or(Ok(nothing), Err)));
    }
}

/// Claimed tasks on their way to a worker. What does not arrive is given back at once.
pub(crate) struct HandOut {
    engine: Engine,
    tasks: Vec<Arc<Task>>,
}

impl HandOut {
    /// The tasks that have not arrived.
    pub(crate) fn tasks(&self) -> &[Arc<Task>] {
        &self.tasks
    }

    /// They have arrived.
    pub(crate) fn arrived(mut self) {
        self.tasks.clear();
    }
}

impl Drop for HandOut {
    fn drop(&mut self) {
        let (engine, tasks) = (self.engine.clone(), std::mem::take(&mut self.tasks));
        // Without a runtime the server is ending, and the leases will lapse.
        let (false, Ok(runtime)) = (tasks.is_empty(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            for (task, lease) in tasks.iter().filter_map(|task| Some((task, task.lease()?))) {
                let holder = Holder { worker: lease.worker.clone(), fence: lease.fence };
                let lease = HeldLease { task: task.id, holder };
                if let Err(error) = engine.give_back(lease, "its worker went away").await {
                    warn!(task.id = %task.id, %error, "Task {} could not be given back; its lease will lapse", task.id);
                }
            }
        });
    }
}

/// Serves whoever waits.
pub struct Desk {
    engine: Engine,
    ear: Arc<Ear>,
    lease: Duration,
    poll: Duration,
    coming: mpsc::Receiver<Waiter>,
    waiting: VecDeque<Waiter>,
}

impl Desk {
    pub(crate) fn new(
        engine: Engine,
        lease: Duration,
        poll: Duration,
        coming: mpsc::Receiver<Waiter>,
    ) -> Self {
        let ear = engine.listen();
        Self { engine, ear, lease, poll, coming, waiting: VecDeque::new() }
    }

    /// Serves until `stop` says so; whoever waits then is told that nothing came.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(self.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            let first = self.waiting.iter().map(|waiter| waiter.until).min();
            let nobody = first.is_none();
            let patience = tokio::time::sleep_until(first.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break },
                rung = self.engine.heard(&self.ear) => self.serve(rung).await,
                coming = self.coming.recv() => match coming {
                    Some(waiter) => {
                        if nobody {
                            looks.reset();
                        }
                        self.welcome(waiter).await;
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
        for waiter in self.waiting.drain(..) {
            waiter.leave(&self.engine);
        }
    }

    async fn welcome(&mut self, mut waiter: Waiter) {
        if self.waiting.len() >= MAX_WAITING {
            let detail = "too many workers wait".to_owned();
            waiter.failed = Some(StoreError::Unavailable { detail, source: None });
            return waiter.leave(&self.engine);
        }
        let mut agents = waiter.query.agents.iter().copied().collect();
        if let Some(waiter) = self.attend(waiter, &mut agents).await {
            self.waiting.push_back(waiter);
        }
    }

    /// Goes along the line as long as there is anything for these agent types.
    async fn serve(&mut self, mut agents: BTreeSet<AgentType>) {
        let mut left = VecDeque::new();
        while let Some(waiter) = self.waiting.pop_front() {
            if agents.is_empty() {
                left.push_back(waiter);
                break;
            }
            let Some(waiter) = self.attend(waiter, &mut agents).await else { continue };
            left.push_back(waiter);
        }
        left.append(&mut self.waiting);
        self.waiting = left;
    }

    /// Gives one of them what there is for these agent types; answers who still waits.
    async fn attend(&self, mut waiter: Waiter, agents: &mut BTreeSet<AgentType>) -> Option<Waiter> {
        if waiter.answer.is_closed() {
            return None;
        }
        match self.claim(&waiter.query, agents).await {
            Ok(tasks) if tasks.is_empty() => waiter.failed = None,
            Ok(tasks) => {
                let hand_out = HandOut { engine: self.engine.clone(), tasks };
                // Whoever went away meanwhile leaves it here, and it is given back.
                drop(waiter.answer.send(Ok(hand_out)));
                return None;
            }
            Err(error) => {
                warn!(%error, "No work could be claimed for {}", waiter.query.worker);
                waiter.failed = Some(error);
                // The store is away, and would be for the next in line too.
                agents.clear();
            }
        }
        Some(waiter)
    }

    /// Claims for one worker what waits for these agent types; those with nothing left leave them.
    async fn claim(
        &self,
        query: &WorkQuery,
        agents: &mut BTreeSet<AgentType>,
    ) -> Result<Vec<Arc<Task>>, StoreError> {
        let mut claimed: Vec<Arc<Task>> = Vec::new();
        for agent in &query.agents {
            let taken = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
            let room = query.max.saturating_sub(taken);
            if room == 0 {
                break;
            }
            if !agents.contains(agent) {
                continue;
            }
            let claim = Claim {
                worker: query.worker.clone(),
                slots: BTreeMap::from([(*agent, room)]),
                lease: self.lease,
                moment: self.engine.moment(),
            };
            let committed = match self.engine.ports.ledger.claim(claim).await {
                Ok(committed) => committed,
                Err(error) if claimed.is_empty() => return Err(error),
                Err(_) => break,
            };
            let before = claimed.len();
            claimed.extend(committed.rows.iter().filter_map(|row| match row {
                Row::Task(task) => Some(Arc::clone(task)),
                _ => None,
            }));
            if claimed.len() - before < room as usize {
                agents.remove(agent);
            }
            self.engine.tell(&committed).await;
        }
        Ok(claimed)
    }

    /// Lets those go who have waited long enough, or went away.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let over = |waiter: &Waiter| waiter.until <= now || waiter.answer.is_closed();
        if !self.waiting.iter().any(over) {
            return;
        }
        let (over, left) = std::mem::take(&mut self.waiting).into_iter().partition(over);
        self.waiting = left;
        for waiter in Vec::from(over) {
            waiter.leave(&self.engine);
        }
    }
}
