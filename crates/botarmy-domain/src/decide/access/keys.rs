//! API keys: their creation, replacement and revocation.

use std::time::Duration;

use super::rules::{check_admin_left, count_version, existing, passed_on};
use crate::access::{ApiKey, Grant, KeyDigest, sound_name};
use crate::change::{Decision, Row};
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::event::{self, EventPayload as E};
use crate::ids::{CredentialId, PrincipalId};
use crate::scope::Snapshot;
use crate::timestamp::Timestamp;
use crate::vocabulary::Permission;

/// A new key: everything about it but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Id of the key.
    pub id: CredentialId,
    /// Name by which its owner recognises it.
    pub name: String,
    /// Last characters of the key.
    pub hint: String,
    /// Digest of the key.
    pub digest: KeyDigest,
    /// Grants to which it narrows those of its principal.
    pub grants: Option<Vec<Grant>>,
    /// Time from which it is refused.
    pub expires_at: Option<Timestamp>,
}

/// Creates a key for a principal. Needs a scope with the principal.
///
/// # Errors
/// If the principal does not exist; an unsuitable name; rights that the caller does not hold.
pub fn create_key(
    context: &DecisionContext,
    snapshot: &Snapshot,
    principal: PrincipalId,
    new: &NewApiKey,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let owner = existing(&builder, principal)?;
    let mut new = new.clone();
    // Whoever has the key has at most these rights, and the caller is about to have the key.
    let rights = passed_on(&context.caller, new.grants.as_deref().unwrap_or(&owner.grants), &[])?;
    if new.grants.is_some() {
        new.grants = Some(rights);
    }
    put_new(&mut builder, principal, &new)?;
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Creates a key in place of another, which expires after `overlap` at the latest. The new key has the
/// name, the owner and the grants of the other one. Needs a scope with the other key and its principal.
///
/// # Errors
/// If the key does not exist or its principal was deleted; a conflict if it was revoked or replaced;
/// rights that the caller does not hold.
pub fn rotate_key(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: CredentialId,
    new: &NewApiKey,
    overlap: Duration,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let mut key = existing_key(&builder, id)?;
    let owner = existing(&builder, key.principal)?;
    if key.revoked_at.is_some() {
        let detail = format!("The key \"{}\" was revoked; create a new one.", key.name);
        return Err(DomainError::conflict("key_revoked", detail));
    }
    if let Some(by) = key.replaced_by {
        let detail = format!("The key \"{}\" was replaced already, by key {by}.", key.name);
        return Err(DomainError::conflict("key_replaced", detail));
    }
    passed_on(&context.caller, key.grants.as_deref().unwrap_or(&owner.grants), &[])?;
    let replacement = ApiKey {
        id: new.id,
        principal: key.principal,
        name: key.name.clone(),
        hint: new.hint.clone(),
        digest: new.digest,
        grants: key.grants.clone(),
        created_at: builder.at(),
        expires_at: new.expires_at,
        revoked_at: None,
        replaced_by: None,
    };
    let end = builder.at().after(overlap);
    let end = key.expires_at.map_or(end, |expires_at| expires_at.min(end));
    key.expires_at = Some(end);
    key.replaced_by = Some(replacement.id);
    let payload = E::KeyRotated(event::KeyRotated {
        key_id: id,
        key_expires_at: end,
        replacement: created(&replacement),
    });
    builder.put_row(Row::Record(key.into()), &payload);
    builder.and_row(Row::Record(replacement.into()));
    check_admin_left(&builder, &context.caller)?;
    count_version(&mut builder);
    Ok(builder.finish())
}

/// Revokes a key; decides nothing if it was revoked before. Needs a scope with the key and its owner,
/// and with other keys of administrators and their owners: they prove that it is not the last.
///
/// # Errors
/// If the key does not exist; the conflict `last_admin` if no principal could manage access with a valid
/// key afterwards.
pub fn revoke_key(
    context: &DecisionContext,
    snapshot: &Snapshot,
    id: CredentialId,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let key = existing_key(&builder, id)?;
    if key.revoked_at.is_none() {
        revoke(&mut builder, &key);
        check_admin_left(&builder, &context.caller)?;
        count_version(&mut builder);
    }
    Ok(builder.finish())
}

/// Writes a new key.
pub(super) fn put_new(
    builder: &mut DecisionBuilder<'_>,
    principal: PrincipalId,
    new: &NewApiKey,
) -> Result<(), DomainError> {
    let key = ApiKey {
        id: new.id,
        principal,
        name: sound_name("name", &new.name)?,
        hint: new.hint.clone(),
        digest: new.digest,
        grants: new.grants.clone(),
        created_at: builder.at(),
        expires_at: new.expires_at,
        revoked_at: None,
        replaced_by: None,
    };
    let payload = E::KeyCreated(created(&key));
    builder.put_row(Row::Record(key.into()), &payload);
    Ok(())
}

/// Writes a key as revoked.
pub(super) fn revoke(builder: &mut DecisionBuilder<'_>, key: &ApiKey) {
    let payload = E::KeyRevoked(event::KeyRevoked {
        key_id: key.id,
        principal_id: key.principal,
        name: key.name.clone(),
        hint: key.hint.clone(),
    });
    let revoked = ApiKey { revoked_at: Some(builder.at()), ..key.clone() };
    builder.put_row(Row::Record(revoked.into()), &payload);
}

fn existing_key(builder: &DecisionBuilder<'_>, id: CredentialId) -> Result<ApiKey, DomainError> {
    let found = builder.record::<ApiKey>(id).map(|key| ApiKey::clone(key));
    found.ok_or_else(|| DomainError::not_found("Key", id))
}

fn created(key: &ApiKey) -> event::KeyCreated {
    event::KeyCreated {
        key_id: key.id,
        principal_id: key.principal,
        name: key.name.clone(),
        hint: key.hint.clone(),
        grants: key.grants.clone(),
        expires_at: key.expires_at,
    }
}
