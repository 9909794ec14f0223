//! Budgets: what an attempt may cost is reserved before it begins.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::budget::{Amount, Limit};
use botarmy_domain::decide::budget::{self, Wanted, purses_of};
use botarmy_domain::decide::tasks::Holder;
use botarmy_domain::{AgentType, Error, Scope, StoreError, Task};
use tracing::info;

use crate::engine::Engine;

/// The limits that apply where people have set none, and what an attempt may cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets {
    /// For each project.
    pub per_project: Limit,
    /// For an agent type on one day (in UTC).
    pub per_day: BTreeMap<AgentType, Limit>,
    /// The worst case of an attempt, in place of what its runner says; for workers outside, who say
    /// nothing, the only word on it.
    pub worst_case: BTreeMap<AgentType, Amount>,
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
        holder: &Holder,
        amount: Amount,
        limit: Duration,
    ) -> Result<Start, StoreError> {
        let (id, moment, defaults) = (task.id, self.moment(), self.settings.defaults);
        let budgets = &self.settings.budgets;
        let wanted = Wanted {
            amount,
            until: self.ports.clock.now().after(limit),
            per_project: budgets.per_project,
            per_day: budgets.per_day.get(&task.agent).copied().unwrap_or_default(),
        };
        let scope = Scope::project(task.project_id).task(id).open_requests();
        let holder = holder.clone();
        let reserve =
            move |snapshot: &_| budget::reserve(snapshot, id, &holder, &wanted, moment, defaults);
        let committed = match self.commit(scope.purses(purses_of(task)), reserve).await {
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
