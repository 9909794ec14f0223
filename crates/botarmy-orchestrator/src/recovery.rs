//! What a server does first: take back what its predecessor held when it stopped.

use std::collections::BTreeSet;

use botarmy_domain::decide::tasks::{self, Holder};
use botarmy_domain::{AgentType, Error, Scope};
use tracing::info;

use crate::engine::Engine;

const PAGE: u32 = 500;

impl Engine {
    /// Gives every working task back to the queue; answers how many. Only for a server that has
    /// its store to itself: nobody else can be working then.
    ///
    /// # Errors
    /// What the store could not do.
    pub async fn take_back_everything(&self) -> Result<usize, Error> {
        let mut taken = 0;
        loop {
            let working = self.ports.tasks.working(PAGE).await?;
            if working.is_empty() {
                break;
            }
            for task in working {
                let Some(lease) = task.lease() else { continue };
                let holder = Holder { worker: lease.worker.clone(), fence: lease.fence };
                let (id, moment) = (task.id, self.moment());
                self.commit(Scope::project(task.project_id).task(id), move |snapshot| {
                    tasks::give_back(snapshot, id, &holder, "the server was restarted", moment)
                })
                .await?;
                taken += 1;
            }
        }
        if taken > 0 {
            info!(
                tasks = taken,
                "Took back {taken} tasks that were running when the server stopped"
            );
        }
        self.look_around();
        Ok(taken)
    }

    /// Wakes the workers, and has the status of every agent type looked at again: what was written
    /// down last may be older than what happened last.
    pub fn look_around(&self) {
        let all: BTreeSet<_> = AgentType::ALL.iter().copied().collect();
        self.ports.bell.ring(&all);
        self.mark_stale(all);
    }
}
