//! Work that is due because of time: expired requests, expired leases, stopped tasks, kept replies.

use std::sync::PoisonError;
use std::time::Duration;

use botarmy_domain::decide::{hitl, tasks};
use botarmy_domain::{Caller, Error, Scope};
use tracing::{debug, info, warn};

use crate::commands::gates::scope_of;
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
        let reviewed = self.review_people().await;
        let (stopped, expired, expired_leases) =
            (self.end_stopped().await, self.run_due_requests().await, self.reap_leases().await);
        self.forget_replies().await?;
        Ok(reviewed? + stopped? + expired? + expired_leases?)
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

    /// Reminds people, escalates requests and lets them expire.
    async fn run_due_requests(&self) -> Result<usize, Error> {
        let now = self.ports.clock.now();
        let may_expire = !self.in_grace(now);
        let due = self.ports.stores.requests.due(now, may_expire, PAGE).await?;
        let mut done = 0;
        for request in due {
            let (id, context) = (request.id, self.context(Caller::scheduler()));
            let scope = scope_of(&request).everything_open();
            let act = move |context: &_, snapshot: &_| hitl::due(context, snapshot, id, may_expire);
            match self.commit(context, scope, act).await {
                Ok(committed) => {
                    let events = committed.entries.iter().map(|entry| entry.event_type.as_str());
                    let events = events.collect::<Vec<_>>().join(", ");
                    info!(request.id = %id, "What was due on request {id} was done: {events}");
                    done += 1;
                }
                // It was answered meanwhile, or another server did it.
                Err(Error::Refused(error)) => debug!(request.id = %id, %error, "Nothing was due"),
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
