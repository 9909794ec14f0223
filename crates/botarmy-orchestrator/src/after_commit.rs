//! After the commit: publishing entries, waking workers, marking agent statuses as stale. Any of it
//! may be lost, and none of it may fail a use case.

use std::collections::BTreeSet;

use botarmy_domain::event::{self, HitlRequestCreated};
use botarmy_domain::{
    AgentType, BusMessage, Caller, Committed, Entry, EventPayload, EventType, ProjectId, Row,
    TaskStatus, Timestamp,
};
use tracing::{debug, error, info, warn};

use crate::engine::Engine;

impl Engine {
    /// Publishes a commit, and wakes workers for tasks that became ready.
    pub(crate) async fn publish(&self, committed: &Committed) {
        let mut woken = BTreeSet::new();
        for entry in &committed.entries {
            debug!(event.kind = %entry.event_type, log.seq = entry.seq, "Committed {}", entry.event_type);
            tell_operator(entry);
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

/// Logs what an operator should see without asking: failed tasks and opened requests.
fn tell_operator(entry: &Entry) {
    if !matches!(entry.event_type, EventType::TaskFailed | EventType::HitlRequestCreated) {
        return;
    }
    let project = entry.project_id.map(|id| id.to_string()).unwrap_or_default();
    match EventPayload::of(entry) {
        Ok(EventPayload::TaskFailed(failed)) => {
            let task = entry.task_id.map(|id| id.to_string()).unwrap_or_default();
            let (agent, code) = (failed.agent_type, failed.code);
            warn!(
                project.id = project, task.id = task, %agent, code, attempts = failed.failures,
                "Task {task} of the {agent} failed for good: {code}; a person is asked"
            );
        }
        Ok(EventPayload::HitlRequestCreated(HitlRequestCreated::Opened(opened))) => {
            let (id, kind) = (opened.hitl_request_id, opened.kind);
            info!(
                project.id = project, request.id = %id, %kind, step = opened.step,
                deadline = %opened.expires_at,
                "Request {id} ({kind}) waits for a person"
            );
        }
        _ => {}
    }
}
