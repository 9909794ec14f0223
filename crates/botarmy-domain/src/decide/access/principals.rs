//! Principals: their creation, and the changes of their grants and states.

use super::keys;
use super::rules::{check_admin_left, count_version, existing, passed_on};
use crate::access::{ApiKey, PersonSessions, Principal, new_name, sound_groups};
use crate::change::{Decision, Row};
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::{CredentialId, PrincipalId};
use crate::ports::{NewPrincipal, PrincipalChange};
use crate::records::Listed;
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::vocabulary::{Permission, PrincipalKind};

/// Returns the id that a new local principal gets.
///
/// # Errors
/// An unsuitable name.
pub fn id_of(new: &NewPrincipal) -> Result<PrincipalId, DomainError> {
    Ok(Principal::local_id(&new_name(&new.name)?))
}

/// Creates a local principal. Needs a scope with the principal of [`id_of`].
///
/// # Errors
/// A name that is unsuitable or was ever taken; a kind that only parts of the server have; a grant that
/// the caller does not hold.
pub fn create_principal(
    context: &DecisionContext,
    snapshot: &Snapshot,
    new: &NewPrincipal,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let name = new_name(&new.name)?;
    if new.kind == PrincipalKind::System {
        return Err(DomainError::invalid("kind", "must be person or service"));
    }
    let groups = sound_groups(&new.groups)?;
    let grants = passed_on(&context.caller, &new.grants, &[])?;
    let id = Principal::local_id(&name);
    if let Some(taken) = snapshot.record::<Principal>(id) {
        let detail = match taken.deleted_at {
            None if taken.name != name => format!(
                "The name \"{name}\" differs from that of the principal \"{}\" in its form only; choose \
                 another.",
                taken.name
            ),
            None => format!("There is a principal \"{}\" already.", taken.name),
            Some(at) => format!(
                "The name belonged to a principal that was deleted at {at}; names in the log stay \
                 unambiguous, so choose another."
            ),
        };
        return Err(DomainError::conflict("name_taken", detail));
    }
    let (created_at, updated_at) = (builder.at(), builder.at());
    let principal = Principal {
        id,
        kind: new.kind,
        name,
        openid: None,
        groups,
        grants,
        disabled: false,
        deleted_at: None,
        created_at,
        updated_at,
    };
    put_new(&mut builder, &principal);
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Writes a new principal.
pub(super) fn put_new(builder: &mut DecisionBuilder<'_>, principal: &Principal) {
    let payload = E::PrincipalCreated(event::PrincipalCreated {
        principal_id: principal.id,
        name: principal.name.clone(),
        kind: principal.kind,
        openid: principal.openid.clone(),
        groups: principal.groups.clone(),
        grants: principal.grants.clone(),
    });
    builder.put_row(Row::Record(principal.clone().into()), &payload);
}

/// Changes a principal; decides nothing if nothing changes. A deletion revokes its keys. A person that is
/// disabled, enabled or deleted loses its sessions and links for good. Needs a scope with the principal,
/// its sessions and its keys, and with keys of other administrators and their owners: they prove
/// that it is not the last.
///
/// # Errors
/// If the principal does not exist; a grant that the caller does not hold; the conflict `last_admin` if
/// no principal could manage access with a valid key afterwards.
pub fn change_principal(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: PrincipalId,
    change: &PrincipalChange,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let before = existing(&builder, id)?;
    let mut after = before.clone();
    if let Some(grants) = &change.grants {
        context.caller.check_seen(|| Seen::of_grants(&before.grants), "The roles")?;
        after.grants = passed_on(&context.caller, grants, &before.grants)?;
    }
    if let Some(groups) = &change.groups {
        context.caller.check_seen(|| Seen::of_groups(&before.groups), "The groups")?;
        after.groups = sound_groups(groups)?;
    }
    if let Some(disabled) = change.disabled {
        after.disabled = disabled;
    }
    if change.deleted {
        after.deleted_at = Some(builder.at());
    }
    if after == before {
        return Ok(builder.finish());
    }
    after.updated_at = builder.at();
    let is_switched = after.disabled != before.disabled || change.deleted;
    let ended = is_switched.then(|| closed(&builder, id)).flatten();
    put_changed(&mut builder, after, ended);
    if change.deleted {
        for key in keys_of(snapshot, id) {
            keys::revoke(&mut builder, &key);
        }
    }
    check_admin_left(&builder, &context.caller)?;
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Returns the sessions and links of a person, all ended; `None` if there are none that could be used.
fn closed(builder: &DecisionBuilder<'_>, person: PrincipalId) -> Option<PersonSessions> {
    let mut record = PersonSessions::clone(builder.record::<PersonSessions>(person)?);
    record.close(builder.at()).then_some(record)
}

/// Writes a principal that has changed, with its sessions if the change ended them.
pub(super) fn put_changed(
    builder: &mut DecisionBuilder<'_>,
    after: Principal,
    ended: Option<PersonSessions>,
) {
    let payload = E::GrantChanged(event::GrantChanged {
        principal_id: after.id,
        name: after.name.clone(),
        groups: after.groups.clone(),
        grants: after.grants.clone(),
        disabled: after.disabled,
        deleted: after.deleted_at.is_some(),
        sessions_ended: ended.is_some(),
    });
    builder.put_row(Row::Record(after.into()), &payload);
    if let Some(ended) = ended {
        builder.and_row(Row::Record(ended.into()));
    }
}

/// Returns the keys of a principal in the scope that were not revoked.
fn keys_of(snapshot: &Snapshot, id: PrincipalId) -> Vec<ApiKey> {
    let keys = snapshot.records.values().flatten().filter_map(ApiKey::of);
    let keys = keys.filter(|key| key.principal == id && key.revoked_at.is_none());
    let mut keys: Vec<ApiKey> = keys.map(|key| ApiKey::clone(key)).collect();
    keys.sort_by_key(|key: &ApiKey| -> CredentialId { key.id });
    keys
}
