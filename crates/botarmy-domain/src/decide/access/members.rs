//! Members of a project: principals that have roles on this one project. The managers of the project
//! decide about them, without the permission to manage principals.

use std::collections::BTreeSet;

use super::principals::put_changed;
use super::rules::{checked_grants, count_version, existing, grant_not_held};
use crate::access::{Grant, GrantTarget};
use crate::caller::Place;
use crate::change::Decision;
use crate::decide::builder::DecisionBuilder;
use crate::decision_context::DecisionContext;
use crate::error::DomainError;
use crate::ids::{PrincipalId, ProjectId};
use crate::ports::Member;
use crate::scope::Snapshot;
use crate::seen::Seen;
use crate::vocabulary::{Permission, Role};

/// Sets the roles that a principal has on a project by name, in place of those that it has there; its
/// other grants stay as they are. The project comes with the principal that created it. Decides nothing if
/// nothing changes. Needs a scope with the principal.
///
/// # Errors
/// That of a caller that does not manage the project; if the principal does not exist; a role that the
/// caller does not hold on the project; a principal with grants on too many projects; a conflict if the
/// roles are others than those that the caller was shown.
pub fn set_member_roles(
    context: &DecisionContext,
    snapshot: &Snapshot,
    (project, creator): (ProjectId, Option<PrincipalId>),
    id: PrincipalId,
    roles: &BTreeSet<Role>,
) -> Result<Decision, DomainError> {
    let place = Place::Project { id: project, creator };
    let mut builder =
        DecisionBuilder::in_place(context, snapshot, Permission::ProjectManage, place)?;
    let before = existing(&builder, id)?;
    let has_now = || Seen::of_roles(&Member::of(&before, project).roles);
    context.caller.check_seen(has_now, "The roles of this member")?;
    let target = GrantTarget::Project(project);
    let on_project = |role: &Role| Grant { role: *role, target };
    let is_new = |role: &&Role| !before.grants.contains(&on_project(role));
    if let Some(role) =
        roles.iter().filter(is_new).find(|role| !context.caller.covers(**role, place))
    {
        return Err(grant_not_held(*role));
    }
    let others = before.grants.iter().copied().filter(|grant| grant.target != target);
    let wanted = others.chain(roles.iter().map(on_project));
    let mut after = before.clone();
    after.grants = checked_grants(wanted)?;
    if after == before {
        return Ok(builder.finish());
    }
    after.updated_at = builder.at();
    put_changed(&mut builder, after, None);
    count_version(&mut builder);
    Ok(builder.finish())
}
