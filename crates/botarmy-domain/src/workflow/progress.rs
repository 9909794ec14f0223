//! Progress of a project in its workflow. The next transition is a pure function of the definition
//! and the progress.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::definition::{Step, Workflow};
use super::released::{Released, ReleasedArtifacts};
use crate::actor::Actor;
use crate::artifact::ArtifactRef;
use crate::ids::{ContextId, HitlRequestId, TaskId};
use crate::vocabulary::{ArtifactType, StepStatus};

/// State of every step of a project, and the newest artifact of each type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// State by name of the step.
    pub steps: BTreeMap<String, StepProgress>,
    /// Newest artifact of each type, for readers.
    pub latest: BTreeMap<ArtifactType, ContextId>,
    /// Artifact of each type that steps are given: the result of an ungated step, or what a person
    /// approved. `None` in a project of a version that did not record it; it is rebuilt from the
    /// log then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<ReleasedArtifacts>,
}

/// State of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// Status of the step.
    pub status: StepStatus,
    /// Task that executes it or executed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Artifact that it produced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ContextId>,
    /// Request that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<HitlRequestId>,
    /// Digest of the artifact that it produced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Number of times it was started.
    #[serde(default)]
    pub runs: u32,
    /// Value of the loop's `until` key in its last result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// Number of rounds of its loop that people granted beyond the definition.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_rounds: u32,
    /// Sign that another round of its loop would have no effect unless a person intervenes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "standstill")]
    pub no_progress: Option<NoProgress>,
    /// Artifacts with people's feedback, which the next run is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<ContextId>,
    /// Number of times that people asked for changes since the step was approved last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub changes_asked: u32,
    /// Digest of what a person approved before the step runs, until it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<String>,
    /// Persons whose words or documents are in the result that is being made or reviewed; recorded for
    /// a step whose result they may not approve. Ends with its approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amenders: Vec<Actor>,
}

/// Sign that a loop makes no progress: an input or output is the same as in the previous round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoProgress {
    /// The repair changed nothing.
    NothingRepaired,
    /// The test returned the same result as before.
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
            changes_asked: 0,
            cleared: None,
            amenders: Vec::new(),
        }
    }
}

/// Next transition of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// The step can start.
    Start(&'a Step),
    /// The step is not needed.
    Skip(&'a Step),
    /// The loop of the step has reached its maximum or makes no progress: a person has to decide
    /// how to continue.
    AskAboutLoop(&'a Step),
    /// Every step is done.
    Finish,
}

impl Progress {
    /// Returns the progress of a workflow that has not started yet.
    #[must_use]
    pub fn start(workflow: &Workflow) -> Self {
        let steps = workflow.steps.iter().map(|step| (step.name.clone(), StepProgress::default()));
        Self {
            steps: steps.collect(),
            latest: BTreeMap::new(),
            released: Some(ReleasedArtifacts::new()),
        }
    }

    /// Returns the first transition that is possible now. The caller applies it and calls again;
    /// `None` means that everything that can run is running or waits for people.
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

    /// Returns the state of a step.
    #[must_use]
    pub fn of(&self, name: &str) -> StepProgress {
        self.steps.get(name).cloned().unwrap_or_default()
    }

    /// Returns the state of a step, to be changed.
    pub(crate) fn step(&mut self, name: &str) -> &mut StepProgress {
        self.steps.entry(name.to_owned()).or_default()
    }

    /// Gives this artifact to the steps that begin from now on. Where the record has yet to be
    /// rebuilt from the log, the log says it.
    pub(crate) fn release(&mut self, artifact_type: ArtifactType, released: Released) {
        if let Some(all) = &mut self.released {
            all.insert(artifact_type, released);
        }
    }

    /// Marks a step as done and releases its result. A repairing step resets itself and the tested
    /// step to pending instead, so that the test runs again.
    pub(crate) fn finish(&mut self, workflow: &Workflow, name: &str, result: Released) {
        if let Some(step) = workflow.step(name) {
            self.release(step.output, result);
        }
        let step = self.step(name);
        step.request_id = None;
        step.feedback.clear();
        step.amenders.clear();
        step.changes_asked = 0;
        step.status = StepStatus::Done;
        if let Some(repeat) = workflow.step(name).and_then(|step| step.repeat.as_ref()) {
            let step = self.step(name);
            step.status = StepStatus::Waiting;
            // An unchanged artifact need not be tested again: a person is asked first.
            if step.no_progress.is_none() {
                self.step(&repeat.with).status = StepStatus::Waiting;
            }
        }
    }

    /// Records that a person replaced the output of a step; signs of missing progress do not apply
    /// to the replacement. `passed` is the value of the loop's `until` key in it, where the step is
    /// tested in a loop.
    pub(crate) fn replaced(
        &mut self,
        workflow: &Workflow,
        name: &str,
        (id, digest): (ContextId, &str),
        passed: Option<bool>,
    ) {
        let step = self.step(name);
        step.artifact = Some(id);
        step.digest = Some(digest.to_owned());
        step.no_progress = None;
        if passed.is_some() {
            step.passed = passed;
        }
        if let Some(repairer) = workflow.repairer_of(name) {
            self.step(&repairer.name).no_progress = None;
        }
    }

    /// Detects that a loop makes no progress: a repair that equals its input, or a failed test with
    /// the same result as before.
    pub(crate) fn detect_no_progress(
        &mut self,
        workflow: &Workflow,
        name: &str,
        made: &ArtifactRef,
        passed: Option<bool>,
    ) {
        let digest = Some(&made.digest);
        if workflow.step(name).is_some_and(|step| step.repeat.is_some()) {
            let given = self.released.as_ref().and_then(|all| all.get(&made.artifact_type));
            let unchanged = given.map(|released| &released.digest) == digest;
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
