//! The decision of a call with an idempotency key.

use crate::change::{Committed, Decision, Row};
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::idempotency::{
    ALREADY_REPLIED, CallReply, IDEMPOTENCY_KEY, KEPT_FOR, KeptReply, KeyedCall, MAX_REPLY,
};
use crate::scope::Snapshot;

/// Takes the decision of a keyed call unless it was taken already, and keeps the reply with it. Needs a
/// scope with the records of the call. `reply` gets the rows of the decision, without entries; a
/// decision that changes nothing keeps no reply.
///
/// # Errors
/// The error of the decision; a conflict if the call was replied to; [`DomainError::Invalid`] if its
/// key was used for another call, or the reply is too large to be kept.
pub fn once(
    context: &DecisionContext,
    snapshot: &Snapshot,
    call: &KeyedCall,
    decide: impl FnOnce() -> Result<Decision, DomainError>,
    reply: impl FnOnce(&Committed) -> Option<CallReply>,
) -> Result<Decision, DomainError> {
    for key in call.keys() {
        if let Some(kept) = in_force(context, snapshot, key) {
            kept.check(call.request())?;
            if key == call.key() {
                let detail = "The request was carried out already.";
                return Err(DomainError::conflict(ALREADY_REPLIED, detail));
            }
        }
    }
    let mut decision = decide()?;
    let rows = decision.changes.iter().flat_map(|change| change.rows.iter().cloned()).collect();
    let reply = match decision.changes.last() {
        Some(_) => reply(&Committed { entries: Vec::new(), rows }),
        None => None,
    };
    let Some(reply) = reply else { return Ok(decision) };
    if reply.body.len() > MAX_REPLY {
        let message = format!(
            "cannot be used for this request: the reply has {} bytes, and at most {MAX_REPLY} are \
             kept; send the request without a key",
            reply.body.len()
        );
        return Err(DomainError::invalid(IDEMPOTENCY_KEY, message));
    }
    let kept = |key, reply| KeptReply {
        key,
        request: call.request().clone(),
        reply,
        expires_at: context.now.after(KEPT_FOR),
    };
    let mut records = vec![Row::Record(kept(call.key(), Some(reply)).into())];
    if let Some(whole) = call.whole()
        && in_force(context, snapshot, whole).is_none()
    {
        records.push(Row::Record(kept(whole, None).into()));
    }
    if let Some(last) = decision.changes.last_mut() {
        last.rows.extend(records);
    }
    Ok(decision)
}

fn in_force<'a>(
    context: &DecisionContext,
    snapshot: &'a Snapshot,
    key: crate::idempotency::CallKey,
) -> Option<&'a KeptReply> {
    let kept = snapshot.record::<KeptReply>(key)?;
    (kept.expires_at > context.now).then_some(&**kept)
}
