//! After the commit: news for the bus, a ring for the workers, a note about which agents' status
//! to look at again. All of it may be lost, none of it may fail a use case.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::decide::agents;
use botarmy_domain::event;
use botarmy_domain::{
    AgentType, BusMessage, Caller, Committed, EventType, ProjectId, Row, Scope, TaskStatus,
    Timestamp,
};
use tracing::{debug, error, warn};

use crate::engine::Engine;

/// The shortest time between two looks at the agents' status. Under load one look then covers
/// many tasks; a first change is written down at once.
const PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Tells what was committed.
    pub(crate) async fn publish(&self, committed: &Committed) {
        let mut ring = BTreeSet::new();
        for entry in &committed.entries {
            debug!(event.kind = %entry.event_type, log.seq = entry.seq, "Committed {}", entry.event_type);
            match (entry.event_type, entry.project_id) {
                (EventType::ProjectCompleted, Some(id)) => self.package_in_the_background(id),
                (EventType::ProjectResumed | EventType::EmergencyReleased, _) => {
                    ring.extend(AgentType::ALL);
                }
                _ => {}
            }
        }
        for row in &committed.rows {
            if let Row::Task(task) = row
                && task.status() == TaskStatus::Pending
            {
                ring.insert(task.agent);
                self.ring_at(task.ready_at, task.agent);
            }
        }
        self.mark_stale(
            committed.entries.iter().filter_map(|e| event::stale_agent_of(e)).collect(),
        );
        let messages = committed.entries.iter().cloned().map(BusMessage::Entry).collect();
        if let Err(error) = self.ports.bus.publish(messages).await {
            warn!(%error, "News did not leave; watchers will read them from the log");
        }
        if !ring.is_empty() {
            self.ports.wake_ups.notify(&ring);
        }
    }

    /// Writes down what the agents are doing as often as it changes. Runs for ever.
    pub async fn watch_agents(&self) {
        loop {
            self.stale.notified().await;
            self.settle_agents().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes down what the agents are doing, those it may have changed for.
    pub async fn settle_agents(&self) {
        for agent in self.take_stale_agents() {
            let context = self.context(Caller::system());
            if let Err(error) = self.commit(context, Scope::agent(agent), agents::refresh).await {
                warn!(%agent, %error, "The status of {agent} could not be written down");
                self.mark_stale([agent].into());
                return;
            }
        }
    }

    fn package_in_the_background(&self, project: ProjectId) {
        let engine = self.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.make_package(project, Caller::system()).await {
                error!(project.id = %project, %error, "The package of {project} could not be made");
            }
        });
    }

    /// A retry is due at a time of its own; polling would find it, this finds it sooner.
    fn ring_at(&self, time: Timestamp, agent: AgentType) {
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
