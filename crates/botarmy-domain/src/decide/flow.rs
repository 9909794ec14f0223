//! Moving a project through its workflow: what a finished step sets off.

use serde_json::json;

use super::draft::Draft;
use crate::artifact::ArtifactRef;
use crate::error::Refusal;
use crate::handoff::Handoff;
use crate::hitl::{HitlRequest, HitlState, Subject};
use crate::ids::TaskId;
use crate::ports::Usage;
use crate::project::{Counts, Project, ProjectState};
use crate::task::{DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY, Task, TaskState};
use crate::words::{
    AgentType, EventType, HitlKind, OnExpiry, ProjectStatus, StepStatus, TaskStatus,
};
use crate::workflow::{Next, Standstill, Step};

/// Does everything that can be done now: starts steps, skips them, asks people, completes.
pub(super) fn advance(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    while draft.project()?.status().is_open() {
        let project = draft.project()?.clone();
        let Some(plan) = &project.plan else {
            return complete_if_done(draft);
        };
        match plan.progress.next(&plan.workflow) {
            None => return Ok(()),
            Some(Next::Start(step)) => start_step(draft, &project, step),
            Some(Next::Skip(step)) => {
                draft.update_plan(|plan| {
                    // A repair that was made and is not needed any more has done its work.
                    let progress = plan.progress.step(&step.name);
                    let was_needed = progress.runs > 0;
                    progress.status =
                        if was_needed { StepStatus::Done } else { StepStatus::Skipped };
                });
            }
            Some(Next::AskAboutLoop(step)) => ask_about_loop(draft, &project, step),
            Some(Next::Finish) => return complete_if_done(draft),
        }
    }
    Ok(())
}

fn start_step(draft: &mut Draft<'_>, project: &Project, step: &Step) {
    let Some(plan) = &project.plan else { return };
    let progress = plan.progress.of(&step.name);
    let latest = step.inputs.iter().filter_map(|input| plan.progress.latest.get(input).copied());
    let context_ids: Vec<_> = latest.chain(progress.feedback.iter().copied()).collect();
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
    let task = Task {
        id: draft.mint.task(),
        project_id: project.id,
        agent: step.agent,
        instructions: handoff.instructions.clone(),
        context_ids,
        priority: handoff.priority,
        max_attempts: step.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
        attempt: 0,
        failures: 0,
        output_type: Some(step.output),
        timeout_s: step.timeout_s,
        state: TaskState::Pending { last_error: None },
        answers: Vec::new(),
        session: None,
        usage: Usage::default(),
        complaint: None,
        started_at: None,
        turn_at: draft.take_turn(),
        ready_at: draft.at(),
        created_at: draft.at(),
        updated_at: draft.at(),
        handoff: Some(handoff.clone()),
    };
    let run = progress.runs + 1;
    let data = json!({"handoff": handoff, "run": run});
    draft.note(EventType::HandoffCreated, Some(task.id), data);
    let (id, name) = (task.id, step.name.clone());
    let data = created_data(&task);
    draft.put_task(task, EventType::TaskCreated, data);
    draft.update_plan(|plan| {
        let progress = plan.progress.step(&name);
        progress.status = StepStatus::Running;
        progress.task_id = Some(id);
        progress.runs = run;
    });
}

/// What the log says of a new task.
pub(super) fn created_data(task: &Task) -> serde_json::Value {
    json!({
        "agent_type": task.agent, "status": TaskStatus::Pending, "instructions": task.instructions,
        "context_ids": task.context_ids, "priority": task.priority,
        "max_attempts": task.max_attempts, "step": task.step(),
    })
}

/// A step's task has come to a good end. `doubt` is how sure its agent is, where that is not enough.
pub(super) fn step_made(
    draft: &mut Draft<'_>,
    task: &Task,
    artifact: &ArtifactRef,
    passed: Option<bool>,
    doubt: Option<f64>,
) -> Result<(), Refusal> {
    let Some(name) = task.step() else { return Ok(()) };
    let project = draft.project()?.clone();
    let Some(plan) = &project.plan else { return Ok(()) };
    let Some(step) = plan.workflow.step(name) else { return Ok(()) };
    draft.update_plan(|plan| {
        plan.progress.notice_a_standstill(&plan.workflow, name, artifact, passed);
        let progress = plan.progress.step(name);
        progress.artifact = Some(artifact.id);
        progress.digest = Some(artifact.digest.clone());
        progress.passed = passed;
    });
    if step.is_gated(project.oversight) || doubt.is_some() {
        review(draft, &project, step, task.id, artifact, doubt);
    } else {
        draft.update_plan(|plan| plan.progress.finish(&plan.workflow, name));
    }
    Ok(())
}

fn review(
    draft: &mut Draft<'_>,
    project: &Project,
    step: &Step,
    task: TaskId,
    artifact: &ArtifactRef,
    doubt: Option<f64>,
) {
    let question = format!(
        "{}: is this {} of \"{}\" good to go on with?{}",
        step.name,
        step.output.as_str().replace('_', " "),
        project.name,
        doubt.map(in_words).unwrap_or_default()
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let request = new_request(
        draft,
        project,
        HitlKind::Approval,
        question,
        options,
        Subject::of([artifact]),
        About { task: Some(task), step: Some(step), agent: Some(step.agent) },
    );
    let id = request.id;
    open(draft, request);
    draft.update_plan(|plan| {
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// Puts the result of a task that is no step before a person, because its agent is not sure of it.
pub(super) fn doubted(
    draft: &mut Draft<'_>,
    project: &Project,
    task: &Task,
    made: Option<&ArtifactRef>,
    sure: f64,
) {
    let question = format!(
        "Is what the {} made of \"{}\" good to go on with?{}",
        task.agent,
        project.name,
        in_words(sure)
    );
    let options = ["Approve", "Reject", "Amend"].map(str::to_owned).to_vec();
    let about = About { task: Some(task.id), step: None, agent: Some(task.agent) };
    let subject = Subject::of(made);
    let kind = HitlKind::Approval;
    let request = new_request(draft, project, kind, question, options, subject, about);
    open(draft, request);
}

fn in_words(sure: f64) -> String {
    format!(" Its agent is {:.0} % sure of it.", sure * 100.0)
}

fn ask_about_loop(draft: &mut Draft<'_>, project: &Project, step: &Step) {
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
        match repairs.standstill {
            None => "",
            Some(Standstill::NothingRepaired) => ", and the last round changed nothing",
            Some(Standstill::SameResult) => ", and the last round brought the same result again",
        }
    );
    let options = ["Try another round", "Halt"].map(str::to_owned).to_vec();
    let subject = Subject::of([]);
    let about = About { task: tested.task_id, step: Some(step), agent: Some(step.agent) };
    let request = new_request(draft, project, HitlKind::Failure, question, options, subject, about);
    let id = request.id;
    open(draft, request);
    draft.update_plan(|plan| {
        let progress = plan.progress.step(&step.name);
        progress.status = StepStatus::InReview;
        progress.request_id = Some(id);
    });
}

/// What a request is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) task: Option<TaskId>,
    pub(super) step: Option<&'a Step>,
    pub(super) agent: Option<AgentType>,
}

pub(super) fn new_request(
    draft: &mut Draft<'_>,
    project: &Project,
    kind: HitlKind,
    question: String,
    options: Vec<String>,
    subject: Subject,
    about: About<'_>,
) -> HitlRequest {
    let step = about.step;
    let ttl_s = step.and_then(|step| step.gate_ttl_s).unwrap_or(draft.defaults.gate_ttl_s);
    // Only a reviewed result can be waved through by time: a question has no answer then, and a
    // failure is still one.
    let on_expiry = match step.and_then(|step| step.on_expiry).unwrap_or(draft.defaults.on_expiry) {
        OnExpiry::Approve if kind != HitlKind::Approval => OnExpiry::KeepWaiting,
        other => other,
    };
    HitlRequest {
        id: draft.mint.request(),
        project_id: project.id,
        task_id: about.task,
        step: step.map(|step| step.name.clone()),
        agent: about.agent,
        kind,
        question,
        options,
        subject,
        budget: None,
        state: HitlState::Pending,
        history: vec![draft.history("created", None, None)],
        on_expiry,
        ttl_s,
        expires_at: draft.at().after(std::time::Duration::from_secs(ttl_s.into())),
        created_at: draft.at(),
        updated_at: draft.at(),
    }
}

/// Puts a new request before people.
pub(super) fn open(draft: &mut Draft<'_>, request: HitlRequest) {
    open_after(draft, request, None);
}

/// Puts the question of an attempt before people, with what the attempt used.
pub(super) fn open_after(draft: &mut Draft<'_>, request: HitlRequest, usage: Option<&Usage>) {
    let mut data = json!({
        "hitl_request_id": request.id, "kind": request.kind, "question": request.question,
        "options": request.options, "subject": request.subject, "step": request.step,
        "agent_type": request.agent, "expires_at": request.expires_at,
    });
    if let Some(usage) = usage {
        data["usage"] = json!(usage);
    }
    draft.put_request(request, EventType::HitlRequestCreated, data);
}

/// Completes the project if nothing is missing.
fn complete_if_done(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let project = draft.project()?.clone();
    if project.status() == ProjectStatus::Active && unmet(&project, &draft.counts).is_empty() {
        complete(draft, &project, Vec::new());
    }
    Ok(())
}

pub(super) fn complete(draft: &mut Draft<'_>, project: &Project, overridden: Vec<String>) {
    let by = draft.origin.actor.clone();
    let data = json!({
        "status": ProjectStatus::Completed, "completed_by": by, "completed_at": draft.at(),
        "forced": !overridden.is_empty(), "overridden": overridden,
        "message": format!("Project \"{}\" is completed.", project.name),
    });
    let state = ProjectState::Completed { at: draft.at(), by, overridden };
    let completed = Project { state, ..(*project).clone() };
    draft.put_project(completed, EventType::ProjectCompleted, data);
}

/// What keeps a project from being complete, one sentence each.
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
