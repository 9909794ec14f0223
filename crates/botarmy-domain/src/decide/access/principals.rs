//! Principals: their creation, and the changes of their grants and states.

use std::time::Duration;

use super::keys;
use super::rules::{check_admin_left, count_version, existing, passed_on};
use crate::access::{ApiKey, PersonSessions, Principal, new_name, sound_groups};
use crate::change::{Decision, Row};
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::hitl::Delegation;
use crate::ids::{CredentialId, PrincipalId};
use crate::ports::{NewPrincipal, PrincipalChange};
use crate::records::Listed;
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::vocabulary::{Permission, PrincipalKind};

/// Longest time of a standing delegation.
const MAX_DELEGATION: Duration = Duration::from_secs(365 * 86_400);

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
        delegation: None,
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

/// Sets or ends the standing delegation of a person; decides nothing if it is as it was. A person does
/// that for itself. Needs a scope with the person, and with the one who answers in its place.
///
/// # Errors
/// If the person does not exist; [`DomainError::Invalid`] for times that are over or longer than a year,
/// and for one who is no other active person.
pub fn change_delegation(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: PrincipalId,
    delegation: Option<&Delegation>,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::of_person(context, snapshot, id)?;
    let mut person = existing(&builder, id)?;
    if let Some(delegation) = delegation {
        check_delegation(&builder, id, delegation)?;
    }
    if person.delegation.as_ref() == delegation {
        return Ok(builder.finish());
    }
    person.delegation = delegation.cloned();
    person.updated_at = builder.at();
    let payload = E::DelegationChanged(event::DelegationChanged {
        principal: id,
        delegation: delegation.cloned(),
    });
    builder.put_row(Row::Record(person.into()), &payload);
    count_version(&mut builder);
    Ok(builder.finish())
}

fn check_delegation(
    builder: &DecisionBuilder<'_>,
    id: PrincipalId,
    delegation: &Delegation,
) -> Result<(), DomainError> {
    let to = existing(builder, delegation.to).ok();
    let is_person = |to: &Principal| to.kind == PrincipalKind::Person && to.is_active();
    if delegation.to == id || !to.is_some_and(|to| is_person(&to)) {
        return Err(DomainError::invalid(
            "to",
            "must be the name or the id of another active person",
        ));
    }
    if delegation.until <= delegation.from || delegation.until <= builder.at() {
        return Err(DomainError::invalid("until", "must be after `from`, and in the future"));
    }
    if delegation.until > delegation.from.after(MAX_DELEGATION) {
        return Err(DomainError::invalid("until", "must be at most 365 days after `from`"));
    }
    Ok(())
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
