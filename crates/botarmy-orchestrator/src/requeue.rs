//! Returning leased tasks to the queue.

use botarmy_domain::decide::tasks;
use botarmy_domain::{Caller, Error, HeldLease, Scope, StoreError, TaskStatus};
use tokio::task::JoinSet;
use tracing::warn;

use crate::engine::Engine;

/// Largest number of tasks that are returned at the same time.
const MAX_CONCURRENT: usize = 256;

impl Engine {
    /// Returns a task to the queue that its holder cannot continue. Does nothing if the task is not
    /// being worked on.
    pub(crate) async fn requeue(
        &self,
        lease: HeldLease,
        reason: &'static str,
    ) -> Result<(), Error> {
        let HeldLease { task: id, holder } = lease;
        let Some(task) = self.ports.stores.tasks.task(id).await? else { return Ok(()) };
        if task.status() != TaskStatus::Working {
            return Ok(());
        }
        let requeue =
            move |context: &_, snapshot: &_| tasks::requeue(context, snapshot, id, &holder, reason);
        let scope = Scope::project(task.project_id).task(id);
        self.commit(self.context(Caller::system()), scope, requeue).await?;
        Ok(())
    }

    /// Returns tasks to the queue, and the number of tasks that were. A task that has ended or that
    /// another worker holds is skipped. A failure is logged and does not keep the other tasks from
    /// being returned; the lease of that task expires later.
    ///
    /// # Errors
    /// The last failure of the store.
    pub(crate) async fn requeue_all(
        &self,
        leases: Vec<HeldLease>,
        reason: &'static str,
    ) -> Result<usize, StoreError> {
        let mut leases = leases.into_iter();
        let mut running = JoinSet::new();
        let (mut returned, mut failed) = (0, None);
        loop {
            while running.len() < MAX_CONCURRENT
                && let Some(lease) = leases.next()
            {
                let engine = self.clone();
                running.spawn(async move { (lease.task, engine.requeue(lease, reason).await) });
            }
            let Some(ended) = running.join_next().await else { break };
            match ended {
                Ok((_, Ok(()))) => returned += 1,
                Ok((_, Err(Error::Refused(_)))) => {}
                Ok((id, Err(Error::Store(error)))) => {
                    warn!(
                        task.id = %id, %error,
                        "Task {id} could not be returned to the queue; its lease will expire"
                    );
                    failed = Some(error);
                }
                Err(error) => {
                    failed =
                        Some(StoreError::unavailable("returning a task was interrupted", error));
                }
            }
        }
        failed.map_or(Ok(returned), Err)
    }
}
