//! Spending: reserves the worst case before an attempt, settles the usage after it, and asks a
//! person when a limit would be exceeded.

use serde_json::{Map, Value};

use super::builder::DecisionBuilder;
use super::gate::{self, GateTarget};
use super::lease::held;
use crate::budget::{Amount, BudgetAccount, BudgetKey, BudgetQuestion, Day, Limit, Reservation};
use crate::change::{Decision, Row};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::{HitlRequest, Subject};
use crate::ids::{HitlRequestId, ProjectId, TaskId};
use crate::lease::LeaseHolder;
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::task::{Task, TaskState};
use crate::timestamp::Timestamp;
use crate::usage::Usage;
use crate::vocabulary::{HitlKind, Permission, TaskStatus};

/// Reservation that an attempt needs, with the limits that apply where people have set none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Worst case of the attempt.
    pub amount: Amount,
    /// Time by which the attempt has ended in any case.
    pub until: Timestamp,
    /// Configured limit of a project.
    pub per_project: Limit,
    /// Configured limit of the agent type for one day.
    pub per_day: Limit,
}

/// Returns the budget accounts that pay for an attempt: the account of the project, and the account
/// of the agent type for the day on which the attempt began.
#[must_use]
pub fn accounts_of(task: &Task) -> [BudgetKey; 2] {
    let day = Day::of(task.started_at.unwrap_or(task.created_at));
    [BudgetKey::Project(task.project_id), BudgetKey::Day(task.agent, day)]
}

/// Conflict code for an attempt that would exceed a limit.
pub const NO_ROOM: &str = "no_room_in_budget";

/// Reserves the worst case of an attempt that is about to begin. Decides nothing if no limit
/// applies. Needs a scope with both budget accounts.
///
/// If a limit would be exceeded, the attempt does not take place. With `asks`, the task waits and a
/// person is asked whether to raise the limit; that also needs the pending requests.
///
/// # Errors
/// [`NO_ROOM`] if a limit would be exceeded and `asks` is false; `lease_lost` if the lease is no
/// longer held.
pub fn reserve(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: TaskId,
    holder: &LeaseHolder,
    wanted: &Wanted,
    asks: bool,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::WorkDo)?;
    let task = held(&builder, id, holder)?;
    let (now, mut is_limited) = (builder.at(), false);
    for key in accounts_of(&task) {
        let mut account = builder.account(key);
        let configured = match key {
            BudgetKey::Project(_) => wanted.per_project,
            BudgetKey::Day(..) => wanted.per_day,
        };
        let limit = account.limit.unwrap_or(configured);
        is_limited |= !limit.is_none();
        // The reservation of the task's previous attempt is replaced, not added to.
        account.reserved.remove(&id);
        if !limit.has_room(account.taken(now), wanted.amount) {
            if !asks {
                return Err(DomainError::conflict(
                    NO_ROOM,
                    format!("The budget {key} is not enough."),
                ));
            }
            let question = BudgetQuestion { account: key, limit, needs: wanted.amount };
            wait(&mut builder, task, question, &account)?;
            return Ok(builder.finish());
        }
    }
    if is_limited {
        let reservation = Reservation { amount: wanted.amount, until: wanted.until };
        let payload = E::BudgetReserved(event::BudgetReserved {
            agent_type: task.agent,
            attempt: task.attempt,
            step: task.step().map(str::to_owned),
            accounts: accounts_of(&task),
            reserved: wanted.amount,
            until: wanted.until,
        });
        builder.note(&payload, Some(id));
        for key in accounts_of(&task) {
            let mut account = builder.account(key);
            account.reserve(id, reservation, now);
            builder.and_row(Row::Record(account.into()));
        }
    }
    Ok(builder.finish())
}

/// Makes a task wait until a person has decided on the limit. There is one question for all tasks
/// of a project that wait for the same budget account.
fn wait(
    builder: &mut DecisionBuilder<'_>,
    mut task: Task,
    question: BudgetQuestion,
    account: &BudgetAccount,
) -> Result<(), DomainError> {
    let asked =
        |request: &HitlRequest| request.budget.is_some_and(|b| b.account == question.account);
    let request = builder.open_requests().into_iter().find(|request| asked(request));
    let request_id = match request {
        Some(request) => request.id,
        None => {
            let project = builder.project()?.clone();
            let step = task.step().and_then(|name| project.plan.as_ref()?.workflow.step(name));
            let target = GateTarget { task: Some(task.id), step, agent: Some(task.agent) };
            let refuse = if project.plan.is_some() { "Halt" } else { "Cancel the tasks" };
            let options = ["Raise the limit", "Set another", refuse].map(str::to_owned).to_vec();
            let refusal = match project.plan {
                Some(_) => "halt the project",
                None => "cancel the tasks that wait for it",
            };
            let text = sentence(&question, account.taken(builder.at()), refusal);
            let (kind, subject) = (HitlKind::Question, Subject::of([]));
            let mut request =
                gate::new_request(builder, &project, kind, text, options, subject, target);
            request.budget = Some(question);
            if let BudgetKey::Day(_, day) = question.account {
                // A question about a daily limit is moot the next day, which has its own account.
                request.expires_at = request.expires_at.min(day.end());
            }
            let id = request.id;
            gate::open(builder, request);
            id
        }
    };
    let payload = E::BudgetExhausted(event::BudgetExhausted {
        agent_type: task.agent,
        status: TaskStatus::WaitingForHitl,
        attempt: task.attempt,
        step: task.step().map(str::to_owned),
        account: question.account,
        limit: question.limit,
        taken: account.taken(builder.at()),
        needs: question.needs,
        hitl_request_id: request_id,
    });
    task.state = TaskState::WaitingForHitl { request_id };
    builder.put_task(task, &payload);
    Ok(())
}

fn sentence(question: &BudgetQuestion, taken: Amount, refusal: &str) -> String {
    let whose = match question.account {
        BudgetKey::Project(_) => "The budget of the project".to_owned(),
        BudgetKey::Day(agent, day) => format!("The budget of the {agent} for {day}"),
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
         {{\"tokens\", \"cost_micro_usd\"}} to set another, or reject to {refusal}.",
        parts.join("; ")
    )
}

/// Replaces the reservation of an attempt by its usage, if the scope has the budget accounts.
/// Belongs to the event before it.
pub(super) fn settle(builder: &mut DecisionBuilder<'_>, task: &Task, usage: &Usage) {
    for key in accounts_of(task) {
        if !builder.has_account(key) {
            continue;
        }
        let mut account = builder.account(key);
        if account.settle(task.id, task.agent, usage) {
            builder.and_row(Row::Record(account.into()));
        }
    }
}

/// Sets the limit of a project. Tasks that waited for it are requeued if the need of the first of
/// them fits. Needs a scope with everything open and the project's budget account.
///
/// # Errors
/// A conflict if the project has ended.
pub fn set(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: ProjectId,
    limit: Limit,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ProjectManage)?;
    builder.open_project()?;
    let key = BudgetKey::Project(id);
    let set = builder.account(key).limit;
    context.caller.check_seen(|| Seen::of_limit(set), "The budget")?;
    change(&mut builder, key, limit);
    let taken = builder.account(key).taken(builder.at());
    for request in builder.open_requests() {
        let fits = |question: &BudgetQuestion| limit.has_room(taken, question.needs);
        if request.budget.as_ref().is_some_and(|question| question.account == key && fits(question))
        {
            builder.cancel_request(&request, "the budget was changed");
            release(&mut builder, request.id);
        }
    }
    Ok(builder.finish())
}

fn change(builder: &mut DecisionBuilder<'_>, key: BudgetKey, limit: Limit) {
    let mut account = builder.account(key);
    let payload = E::BudgetChanged(event::BudgetChanged {
        account: key,
        limit,
        previous: account.limit,
        changed_by: builder.origin.actor.clone(),
    });
    account.limit = Some(limit);
    builder.put_row(Row::Record(account.into()), &payload);
}

/// Applies an approval: raises the limit, unless there is room by now, and requeues the tasks that
/// waited for it.
pub(super) fn raise(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequestId,
    question: &BudgetQuestion,
) {
    let account = builder.account(question.account);
    let limit = account.limit.unwrap_or(question.limit);
    let taken = account.taken(builder.at());
    if !limit.has_room(taken, question.needs) {
        change(builder, question.account, limit.raised(question.limit, taken, question.needs));
    }
    release(builder, request);
}

/// Applies an amendment: sets another limit.
pub(super) fn amend(
    builder: &mut DecisionBuilder<'_>,
    request: HitlRequestId,
    question: &BudgetQuestion,
    content: Option<&Map<String, Value>>,
) -> Result<(), DomainError> {
    let number = |key: &str| match content.and_then(|content| content.get(key)) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(()),
    };
    let (tokens, cost) = (number("tokens"), number("cost_micro_usd"));
    let (Ok(tokens), Ok(cost_micro_usd)) = (tokens, cost) else { return Err(not_a_limit()) };
    if tokens.is_none() && cost_micro_usd.is_none() {
        return Err(not_a_limit());
    }
    let now = builder.account(question.account).limit.unwrap_or(question.limit);
    let limit = Limit {
        tokens: tokens.or(now.tokens),
        cost_micro_usd: cost_micro_usd.or(now.cost_micro_usd),
    };
    change(builder, question.account, limit);
    release(builder, request);
    Ok(())
}

fn not_a_limit() -> DomainError {
    DomainError::BadRequest(
        "Give another limit in `amended_content`: `tokens`, `cost_micro_usd` or both, as whole \
         numbers."
            .to_owned(),
    )
}

/// Applies a rejection where there is no workflow to halt: cancels the tasks that waited for the
/// budget, because each attempt would ask again.
pub(super) fn refuse(builder: &mut DecisionBuilder<'_>, request: HitlRequestId) {
    for task in builder.open_tasks() {
        if matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request) {
            builder.cancel_task(&task, "the budget was not raised");
        }
    }
}

/// Requeues all tasks that waited for this answer; each tries to reserve again.
pub(super) fn release(builder: &mut DecisionBuilder<'_>, request: HitlRequestId) {
    for task in builder.open_tasks() {
        if matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request) {
            let mut task = (*task).clone();
            task.state = TaskState::Pending { last_error: None };
            task.ready_at = builder.at();
            builder.and_task(task);
        }
    }
}
