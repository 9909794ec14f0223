//! States of projects, steps and tasks: a shape and a word, never a colour alone.

use botarmy_domain::{ActivityState, ProjectStatus, StepStatus, TaskStatus};

use super::icon::Icon;
use super::texts;

/// State, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateView {
    /// Class of the style sheet; empty for the neutral one.
    pub(crate) class: &'static str,
    pub(crate) icon: Icon,
    pub(crate) label: String,
}

impl StateView {
    fn new(class: &'static str, icon: Icon, label: impl Into<String>) -> Self {
        Self { class, icon, label: label.into() }
    }
}

/// Returns the state of a project; an active one says what it does.
pub(crate) fn project(status: ProjectStatus, activity: Option<ActivityState>) -> StateView {
    let label = texts::project_status(status);
    match (status, activity) {
        (ProjectStatus::Active, Some(ActivityState::WaitingForPerson)) => {
            StateView::new("wait", Icon::Clock, "Waiting for a person")
        }
        (ProjectStatus::Active, Some(ActivityState::WaitingForWorker)) => {
            StateView::new("", Icon::Clock, "Waiting for a worker")
        }
        (ProjectStatus::Active, Some(ActivityState::Idle)) => {
            StateView::new("", Icon::Idle, "Idle")
        }
        (ProjectStatus::Active, _) => StateView::new("run", Icon::Running, label),
        (ProjectStatus::Paused, _) => StateView::new("", Icon::Pause, label),
        (ProjectStatus::Completed, _) => StateView::new("ok", Icon::Done, label),
        (ProjectStatus::Halted | ProjectStatus::Failed, _) => {
            StateView::new("bad", Icon::Failed, label)
        }
        (ProjectStatus::Cancelled, _) => StateView::new("", Icon::Failed, label),
    }
}

/// Returns the state of a task.
pub(crate) fn task(status: TaskStatus) -> StateView {
    match status {
        TaskStatus::Pending => StateView::new("", Icon::Idle, "Waiting for a worker"),
        TaskStatus::Working => StateView::new("run", Icon::Running, "Running"),
        TaskStatus::WaitingForHitl => StateView::new("wait", Icon::Clock, "Waiting for a person"),
        TaskStatus::Completed => StateView::new("ok", Icon::Done, "Done"),
        TaskStatus::Failed => StateView::new("bad", Icon::Failed, "Failed"),
        TaskStatus::Cancelled => StateView::new("", Icon::Failed, "Cancelled"),
    }
}

/// Returns the state of a step. `passed` is the verdict of a step that tests, and `asks` whether it waits
/// for a person.
pub(crate) fn step(status: StepStatus, passed: Option<bool>, asks: bool) -> StateView {
    match status {
        _ if asks => StateView::new("wait", Icon::Clock, "Waiting for a person"),
        StepStatus::InReview => StateView::new("wait", Icon::Clock, "Waiting for a person"),
        StepStatus::Done if passed == Some(false) => {
            StateView::new("bad", Icon::Failed, "Did not pass")
        }
        StepStatus::Done => StateView::new("ok", Icon::Done, "Done"),
        StepStatus::Running => StateView::new("run", Icon::Running, "Running"),
        StepStatus::Failed => StateView::new("bad", Icon::Failed, "Failed"),
        StepStatus::Skipped => StateView::new("ok", Icon::Done, "Not needed"),
        StepStatus::Waiting => StateView::new("", Icon::Idle, "Not started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amber_means_that_a_person_is_needed_and_nothing_else() {
        let mut amber = Vec::new();
        for status in ProjectStatus::ALL {
            for activity in ActivityState::ALL {
                let state = project(*status, Some(*activity));
                amber.extend((state.class == "wait").then_some(state.label));
            }
        }
        for status in TaskStatus::ALL {
            let state = task(*status);
            amber.extend((state.class == "wait").then_some(state.label));
        }
        for status in StepStatus::ALL {
            let state = step(*status, None, false);
            amber.extend((state.class == "wait").then_some(state.label));
        }
        assert!(amber.len() == 3 && amber.iter().all(|label| label == "Waiting for a person"));
    }

    #[test]
    fn a_test_that_is_done_but_did_not_pass_is_red() {
        assert_eq!(step(StepStatus::Done, Some(false), false).class, "bad");
        assert_eq!(step(StepStatus::Done, Some(true), false).class, "ok");
        assert_eq!(step(StepStatus::Failed, None, true).class, "wait");
    }
}
