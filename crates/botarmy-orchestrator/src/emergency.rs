//! The emergency stop: recorded first, so that nothing new starts; then what runs is taken back.

use std::sync::Arc;

use botarmy_domain::decide::emergency;
use botarmy_domain::emergency::{Stop, StopScope};
use botarmy_domain::ports::RecordsExt;
use botarmy_domain::{
    Caller, Committed, Error, HeldLease, LogId, Permission, Scope, Stopped, StoreError, Task,
};
use tracing::{info, warn};

use crate::engine::Engine;

/// Largest number of running tasks that are read at once; the next check finds the others.
const MAX: u32 = 10_000;
/// Reason in the log for attempts that an emergency stop ended.
pub(crate) const STOPPED: &str = "the emergency stop";

impl Engine {
    /// Stops work. Returns the stop that applies now, and the number of tasks that were running.
    pub(crate) async fn stop_work(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<Stopped, Error> {
        if let StopScope::Project(id) = scope {
            self.check_project(&caller, Permission::StopSet, id).await?;
        }
        let running = self.running_in(scope).await?.len();
        let stop =
            move |context: &_, snapshot: &_| emergency::stop(context, snapshot, scope, &reason);
        let stopped = move |committed: &Committed| {
            let stop = Stop::clone(committed.record::<Stop>(scope)?);
            Some(Stopped { stop, is_new: true, interrupted: running })
        };
        let context = self.context(caller);
        let new = self.commit_call(context, rows_of(scope), stop, stopped).await?;
        // The tasks of a project went back with the decision. Later checks find what fails here.
        if !matches!(scope, StopScope::Project(_))
            && let Err(error) = self.take_back_running(scope, |_| true).await
        {
            warn!(%scope, %error, "Running tasks of {scope} could not all be returned to the queue; the timers try again");
        }
        let stopped = match new {
            Some(stopped) => stopped,
            None => {
                let standing = self.ports.stores.records.record::<Stop>(scope).await?;
                // Released in between, so the earlier stop is not known any more.
                let stop = Stop::clone(&*standing.ok_or(StoreError::Conflict)?);
                Stopped { stop, is_new: false, interrupted: running }
            }
        };
        info!(%scope, running, "Stopped: {scope}; {running} tasks were running");
        Ok(stopped)
    }

    /// Ends an emergency stop.
    pub(crate) async fn release_work(
        &self,
        scope: StopScope,
        reason: String,
        caller: Caller,
    ) -> Result<(), Error> {
        if let StopScope::Project(id) = scope {
            self.check_project(&caller, Permission::StopRelease, id).await?;
        }
        let release =
            move |context: &_, snapshot: &_| emergency::release(context, snapshot, scope, &reason);
        self.commit(self.context(caller), rows_of(scope), release).await?;
        info!(%scope, "Released: {scope}");
        Ok(())
    }

    /// Returns stopped tasks that external workers hold to the queue: a claim in progress when the
    /// stop was recorded may have started them afterwards. Workers of servers check their own tasks,
    /// and a stopped project is paused for every claim. Returns the number of tasks.
    pub(crate) async fn end_stopped(&self) -> Result<usize, Error> {
        let mut stops = self.ports.stores.records.all::<Stop>().await?;
        stops.retain(|stop| !matches!(stop.scope, StopScope::Project(_)));
        let outside = |task: &Task| task.lease().is_some_and(|l| l.worker.is_external());
        let mut taken = 0;
        for stop in stops {
            taken += self.take_back_running(stop.scope, outside).await?;
        }
        Ok(taken)
    }

    /// Returns the running tasks that a stop covers, at most [`MAX`].
    async fn running_in(&self, scope: StopScope) -> Result<Vec<Arc<Task>>, StoreError> {
        let mut working = self.ports.stores.tasks.working(MAX).await?;
        working.retain(|task| scope.covers(task.agent, task.project_id));
        Ok(working)
    }

    /// Returns the running tasks that a stop covers and that match to the queue, and their number.
    async fn take_back_running(
        &self,
        scope: StopScope,
        matches: impl Fn(&Task) -> bool,
    ) -> Result<usize, Error> {
        let mut running = self.running_in(scope).await?;
        running.retain(|task| matches(task));
        let leases = running.iter().filter_map(|task| HeldLease::of(task)).collect();
        Ok(self.requeue_all(leases, STOPPED).await?)
    }
}

/// Returns the scope of a decision about a stop: the log of the project with everything open in it,
/// or the system log.
fn rows_of(scope: StopScope) -> Scope {
    let rows = match scope {
        StopScope::Project(id) => Scope::project(id).everything_open(),
        _ => Scope::log(LogId::System),
    };
    rows.record::<Stop>(scope)
}
