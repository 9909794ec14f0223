//! The first administrator.

use std::collections::BTreeSet;

use super::keys::{self, NewApiKey};
use super::principals;
use super::rules::{count_version, scope};
use crate::access::{AccessVersion, Grant, Principal};
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::scope::{Scope, Snapshot};
use crate::vocabulary::{Permission, PrincipalKind, Role};

/// Name of the principal that the first start creates.
pub const FIRST_ADMIN: &str = "admin";

/// Returns the scope of the decision about the first administrator.
#[must_use]
pub fn first_admin_scope() -> Scope {
    scope().record::<Principal>(Principal::local_id(FIRST_ADMIN))
}

/// Creates the person [`FIRST_ADMIN`] with the role admin on everything, and a key. Decides nothing if
/// access was set up before, even if all of it was deleted since. Needs the scope of
/// [`first_admin_scope`].
///
/// # Errors
/// If the caller lacks [`Permission::AccessManage`].
pub fn first_admin(
    context: &DecisionContext,
    snapshot: &Snapshot,
    key: &NewApiKey,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    if snapshot.record::<AccessVersion>(AccessVersion::KEY).is_some() {
        return Ok(builder.finish());
    }
    create(&mut builder, key)?;
    Ok(builder.finish())
}

/// Gives the person [`FIRST_ADMIN`] a key, and creates the person first if there never was one. Decides
/// nothing if the person is disabled or deleted, or may not manage access any more. Needs the scope of [`first_admin_scope`].
///
/// # Errors
/// If the caller lacks [`Permission::AccessManage`].
pub fn restore_first_admin(
    context: &DecisionContext,
    snapshot: &Snapshot,
    key: &NewApiKey,
) -> Result<Decision, DomainError> {
    let mut builder = DecisionBuilder::new(context, snapshot, Permission::AccessManage)?;
    let admin = snapshot.record::<Principal>(Principal::local_id(FIRST_ADMIN));
    match admin {
        None => create(&mut builder, key)?,
        Some(admin) if admin.manages_access() => {
            keys::put_new(&mut builder, admin.id, key)?;
            count_version(&mut builder);
        }
        Some(_) => {}
    }
    Ok(builder.finish())
}

/// Creates the person with a key.
fn create(builder: &mut DecisionBuilder<'_>, key: &NewApiKey) -> Result<(), DomainError> {
    let admin = Principal {
        id: Principal::local_id(FIRST_ADMIN),
        kind: PrincipalKind::Person,
        name: FIRST_ADMIN.to_owned(),
        openid: None,
        groups: BTreeSet::new(),
        grants: vec![Grant::on_all(Role::Admin)],
        delegation: None,
        disabled: false,
        deleted_at: None,
        created_at: builder.at(),
        updated_at: builder.at(),
    };
    principals::put_new(builder, &admin);
    keys::put_new(builder, admin.id, key)?;
    count_version(builder);
    Ok(())
}
