//! The emergency stop: recorded first, so that nothing new starts; then what runs is taken back.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::decide::emergency;
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::{
    Caller, Error, HeldLease, LeaseHolder, LogId, Scope, Stopped, StoreError, Task,
};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::engine::Engine;
use crate::worker::Worker;

/// How often a worker looks whether its work is stopped, also when no news of it arrive: twice
/// within the second in which work has to end.
const LOOKS: Duration = Duration::from_millis(400);
/// The most running tasks that are looked at in one go; what is left is found by the next look.
const MAX: u32 = 10_000;
/// How many of them are given back at the same time.
const AT_ONCE: usize = 256;
/// What the log says of an attempt that was ended so.
const WHY: &str = "the emergency stop";

impl Engine {
    /// Stops work; answers the stop that stands now, and how many tasks were running.
    pub(crate) async fn stop_work(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<Stopped, Error> {
        let running = self.running_in(scope).await?.len();
        let stop =
            move |context: &_, snapshot: &_| emergency::stop(context, snapshot, scope, &reason);
        let committed = self.commit(self.context(caller), rows_of(scope), stop).await?;
        // A project's tasks went back with the decision. What cannot be taken back now, others find.
        if !matches!(scope, StopScope::Project(_))
            && let Err(error) = self.take_back_running(scope, |_| true).await
        {
            warn!(%scope, %error, "What runs of {scope} is not taken back yet");
        }
        let new = committed.record::<Stop>(scope).map(|stop| Stop::clone(stop));
        let is_new = new.is_some();
        let stop = match new {
            Some(stop) => stop,
            None => {
                let stops = self.ports.stores.stops.stops().await?;
                let standing = stops.into_iter().find(|stop| stop.scope == scope);
                // Released in this very moment: what stood is not known any more.
                standing.ok_or(StoreError::Conflict)?
            }
        };
        info!(%scope, running, "Stopped: {scope}; {running} tasks were running");
        Ok(Stopped { stop, is_new, interrupted: running })
    }

    /// Lets work go on.
    pub(crate) async fn release_work(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<(), Error> {
        let release =
            move |context: &_, snapshot: &_| emergency::release(context, snapshot, scope, &reason);
        self.commit(self.context(caller), rows_of(scope), release).await?;
        info!(%scope, "Released: {scope}");
        Ok(())
    }

    /// Takes back what workers outside hold although it is stopped: a claim that was under way when
    /// the stop was recorded may have started it after everything else was taken back. Workers of
    /// the servers look for themselves, and a stopped project is paused for every claim.
    pub(crate) async fn end_stopped(&self) -> Result<usize, Error> {
        let mut stops = self.ports.stores.stops.stops().await?;
        stops.retain(|stop| !matches!(stop.scope, StopScope::Project(_)));
        let outside = |task: &Task| task.lease().is_some_and(|l| l.worker.is_external());
        let mut taken = 0;
        for stop in stops {
            taken += self.take_back_running(stop.scope, outside).await?;
        }
        Ok(taken)
    }

    /// What runs of this, whoever holds it; the first few thousand of it.
    async fn running_in(&self, scope: StopScope) -> Result<Vec<Arc<Task>>, StoreError> {
        let mut working = self.ports.stores.tasks.working(MAX).await?;
        working.retain(|task| scope.covers(task.agent, task.project_id));
        Ok(working)
    }

    /// Gives back to the queue what runs of this; answers how much that was.
    async fn take_back_running(
        &self,
        scope: StopScope,
        concerns: impl Fn(&Task) -> bool,
    ) -> Result<usize, Error> {
        let mut running = self.running_in(scope).await?;
        running.retain(|task| concerns(task));
        let mut taken = 0;
        for some in running.chunks(AT_ONCE) {
            let mut giving = JoinSet::new();
            for (task, lease) in some.iter().filter_map(|task| Some((task, task.lease()?))) {
                let holder = LeaseHolder { worker: lease.worker.clone(), fence: lease.fence };
                let (engine, lease) = (self.clone(), HeldLease { task: task.id, holder });
                giving.spawn(async move { engine.requeue(lease, WHY).await });
            }
            for given in giving.join_all().await {
                match given {
                    Ok(()) => taken += 1,
                    // It ended just before.
                    Err(Error::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(taken)
    }
}

/// What a decision about a stop sees: a project's own log with what is open in it, or the system's.
fn rows_of(scope: StopScope) -> Scope {
    let rows = match scope {
        StopScope::Project(id) => Scope::project(id).everything_open(),
        _ => Scope::log(LogId::System),
    };
    rows.record::<Stop>(scope)
}

impl Worker {
    /// Ends what runs here and is stopped: at once when there is news of a stop, and at every look,
    /// since a claim that was under way may have started something after, and news may be lost.
    pub(crate) async fn heed_stops(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOKS);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = self.stopped.notified() => {}
            }
            if !self.is_busy() {
                continue;
            }
            match self.engine.ports.stores.stops.stops().await {
                Ok(stops) if stops.is_empty() => {}
                Ok(stops) => self.end_stopped(&stops).await,
                Err(error) => warn!(%error, "Whether work is stopped cannot be read"),
            }
        }
    }

    /// Ends all of it before anything is written down: that takes as long as the store takes.
    async fn end_stopped(&self, stops: &[Stop]) {
        let mut held = self.held();
        held.retain(|(_, agent, project, _)| {
            stops.iter().any(|s| s.scope.covers(*agent, *project))
        });
        for (task, _, _, fence) in &held {
            self.abort(*task, Some((*fence).into()));
        }
        for some in held.chunks(AT_ONCE) {
            let mut giving = JoinSet::new();
            for (task, _, _, fence) in some.iter().copied() {
                let holder = LeaseHolder { worker: self.settings.id.clone(), fence };
                let (engine, lease) = (self.engine.clone(), HeldLease { task, holder });
                giving.spawn(async move { (task, engine.requeue(lease, WHY).await) });
            }
            for (task, given) in giving.join_all().await {
                // Whoever stopped it may have taken it back already.
                if let Err(Error::Store(error)) = given {
                    warn!(task.id = %task, %error, "Task {task} could not be given back; its lease will lapse");
                }
            }
        }
    }
}
