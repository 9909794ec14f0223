//! The form of a project in responses.

use botarmy_domain::{Oversight, Project, ProjectId, ProjectStatus, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::vocabulary;

/// Project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectView<'a> {
    #[schema(value_type = Uuid)]
    id: ProjectId,
    name: &'a str,
    description: Option<&'a str>,
    #[schema(value_type = vocabulary::ProjectStatus)]
    status: ProjectStatus,
    /// Workflow that drives the project; null when it is driven by hand.
    workflow: Option<&'a str>,
    #[schema(value_type = vocabulary::Oversight)]
    oversight: Oversight,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl<'a> ProjectView<'a> {
    pub(super) fn of(project: &'a Project) -> Self {
        Self {
            id: project.id,
            name: &project.name,
            description: project.description.as_deref(),
            status: project.status(),
            workflow: project.plan.as_ref().map(|plan| plan.workflow.name.as_str()),
            oversight: project.oversight,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}
