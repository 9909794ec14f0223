//! What a server does first: take back what its predecessor held when it stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::decide::tasks::{self};
use botarmy_domain::{AgentType, Caller, Error, Lease, LeaseHolder, Scope, Task};
use tracing::info;

use crate::engine::Engine;

const PAGE: u32 = 500;

impl Engine {
    /// Gives every working task back to the queue that a server held; answers how many. Only for a
    /// server that has its store to itself: no other server can be working then. What a worker
    /// outside holds stays with it; its lease says for how long.
    ///
    /// # Errors
    /// What the store could not do.
    pub async fn take_back_everything(&self) -> Result<usize, Error> {
        let mut taken = 0;
        let mut outside = 0;
        loop {
            let limit = PAGE.saturating_add(outside);
            let working = self.ports.stores.tasks.working(limit).await?;
            let is_all = working.len() < limit as usize;
            let held =
                |task: &Arc<Task>| task.lease().cloned().map(|lease| (Arc::clone(task), lease));
            let (theirs, ours): (Vec<_>, Vec<_>) = working
                .iter()
                .filter_map(held)
                .partition(|(_, lease): &(_, Lease)| lease.worker.is_external());
            if ours.is_empty() && is_all {
                break;
            }
            for (task, lease) in ours {
                let holder = LeaseHolder { worker: lease.worker, fence: lease.fence };
                let (id, context) = (task.id, self.context(Caller::system()));
                let scope = Scope::project(task.project_id).task(id);
                self.commit(context, scope, move |context, snapshot| {
                    tasks::requeue(context, snapshot, id, &holder, "the server was restarted")
                })
                .await?;
                taken += 1;
            }
            outside = u32::try_from(theirs.len()).unwrap_or(u32::MAX);
        }
        if taken > 0 {
            info!(
                tasks = taken,
                "Took back {taken} tasks that were running when the server stopped"
            );
        }
        self.wake_all_workers();
        Ok(taken)
    }

    /// Wakes the workers, and has the status of every agent type looked at again: what was written
    /// down last may be older than what happened last.
    pub fn wake_all_workers(&self) {
        let all: BTreeSet<_> = AgentType::ALL.iter().copied().collect();
        self.ports.wake_ups.notify(&all);
        self.mark_stale(all);
    }
}
