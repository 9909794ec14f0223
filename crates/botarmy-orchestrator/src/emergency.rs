//! The emergency stop: recorded first, so that nothing new starts; then what runs is taken back.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::emergency;
use botarmy_domain::decide::tasks::Holder;
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::ports::{HeldLease, Stopped};
use botarmy_domain::{Error, EventType, LogId, Origin, Row, Scope, StoreError, Task};
use tracing::{info, warn};

use crate::engine::Engine;
use crate::worker::Worker;

/// How often a worker looks whether its work is stopped, also when no news of it arrive: twice
/// within the second in which work has to end.
const LOOKS: Duration = Duration::from_millis(400);
/// How many running tasks are taken back in one go.
const PAGE: u32 = 500;
/// What the log says of an attempt that was ended so.
const WHY: &str = "the emergency stop";

impl Engine {
    /// Stops work; answers the stop that stands now, and how many running tasks were taken back.
    pub(crate) async fn stop_work(
        &self,
        scope: StopScope,
        reason: String,
        origin: Origin,
    ) -> Result<Stopped, Error> {
        let moment = self.moment();
        let stop = move |snapshot: &_| emergency::stop(snapshot, scope, &reason, moment, &origin);
        let committed = self.commit(rows_of(scope), stop).await?;
        let lapsed = EventType::TaskLeaseLapsed;
        let at_once = committed.entries.iter().filter(|e| e.event_type == lapsed).count();
        let interrupted = match scope {
            StopScope::Project(_) => at_once,
            _ => self.take_back_stopped(scope).await?,
        };
        let new = committed.rows.iter().find_map(|row| match row {
            Row::Stop(stop) => Some((**stop).clone()),
            _ => None,
        });
        let is_new = new.is_some();
        let stop = match new {
            Some(stop) => stop,
            None => {
                let stops = self.ports.stops.stops().await?;
                let standing = stops.into_iter().find(|stop| stop.scope == scope);
                // Released in this very moment: what stood is not known any more.
                standing.ok_or(StoreError::Conflict)?
            }
        };
        info!(%scope, interrupted, "Stopped: {scope}; {interrupted} running tasks were taken back");
        Ok(Stopped { stop, is_new, interrupted })
    }

    /// Lets work go on.
    pub(crate) async fn release_work(
        &self,
        scope: StopScope,
        reason: String,
        origin: Origin,
    ) -> Result<(), Error> {
        let (moment, defaults) = (self.moment(), self.settings.defaults);
        let release = move |snapshot: &_| {
            emergency::release(snapshot, scope, &reason, moment, &origin, defaults)
        };
        self.commit(rows_of(scope), release).await?;
        info!(%scope, "Released: {scope}");
        Ok(())
    }

    /// Takes back what is stopped and runs all the same: a claim that was under way when the stop was
    /// recorded may have started it after everything else was taken back.
    pub(crate) async fn end_stopped(&self) -> Result<usize, Error> {
        let mut taken = 0;
        for stop in self.ports.stops.stops().await? {
            taken += self.take_back_stopped(stop.scope).await?;
        }
        Ok(taken)
    }

    /// Takes back whatever runs that is stopped, whoever holds it.
    async fn take_back_stopped(&self, scope: StopScope) -> Result<usize, Error> {
        let mut taken = 0;
        let mut limit = PAGE;
        loop {
            let working = self.ports.tasks.working(limit).await?;
            let is_all = working.len() < limit as usize;
            let stopped: Vec<&Arc<Task>> =
                working.iter().filter(|task| scope.covers(task.agent, task.project_id)).collect();
            for task in &stopped {
                taken += usize::from(self.take_back(task).await?);
            }
            if is_all {
                return Ok(taken);
            }
            // What is left in front is not stopped: look further.
            limit = limit.saturating_add(PAGE);
        }
    }

    async fn take_back(&self, task: &Task) -> Result<bool, Error> {
        let Some(lease) = task.lease() else { return Ok(false) };
        let holder = Holder { worker: lease.worker.clone(), fence: lease.fence };
        match self.give_back(HeldLease { task: task.id, holder }, WHY).await {
            Ok(()) => Ok(true),
            // It ended just before.
            Err(Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What a decision about a stop sees: a project's own log with what is open in it, or the system's.
fn rows_of(scope: StopScope) -> Scope {
    let rows = match scope {
        StopScope::Project(id) => Scope::project(id).everything_open(),
        _ => Scope::log(LogId::System),
    };
    rows.stop(scope)
}

impl Worker {
    /// Ends what runs here and is stopped, whatever news arrive of it: a claim that was under way
    /// when the stop was recorded may have started something, and another server's news may be lost.
    pub(crate) async fn heed_stops(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if !self.is_busy() {
                continue;
            }
            match self.engine.ports.stops.stops().await {
                Ok(stops) if stops.is_empty() => {}
                Ok(stops) => self.end_stopped(&stops).await,
                Err(error) => warn!(%error, "Whether work is stopped cannot be read"),
            }
        }
    }

    async fn end_stopped(&self, stops: &[Stop]) {
        for (task, agent, project, fence) in self.held() {
            if !stops.iter().any(|stop| stop.scope.covers(agent, project)) {
                continue;
            }
            self.abort(task, Some(fence.into()));
            let holder = Holder { worker: self.settings.id.clone(), fence };
            match self.engine.give_back(HeldLease { task, holder }, WHY).await {
                // Whoever stopped it has taken it back already.
                Ok(()) | Err(Error::Refused(_)) => {}
                Err(error) => {
                    warn!(task.id = %task, %error, "Task {task} could not be given back; its lease will lapse");
                }
            }
        }
    }
}
