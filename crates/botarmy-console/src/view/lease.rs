//! Leases: the tasks that workers hold.

use botarmy_domain::{Task, Timestamp};

use super::task;
use super::time::TimeView;

/// Lease, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LeaseView {
    /// Holder, as the log records it.
    pub(crate) worker: String,
    /// Whether the holder is an external worker.
    pub(crate) is_external: bool,
    pub(crate) agent: &'static str,
    /// Id of the task.
    pub(crate) task: String,
    pub(crate) title: String,
    /// Id and name of the project, if the list names it.
    pub(crate) project: Option<(String, String)>,
    pub(crate) attempt: u32,
    pub(crate) started: TimeView,
    pub(crate) expires: TimeView,
    /// Whether the holder has not made a call yet.
    pub(crate) is_unconfirmed: bool,
}

/// Returns the lease of a task, or `None` if no worker holds it. `project` is the name of its project.
pub(crate) fn view(task: &Task, project: Option<&str>, now: Timestamp) -> Option<LeaseView> {
    let lease = task.lease()?;
    let own = lease.worker.external_name();
    Some(LeaseView {
        worker: own.unwrap_or(&lease.worker.0).to_owned(),
        is_external: own.is_some(),
        agent: task.agent.as_str(),
        task: task.id.to_string(),
        title: task::title(task),
        project: project.map(|name| (task.project_id.to_string(), name.to_owned())),
        attempt: lease.fence,
        started: TimeView::relative(lease.started_at, now),
        expires: TimeView::relative(lease.expires_at, now),
        is_unconfirmed: lease.is_unconfirmed(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use botarmy_domain::{AgentType, Lease, TaskId, TaskState, WorkerId};
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::{NOW, project_id};

    fn task(worker: &str) -> Task {
        let id = TaskId::from_uuid(Uuid::from_u128(7));
        let mut task = Task::new(id, project_id(), AgentType::Coder, "Build it".into(), NOW, NOW);
        let until = NOW.after(Duration::from_secs(60));
        task.state = TaskState::Working {
            lease: Lease {
                worker: WorkerId(worker.to_owned()),
                fence: 2,
                started_at: NOW,
                expires_at: until,
                first_call_by: Some(until),
            },
        };
        task
    }

    #[test]
    fn an_external_worker_has_its_own_name_and_those_of_a_server_their_id() {
        let external = view(&task("external/poet/<me>"), Some("Recipes"), NOW).unwrap();
        assert_eq!((external.worker.as_str(), external.is_external), ("poet/<me>", true));
        assert_eq!(external.expires.text, "in 1 min");
        assert_eq!((external.attempt, external.is_unconfirmed), (2, true));
        assert_eq!(external.project.unwrap().1, "Recipes");
        let own = view(&task("worker-00112233/1"), None, NOW).unwrap();
        assert_eq!((own.worker.as_str(), own.is_external), ("worker-00112233/1", false));
    }

    #[test]
    fn a_task_that_waits_has_no_lease() {
        let waiting = Task { state: TaskState::Pending { last_error: None }, ..task("x") };
        assert_eq!(view(&waiting, None, NOW), None);
    }
}
