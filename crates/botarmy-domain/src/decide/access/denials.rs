//! Records refused requests, in summaries.

use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{AccessDenied, EventPayload as E};
use crate::scope::Snapshot;
use crate::vocabulary::Permission;

/// Records summaries of refused requests, as they are. They change no row.
///
/// # Errors
/// If the caller is no part of the server.
pub fn note_denials(
    context: &DecisionContext,
    snapshot: &Snapshot,
    denials: &[AccessDenied],
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::ServerRun)?;
    for denied in denials {
        builder.note(&E::AccessDenied(denied.clone()), None);
    }
    Ok(builder.finish())
}
