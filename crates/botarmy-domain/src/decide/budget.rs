//! Spending: reserving before an attempt, settling after it, asking when there is too little.

use serde_json::{Map, Value, json};

use super::draft::{Defaults, Draft};
use super::flow::{self, About};
use super::tasks::{Holder, held};
use crate::budget::{Amount, BudgetQuestion, Day, Limit, Purse, PurseKey, Reservation};
use crate::change::{Decision, Row};
use crate::error::Refusal;
use crate::hitl::{HitlRequest, Subject};
use crate::ids::{HitlRequestId, ProjectId, TaskId};
use crate::log::Origin;
use crate::moment::Moment;
use crate::ports::Usage;
use crate::scope::Snapshot;
use crate::task::{Task, TaskState};
use crate::timestamp::Timestamp;
use crate::words::{EventType, HitlKind, TaskStatus};

/// What an attempt wants to reserve, and the limits that apply where people have set none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The worst case.
    pub amount: Amount,
    /// When the attempt is over whatever happens.
    pub until: Timestamp,
    /// The configured limit of a project.
    pub per_project: Limit,
    /// The configured limit of the agent type for a day.
    pub per_day: Limit,
}

/// The purses that an attempt at a task is paid from: its project's, and its agent type's of the
/// day on which the attempt began.
#[must_use]
pub fn purses_of(task: &Task) -> [PurseKey; 2] {
    let day = Day::of(task.started_at.unwrap_or(task.created_at));
    [PurseKey::Project(task.project_id), PurseKey::Day(task.agent, day)]
}

/// The refusal of an attempt for which there is no room.
pub const NO_ROOM: &str = "no_room_in_budget";

/// Reserves the worst case of an attempt that is about to begin. Decides nothing where nothing is
/// limited. Needs a scope with both purses.
///
/// Where a limit would be passed, the attempt does not take place. If this `asks`, the task waits and
/// a person is asked whether to raise the limit; that needs the pending requests too.
///
/// # Errors
/// [`NO_ROOM`] when a limit would be passed and this does not ask; `lease_lost` when the holder no
/// longer holds the task.
pub fn reserve(
    snapshot: &Snapshot,
    id: TaskId,
    holder: &Holder,
    wanted: &Wanted,
    asks: bool,
    moment: Moment,
    defaults: Defaults,
) -> Result<Decision, Refusal> {
    let origin = Origin::agent(holder.worker.0.clone());
    let mut draft = Draft::new(snapshot, moment, &origin, defaults);
    let task = held(&draft, id, holder)?;
    let (now, mut is_limited) = (draft.at(), false);
    for key in purses_of(&task) {
        let mut purse = draft.purse(key);
        let configured = match key {
            PurseKey::Project(_) => wanted.per_project,
            PurseKey::Day(..) => wanted.per_day,
        };
        let limit = purse.limit.unwrap_or(configured);
        is_limited |= !limit.is_none();
        // What its last attempt had reserved is not beside this one.
        purse.reserved.remove(&id);
        if !limit.has_room(purse.taken(now), wanted.amount) {
            if !asks {
                return Err(Refusal::conflict(NO_ROOM, format!("The budget {key} is not enough.")));
            }
            let question = BudgetQuestion { purse: key, limit, needs: wanted.amount };
            wait(&mut draft, task, question, &purse)?;
            return Ok(draft.finish());
        }
    }
    if is_limited {
        let reservation = Reservation { amount: wanted.amount, until: wanted.until };
        let data = json!({
            "agent_type": task.agent, "attempt": task.attempt, "step": task.step(),
            "purses": purses_of(&task), "reserved": wanted.amount, "until": wanted.until,
        });
        draft.note(EventType::BudgetReserved, Some(id), data);
        for key in purses_of(&task) {
            let mut purse = draft.purse(key);
            purse.reserve(id, reservation, now);
            draft.and_row(Row::Purse(purse.into()));
        }
    }
    Ok(draft.finish())
}

/// Lets a task wait until a person has said what becomes of the limit; one question for all tasks
/// of a project that wait for the same purse.
fn wait(
    draft: &mut Draft<'_>,
    mut task: Task,
    question: BudgetQuestion,
    purse: &Purse,
) -> Result<(), Refusal> {
    let asked = |request: &HitlRequest| request.budget.is_some_and(|b| b.purse == question.purse);
    let request = draft.open_requests().into_iter().find(|request| asked(request));
    let request_id = match request {
        Some(request) => request.id,
        None => {
            let project = draft.project()?.clone();
            let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
            let about = About { task: Some(task.id), step, agent: Some(task.agent) };
            let options = ["Raise the limit", "Set another", "Halt"].map(str::to_owned).to_vec();
            let text = sentence(&question, purse.taken(draft.at()));
            let (kind, subject) = (HitlKind::Question, Subject::of([]));
            let mut request =
                flow::new_request(draft, &project, kind, text, options, subject, about);
            request.budget = Some(question);
            if let PurseKey::Day(_, day) = question.purse {
                // The next day has a purse of its own.
                request.expires_at = request.expires_at.min(day.end());
            }
            let id = request.id;
            flow::open(draft, request);
            id
        }
    };
    let data = json!({
        "agent_type": task.agent, "status": TaskStatus::WaitingForHitl, "attempt": task.attempt,
        "step": task.step(), "purse": question.purse, "limit": question.limit,
        "taken": purse.taken(draft.at()), "needs": question.needs, "hitl_request_id": request_id,
    });
    task.state = TaskState::WaitingForHitl { request_id };
    draft.put_task(task, EventType::BudgetExhausted, data);
    Ok(())
}

fn sentence(question: &BudgetQuestion, taken: Amount) -> String {
    let whose = match question.purse {
        PurseKey::Project(_) => "The budget of the project".to_owned(),
        PurseKey::Day(agent, day) => format!("The budget of the {agent} for {day}"),
    };
    let mut parts = Vec::new();
    if let Some(limit) = question.limit.tokens {
        let (taken, needs) = (taken.tokens, question.needs.tokens);
        parts.push(format!(
            "{taken} of {limit} tokens are taken and the next attempt may need {needs}"
        ));
    }
    if let Some(limit) = question.limit.cost_micro_usd {
        let dollars =
            |micros: u64| format!("${}.{:04}", micros / 1_000_000, micros % 1_000_000 / 100);
        parts.push(format!(
            "{} of {} are taken and the next attempt may cost {}",
            dollars(taken.cost_micro_usd),
            dollars(limit),
            dollars(question.needs.cost_micro_usd)
        ));
    }
    format!(
        "{whose} is not enough: {}. Approve to raise the limit, amend with `amended_content` \
         {{\"tokens\", \"cost_micro_usd\"}} to set another, or reject to halt the project.",
        parts.join("; ")
    )
}

/// Puts what an attempt used in the place of what it had reserved, where its scope has the purses.
/// Belongs to the event before it.
pub(super) fn settle(draft: &mut Draft<'_>, task: &Task, usage: &Usage) {
    for key in purses_of(task) {
        if !draft.has_purse(key) {
            continue;
        }
        let mut purse = draft.purse(key);
        if purse.settle(task.id, task.agent, usage) {
            draft.and_row(Row::Purse(purse.into()));
        }
    }
}

/// Sets the limit of a project; those who waited for it go on where what the first of them needs
/// fits. Needs a scope with
/// everything open and the project's purse.
///
/// # Errors
/// A conflict when the project is over.
pub fn set(
    snapshot: &Snapshot,
    id: ProjectId,
    limit: Limit,
    moment: Moment,
    origin: &Origin,
) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(snapshot, moment, origin, Defaults::default());
    draft.open_project()?;
    let key = PurseKey::Project(id);
    change(&mut draft, key, limit);
    let taken = draft.purse(key).taken(draft.at());
    for request in draft.open_requests() {
        let fits = |question: &BudgetQuestion| limit.has_room(taken, question.needs);
        if request.budget.as_ref().is_some_and(|question| question.purse == key && fits(question)) {
            draft.cancel_request(&request, "the budget was changed");
            release(&mut draft, request.id);
        }
    }
    Ok(draft.finish())
}

fn change(draft: &mut Draft<'_>, key: PurseKey, limit: Limit) {
    let mut purse = draft.purse(key);
    let data = json!({
        "purse": key, "limit": limit, "previous": purse.limit, "changed_by": draft.origin.actor,
    });
    purse.limit = Some(limit);
    draft.put_row(Row::Purse(purse.into()), EventType::BudgetChanged, data);
}

/// A person said yes: the limit is raised, unless there is room by now, and whoever waited goes on.
pub(super) fn raise(draft: &mut Draft<'_>, request: HitlRequestId, question: &BudgetQuestion) {
    let purse = draft.purse(question.purse);
    let limit = purse.limit.unwrap_or(question.limit);
    let taken = purse.taken(draft.at());
    if !limit.has_room(taken, question.needs) {
        change(draft, question.purse, limit.raised(question.limit, taken, question.needs));
    }
    release(draft, request);
}

/// A person named another limit.
pub(super) fn amend(
    draft: &mut Draft<'_>,
    request: HitlRequestId,
    question: &BudgetQuestion,
    content: Option<&Map<String, Value>>,
) -> Result<(), Refusal> {
    let number = |key: &str| match content.and_then(|content| content.get(key)) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(()),
    };
    let (tokens, cost) = (number("tokens"), number("cost_micro_usd"));
    let (Ok(tokens), Ok(cost_micro_usd)) = (tokens, cost) else { return Err(not_a_limit()) };
    if tokens.is_none() && cost_micro_usd.is_none() {
        return Err(not_a_limit());
    }
    let now = draft.purse(question.purse).limit.unwrap_or(question.limit);
    let limit = Limit {
        tokens: tokens.or(now.tokens),
        cost_micro_usd: cost_micro_usd.or(now.cost_micro_usd),
    };
    change(draft, question.purse, limit);
    release(draft, request);
    Ok(())
}

fn not_a_limit() -> Refusal {
    Refusal::Nonsense(
        "Another limit is given in `amended_content`: `tokens`, `cost_micro_usd` or both, as whole \
         numbers."
            .to_owned(),
    )
}

/// Sends everybody who waited for this answer back into the queue, where they try to reserve anew.
pub(super) fn release(draft: &mut Draft<'_>, request: HitlRequestId) {
    for task in draft.open_tasks() {
        if matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request) {
            let mut task = (*task).clone();
            task.state = TaskState::Pending { last_error: None };
            task.ready_at = draft.at();
            draft.and_task(task);
        }
    }
}
