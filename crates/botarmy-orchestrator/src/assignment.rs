//! Assignments: what an agent is given for a task, on a server or outside.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::{Assignment, Project, Resume, RunError, StoreError, Task};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::engine::Engine;

/// A project, loaded once for all of its tasks that are started together.
pub(crate) type SharedProject = Arc<OnceCell<Option<Arc<Project>>>>;

impl Engine {
    /// Returns the assignment of a task: what its agent needs to know.
    pub(crate) async fn assignment(
        &self,
        task: &Task,
        project: &SharedProject,
    ) -> Result<Assignment, StoreError> {
        let project =
            project.get_or_try_init(|| self.ports.stores.projects.project(task.project_id));
        let project = project.await?.as_deref();
        let context = match task.context_ids.as_slice() {
            [] => Vec::new(),
            ids => self.ports.stores.context.artifacts_by_id(ids).await?,
        };
        let goes_on = task.session.is_some() || !task.answers.is_empty();
        Ok(Assignment {
            project_id: task.project_id,
            project_name: project.map(|project| project.name.clone()).unwrap_or_default(),
            task_id: task.id,
            agent: task.agent,
            attempt: task.attempt,
            instructions: match &task.validation_error {
                Some(validation_error) => format!(
                    "{}\n\nThis was done before, and could not be accepted: {validation_error} Do it \
                     again, completely, so that it can.",
                    task.instructions
                ),
                None => task.instructions.clone(),
            },
            handoff: task.handoff.clone(),
            context,
            output_type: task.output_type,
            output_schema: project.and_then(|project| schema_of(project, task)),
            resume: goes_on
                .then(|| Resume { session: task.session.clone(), answers: task.answers.clone() }),
            workflow: project
                .and_then(|project| project.plan.as_ref())
                .map(|plan| Arc::clone(&plan.workflow)),
        })
    }
}

/// Returns the JSON Schema that the step of a task sets for its output.
pub(crate) fn schema_of(project: &Project, task: &Task) -> Option<Map<String, Value>> {
    project.plan.as_ref()?.workflow.step(task.step()?)?.output_schema.clone()
}

/// Returns the longest duration of an attempt at a task.
pub(crate) fn time_limit(task: &Task, default: Duration) -> Duration {
    task.timeout_s.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}

/// Returns the error of an attempt that could not begin.
pub(crate) fn no_assignment(why: &impl std::fmt::Display) -> RunError {
    RunError::retryable("no_assignment", why.to_string())
}
