//! Grants, as requests and responses have them.

use botarmy_domain::{Grant, GrantTarget, ProjectId, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::vocabulary;

/// Projects that a grant is about.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantScope {
    /// All projects, and the installation.
    All,
    /// Projects that the principal creates.
    Own,
    /// The project in `project_id`.
    Project,
}

/// Role on some projects.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub(super) struct GrantView {
    #[schema(value_type = vocabulary::Role)]
    role: Role,
    on: GrantScope,
    /// Project of a grant on one project; null otherwise.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
}

impl From<Grant> for GrantView {
    fn from(grant: Grant) -> Self {
        let (on, project_id) = match grant.target {
            GrantTarget::All => (GrantScope::All, None),
            GrantTarget::Own => (GrantScope::Own, None),
            GrantTarget::Project(id) => (GrantScope::Project, Some(id)),
        };
        Self { role: grant.role, on, project_id }
    }
}

/// Role to grant on some projects.
#[derive(Deserialize, ToSchema)]
#[schema(as = GrantBody)]
pub(super) struct GrantBody {
    #[schema(value_type = vocabulary::Role)]
    role: Role,
    on: GrantScope,
    /// Project; required with `project`, and with nothing else.
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
}

/// Reads grants.
///
/// # Errors
/// A 422 that names the grant whose project is missing or means nothing.
pub(super) fn grants(bodies: Vec<GrantBody>) -> Result<Vec<Grant>, Problem> {
    let read = |(n, body): (usize, GrantBody)| {
        let target = match (body.on, body.project_id) {
            (GrantScope::All, None) => GrantTarget::All,
            (GrantScope::Own, None) => GrantTarget::Own,
            (GrantScope::Project, Some(id)) => GrantTarget::Project(id),
            (GrantScope::Project, None) => {
                return Err(Problem::invalid(format!("grants[{n}].project_id"), "is required"));
            }
            (GrantScope::All | GrantScope::Own, Some(_)) => {
                let message = "belongs to a grant on one project; leave it out";
                return Err(Problem::invalid(format!("grants[{n}].project_id"), message));
            }
        };
        Ok(Grant { role: body.role, target })
    };
    bodies.into_iter().enumerate().map(read).collect()
}
