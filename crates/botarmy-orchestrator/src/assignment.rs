//! Assignments: what an agent is given for a task, on a server or outside.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::{
    Artifact, Assignment, ContextId, HeldLease, Project, Resume, RunError, StoreError, Task,
};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::engine::Engine;

/// A project, loaded once for all of its tasks that are started together.
pub(crate) type SharedProject = Arc<OnceCell<Option<Arc<Project>>>>;

impl Engine {
    /// Returns the assignment of a task: what its agent needs to know.
    pub(crate) async fn assignment(
        &self,
        task: &Task,
        project: &SharedProject,
    ) -> Result<Assignment, NoAssignment> {
        let project =
            project.get_or_try_init(|| self.ports.stores.projects.project(task.project_id));
        let project = project.await?.as_deref();
        let context = match task.context_ids.as_slice() {
            [] => Vec::new(),
            ids => self.ports.stores.context.artifacts_by_id(ids).await?,
        };
        if let Some(project) = project {
            check_inputs(project, task, &context)?;
        }
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

    /// Ends an attempt that has no assignment. Returns the error with which the attempt failed, unless
    /// it ended in another way.
    pub(crate) async fn no_assignment(
        &self,
        task: &Task,
        lease: HeldLease,
        reason: NoAssignment,
    ) -> Option<RunError> {
        match reason {
            NoAssignment::Store(error) => Some(no_assignment(&error)),
            NoAssignment::Stale => {
                info!(task.id = %task.id, "Other inputs of task {} were released meanwhile; it starts again", task.id);
                // A failure is logged there.
                drop(self.requeue_all(vec![lease], "other inputs were released").await);
                None
            }
            NoAssignment::Differs(detail) => {
                if let Err(error) = self.refuse_inputs(task, &lease.holder, detail).await {
                    warn!(task.id = %task.id, %error, "The failed attempt at task {} could not be stored; its lease will expire", task.id);
                }
                None
            }
        }
    }
}

/// Reason why a task has no assignment now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAssignment {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other artifacts have been released since the task was claimed; the next claim has them.
    #[error("other inputs were released meanwhile")]
    Stale,
    /// The stored artifacts are not the released ones.
    #[error("{0}")]
    Differs(String),
}

/// Checks that the artifacts which a task is about to be given are the released ones, and that each
/// has the content that its digest was computed from.
fn check_inputs(
    project: &Project,
    task: &Task,
    context: &[Arc<Artifact>],
) -> Result<(), NoAssignment> {
    let found = |id: &ContextId| context.iter().find(|artifact| artifact.meta.id == *id);
    for id in &task.context_ids {
        match found(id) {
            Some(artifact) if artifact.is_intact() => {}
            Some(_) => {
                let detail = format!(
                    "Artifact {id} is not what was stored: its content does not match its digest."
                );
                return Err(NoAssignment::Differs(detail));
            }
            None => {
                return Err(NoAssignment::Differs(format!("Artifact {id} is not in the store.")));
            }
        }
    }
    let plan = project.plan.as_ref();
    let step = plan.zip(task.step()).and_then(|(plan, step)| plan.workflow.step(step));
    let Some((plan, step)) = plan.zip(step) else { return Ok(()) };
    // A project of an older version does not say what is released until its next decision.
    let Some(released) = &plan.progress.released else { return Err(NoAssignment::Stale) };
    if plan.context_of(task).is_some_and(|now| now.all != task.context_ids) {
        return Err(NoAssignment::Stale);
    }
    for one in step.inputs.iter().filter_map(|input| released.get(input)) {
        if found(&one.context_id).is_none_or(|artifact| artifact.meta.digest != one.digest) {
            let id = one.context_id;
            let detail = format!("Artifact {id} does not have the digest that was released.");
            return Err(NoAssignment::Differs(detail));
        }
    }
    Ok(())
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
