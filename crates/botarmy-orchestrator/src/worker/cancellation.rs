//! Aborting attempts: cancelled tasks, lost leases, emergency stops.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::ports::RecordsExt;
use botarmy_domain::{BusMessage, Entry, EventPayload, EventType, Stop, TaskId};
use tracing::warn;

use super::Worker;
use crate::emergency::STOPPED;

/// Interval between two checks for emergency stops, which also run when no message arrives: twice
/// within the second in which work has to end.
const STOP_CHECKS: Duration = Duration::from_millis(400);

impl Worker {
    /// Aborts attempts whose task was cancelled or given to another worker, by any server.
    pub(super) async fn watch_cancellations(self: Arc<Self>) {
        loop {
            match self.engine.ports.bus.subscribe().await {
                Ok(mut messages) => {
                    while let Some(messages) = messages.next().await {
                        match messages {
                            BusMessage::Entry(entry) => self.react_to(&entry),
                            BusMessage::Lagged => self.check_all().await,
                            BusMessage::Progress(_) => {}
                        }
                    }
                }
                Err(error) => {
                    warn!(%error, "Cannot subscribe to the event bus; cancelled tasks run on until their lease is lost");
                }
            }
            tokio::time::sleep(self.settings.leases.poll).await;
        }
    }

    /// Aborts the attempt at a task; with a number, only if it is that attempt.
    pub(super) fn abort(&self, task: TaskId, attempt: Option<u64>) {
        if let Some(running) = self.running().get(&task)
            && attempt.is_none_or(|attempt| attempt == u64::from(running.fence))
        {
            running.abort.notify_one();
        }
    }

    /// Checks whether the running tasks are still held, after messages were lost.
    async fn check_all(&self) {
        let held: Vec<_> = self.running().iter().map(|(id, one)| (*id, one.fence)).collect();
        for (id, fence) in held {
            let task = self.engine.ports.stores.tasks.task(id).await;
            let Ok(Some(task)) = task else { continue };
            if task.lease().is_none_or(|lease| lease.fence != fence) {
                self.abort(id, None);
            }
        }
    }

    /// Aborts the attempt that an entry ends, and notes an emergency stop.
    fn react_to(&self, entry: &Entry) {
        match entry.event_type {
            EventType::EmergencyStopped => self.stopped.notify_one(),
            EventType::TaskCancelled | EventType::TaskLeaseExpired => {
                let attempt = match EventPayload::of(entry) {
                    Ok(EventPayload::TaskLeaseExpired(expired)) => Some(expired.attempt.into()),
                    // A cancelled task is cancelled whatever the attempt.
                    _ => None,
                };
                if let Some(task) = entry.task_id {
                    self.abort(task, attempt);
                }
            }
            _ => {}
        }
    }

    /// Ends attempts that an emergency stop covers: at once when a stop is published, and at
    /// intervals, because a claim in progress may start a task afterwards and messages may be lost.
    pub(super) async fn watch_stops(self: Arc<Self>) {
        let mut checks = tokio::time::interval(STOP_CHECKS);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = checks.tick() => {}
                () = self.stopped.notified() => {}
            }
            if !self.is_busy() {
                continue;
            }
            match self.engine.ports.stores.records.all::<Stop>().await {
                Ok(stops) if stops.is_empty() => {}
                Ok(stops) => self.end_stopped(&stops).await,
                Err(error) => warn!(%error, "Emergency stops cannot be read; trying again"),
            }
        }
    }

    /// Aborts the attempts first, because committing takes as long as the store takes.
    async fn end_stopped(&self, stops: &[Arc<Stop>]) {
        let mut held = self.held();
        held.retain(|(_, agent, project, _)| {
            stops.iter().any(|s| s.scope.covers(*agent, *project))
        });
        for (task, _, _, fence) in &held {
            self.abort(*task, Some((*fence).into()));
        }
        // Failures are logged; whoever set the stop may have returned them already.
        let leases = held.into_iter().map(|held| self.lease(held)).collect();
        drop(self.engine.requeue_all(leases, STOPPED).await);
    }
}
