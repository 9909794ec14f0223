//! Recovery at the start of a server: returns tasks to the queue that its predecessor held.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::decide::tasks;
use botarmy_domain::{AgentType, Caller, Error, Lease, Scope, Task};
use tracing::info;

use crate::engine::Engine;

const PAGE: u32 = 500;

impl Engine {
    /// Returns every task that a server held to the queue, and the number of tasks. Only for a server
    /// that has its store to itself, so that no other server can be working. External workers keep
    /// their tasks until their leases expire.
    ///
    /// # Errors
    /// Returns the error of the store.
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
                let holder = lease.holder();
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
                "Returned {taken} tasks to the queue that were running when the server stopped"
            );
        }
        self.wake_all_workers();
        Ok(taken)
    }

    /// Wakes all workers, and marks the status of every agent type as stale: the stored status may be
    /// older than the last event.
    pub fn wake_all_workers(&self) {
        let all: BTreeSet<_> = AgentType::ALL.iter().copied().collect();
        self.ports.wake_ups.notify(&all);
        self.mark_stale(all);
    }
}
