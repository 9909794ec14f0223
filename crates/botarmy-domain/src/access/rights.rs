//! The grants of a caller in the form in which they are checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::grant::{Grant, GrantTarget};
use super::permission::PermissionSet;
use super::reach::{Reach, Sight};
use crate::ids::{PrincipalId, ProjectId};
use crate::vocabulary::{Permission, Role};

/// Rights of a caller: those of its principal, narrowed by those of its key. Clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights(Arc<Vec<Held>>);

/// Permissions by target. A permission is held if every element of [`Rights`] has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Held {
    all: PermissionSet,
    own: PermissionSet,
    projects: BTreeMap<ProjectId, PermissionSet>,
}

impl Held {
    fn of(grants: &[Grant]) -> Self {
        let mut held = Self::default();
        for grant in grants {
            let set = match grant.target {
                GrantTarget::All => &mut held.all,
                GrantTarget::Own => &mut held.own,
                GrantTarget::Project(id) => held.projects.entry(id).or_default(),
            };
            *set = set.union(grant.role.permissions());
        }
        held
    }

    fn has(&self, permission: Permission, project: ProjectId, is_own: bool) -> bool {
        self.all.has(permission)
            || (is_own && self.own.has(permission))
            || self.projects.get(&project).is_some_and(|set| set.has(permission))
    }

    /// Returns the permissions on a project.
    fn on_project(&self, project: ProjectId, is_own: bool) -> PermissionSet {
        let named = self.projects.get(&project).copied().unwrap_or_default();
        let held = self.all.union(named);
        if is_own { held.union(self.own) } else { held }
    }

    /// Returns the projects on which the permissions pass a test; `None` if they do on all.
    fn sight(
        &self,
        test: impl Fn(PermissionSet) -> bool,
        principal: Option<PrincipalId>,
    ) -> Option<Sight> {
        if test(self.all) {
            return None;
        }
        let named = self.projects.iter().filter(|(_, set)| test(self.all.union(**set)));
        Some(Sight {
            projects: named.map(|(id, _)| *id).collect(),
            creator: principal.filter(|_| test(self.all.union(self.own))),
        })
    }

    fn anywhere(&self) -> PermissionSet {
        self.projects.values().fold(self.all.union(self.own), |set, more| set.union(*more))
    }
}

impl Rights {
    /// Returns no rights at all.
    #[must_use]
    pub fn none() -> Self {
        Self::of(&[], None)
    }

    /// Returns the rights of the server itself: every permission on everything.
    #[must_use]
    pub fn of_the_server() -> Self {
        let held = Held { all: PermissionSet::ALL, ..Held::default() };
        Self(Arc::new(vec![held]))
    }

    /// Returns the rights of these grants, narrowed to those of a key.
    #[must_use]
    pub fn of(grants: &[Grant], narrowed: Option<&[Grant]>) -> Self {
        let mut held = vec![Held::of(grants)];
        held.extend(narrowed.map(Held::of));
        Self(Arc::new(held))
    }

    /// Returns whether the permission is held on this project.
    #[must_use]
    pub fn has(&self, permission: Permission, project: ProjectId, is_own: bool) -> bool {
        self.0.iter().all(|held| held.has(permission, project, is_own))
    }

    /// Returns whether the permission is held on everything.
    #[must_use]
    pub fn has_globally(&self, permission: Permission) -> bool {
        self.0.iter().all(|held| held.all.has(permission))
    }

    /// Returns whether the permission is held on everything or on the caller's own projects, as it is
    /// needed to create one.
    #[must_use]
    pub fn has_for_new(&self, permission: Permission) -> bool {
        self.0.iter().all(|held| held.all.has(permission) || held.own.has(permission))
    }

    /// Returns whether the permission is held on anything.
    #[must_use]
    pub fn has_somewhere(&self, permission: Permission) -> bool {
        self.0.iter().all(|held| held.anywhere().has(permission))
    }

    /// Returns the projects on which the permission is held by this principal.
    #[must_use]
    pub fn reach(&self, permission: Permission, principal: Option<PrincipalId>) -> Reach {
        let has = |set: PermissionSet| set.has(permission);
        Reach::limited(self.0.iter().filter_map(|held| held.sight(has, principal)))
    }

    /// Returns the projects on which this principal holds all that a role gives, as
    /// [`Rights::covers_on`] has it.
    #[must_use]
    pub fn reach_of(&self, role: Role, principal: Option<PrincipalId>) -> Reach {
        let covers = |set| may_pass_on(set, role);
        Reach::limited(self.0.iter().filter_map(|held| held.sight(covers, principal)))
    }

    /// Returns whether all permissions of a grant are held on its target by the principal itself.
    #[must_use]
    pub fn has_all_of(&self, grant: &Grant) -> bool {
        self.0.iter().all(|held| {
            let on_target = match grant.target {
                GrantTarget::All => held.all,
                GrantTarget::Own => held.all.union(held.own),
                GrantTarget::Project(id) => held.on_project(id, false),
            };
            on_target.includes(grant.role.permissions())
        })
    }

    /// Returns whether a grant gives nothing that is not held already, so that it may be passed on.
    /// Whoever manages a project may let workers work on it, without being one.
    #[must_use]
    pub fn covers(&self, grant: &Grant) -> bool {
        match grant.target {
            // What the other creates is not what the caller created.
            GrantTarget::All | GrantTarget::Own => {
                self.0.iter().all(|held| may_pass_on(held.all, grant.role))
            }
            GrantTarget::Project(id) => self.covers_on(grant.role, id, false),
        }
    }

    /// Returns whether a role on this project gives nothing that is not held there, as
    /// [`Rights::covers`]; `is_own` if the caller created the project.
    #[must_use]
    pub fn covers_on(&self, role: Role, project: ProjectId, is_own: bool) -> bool {
        self.0.iter().all(|held| may_pass_on(held.on_project(project, is_own), role))
    }
}

/// Returns whether one that holds these permissions may grant a role there.
fn may_pass_on(held: PermissionSet, role: Role) -> bool {
    held.includes(role.permissions())
        || (role == Role::Worker && held.has(Permission::ProjectManage))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn project(n: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(n))
    }

    #[test]
    fn a_key_never_widens_the_grants_of_its_principal() {
        let (one, two) = (project(1), project(2));
        let of_one = [Grant::on_project(Role::Admin, one)];
        let narrowed = Rights::of(&of_one, Some(&[Grant::on_all(Role::Viewer)]));
        assert!(narrowed.has(Permission::ProjectRead, one, false));
        assert!(!narrowed.has(Permission::ProjectRun, one, false));
        assert!(!narrowed.has(Permission::ProjectRead, two, true));
        assert!(!narrowed.has_globally(Permission::ProjectRead));
        assert_eq!(
            narrowed.reach(Permission::ProjectRead, None),
            Reach::limited([Sight { projects: [one].into(), creator: None }])
        );
    }

    #[test]
    fn a_role_reaches_the_projects_on_which_it_is_covered() {
        let ada = PrincipalId::from_uuid(Uuid::from_u128(1));
        let (one, two) = (project(1), project(2));
        let rights = Rights::of(
            &[
                Grant::on_project(Role::Admin, one),
                Grant::on_project(Role::Viewer, two),
                Grant::on_own(Role::Reviewer),
            ],
            None,
        );
        for role in [Role::Reviewer, Role::Admin] {
            let reach = rights.reach_of(role, Some(ada));
            for (id, creator) in [(one, None), (two, None), (two, Some(ada)), (project(3), None)] {
                let is_own = creator.is_some();
                let expected = rights.covers_on(role, id, is_own);
                assert_eq!(reach.sees(id, creator), expected, "{role} {id} {is_own}");
            }
        }
        let all = Rights::of(&[Grant::on_all(Role::Admin)], None);
        assert!(all.reach_of(Role::Reviewer, Some(ada)).is_everything());
    }

    #[test]
    fn own_projects_are_those_of_the_principal() {
        let ada = PrincipalId::from_uuid(Uuid::from_u128(1));
        let rights = Rights::of(&[Grant::on_own(Role::Operator)], None);
        assert!(rights.has(Permission::ProjectRun, project(1), true));
        assert!(!rights.has(Permission::ProjectRun, project(1), false));
        assert!(rights.has_for_new(Permission::ProjectCreate));
        assert!(!rights.has_globally(Permission::ProjectCreate));
        assert!(rights.has_somewhere(Permission::AgentsRead));
        assert!(!rights.has_globally(Permission::AgentsRead));
        let reach = rights.reach(Permission::ProjectRead, Some(ada));
        assert!(reach.sees(project(9), Some(ada)) && !reach.sees(project(9), None));
    }

    #[test]
    fn a_role_is_held_where_all_of_its_permissions_are() {
        let (one, two) = (project(1), project(2));
        let rights =
            Rights::of(&[Grant::on_project(Role::Admin, one), Grant::on_own(Role::Operator)], None);
        for held in [
            Grant::on_project(Role::Viewer, one),
            Grant::on_project(Role::Reviewer, one),
            Grant::on_own(Role::Viewer),
            Grant::on_own(Role::Operator),
        ] {
            assert!(rights.has_all_of(&held), "{held:?}");
        }
        for other in [
            Grant::on_project(Role::Worker, one),
            Grant::on_project(Role::Viewer, two),
            Grant::on_own(Role::Reviewer),
            Grant::on_all(Role::Viewer),
        ] {
            assert!(!rights.has_all_of(&other), "{other:?}");
        }
    }

    #[test]
    fn only_what_is_held_can_be_granted() {
        let one = project(1);
        let admin = Rights::of(&[Grant::on_project(Role::Admin, one)], None);
        assert!(admin.covers(&Grant::on_project(Role::Viewer, one)));
        assert!(admin.covers(&Grant::on_project(Role::Admin, one)));
        assert!(admin.covers(&Grant::on_project(Role::Worker, one)));
        let operator = Rights::of(&[Grant::on_project(Role::Operator, one)], None);
        assert!(!operator.covers(&Grant::on_project(Role::Worker, one)));
        for target in [GrantTarget::All, GrantTarget::Own, GrantTarget::Project(project(2))] {
            assert!(!admin.covers(&Grant { role: Role::Viewer, target }), "{target:?}");
        }
        assert!(Rights::of_the_server().covers(&Grant::on_all(Role::Admin)));
        assert!(!Rights::none().covers(&Grant::on_project(Role::Viewer, one)));
    }
}
