//! Budgets: what an attempt may cost is reserved before it begins.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::budget::{Amount, BudgetAccount, Limit};
use botarmy_domain::decide::budget::{self, Wanted, accounts_of};
use botarmy_domain::{AgentType, Caller, DomainError, Error, LeaseHolder, Scope, StoreError, Task};
use tracing::info;

use crate::engine::Engine;
use crate::work::STORE_TIMEOUT;

/// The limits that apply where people have set none, and what an attempt may cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    /// For each project.
    pub per_project: Limit,
    /// For an agent type on one day (in UTC).
    pub per_day: BTreeMap<AgentType, Limit>,
    /// The least that the worst case of an attempt is taken for; for programs and workers outside,
    /// who do not say, the only word on it.
    pub worst_case: BTreeMap<AgentType, Amount>,
}

impl Budgets {
    /// What an attempt may cost of which its runner says this; `None` where it costs nothing.
    pub(crate) fn worst_case(&self, agent: AgentType, said: Option<Amount>) -> Option<Amount> {
        let least = self.worst_case.get(&agent).copied();
        match (least, said) {
            (Some(least), Some(said)) => Some(Amount {
                tokens: least.tokens.max(said.tokens),
                cost_micro_usd: least.cost_micro_usd.max(said.cost_micro_usd),
            }),
            (least, said) => said.or(least),
        }
    }
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It may; nothing is limited.
    Free,
    /// It may; its worst case is reserved until it is settled.
    Reserved,
    /// It may not: its task waits for a person now, or somebody else has it.
    No,
}

impl Engine {
    /// Reserves what an attempt may cost.
    pub(crate) async fn reserve(
        &self,
        task: &Task,
        holder: &LeaseHolder,
        amount: Amount,
        limit: Duration,
    ) -> Result<Start, StoreError> {
        let (id, context) = (task.id, self.context(Caller::worker(&holder.worker)));
        let budgets = &self.settings.budgets;
        let wanted = Wanted {
            amount,
            // It may take a while until a result can be stored.
            until: self.ports.clock.now().after(limit + STORE_TIMEOUT),
            per_project: budgets.per_project,
            per_day: budgets.per_day.get(&task.agent).copied().unwrap_or_default(),
        };
        let scope =
            Scope::project(task.project_id).task(id).records::<BudgetAccount>(accounts_of(task));
        let reserve = |asks| {
            let holder = holder.clone();
            move |context: &_, snapshot: &_| {
                budget::reserve(context, snapshot, id, &holder, &wanted, asks)
            }
        };
        // What people are asked already is loaded only where somebody has to be asked.
        let mut reserved = self.commit(context.clone(), scope.clone(), reserve(false)).await;
        if let Err(Error::Refused(DomainError::Conflict { code: budget::NO_ROOM, .. })) = reserved {
            reserved = self.commit(context, scope.open_requests(), reserve(true)).await;
        }
        let committed = match reserved {
            Ok(committed) => committed,
            Err(Error::Refused(refusal)) => {
                info!(task.id = %id, %refusal, "Task {id} is not begun");
                return Ok(Start::No);
            }
            Err(Error::Store(error)) => return Err(error),
        };
        Ok(match committed.task(id) {
            Some(_) => Start::No,
            None if committed.entries.is_empty() => Start::Free,
            None => Start::Reserved,
        })
    }
}
