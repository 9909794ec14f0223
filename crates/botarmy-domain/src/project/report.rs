//! Reports about a project: its detail, and how much of it is done.

use std::sync::Arc;

use super::{Activity, Counts, Project, ProjectState};
use crate::page::Page;
use crate::task::TaskLine;
use crate::timestamp::Timestamp;
use crate::vocabulary::{ProjectStatus, StepStatus};

/// A project with its counts, both of the same instant.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectDetail {
    /// The project.
    pub project: Arc<Project>,
    /// Tasks by status, open requests and artifacts.
    pub counts: Counts,
    /// Its current work, or the party that it waits for.
    pub activity: Activity,
}

/// Circumstances of a project's status; empty for an active project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Time at which the project reached its status.
    pub since: Option<Timestamp>,
    /// Name of the principal that caused it.
    pub by: Option<&'a str>,
    /// Reason of a halt, a failure or an emergency stop.
    pub reason: Option<&'a str>,
    /// Conditions that were not met when the project was completed by force.
    pub overridden: &'a [String],
}

/// Tasks of a project with their status, at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskStatusPage {
    /// Position of the project's log at that instant.
    pub seq: u64,
    /// Status of the project.
    pub project_status: ProjectStatus,
    /// Tasks, oldest first.
    pub tasks: Page<TaskLine>,
}

/// Progress of a project towards its completion.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionReport {
    /// The project.
    pub project: Arc<Project>,
    /// Tasks by status, open requests and artifacts.
    pub counts: Counts,
    /// Whether there are artifacts to download: stored ones, or a package of a project without any.
    pub artifacts_available: bool,
    /// Time of the project's newest log entry.
    pub last_updated: Timestamp,
}

impl CompletionReport {
    /// Returns the completed share in per cent, 0 to 100 with two decimals.
    #[must_use]
    pub fn percentage(&self) -> f64 {
        self.project.completion_percentage(&self.counts)
    }

    /// Returns whether the project is completed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.project.status() == ProjectStatus::Completed
    }
}

impl Project {
    /// Returns the circumstances of the project's status.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        let standing =
            |at: &Timestamp, by, reason| Standing { since: Some(*at), by, reason, overridden: &[] };
        match &self.state {
            ProjectState::Active => Standing::default(),
            ProjectState::Paused { at, by, emergency } => {
                let reason = emergency.as_ref().map(|stop| stop.reason.as_str());
                standing(at, Some(by.as_str()), reason)
            }
            ProjectState::Completed { at, by, overridden, .. } => {
                Standing { overridden, ..standing(at, Some(by.as_str()), None) }
            }
            ProjectState::Cancelled { at, by } => standing(at, Some(by.as_str()), None),
            ProjectState::Halted { at, by, reason, .. } => {
                standing(at, Some(by.as_str()), Some(reason.as_str()))
            }
            ProjectState::Failed { at, reason } => standing(at, None, Some(reason.as_str())),
        }
    }

    /// Returns the completed share in per cent, 0 to 100 with two decimals: steps that are done or
    /// skipped or, without a workflow, completed tasks of all that were not cancelled.
    #[must_use]
    pub fn completion_percentage(&self, counts: &Counts) -> f64 {
        let (done, all) = match &self.plan {
            Some(plan) => {
                let is_over = |step: &&crate::workflow::Step| {
                    let status = plan.progress.of(&step.name).status;
                    matches!(status, StepStatus::Done | StepStatus::Skipped)
                };
                let steps = &plan.workflow.steps;
                (steps.iter().filter(is_over).count() as u64, steps.len() as u64)
            }
            None => (counts.completed.into(), (counts.total() - counts.cancelled).into()),
        };
        if all == 0 {
            return if self.status() == ProjectStatus::Completed { 100.0 } else { 0.0 };
        }
        // Hundredths of a per cent, rounded half up.
        let hundredths = (done * 10_000 * 2 + all) / (all * 2);
        f64::from(u32::try_from(hundredths).unwrap_or(10_000)) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Plan;
    use crate::vocabulary::Oversight;
    use crate::workflow::{Progress, Workflow};
    use crate::{IdGenerator, Timestamp};

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn project(state: ProjectState) -> Project {
        Project {
            id: IdGenerator::new(NOW, 7).project(),
            name: "To do".to_owned(),
            description: None,
            creator: None,
            oversight: Oversight::Standard,
            state,
            plan: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn started() -> Project {
        let workflow = Workflow::from_toml(
            "name = \"w\"\n[[step]]\nname = \"a\"\nphase = \"One\"\nagent = \"analyst\"\n\
             output = \"project_plan\"\n[[step]]\nname = \"b\"\nphase = \"Two\"\n\
             agent = \"coder\"\noutput = \"source_code\"\n[[step]]\nname = \"c\"\n\
             phase = \"Two\"\nagent = \"tester\"\noutput = \"test_results\"\n",
        )
        .unwrap();
        let mut progress = Progress::start(&workflow);
        progress.steps.get_mut("a").unwrap().status = StepStatus::Done;
        let plan = Plan {
            digest: workflow.digest(),
            workflow: workflow.into(),
            idea: "x".into(),
            starter: None,
            progress,
        };
        Project { plan: Some(plan), ..project(ProjectState::Active) }
    }

    #[test]
    fn the_percentage_has_two_decimals() {
        let of = |completed, failed, cancelled| {
            let counts = Counts { completed, failed, cancelled, ..Counts::default() };
            project(ProjectState::Active).completion_percentage(&counts)
        };
        assert_eq!(of(0, 0, 0), 0.0);
        assert_eq!(of(1, 2, 0), 33.33);
        assert_eq!(of(2, 1, 0), 66.67);
        assert_eq!(of(1, 2, 7), 33.33);
        assert_eq!(of(3, 0, 1), 100.0);
        assert_eq!(of(0, 0, 4), 0.0);
        assert_eq!(started().completion_percentage(&Counts::default()), 33.33);
    }

    #[test]
    fn the_standing_has_author_time_and_reason() {
        let (by, reason) = ("ada".to_owned(), "Too large.".to_owned());
        assert_eq!(project(ProjectState::Active).standing(), Standing::default());
        let halted =
            project(ProjectState::Halted { at: NOW, by: by.clone(), reason, request_id: None });
        let standing = halted.standing();
        assert_eq!(
            (standing.since, standing.by, standing.reason),
            (Some(NOW), Some("ada"), Some("Too large."))
        );
        let overridden = vec!["Task 1 is pending.".to_owned()];
        let state =
            ProjectState::Completed { at: NOW, by, overridden: overridden.clone(), forced: true };
        assert_eq!(project(state).standing().overridden, overridden);
    }

    #[test]
    fn the_current_step_is_at_work_or_the_first_that_waits() {
        let mut plan = started().plan.unwrap();
        let current = |plan: &Plan| plan.current_step().map(|step| step.name.clone());
        assert_eq!(current(&plan).as_deref(), Some("b"));
        plan.progress.steps.get_mut("c").unwrap().status = StepStatus::InReview;
        assert_eq!(current(&plan).as_deref(), Some("c"));
        for step in plan.progress.steps.values_mut() {
            step.status = StepStatus::Done;
        }
        assert_eq!(current(&plan), None);
    }
}
