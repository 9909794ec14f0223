//! How far a project has come in its workflow, and what comes next: a pure function of the
//! definition and the progress.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::definition::{Step, Workflow};
use crate::artifact::ArtifactRef;
use crate::ids::{ContextId, HitlRequestId, TaskId};
use crate::vocabulary::{ArtifactType, StepStatus};

/// Where every step of a project stands, and the newest artifact of each type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// By the step's name.
    pub steps: BTreeMap<String, StepProgress>,
    /// What the next step is shown.
    pub latest: BTreeMap<ArtifactType, ContextId>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// The word for it.
    pub status: StepStatus,
    /// The task that did it last, or does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What it made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ContextId>,
    /// The request that holds it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<HitlRequestId>,
    /// The digest of what it made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How often it was started.
    #[serde(default)]
    pub runs: u32,
    /// What its last result said under the key that its loop ends by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// How many rounds of its loop are allowed beyond the definition, because a person said so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_rounds: u32,
    /// Why another round of its loop would be for nothing, unless a person says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "standstill")]
    pub no_progress: Option<NoProgress>,
    /// What people said that it has to heed when it runs again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<ContextId>,
}

/// What shows that a loop does not get on: the same went in or came out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoProgress {
    /// The repair left everything as it was.
    NothingRepaired,
    /// The test says exactly what it said before.
    SameResult,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Default for StepProgress {
    fn default() -> Self {
        Self {
            status: StepStatus::Waiting,
            task_id: None,
            artifact: None,
            digest: None,
            request_id: None,
            runs: 0,
            passed: None,
            more_rounds: 0,
            no_progress: None,
            feedback: Vec::new(),
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// This step can start.
    Start(&'a Step),
    /// This step is not needed.
    Skip(&'a Step),
    /// The loop of this step has gone round as often as it may, or to no effect: a person has to say
    /// how to go on.
    AskAboutLoop(&'a Step),
    /// Every step is done.
    Finish,
}

impl Progress {
    /// The progress of a workflow in which nothing has happened.
    #[must_use]
    pub fn start(workflow: &Workflow) -> Self {
        let steps = workflow.steps.iter().map(|step| (step.name.clone(), StepProgress::default()));
        Self { steps: steps.collect(), latest: BTreeMap::new() }
    }

    /// What can be done now, the first of it. Whoever asks does it and asks again; `None` means
    /// that everything that can run is running or waits for people.
    #[must_use]
    pub fn next<'a>(&self, workflow: &'a Workflow) -> Option<Next<'a>> {
        let mut all_over = true;
        for (index, step) in workflow.steps.iter().enumerate() {
            let progress = self.of(&step.name);
            match progress.status {
                StepStatus::Done | StepStatus::Skipped => continue,
                StepStatus::Waiting => all_over = false,
                StepStatus::Running | StepStatus::InReview | StepStatus::Failed => {
                    all_over = false;
                    continue;
                }
            }
            if !workflow.waits_for(index).iter().all(|name| self.is_over(name)) {
                continue;
            }
            let Some(repeat) = &step.repeat else { return Some(Next::Start(step)) };
            return Some(if self.of(&repeat.with).passed == Some(true) {
                Next::Skip(step)
            } else if progress.no_progress.is_none()
                && progress.runs < repeat.max + progress.more_rounds
            {
                Next::Start(step)
            } else {
                Next::AskAboutLoop(step)
            });
        }
        all_over.then_some(Next::Finish)
    }

    /// Where a step stands.
    #[must_use]
    pub fn of(&self, name: &str) -> StepProgress {
        self.steps.get(name).cloned().unwrap_or_default()
    }

    /// The step to be changed.
    pub(crate) fn step(&mut self, name: &str) -> &mut StepProgress {
        self.steps.entry(name.to_owned()).or_default()
    }

    /// Marks a step as done. The repairing half of a loop sends both halves back to waiting
    /// instead, so that the test runs again.
    pub(crate) fn finish(&mut self, workflow: &Workflow, name: &str) {
        let step = self.step(name);
        step.request_id = None;
        step.feedback.clear();
        step.status = StepStatus::Done;
        if let Some(repeat) = workflow.step(name).and_then(|step| step.repeat.as_ref()) {
            let step = self.step(name);
            step.status = StepStatus::Waiting;
            // What was not changed need not be tested again: a person is asked first.
            if step.no_progress.is_none() {
                self.step(&repeat.with).status = StepStatus::Waiting;
            }
        }
    }

    /// A person put something in the place of what a step made: what was seen of a standstill before
    /// is not true of it.
    pub(crate) fn replaced(&mut self, workflow: &Workflow, name: &str, by: &ArtifactRef) {
        let step = self.step(name);
        step.artifact = Some(by.id);
        step.digest = Some(by.digest.clone());
        step.no_progress = None;
        if let Some(repairer) = workflow.repairer_of(name) {
            self.step(&repairer.name).no_progress = None;
        }
    }

    /// Sees whether what a step made shows that its loop does not get on: a repair that equals what
    /// it was to repair, or a failed test that says what it said before.
    pub(crate) fn detect_no_progress(
        &mut self,
        workflow: &Workflow,
        name: &str,
        made: &ArtifactRef,
        passed: Option<bool>,
    ) {
        let digest = Some(&made.digest);
        if workflow.step(name).is_some_and(|step| step.repeat.is_some()) {
            let is_given =
                |step: &&StepProgress| step.artifact.is_some() && step.artifact == made.previous;
            let unchanged =
                self.steps.values().filter(is_given).any(|step| step.digest.as_ref() == digest);
            self.step(name).no_progress = unchanged.then_some(NoProgress::NothingRepaired);
        } else if let Some(repairer) = workflow.repairer_of(name) {
            let before = self.of(name);
            let same = passed != Some(true)
                && self.of(&repairer.name).runs > 0
                && before.digest.as_ref() == digest;
            self.step(&repairer.name).no_progress = same.then_some(NoProgress::SameResult);
        }
    }

    fn is_over(&self, name: &str) -> bool {
        matches!(self.of(name).status, StepStatus::Done | StepStatus::Skipped)
    }
}
