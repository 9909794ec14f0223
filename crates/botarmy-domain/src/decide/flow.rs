//! Progress of a project through its workflow: the consequences of a finished step.

use super::builder::DecisionBuilder;
use super::gate::{self, GateTarget};
use super::remarks::Remarks;
use crate::artifact::{ArtifactRef, digest};
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::handoff::Handoff;
use crate::hitl::{HitlRequest, PlannedAction, Replacement, Subject, SubjectArtifact};
use crate::ids::{ContextId, TaskId};
use crate::project::{Counts, Project, ProjectState};
use crate::rebuilt::RELEASED_UNKNOWN;
use crate::task::{DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY, Task};
use crate::vocabulary::{AgentType, HitlKind, ProjectStatus, StepStatus};
use crate::workflow::{Next, NoProgress, Released, ReleasedArtifacts, Step, StepProgress};

/// Applies every transition that is possible now: starts steps, skips steps, opens gates, completes
/// the project.
pub(super) fn advance(builder: &mut DecisionBuilder<'_>) -> Result<(), DomainError> {
    while builder.project()?.status().is_open() {
        let project = builder.project()?.clone();
        let Some(plan) = &project.plan else {
            return complete_if_done(builder);
        };
        match plan.progress.next(&plan.workflow) {
            None => return Ok(()),
            Some(Next::Start(step)) => start_step(builder, &project, step)?,
            Some(Next::Skip(step)) => {
                builder.update_plan(|plan| {
                    // A repair that is no longer needed has served its purpose.
                    let progress = plan.progress.step(&step.name);
                    let was_needed = progress.runs > 0;
                    progress.status =
                        if was_needed { StepStatus::Done } else { StepStatus::Skipped };
                });
            }
            Some(Next::AskAboutLoop(step)) => ask_about_loop(builder, &project, step),
            Some(Next::Finish) => return complete_if_done(builder),
        }
    }
    Ok(())
}

fn start_step(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    step: &Step,
) -> Result<(), DomainError> {
    let Some(plan) = &project.plan else { return Ok(()) };
    let progress = plan.progress.of(&step.name);
    let Some(released) = &plan.progress.released else {
        let detail = "The released artifacts of the project are not known yet.";
        return Err(DomainError::conflict(RELEASED_UNKNOWN, detail));
    };
    if plan.workflow.reviews_action(step, project.oversight) {
        let (planned, inputs) = planned(step, &progress, released);
        if progress.cleared.as_ref() != Some(&planned_digest(&planned, &inputs)) {
            review_action(builder, project, step, planned, inputs);
            return Ok(());
        }
    }
    let inputs = step.inputs.iter().filter_map(|input| released.get(input));
    let inputs = inputs.map(|released| released.context_id);
    let context_ids: Vec<_> = inputs.chain(progress.feedback.iter().copied()).collect();
    let index = plan.workflow.steps.iter().position(|other| other.name == step.name);
    let before = index.map(|index| plan.workflow.dependencies(index)).unwrap_or_default();
    let from = before
        .last()
        .and_then(|name| plan.workflow.step(name))
        .map_or(AgentType::Orchestrator, |step| step.agent);
    let handoff = Handoff {
        from,
        to: step.agent,
        phase: step.phase.clone(),
        step: step.name.clone(),
        context_ids: context_ids.clone(),
        instructions: step.instructions.clone().unwrap_or_else(|| step.name.clone()),
        expected_outputs: vec![step.output],
        priority: DEFAULT_PRIORITY,
    };
    let (id, turn, now) = (builder.id_generator.task(), builder.take_turn(), builder.at());
    let task = Task {
        context_ids,
        max_attempts: step.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
        output_type: Some(step.output),
        timeout_s: step.timeout_s,
        handoff: Some(handoff.clone()),
        ..Task::new(id, project.id, step.agent, handoff.instructions.clone(), turn, now)
    };
    let run = progress.runs + 1;
    let payload = E::HandoffCreated(event::HandoffCreated { handoff, run });
    builder.note(&payload, Some(task.id));
    let (id, name) = (task.id, step.name.clone());
    let payload = E::TaskCreated(event::TaskCreated::from(&task));
    builder.put_task(task, &payload);
    builder.update_plan(|plan| {
        let progress = plan.progress.step(&name);
        progress.status = StepStatus::Running;
        progress.task_id = Some(id);
        progress.runs = run;
        progress.cleared = None;
    });
    Ok(())
}

/// Returns the task that a step is about to begin, and its inputs.
fn planned(
    step: &Step,
    progress: &StepProgress,
    released: &ReleasedArtifacts,
) -> (PlannedAction, Vec<SubjectArtifact>) {
    let action = PlannedAction {
        agent: step.agent,
        instructions: step.instructions.clone().unwrap_or_else(|| step.name.clone()),
        output: step.output,
        feedback: progress.feedback.clone(),
    };
    let given = step.inputs.iter().filter_map(|input| Some((*input, released.get(input)?)));
    let inputs = given.map(|(artifact_type, released)| SubjectArtifact {
        context_id: released.context_id,
        artifact_type,
        digest: released.digest.clone(),
    });
    (action, inputs.collect())
}

/// Returns the digest of a task that is about to begin and of its inputs.
pub(super) fn planned_digest(planned: &PlannedAction, inputs: &[SubjectArtifact]) -> String {
    digest(&(planned, inputs))
}

/// Opens a review of what a step is about to do.
fn review_action(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    step: &Step,
    planned: PlannedAction,
    inputs: Vec<SubjectArtifact>,
) {
    let question = format!(
        "{}: may the {} begin this step of \"{}\"? It has not run yet.",
        step.name, step.agent, project.name
    );
    let options = ["Approve", "Reject", "Ask for changes"].map(str::to_owned).to_vec();
    let (subject, kind) = (Subject::of_artifacts(inputs), HitlKind::Approval);
    let target = GateTarget { task: None, step: Some(step), agent: Some(step.agent) };
    let mut request = gate::new_request(builder, project, kind, question, options, subject, target);
    request.planned = Some(planned);
    request.round = round(project, step);
    let id = request.id;
    gate::open(builder, request);
    builder.update_plan(|plan| {
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// Returns the number of the next review of a step: 1, and one more for each time that people asked for
/// changes.
fn round(project: &Project, step: &Step) -> u32 {
    let plan = project.plan.as_ref();
    plan.map_or(1, |plan| plan.progress.of(&step.name).changes_asked.saturating_add(1))
}

/// Asks a person how to go on with a step of which changes were asked as often as its policy allows. The
/// words of the last time are kept for its next run.
pub(super) fn ask_about_rounds(
    builder: &mut DecisionBuilder<'_>,
    reviewed: &HitlRequest,
    step: &str,
    feedback: ContextId,
) -> Result<(), DomainError> {
    let project = builder.project()?.clone();
    let step = project.plan.as_ref().and_then(|plan| plan.workflow.step(step));
    let question = format!(
        "Changes of \"{}\" were asked for {} times. Approve to go on with the last ones, amend to say \
         what to do, or reject to halt the project.",
        reviewed.step.as_deref().unwrap_or_default(),
        reviewed.round
    );
    let options = ["Try another round", "Halt"].map(str::to_owned).to_vec();
    let target = GateTarget { task: None, step, agent: reviewed.agent };
    let (kind, subject) = (HitlKind::Failure, Subject::of([]));
    let request = gate::new_request(builder, &project, kind, question, options, subject, target);
    let id = request.id;
    gate::open(builder, request);
    let Some(name) = reviewed.step.as_deref() else { return Ok(()) };
    builder.update_plan(|plan| {
        let progress = plan.progress.step(name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
        progress.changes_asked = 0;
        progress.feedback.push(feedback);
    });
    Ok(())
}

/// Records the result of a step.
pub(super) fn step_made(
    builder: &mut DecisionBuilder<'_>,
    task: &Task,
    artifact: &ArtifactRef,
    passed: Option<bool>,
    remarks: &Remarks,
) -> Result<(), DomainError> {
    let Some(name) = task.step() else { return Ok(()) };
    let project = builder.project()?.clone();
    let Some(plan) = &project.plan else { return Ok(()) };
    let Some(step) = plan.workflow.step(name) else { return Ok(()) };
    builder.update_plan(|plan| {
        plan.progress.detect_no_progress(&plan.workflow, name, artifact, passed);
        let progress = plan.progress.step(name);
        progress.artifact = Some(artifact.id);
        progress.digest = Some(artifact.digest.clone());
        progress.passed = passed;
    });
    let index = plan.workflow.steps.iter().position(|other| other.name == step.name);
    // A definition that is loaded today has no such step, but a project may be pinned to one.
    let replaces =
        index.and_then(|index| plan.workflow.replaces_reviewed(index, project.oversight));
    let is_reviewed = plan.workflow.reviews_result(step, project.oversight);
    if is_reviewed || remarks.low_confidence.is_some() || replaces.is_some() {
        review(builder, &project, step, task.id, artifact, remarks);
    } else {
        let digest = artifact.digest.clone();
        let result = Released { context_id: artifact.id, digest, request_id: None };
        builder.update_plan(|plan| plan.progress.finish(&plan.workflow, name, result));
    }
    Ok(())
}

fn review(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    step: &Step,
    task: TaskId,
    artifact: &ArtifactRef,
    remarks: &Remarks,
) {
    let question = format!(
        "{}: is this {} of \"{}\" good to go on with?{}",
        step.name,
        step.output.as_str().replace('_', " "),
        project.name,
        remarks.in_words()
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let mut request = gate::new_request(
        builder,
        project,
        HitlKind::Approval,
        question,
        options,
        Subject::of([artifact]),
        GateTarget { task: Some(task), step: Some(step), agent: Some(step.agent) },
    );
    request.round = round(project, step);
    let id = request.id;
    gate::open(builder, request);
    builder.update_plan(|plan| {
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// Opens a review of a document that was stored by hand and would replace an approved one.
/// `passed` is the value of the loop's `until` key in it, where the step is tested in a loop.
pub(super) fn review_replacement(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    step: &Step,
    artifact: &ArtifactRef,
    passed: Option<bool>,
) {
    let question = format!(
        "Replace the approved {} of \"{}\" by the one that {} has stored? Rejecting keeps the \
         approved one.",
        step.output.as_str().replace('_', " "),
        project.name,
        builder.origin.actor
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let (subject, kind) = (Subject::of([artifact]), HitlKind::Approval);
    let target = GateTarget { task: None, step: Some(step), agent: Some(step.agent) };
    let mut request = gate::new_request(builder, project, kind, question, options, subject, target);
    request.replaces = Some(Replacement { passed });
    gate::open(builder, request);
}

/// Opens a review of a document with which a person amended the result of a step, because another person
/// has to approve it. `passed` is the value of the loop's `until` key in it, where the step is tested
/// in a loop.
pub(super) fn review_amendment(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    step: &Step,
    amended: &HitlRequest,
    artifact: &ArtifactRef,
    passed: Option<bool>,
) {
    let question = format!(
        "{}: is this {} of \"{}\", as {} has amended it, good to go on with?",
        step.name,
        step.output.as_str().replace('_', " "),
        project.name,
        builder.origin.actor
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let (subject, kind) = (Subject::of([artifact]), HitlKind::Approval);
    let target = GateTarget { task: amended.task_id, step: Some(step), agent: Some(step.agent) };
    let mut request = gate::new_request(builder, project, kind, question, options, subject, target);
    let before = amended.replaces.as_ref();
    request.replaces = before.map(|before| Replacement { passed: passed.or(before.passed) });
    let (id, is_replacement) = (request.id, before.is_some());
    gate::open(builder, request);
    if is_replacement {
        return;
    }
    builder.update_plan(|plan| {
        let by = (artifact.id, artifact.digest.as_str());
        plan.progress.replaced(&plan.workflow, &step.name, by, passed);
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// Opens a review of a task's result because of low confidence; the task is not a step of a
/// workflow.
pub(super) fn review_low_confidence(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    task: &Task,
    made: Option<&ArtifactRef>,
    remarks: &Remarks,
) {
    let question = format!(
        "Is what the {} made of \"{}\" good to go on with?{}",
        task.agent,
        project.name,
        remarks.in_words()
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let target = GateTarget { task: Some(task.id), step: None, agent: Some(task.agent) };
    let subject = Subject::of(made);
    let kind = HitlKind::Approval;
    let request = gate::new_request(builder, project, kind, question, options, subject, target);
    gate::open(builder, request);
}

fn ask_about_loop(builder: &mut DecisionBuilder<'_>, project: &Project, step: &Step) {
    let Some((plan, repeat)) = project.plan.as_ref().zip(step.repeat.as_ref()) else { return };
    let (tested, repairs) = (plan.progress.of(&repeat.with), plan.progress.of(&step.name));
    let rounds = match repairs.runs {
        1 => "one round".to_owned(),
        n => format!("{n} rounds"),
    };
    let question = format!(
        "After {rounds} of \"{}\", \"{}\" still does not say `{}`{}. Approve to try another \
         round, amend to say what to do in it, or reject to halt the project.",
        step.name,
        repeat.with,
        repeat.until,
        match repairs.no_progress {
            None => "",
            Some(NoProgress::NothingRepaired) => ", and the last round changed nothing",
            Some(NoProgress::SameResult) => ", and the last round brought the same result again",
        }
    );
    let options = ["Try another round", "Halt"].map(str::to_owned).to_vec();
    let subject = Subject::of([]);
    let target = GateTarget { task: tested.task_id, step: Some(step), agent: Some(step.agent) };
    let request =
        gate::new_request(builder, project, HitlKind::Failure, question, options, subject, target);
    let id = request.id;
    gate::open(builder, request);
    builder.update_plan(|plan| {
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// Completes the project if no condition is unmet.
fn complete_if_done(builder: &mut DecisionBuilder<'_>) -> Result<(), DomainError> {
    let project = builder.project()?.clone();
    if project.status() == ProjectStatus::Active && unmet(&project, &builder.counts).is_empty() {
        complete(builder, &project, Vec::new(), false);
    }
    Ok(())
}

pub(super) fn complete(
    builder: &mut DecisionBuilder<'_>,
    project: &Project,
    overridden: Vec<String>,
    forced: bool,
) {
    let by = builder.origin.actor.clone();
    let payload = E::ProjectCompleted(event::ProjectCompleted {
        status: ProjectStatus::Completed,
        completed_by: by.clone(),
        completed_at: builder.at(),
        forced,
        overridden: overridden.clone(),
        message: format!("Project \"{}\" is completed.", project.name),
    });
    let state = ProjectState::Completed { at: builder.at(), by, overridden, forced };
    let completed = Project { state, ..(*project).clone() };
    builder.put_project(completed, &payload);
}

/// Returns the conditions that keep a project from being complete, one sentence each.
#[must_use]
pub(super) fn unmet(project: &Project, counts: &Counts) -> Vec<String> {
    let mut unmet = Vec::new();
    if !matches!(project.status(), ProjectStatus::Active | ProjectStatus::Completed) {
        unmet.push(format!("The project is {}.", project.status()));
    }
    if let Some(plan) = &project.plan {
        for step in &plan.workflow.steps {
            let status = plan.progress.of(&step.name).status;
            if !matches!(status, StepStatus::Done | StepStatus::Skipped) {
                unmet.push(format!("Step \"{}\" is {status}.", step.name));
            }
        }
    } else {
        let wanted = counts.total() - counts.cancelled;
        if wanted == 0 {
            unmet.push("The project has no tasks.".to_owned());
        } else if counts.completed < wanted {
            unmet.push(format!("{} of {wanted} tasks are completed.", counts.completed));
        }
    }
    match counts.open_requests {
        0 => {}
        1 => unmet.push("One request waits for a person.".to_owned()),
        n => unmet.push(format!("{n} requests wait for a person.")),
    }
    unmet
}
