//! Reading which packages were made.

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
    /// The package of a project, or `None` when none was made since the last deletion.
    async fn package(&self, project: ProjectId) -> Result<Option<Arc<Package>>, StoreError>;

    /// Projects whose package was made before `time`, at most `limit`.
    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError>;
}
