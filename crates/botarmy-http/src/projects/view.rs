//! The form of a project in responses.

use botarmy_domain::{Oversight, Project, ProjectId, ProjectStatus, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::paging::shortened;
use crate::vocabulary;

/// Project.
#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectView<'a> {
    #[schema(value_type = Uuid)]
    id: ProjectId,
    name: &'a str,
    /// Description; in lists, the beginning of a long one.
    description: Option<&'a str>,
    /// True where the description is not all of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
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
            truncated: false,
            status: project.status(),
            workflow: project.plan.as_ref().map(|plan| plan.workflow.name.as_str()),
            oversight: project.oversight,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }

    /// Returns the form of a project in lists.
    pub(super) fn listed(project: &'a Project) -> Self {
        let short = project.description.as_deref().map(shortened);
        let truncated = short.is_some_and(|(_, is_cut)| is_cut);
        Self { description: short.map(|(text, _)| text), truncated, ..Self::of(project) }
    }
}
