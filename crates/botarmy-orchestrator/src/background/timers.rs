//! Work that is due because of time: expired requests, expired leases, stopped tasks, kept replies.

use std::sync::PoisonError;
use std::time::Duration;

use botarmy_domain::decide::{hitl, tasks};
use botarmy_domain::{Caller, Error, Scope};
use tracing::{info, warn};

use crate::engine::Engine;

/// Number of requests or leases that are read at once.
const PAGE: u32 = 500;
/// Time between two searches for kept replies that have expired.
const FORGETTING: Duration = Duration::from_secs(60);

impl Engine {
    /// Does whatever is due at intervals. Does not return.
    pub async fn run_timers(&self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.run_due().await {
                warn!(%error, "Timers failed; trying again");
            }
        }
    }

    /// Does whatever is due now. Returns the number of tasks and requests that changed.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn run_due(&self) -> Result<usize, Error> {
        // A failure of one does not keep the others from running.
        let (stopped, expired, expired_leases) =
            (self.end_stopped().await, self.expire_requests().await, self.reap_leases().await);
        self.forget_replies().await?;
        Ok(stopped? + expired? + expired_leases?)
    }

    /// Removes kept replies that have expired, once a minute; a part of many, and the others the next
    /// time.
    async fn forget_replies(&self) -> Result<(), Error> {
        let now = self.ports.clock.now();
        {
            let mut next = self.next_forgetting.lock().unwrap_or_else(PoisonError::into_inner);
            if *next > now {
                return Ok(());
            }
            *next = now.after(FORGETTING);
        }
        let forgotten = self.ports.stores.ledger.forget_replies(now, PAGE).await?;
        if forgotten == PAGE {
            *self.next_forgetting.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        Ok(())
    }

    async fn expire_requests(&self) -> Result<usize, Error> {
        let due = self.ports.stores.requests.expired(self.ports.clock.now(), PAGE).await?;
        let mut done = 0;
        for request in due {
            let (id, context) = (request.id, self.context(Caller::scheduler()));
            let scope = self.scope_of_request(id).await?.everything_open();
            let expire = move |context: &_, snapshot: &_| hitl::expire(context, snapshot, id);
            match self.commit(context, scope, expire).await {
                Ok(_) => {
                    info!(request.id = %id, "Request {id} expired without an answer");
                    done += 1;
                }
                Err(Error::Refused(_)) => {} // answered meanwhile
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    async fn reap_leases(&self) -> Result<usize, Error> {
        let expired_leases =
            self.ports.stores.tasks.expired_leases(self.ports.clock.now(), PAGE).await?;
        let mut done = 0;
        for task in expired_leases {
            let (id, context) = (task.id, self.context(Caller::scheduler()));
            let scope = Scope::project(task.project_id).task(id);
            let expire =
                move |context: &_, snapshot: &_| tasks::expire_lease(context, snapshot, id);
            match self.commit(context, scope, expire).await {
                Ok(_) => {
                    warn!(task.id = %id, "The lease of task {id} expired");
                    done += 1;
                }
                Err(Error::Refused(_)) => {} // its holder was back just in time
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}
