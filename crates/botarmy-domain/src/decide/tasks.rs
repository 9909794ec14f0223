//! The life of a task: submitted, claimed, completed, failed, asked about, given back, cancelled,
//! tried again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::budget;
use super::draft::{Defaults, Draft};
use super::flow::{self, About};
use super::hitl;
use crate::artifact::NewArtifact;
use crate::change::Decision;
use crate::error::Refusal;
use crate::hitl::Subject;
use crate::ids::TaskId;
use crate::log::Origin;
use crate::moment::Moment;
use crate::ports::{NewTask, Question, RunError, Usage};
use crate::scope::Snapshot;
use crate::task::{
    DEFAULT_MAX_ATTEMPTS, DEFAULT_PRIORITY, Lease, MAX_PRIORITY, Task, TaskError, TaskState,
    WorkerId,
};
use crate::text::non_blank;
use crate::words::{ArtifactType, EventType, HitlKind, StepStatus, TaskStatus};

/// The most artifacts a task can be shown.
const MAX_CONTEXT: usize = 1000;
/// The most attempts a task can be given.
const MAX_ATTEMPTS: u32 = 10;

/// Who holds a lease, as the holder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub worker: WorkerId,
    /// The fencing token it was given.
    pub fence: u32,
}

/// Submits a task. Needs a scope with the context artifacts.
///
/// # Errors
/// A field that is not acceptable, or a project that is not active.
pub fn submit(
    snapshot: &Snapshot,
    id: TaskId,
    new: &NewTask,
    moment: Moment,
    origin: &Origin,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, origin, Defaults::default());
    let project = draft.active_project()?.clone();
    if non_blank(&new.instructions).is_none() {
        return Err(Refusal::invalid("instructions", "must not be blank"));
    }
    let priority = new.priority.unwrap_or(DEFAULT_PRIORITY);
    if priority > MAX_PRIORITY {
        return Err(Refusal::invalid("priority", format!("must be 0 to {MAX_PRIORITY}")));
    }
    let max_attempts = new.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS);
    if !(1..=MAX_ATTEMPTS).contains(&max_attempts) {
        return Err(Refusal::invalid("max_attempts", format!("must be 1 to {MAX_ATTEMPTS}")));
    }
    if new.context_ids.len() > MAX_CONTEXT {
        return Err(Refusal::invalid("context_ids", format!("must be at most {MAX_CONTEXT}")));
    }
    check_artifacts(snapshot, project.id, "context_ids", &new.context_ids)?;
    let task = Task {
        id,
        project_id: project.id,
        agent: new.agent,
        instructions: new.instructions.clone(),
        context_ids: new.context_ids.clone(),
        priority,
        max_attempts,
        attempt: 0,
        failures: 0,
        handoff: None,
        output_type: None,
        timeout_s: None,
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
    };
    let data = flow::created_data(&task);
    draft.put_task(task, EventType::TaskCreated, data);
    Ok(draft.finish())
}

/// That all of these artifacts exist and belong to the project.
pub(super) fn check_artifacts(
    snapshot: &Snapshot,
    project: crate::ids::ProjectId,
    field: &'static str,
    ids: &[crate::ids::ContextId],
) -> Result<(), Refusal> {
    let ours = |id| snapshot.artifacts.get(id).is_some_and(|found| found.project_id == project);
    match ids.iter().find(|id| !ours(id)) {
        None => Ok(()),
        Some(id) => Err(Refusal::invalid(
            field,
            format!("artifact {id} does not exist in project {project}"),
        )),
    }
}

/// Starts a task that is pending and ready, in an active project.
///
/// # Errors
/// A conflict when it is not.
pub fn claim(
    snapshot: &Snapshot,
    id: TaskId,
    worker: &WorkerId,
    lease: Duration,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let origin = Origin::agent(worker.0.clone());
    let mut draft = Draft::new(snapshot, moment, &origin, Defaults::default());
    draft.active_project()?;
    let mut task = (*draft.task(id)?).clone();
    if task.status() != TaskStatus::Pending || task.ready_at > draft.at() {
        return Err(Refusal::conflict(
            "not_ready",
            format!("Task {id} is not ready to be started."),
        ));
    }
    task.attempt += 1;
    task.started_at = Some(draft.at());
    task.state = TaskState::Working {
        lease: Lease {
            worker: worker.clone(),
            fence: task.attempt,
            started_at: draft.at(),
            expires_at: draft.at().after(lease),
        },
    };
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::Working, "attempt": task.attempt,
        "worker": worker, "step": task.step(),
    });
    draft.put_task(task, EventType::TaskStarted, data);
    Ok(draft.finish())
}

/// What an agent returned when it was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// What there is to say about it.
    pub output: Map<String, Value>,
    /// What was made.
    pub artifacts: Vec<NewArtifact>,
    /// 0 to 1, where the agent knows.
    pub confidence: Option<f64>,
    /// What it used.
    pub usage: Usage,
}

/// Takes in finished work: stores what was made, and lets the workflow go on.
///
/// The result of a step is the artifact of its output type; where the agent named none, its
/// output is that artifact. Work that was already taken in from the same attempt decides nothing.
///
/// # Errors
/// `lease_lost` when the holder no longer holds the task.
pub fn complete(
    snapshot: &Snapshot,
    id: TaskId,
    holder: &Holder,
    work: &Work,
    moment: Moment,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let origin = Origin::agent(holder.worker.0.clone());
    let mut draft = Draft::new(snapshot, moment, &origin, defaults);
    let task = draft.task(id)?;
    if task.status() == TaskStatus::Completed && task.attempt == holder.fence {
        return Ok(draft.finish());
    }
    let mut task = held(&draft, id, holder)?;
    let project = draft.open_project()?.clone();

    let mut new = work.artifacts.clone();
    let expected = task.output_type.unwrap_or(ArtifactType::AgentOutput);
    if !work.output.is_empty() && !new.iter().any(|artifact| artifact.artifact_type == expected) {
        new.push(NewArtifact::new(expected, work.output.clone()));
    }
    if task.output_type.is_some() && !new.iter().any(|a| a.artifact_type == expected) {
        let error = RunError::Unfit {
            detail: format!("The agent returned no {expected}."),
            usage: Box::new(work.usage.clone()),
        };
        return fail(snapshot, id, holder, &error, moment, defaults);
    }
    let repeat = task.step().and_then(|step| {
        let plan = project.plan.as_ref()?;
        plan.workflow.repairer_of(step)?.repeat.as_ref()
    });
    let doubt = work.confidence.filter(|sure| *sure < draft.defaults.confidence_threshold);
    let mut result = None;
    let mut made = Vec::new();
    for new in new {
        let is_result = new.artifact_type == expected;
        let passed =
            repeat.map(|repeat| new.content.get(&repeat.until) == Some(&Value::Bool(true)));
        let stored = draft.store_artifact(project.id, task.agent, new, Some(id));
        made.push(stored.id);
        if is_result {
            result = Some((stored, passed));
        }
    }
    task.usage.add(&work.usage);
    task.complaint = None;
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::Completed, "attempt": task.attempt,
        "output": work.output, "artifacts": made, "confidence": work.confidence,
        "usage": work.usage, "step": task.step(),
    });
    task.state = TaskState::Completed {
        at: draft.at(),
        output: Value::Object(work.output.clone()),
        artifacts: made,
    };
    draft.put_task(task.clone(), EventType::TaskCompleted, data);
    budget::settle(&mut draft, &task, &work.usage);
    match result {
        Some((artifact, passed)) if task.step().is_some() => {
            flow::step_made(&mut draft, &task, &artifact, passed, doubt)?;
        }
        result => {
            if let Some(sure) = doubt {
                let made = result.as_ref().map(|(made, _)| made);
                flow::doubted(&mut draft, &project, &task, made, sure);
            }
        }
    }
    flow::advance(&mut draft)?;
    Ok(draft.finish())
}

/// Takes in a failure: another attempt later, or a person is asked.
///
/// # Errors
/// `lease_lost` when the holder no longer holds the task.
pub fn fail(
    snapshot: &Snapshot,
    id: TaskId,
    holder: &Holder,
    error: &RunError,
    moment: Moment,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let origin = Origin::agent(holder.worker.0.clone());
    let mut draft = Draft::new(snapshot, moment, &origin, defaults);
    let mut task = held(&draft, id, holder)?;
    let attempted = task.clone();
    task.usage.add(error.usage());
    let complaint = task.complaint.take();
    let (code, message, again) = match error.clone() {
        RunError::Retryable { code, detail, after, .. } => {
            // What was complained about has still not been put right.
            task.complaint = complaint;
            (code, detail, Some(after))
        }
        RunError::Terminal { code, detail, .. } => (code, detail, None),
        RunError::Unfit { detail, .. } => {
            let again = complaint.is_none().then(|| {
                task.complaint = Some(detail.clone());
                Some(Duration::ZERO)
            });
            ("unfit_output".to_owned(), detail, again)
        }
    };
    attempt_failed(&mut draft, task, TaskError { code, message }, again)?;
    budget::settle(&mut draft, &attempted, error.usage());
    Ok(draft.finish())
}

/// An attempt failed. `again` is `None` when another would fail too, else the least wait.
fn attempt_failed(
    draft: &mut Draft<'_>,
    mut task: Task,
    error: TaskError,
    again: Option<Option<Duration>>,
) -> Result<(), Refusal> {
    task.failures += 1;
    if let Some(after) = again.filter(|_| task.failures < task.max_attempts) {
        let wait = backoff(draft, task.failures).max(after.unwrap_or_default());
        task.ready_at = draft.at().after(wait);
        let data = json!({
            "agent_type": task.agent, "status": TaskStatus::Pending, "attempt": task.attempt,
            "failures": task.failures, "max_attempts": task.max_attempts, "error": error,
            "retry_at": task.ready_at, "usage": task.usage, "step": task.step(),
        });
        task.state = TaskState::Pending { last_error: Some(error) };
        draft.put_task(task, EventType::TaskRetryScheduled, data);
        return Ok(());
    }
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::Failed, "attempt": task.attempt,
        "failures": task.failures, "error": error.message, "code": error.code,
        "usage": task.usage, "step": task.step(),
    });
    let question = format!(
        "{} failed: {} Approve to try again, amend to change the instructions, or reject to halt \
         the project.",
        task.step()
            .map_or_else(|| format!("The {} task", task.agent), |step| format!("\"{step}\"")),
        error.message
    );
    task.state = TaskState::Failed { at: draft.at(), error };
    draft.put_task(task.clone(), EventType::TaskFailed, data);
    let project = draft.project()?.clone();
    let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
    let about = About { task: Some(task.id), step, agent: Some(task.agent) };
    let options = ["Try again", "Change the instructions", "Halt"].map(str::to_owned).to_vec();
    let kind = HitlKind::Failure;
    let request =
        flow::new_request(draft, &project, kind, question, options, Subject::of([]), about);
    let request_id = request.id;
    flow::open(draft, request);
    if let Some(name) = task.step() {
        draft.update_plan(|plan| {
            let progress = plan.progress.step(name);
            progress.status = StepStatus::Failed;
            progress.request_id = Some(request_id);
        });
    }
    Ok(())
}

/// 1, 2, 4, … times the base, and up to a quarter more so that retries do not march in step.
fn backoff(draft: &Draft<'_>, failures: u32) -> Duration {
    let wait = draft.defaults.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let share = u32::try_from(draft.mint.jitter() % 256).unwrap_or(0);
    wait + wait * share / 1024
}

/// What an agent returned when it needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// What is asked.
    pub question: Question,
    /// What it used so far.
    pub usage: Usage,
    /// What it wants to be reminded of.
    pub session: Option<String>,
}

/// Puts a task's question before people; the task holds nothing meanwhile. Needs a scope with the
/// artifacts the question is about.
///
/// # Errors
/// `lease_lost` when the holder no longer holds the task; a question that is not acceptable.
pub fn ask(
    snapshot: &Snapshot,
    id: TaskId,
    holder: &Holder,
    inquiry: &Inquiry,
    moment: Moment,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let origin = Origin::agent(holder.worker.0.clone());
    let mut draft = Draft::new(snapshot, moment, &origin, defaults);
    let mut task = held(&draft, id, holder)?;
    let project = draft.open_project()?.clone();
    let question = &inquiry.question;
    hitl::check_question(&question.question, &question.options)?;
    check_artifacts(snapshot, project.id, "artifacts", &question.artifacts)?;
    let refs = question.artifacts.iter().filter_map(|id| snapshot.artifacts.get(id));
    let subject = Subject::of(refs.map(AsRef::as_ref));
    let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
    let about = About { task: Some(id), step, agent: Some(task.agent) };
    let request = flow::new_request(
        &mut draft,
        &project,
        HitlKind::Question,
        question.question.clone(),
        question.options.clone(),
        subject,
        about,
    );
    task.usage.add(&inquiry.usage);
    task.session.clone_from(&inquiry.session);
    task.state = TaskState::WaitingForHitl { request_id: request.id };
    flow::open_after(&mut draft, request, Some(&inquiry.usage));
    draft.and_task(task.clone());
    budget::settle(&mut draft, &task, &inquiry.usage);
    Ok(draft.finish())
}

/// Takes a task back from a holder that fell silent: its lease has expired.
///
/// # Errors
/// A conflict when the lease is alive, or nobody holds the task.
pub fn lapse(
    snapshot: &Snapshot,
    id: TaskId,
    moment: Moment,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, &Origin::scheduler(), defaults);
    let task = (*draft.task(id)?).clone();
    let expired = task.lease().filter(|lease| lease.expires_at <= draft.at()).cloned();
    let lease = expired.ok_or_else(|| {
        Refusal::conflict("lease_alive", format!("Task {id} has no lapsed lease."))
    })?;
    let data = json!({
        "agent_type": task.agent, "attempt": task.attempt, "worker": lease.worker,
        "reason": "expired", "step": task.step(),
    });
    draft.note(EventType::TaskLeaseLapsed, Some(id), data);
    let error = TaskError {
        code: "lease_lapsed".to_owned(),
        message: format!("The worker {} fell silent.", lease.worker),
    };
    attempt_failed(&mut draft, task, error, Some(None))?;
    Ok(draft.finish())
}

/// Gives a task back that its holder cannot go on with: the server is stopping, or was killed.
/// That is not a failure of the attempt, so it is not counted as one.
///
/// # Errors
/// `lease_lost` when the holder no longer holds the task.
pub fn give_back(
    snapshot: &Snapshot,
    id: TaskId,
    holder: &Holder,
    reason: &str,
    moment: Moment,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, &Origin::system(), Defaults::default());
    let task = held(&draft, id, holder)?;
    back_into_the_queue(&mut draft, &task, reason);
    Ok(draft.finish())
}

/// Ends an attempt that nobody is to blame for.
pub(super) fn back_into_the_queue(draft: &mut Draft<'_>, task: &Task, reason: &str) {
    let mut task = task.clone();
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::Pending, "attempt": task.attempt,
        "worker": task.lease().map(|lease| &lease.worker), "reason": reason, "step": task.step(),
    });
    task.state = TaskState::Pending { last_error: None };
    task.ready_at = draft.at();
    draft.put_task(task, EventType::TaskLeaseLapsed, data);
}

/// Calls a task off, and what people were asked about it. Needs a scope with everything open.
///
/// # Errors
/// A conflict when the task is over, or is a step that its workflow cannot do without.
pub fn cancel(
    snapshot: &Snapshot,
    id: TaskId,
    moment: Moment,
    origin: &Origin,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, origin, defaults);
    let task = draft.task(id)?;
    draft.open_project()?;
    if task.status().is_final() && task.status() != TaskStatus::Failed {
        return Err(Refusal::conflict(
            "task_over",
            format!("Task {id} is {}; it cannot be cancelled any more.", task.status()),
        ));
    }
    if let Some(step) = task.step() {
        return Err(Refusal::conflict(
            "task_is_a_step",
            format!("Task {id} is the step \"{step}\" of a workflow; cancel the project instead."),
        ));
    }
    draft.cancel_task(&task, "cancelled on request");
    cancel_requests_about(&mut draft, &task, "the task was cancelled");
    flow::advance(&mut draft)?;
    Ok(draft.finish())
}

/// Gives a failed task another round of attempts. Needs a scope with everything open.
///
/// # Errors
/// A conflict when the task has not failed.
pub fn retry(
    snapshot: &Snapshot,
    id: TaskId,
    moment: Moment,
    origin: &Origin,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, origin, Defaults::default());
    draft.open_project()?;
    let task = draft.task(id)?;
    if task.status() != TaskStatus::Failed {
        return Err(Refusal::conflict(
            "task_not_failed",
            format!("Task {id} is {}; only a failed task can be tried again.", task.status()),
        ));
    }
    try_again(&mut draft, &task);
    cancel_requests_about(&mut draft, &task, "the task is tried again");
    Ok(draft.finish())
}

/// Sends a failed task back into the queue with all its attempts.
pub(super) fn try_again(draft: &mut Draft<'_>, task: &Task) {
    let mut task = task.clone();
    task.failures = 0;
    task.complaint = None;
    task.ready_at = draft.at();
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::Pending, "attempt": task.attempt,
        "error": task.error(), "retry_at": task.ready_at, "step": task.step(),
    });
    task.state = TaskState::Pending { last_error: task.error().cloned() };
    if let Some(name) = task.step() {
        draft.update_plan(|plan| {
            let progress = plan.progress.step(name);
            progress.status = StepStatus::Running;
            progress.request_id = None;
        });
    }
    draft.put_task(task, EventType::TaskRetryScheduled, data);
}

/// Cancels what people are asked about a task, or what it waited for, unless others wait for it too:
/// there is one question about a budget for all of them.
fn cancel_requests_about(draft: &mut Draft<'_>, task: &Task, reason: &str) {
    let awaited = match task.state {
        TaskState::WaitingForHitl { request_id } => Some(request_id),
        _ => None,
    };
    for request in draft.open_requests() {
        let waits = |task: &Arc<Task>| matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request.id);
        let is_about = request.task_id == Some(task.id) || awaited == Some(request.id);
        if is_about && !draft.open_tasks().iter().any(waits) {
            draft.cancel_request(&request, reason);
        }
    }
}

/// The task, if this holder still holds it.
pub(super) fn held(draft: &Draft<'_>, id: TaskId, holder: &Holder) -> Result<Task, Refusal> {
    let task = draft.task(id)?;
    check_held(&task, holder)?;
    Ok((*task).clone())
}

/// Whether this holder holds the task.
///
/// # Errors
/// `lease_lost` when it does not.
pub fn check_held(task: &Task, holder: &Holder) -> Result<(), Refusal> {
    let holds = |lease: &Lease| lease.fence == holder.fence && lease.worker == holder.worker;
    if task.lease().is_some_and(holds) {
        return Ok(());
    }
    let (id, status) = (task.id, task.status());
    Err(lease_lost(format!(
        "{} no longer holds task {id} (attempt {}); it is {status} now.",
        holder.worker, holder.fence
    )))
}

/// The refusal for whoever does not hold a task.
pub fn lease_lost(detail: impl Into<String>) -> Refusal {
    Refusal::conflict("lease_lost", detail)
}
