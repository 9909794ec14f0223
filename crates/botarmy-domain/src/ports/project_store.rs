//! Queries for projects.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::access::{ObjectId, Reach};
use crate::error::StoreError;
use crate::ids::ProjectId;
use crate::log::Head;
use crate::page::Page;
use crate::project::Project;
use crate::vocabulary::ProjectStatus;

/// Reads projects.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST end a page with the project with which it has [`crate::page::PART_BYTES`], and MUST NOT
///   read much more than that.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ProjectStore: Send + Sync + 'static {
    /// Returns the project, or `None`.
    async fn project(&self, id: ProjectId) -> Result<Option<Arc<Project>>, StoreError>;

    /// Returns the project with the head of its log and so its counts, both of the same instant.
    async fn overview(&self, id: ProjectId) -> Result<Option<(Arc<Project>, Head)>, StoreError>;

    /// Returns projects within the reach, newest first, those created before the project `before`; at
    /// most `limit`.
    async fn projects(
        &self,
        reach: &Reach,
        status: Option<ProjectStatus>,
        before: Option<ProjectId>,
        limit: u32,
    ) -> Result<Page<Arc<Project>>, StoreError>;

    /// Returns those of these objects that exist in a project within the reach.
    ///
    /// - MUST do the same work for an object of another project as for one that does not exist, so that
    ///   the time of an answer does not tell them apart.
    /// - MUST NOT return an entry of the system log, whatever the reach is.
    async fn within(
        &self,
        reach: &Reach,
        objects: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>, StoreError>;
}
