//! Events of a project and of its package.

use super::facts::{PackageFacts, PlanFacts, ProjectFacts};
use super::row::{Difference, Row};
use super::{Replay, at};
use crate::actor::Actor;
use crate::event::{EmergencyStopped, EventPayload as E};
use crate::log::Entry;
use crate::package::Package;
use crate::project::{Emergency, Project, ProjectState};
use crate::record::Record;

impl Replay {
    pub(super) fn apply_to_project(&mut self, entry: &Entry, payload: E) {
        if let E::ProjectCreated(created) = payload {
            self.project = Some(ProjectFacts {
                seq: entry.seq,
                name: created.name,
                description: created.description,
                creator: created.creator,
                oversight: created.oversight,
                state: ProjectState::Active,
                plan: None,
                reopened_for: None,
                created_at: at(entry),
            });
            return;
        }
        let Some(project) = &mut self.project else { return };
        project.seq = entry.seq;
        let at = at(entry);
        match payload {
            E::ProjectStarted(started) => {
                project.plan = Some(PlanFacts {
                    workflow: started.definition,
                    digest: started.workflow_digest,
                    idea: started.idea,
                    starter: Actor { name: entry.actor().to_owned(), principal: entry.principal() },
                    latest: Default::default(),
                    runs: Default::default(),
                });
            }
            E::ProjectPaused(paused) => {
                project.state = ProjectState::Paused { at, by: paused.paused_by, emergency: None };
            }
            E::ProjectResumed(_) => project.state = ProjectState::Active,
            E::ProjectReopened(reopened) => {
                project.state = ProjectState::Active;
                project.reopened_for = reopened.reason;
            }
            E::ProjectCompleted(completed) => {
                project.state = ProjectState::Completed {
                    at,
                    by: completed.completed_by,
                    overridden: completed.overridden,
                    forced: false,
                };
            }
            E::ProjectHalted(halted) => {
                project.state = ProjectState::Halted {
                    at,
                    by: halted.halted_by,
                    reason: halted.reason,
                    request_id: None,
                };
            }
            E::ProjectCancelled(cancelled) => {
                project.state = ProjectState::Cancelled { at, by: cancelled.cancelled_by };
            }
            _ => {}
        }
    }
}

impl ProjectFacts {
    pub(super) fn stop(&mut self, entry: &Entry, stopped: &EmergencyStopped) {
        let paused = match &self.state {
            ProjectState::Paused { at, by, .. } => Some((*at, by.clone())),
            _ => None,
        };
        self.seq = entry.seq;
        self.state = ProjectState::Paused {
            at: at(entry),
            by: stopped.stopped_by.clone(),
            emergency: Some(Emergency { reason: stopped.reason.clone(), paused }),
        };
    }

    pub(super) fn release(&mut self, entry: &Entry) {
        // A project that has ended since the stop stays as it is.
        let ProjectState::Paused { emergency: Some(emergency), .. } = &self.state else { return };
        self.seq = entry.seq;
        self.state = match emergency.paused.clone() {
            None => ProjectState::Active,
            Some((at, by)) => ProjectState::Paused { at, by, emergency: None },
        };
    }

    pub(super) fn compare(&self, stored: &Project) -> Result<(), Box<Difference>> {
        let row = Row::new("projects", stored.id, self.seq);
        row.compare_within("state", &self.state, &comparable(stored.state.clone()))?;
        row.compare("name", &self.name, &stored.name)?;
        row.compare("description", &self.description, &stored.description)?;
        row.compare("creator", &self.creator, &stored.creator)?;
        row.compare("oversight", &self.oversight, &stored.oversight)?;
        row.compare("created_at", &self.created_at, &stored.created_at)?;
        let (Some(expected), Some(found)) = (&self.plan, &stored.plan) else {
            return row.compare("plan", &self.plan.is_some(), &stored.plan.is_some());
        };
        row.compare("plan.digest", &expected.digest, &found.digest)?;
        row.compare("plan.workflow", &*expected.workflow, &*found.workflow)?;
        row.compare("plan.idea", &expected.idea, &found.idea)?;
        if found.starter.is_some() {
            row.compare("plan.starter", &Some(&expected.starter), &found.starter.as_ref())?;
        }
        row.compare("plan.progress.latest", &expected.latest, &found.progress.latest)?;
        for step in &expected.workflow.steps {
            let found = found.progress.of(&step.name);
            let begun = expected.runs.get(&step.name);
            let path = |member| format!("plan.progress.steps.{}.{member}", step.name);
            row.compare(&path("runs"), &begun.map_or(0, |(_, runs)| *runs), &found.runs)?;
            row.compare(&path("task_id"), &begun.map(|(task, _)| *task), &found.task_id)?;
        }
        Ok(())
    }
}

/// Returns the state without what no event states.
fn comparable(mut state: ProjectState) -> ProjectState {
    match &mut state {
        ProjectState::Completed { forced, .. } => *forced = false,
        ProjectState::Halted { request_id, .. } => *request_id = None,
        _ => {}
    }
    state
}

impl PackageFacts {
    pub(super) fn compare(&self, stored: &Package) -> Result<(), Box<Difference>> {
        let row = Row::new(Package::TABLE.name, stored.project_id, self.seq);
        row.compare("digest", &self.digest, &stored.digest)?;
        row.compare("generated_at", &self.generated_at, &stored.generated_at)?;
        row.compare("files", &self.files, &stored.files.len())
    }
}
