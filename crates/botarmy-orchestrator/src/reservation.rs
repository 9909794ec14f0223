//! Reservation of the worst case of an attempt before it begins.

use std::time::Duration;

use botarmy_domain::budget::Amount;
use botarmy_domain::decide::budget::{self, Wanted, accounts_of};
use botarmy_domain::{
    BudgetAccount, Caller, DomainError, Error, LeaseHolder, Scope, StoreError, Task,
};
use tracing::info;

use crate::engine::Engine;

/// Time for which the store may be away before a result that cannot be stored is given up. The
/// lease then expires and the task is tried again.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(60);

/// Outcome of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// The attempt may begin; no limit applies.
    Free,
    /// The attempt may begin; its worst case stays reserved until the cost is settled.
    Reserved,
    /// The attempt must not begin: its task waits for a person, or another worker holds it.
    No,
}

impl Engine {
    /// Reserves the worst case of an attempt that takes at most `limit`.
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
            // Storing the result may take as long again as the store may be away.
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
        // Open requests are loaded only if a person has to be asked; that is rare.
        let mut reserved = self.commit(context.clone(), scope.clone(), reserve(false)).await;
        if let Err(Error::Refused(DomainError::Conflict { code: budget::NO_ROOM, .. })) = reserved {
            reserved = self.commit(context, scope.open_requests(), reserve(true)).await;
        }
        let committed = match reserved {
            Ok(committed) => committed,
            Err(Error::Refused(refusal)) => {
                info!(task.id = %id, %refusal, "The task is not started");
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
