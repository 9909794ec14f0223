//! Permissions, and the roles that name sets of them.

use crate::vocabulary::{Permission, Role};

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// All permissions, also those that no role has.
    pub const ALL: Self = Self(u32::MAX);

    /// Returns the set of these permissions.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let (mut set, mut n) = (0, 0);
        while n < permissions.len() {
            set |= 1 << permissions[n] as u32;
            n += 1;
        }
        Self(set)
    }

    /// Returns whether the permission is in the set.
    #[must_use]
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// Returns whether all permissions of the other set are in this one.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the permissions that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the permissions that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Permission {
    /// Returns whether the permission is about the whole installation, so that only a grant on all
    /// projects gives it.
    #[must_use]
    pub const fn is_global(self) -> bool {
        use Permission as P;
        matches!(
            self,
            P::AgentsRead
                | P::AgentsReset
                | P::PackagesClean
                | P::SystemRead
                | P::AccessManage
                | P::ServerRun
        )
    }

    /// Returns the roles that have the permission, in the order of [`Role::ALL`].
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| role.permissions().has(self))
    }
}

impl Role {
    /// Returns the permissions of the role.
    #[must_use]
    pub const fn permissions(self) -> PermissionSet {
        use Permission as P;
        const VIEWER: PermissionSet = PermissionSet::of(&[P::ProjectRead, P::AgentsRead]);
        const OPERATOR: PermissionSet =
            VIEWER.union(PermissionSet::of(&[P::ProjectCreate, P::ProjectRun, P::StopSet]));
        const REVIEWER: PermissionSet = VIEWER.union(PermissionSet::of(&[P::GateAnswer]));
        const WORKER: PermissionSet = PermissionSet::of(&[P::WorkDo]);
        const ADMIN: PermissionSet = OPERATOR.union(REVIEWER).union(PermissionSet::of(&[
            P::ProjectManage,
            P::StopRelease,
            P::AgentsReset,
            P::PackagesClean,
            P::SystemRead,
            P::AccessManage,
        ]));
        match self {
            Self::Viewer => VIEWER,
            Self::Operator => OPERATOR,
            Self::Reviewer => REVIEWER,
            Self::Worker => WORKER,
            Self::Admin => ADMIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_the_permissions_of_the_documented_table() {
        use Permission as P;
        let table: [(P, &[Role]); 14] = [
            (P::ProjectRead, &[Role::Viewer, Role::Operator, Role::Reviewer, Role::Admin]),
            (P::AgentsRead, &[Role::Viewer, Role::Operator, Role::Reviewer, Role::Admin]),
            (P::ProjectCreate, &[Role::Operator, Role::Admin]),
            (P::ProjectRun, &[Role::Operator, Role::Admin]),
            (P::StopSet, &[Role::Operator, Role::Admin]),
            (P::GateAnswer, &[Role::Reviewer, Role::Admin]),
            (P::ProjectManage, &[Role::Admin]),
            (P::StopRelease, &[Role::Admin]),
            (P::AgentsReset, &[Role::Admin]),
            (P::PackagesClean, &[Role::Admin]),
            (P::SystemRead, &[Role::Admin]),
            (P::AccessManage, &[Role::Admin]),
            (P::WorkDo, &[Role::Worker]),
            (P::ServerRun, &[]),
        ];
        assert_eq!(table.len(), P::ALL.len());
        for (permission, roles) in table {
            assert_eq!(permission.roles().collect::<Vec<_>>(), roles, "{permission}");
        }
    }

    #[test]
    fn every_permission_has_a_bit_of_its_own() {
        for permission in Permission::ALL {
            let alone = PermissionSet::of(&[*permission]);
            let has = Permission::ALL.iter().filter(|other| alone.has(**other)).count();
            assert_eq!(has, 1, "{permission}");
        }
        assert!(PermissionSet::ALL.includes(Role::Admin.permissions()));
        assert!(!Role::Viewer.permissions().includes(Role::Operator.permissions()));
    }
}
