//! Checks whether a lease is still held.

use super::builder::DecisionBuilder;
use crate::error::DomainError;
use crate::ids::TaskId;
use crate::lease::{Lease, LeaseHolder};
use crate::task::Task;

/// Returns the task if this holder still has its lease.
pub(super) fn held(
    builder: &DecisionBuilder<'_>,
    id: TaskId,
    holder: &LeaseHolder,
) -> Result<Task, DomainError> {
    let task = builder.task(id)?;
    check_held(&task, holder)?;
    Ok((*task).clone())
}

/// Checks that this holder has the lease of the task.
///
/// # Errors
/// `lease_lost` if it does not.
pub fn check_held(task: &Task, holder: &LeaseHolder) -> Result<(), DomainError> {
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

/// Returns the conflict for a caller without the lease of a task.
pub fn lease_lost(detail: impl Into<String>) -> DomainError {
    DomainError::conflict("lease_lost", detail)
}
