//! Rules that all decisions about access share.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{AccessVersion, ApiKey, Grant, Principal, check_grants};
use crate::caller::Caller;
use crate::change::Row;
use crate::decide::builder::DecisionBuilder;
use crate::error::DomainError;
use crate::ids::PrincipalId;
use crate::log::LogId;
use crate::records::{Listed, RecordKey, RecordValue};
use crate::scope::Scope;
use crate::timestamp::Timestamp;
use crate::vocabulary::{Authentication, Role};

/// Returns the scope of a decision about access, without the principals and keys that it is about.
#[must_use]
pub fn scope() -> Scope {
    Scope::log(LogId::System).record::<AccessVersion>(AccessVersion::KEY)
}

/// Counts a change of principals or keys. Comes after its events.
pub(super) fn count_version(builder: &mut DecisionBuilder<'_>) {
    let version = builder.record::<AccessVersion>(AccessVersion::KEY);
    let version = version.map_or(0, |counted| counted.version);
    builder.and_row(Row::Record(AccessVersion { version: version + 1 }.into()));
}

/// Returns grants in order and without repetitions, if the caller may pass on those that were not
/// `held` before.
///
/// # Errors
/// A grant that the caller does not hold; too many projects.
pub(super) fn passed_on(
    caller: &Caller,
    grants: &[Grant],
    held: &[Grant],
) -> Result<Vec<Grant>, DomainError> {
    let grants = checked_grants(grants.iter().copied())?;
    let mut new = grants.iter().filter(|grant| !held.contains(grant));
    match new.find(|grant| !caller.rights().covers(grant)) {
        None => Ok(grants),
        Some(grant) => Err(grant_not_held(grant.role)),
    }
}

/// Returns grants in order and without repetitions.
///
/// # Errors
/// Too many projects.
pub(super) fn checked_grants(
    grants: impl Iterator<Item = Grant>,
) -> Result<Vec<Grant>, DomainError> {
    let grants: BTreeSet<Grant> = grants.collect();
    let grants: Vec<Grant> = grants.into_iter().collect();
    check_grants(&grants)?;
    Ok(grants)
}

/// Returns the refusal of a role that the caller does not hold where it is to be granted.
pub(super) fn grant_not_held(role: Role) -> DomainError {
    let detail =
        format!("The role {role} can be granted there only by a principal that holds it there.");
    DomainError::Forbidden { code: "grant_not_held", detail }
}

/// Checks that the decision so far leaves a principal that manages access with a valid key, if there is
/// one now. Needs a scope with the principals and keys that the decision changes, and with some that it
/// does not: they prove that it changes not the last. A command on the store can do without any.
///
/// # Errors
/// The conflict `last_admin`.
pub(super) fn check_admin_left(
    builder: &DecisionBuilder<'_>,
    caller: &Caller,
) -> Result<(), DomainError> {
    let (before, after) = (&builder.snapshot.records, builder.records());
    let is_kept = caller.authentication() == Authentication::Local
        || !has_admin(before, builder.at())
        || has_admin(after, builder.at());
    if is_kept {
        return Ok(());
    }
    let detail = "Afterwards no principal could manage access with a valid key. Make another one an \
                  admin first, and create a key for it.";
    Err(DomainError::conflict("last_admin", detail))
}

/// Returns whether a principal among these records manages access with a key among them.
fn has_admin(records: &BTreeMap<RecordKey, Option<RecordValue>>, now: Timestamp) -> bool {
    let owner = |id| records.get(&Principal::any_key(id))?.as_ref().and_then(Principal::of);
    let keys = records.values().flatten().filter_map(ApiKey::of);
    let mut owned = keys.filter_map(|key| Some((owner(key.principal)?, key)));
    owned.any(|(owner, key)| owner.manages_access_with(key, now))
}

/// Returns a principal that was not deleted, as this decision leaves it.
pub(super) fn existing(
    builder: &DecisionBuilder<'_>,
    id: PrincipalId,
) -> Result<Principal, DomainError> {
    let found = builder.record::<Principal>(id).filter(|found| found.deleted_at.is_none());
    found.map(|found| Principal::clone(found)).ok_or_else(|| no_principal(id))
}

fn no_principal(id: PrincipalId) -> DomainError {
    DomainError::not_found("Principal", id)
}
