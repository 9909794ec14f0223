//! Queries for packages.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::ProjectId;
use crate::package::Package;
use crate::timestamp::Timestamp;

/// Reads packages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PackageStore: Send + Sync + 'static {
    /// Returns the package of a project, or `None` if none was generated since the last deletion.
    async fn package(&self, project: ProjectId) -> Result<Option<Arc<Package>>, StoreError>;

    /// Returns projects whose package was generated before `time`, at most `limit`.
    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError>;
}
