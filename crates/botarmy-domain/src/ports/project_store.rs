//! Reading projects.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::ProjectId;
use crate::log::Head;
use crate::project::Project;
use crate::vocabulary::ProjectStatus;

/// Reads projects. What it answers MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ProjectStore: Send + Sync + 'static {
    /// The project, or `None`.
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError>;

    /// The project with the head of its log and so its counts, both of the same instant.
    async fn overview(&self, id: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError>;

    /// Projects, newest first, those made before the project `before`; at most `limit`.
    async fn projects(
        &self,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<Arc<Project>>, StoreError>;
}
