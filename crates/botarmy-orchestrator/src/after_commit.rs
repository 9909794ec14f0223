//! After the commit: publishing entries, waking workers, marking agent statuses as stale. Any of it
//! may be lost, and none of it may fail a use case.

use std::collections::BTreeSet;

use botarmy_domain::event;
use botarmy_domain::{
    AgentType, BusMessage, Caller, Committed, EventType, ProjectId, Row, TaskStatus, Timestamp,
};
use tracing::{debug, error, warn};

use crate::engine::Engine;

impl Engine {
    /// Publishes a commit, and wakes workers for tasks that became ready.
    pub(crate) async fn publish(&self, committed: &Committed) {
        let mut woken = BTreeSet::new();
        for entry in &committed.entries {
            debug!(event.kind = %entry.event_type, log.seq = entry.seq, "Committed {}", entry.event_type);
            match (entry.event_type, entry.project_id) {
                (EventType::ProjectCompleted, Some(id)) => self.package_in_the_background(id),
                (EventType::ProjectResumed | EventType::EmergencyReleased, _) => {
                    woken.extend(AgentType::ALL);
                }
                _ => {}
            }
        }
        for row in &committed.rows {
            if let Row::Task(task) = row
                && task.status() == TaskStatus::Pending
            {
                woken.insert(task.agent);
                self.wake_at(task.ready_at, task.agent);
            }
        }
        self.mark_stale(
            committed.entries.iter().filter_map(|e| event::stale_agent_of(e)).collect(),
        );
        let messages = committed.entries.iter().cloned().map(BusMessage::Entry).collect();
        if let Err(error) = self.ports.bus.publish(messages).await {
            warn!(%error, "Entries could not be published; subscribers will read them from the log");
        }
        if !woken.is_empty() {
            self.ports.wake_ups.notify(&woken);
        }
    }

    fn package_in_the_background(&self, project: ProjectId) {
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.make_package(project, Caller::system()).await {
                error!(project.id = %project, %error, "The package of project {project} could not be made; request it again");
            }
        });
    }

    /// Wakes workers when a retry is due. Polling would find it too, but later.
    fn wake_at(&self, time: Timestamp, agent: AgentType) {
        let wait = time.since(self.ports.clock.now());
        if !wait.is_zero() {
            let engine = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                engine.ports.wake_ups.notify(&[agent].into());
            });
        }
    }
}
