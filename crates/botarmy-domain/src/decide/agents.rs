//! Status of an agent type, derived from leases and gates and recorded when it changes.

use super::builder::DecisionBuilder;
use crate::agent::{AgentFacts, AgentRecord};
use crate::change::{Decision, Row};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::scope::Snapshot;
use crate::vocabulary::{AgentStatusKind, Permission};

/// Records the status of an agent type if it has changed.
///
/// # Errors
/// If the caller is no part of the server.
pub fn refresh(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    settle(context, snapshot, Permission::ServerRun)
}

/// Clears the error state of an agent type; its leases and gates stay.
///
/// # Errors
/// If the caller lacks [`Permission::AgentsReset`].
pub fn reset(context: &DecisionContext, snapshot: &Snapshot) -> Result<Decision, DomainError> {
    settle(context, snapshot, Permission::AgentsReset)
}

fn settle(
    context: &DecisionContext,
    snapshot: &Snapshot,
    permission: Permission,
) -> Result<Decision, DomainError> {
    let sweep = permission == Permission::AgentsReset;
    let mut builder = DecisionBuilder::new(context, snapshot, permission)?;
    let Some((agent, facts)) = &snapshot.agent_facts else { return Ok(builder.finish()) };
    let record = snapshot.record::<AgentRecord>(*agent);
    let record = record.map_or_else(|| AgentRecord::idle(*agent), |record| (**record).clone());
    let mut next = record.clone();
    if sweep {
        next.cleared_at = Some(builder.at());
    }
    derive(&mut next, facts);
    if !sweep && same(&record, &next) {
        return Ok(builder.finish());
    }
    next.last_activity = Some(builder.at());
    next.updated_at = Some(builder.at());
    let payload = E::AgentStatusChanged(event::AgentStatusChanged(next.clone()));
    builder.put_row(Row::Record(next.into()), &payload);
    Ok(builder.finish())
}

/// Derives the status: working takes precedence over waiting, waiting over error, error over idle.
fn derive(record: &mut AgentRecord, facts: &AgentFacts) {
    let failure = facts
        .failure
        .as_ref()
        .filter(|(at, _)| record.cleared_at.is_none_or(|cleared| *at > cleared));
    record.status = if facts.working > 0 {
        AgentStatusKind::Working
    } else if facts.waiting > 0 {
        AgentStatusKind::WaitingForHitl
    } else if failure.is_some() {
        AgentStatusKind::Error
    } else {
        AgentStatusKind::Idle
    };
    record.active_tasks = facts.working;
    record.current_task_id = facts.current_task;
    record.error_message = match record.status {
        AgentStatusKind::Error => failure.map(|(_, message)| message.clone()),
        _ => None,
    };
}

/// Returns whether nothing changed that is worth recording. A different number of tasks alone is
/// not recorded.
fn same(before: &AgentRecord, after: &AgentRecord) -> bool {
    before.status == after.status && before.error_message == after.error_message
}
