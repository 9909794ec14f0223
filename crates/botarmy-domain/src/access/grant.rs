//! Grants: roles on targets.

use serde::{Deserialize, Serialize};

use crate::error::DomainError;
use crate::ids::ProjectId;
use crate::vocabulary::Role;

/// Largest number of projects that the grants of a principal, or of a key, may name.
pub const MAX_PROJECTS: usize = 256;

/// A role on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Role that is granted.
    pub role: Role,
    /// Projects on which it is granted.
    #[serde(flatten)]
    pub target: GrantTarget,
}

/// Projects that a grant is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "on", content = "project_id", rename_all = "snake_case")]
pub enum GrantTarget {
    /// All projects, and the installation itself.
    All,
    /// Projects that the principal creates or has created.
    Own,
    /// One project.
    Project(ProjectId),
}

impl Grant {
    /// Returns the grant of a role on all projects.
    #[must_use]
    pub const fn on_all(role: Role) -> Self {
        Self { role, target: GrantTarget::All }
    }

    /// Returns the grant of a role on the projects of the principal.
    #[must_use]
    pub const fn on_own(role: Role) -> Self {
        Self { role, target: GrantTarget::Own }
    }

    /// Returns the grant of a role on one project.
    #[must_use]
    pub const fn on_project(role: Role, project: ProjectId) -> Self {
        Self { role, target: GrantTarget::Project(project) }
    }
}

/// Checks that grants name at most [`MAX_PROJECTS`] projects.
///
/// # Errors
/// [`DomainError::Invalid`] if they name more.
pub fn check_grants(grants: &[Grant]) -> Result<(), DomainError> {
    let projects: std::collections::BTreeSet<_> = grants
        .iter()
        .filter_map(|grant| match grant.target {
            GrantTarget::Project(id) => Some(id),
            GrantTarget::All | GrantTarget::Own => None,
        })
        .collect();
    if projects.len() > MAX_PROJECTS {
        let message = format!("must name at most {MAX_PROJECTS} projects");
        return Err(DomainError::invalid("grants", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_grant_has_one_form_in_json() {
        let project = ProjectId::from_uuid(uuid::Uuid::from_u128(7));
        for (grant, form) in [
            (Grant::on_all(Role::Admin), json!({"role": "admin", "on": "all"})),
            (Grant::on_own(Role::Operator), json!({"role": "operator", "on": "own"})),
            (
                Grant::on_project(Role::Viewer, project),
                json!({"role": "viewer", "on": "project", "project_id": project}),
            ),
        ] {
            assert_eq!(serde_json::to_value(grant).unwrap(), form);
            assert_eq!(serde_json::from_value::<Grant>(form).unwrap(), grant);
        }
    }

    #[test]
    fn grants_name_a_limited_number_of_projects() {
        let id = |n: usize| ProjectId::from_uuid(uuid::Uuid::from_u128(n as u128 + 1));
        let grants = |count| -> Vec<_> {
            let roles = [Role::Viewer, Role::Worker];
            let on = |n| roles.map(|role| Grant::on_project(role, id(n)));
            (0..count).flat_map(on).collect()
        };
        assert_eq!(check_grants(&grants(MAX_PROJECTS)), Ok(()));
        assert!(check_grants(&grants(MAX_PROJECTS + 1)).is_err());
    }
}
