//! Queries for artifacts.

use std::sync::Arc;

use async_trait::async_trait;

use crate::artifact::{Artifact, ArtifactFilter, ArtifactRef};
use crate::error::StoreError;
use crate::ids::{ContextId, ProjectId};
use crate::page::Page;

/// Reads artifacts. They are written through the [`super::Ledger`].
///
/// An implementation
/// - MUST return an artifact exactly as it was stored, to the byte of its canonical content;
/// - MUST NOT offer a way to change or remove an artifact;
/// - MUST include everything that was acknowledged before the call;
/// - MUST end a page with the artifact with which it has [`crate::page::PART_BYTES`], and MUST NOT
///   read much more than that.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ContextStore: Send + Sync + 'static {
    /// Returns the artifact, or `None`.
    async fn artifact(&self, id: ContextId) -> Result<Option<Arc<Artifact>>, StoreError>;

    /// Returns these artifacts in this order, without those that do not exist.
    async fn artifacts_by_id(&self, ids: &[ContextId]) -> Result<Vec<Arc<Artifact>>, StoreError>;

    /// Returns artifacts of a project, oldest first; at most `limit`.
    async fn artifacts(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<Arc<Artifact>>, StoreError>;

    /// Returns artifacts of a project without their contents, oldest first; at most `limit`. MUST NOT
    /// read the contents.
    async fn artifact_refs(
        &self,
        project: ProjectId,
        filter: ArtifactFilter,
        limit: u32,
    ) -> Result<Page<ArtifactRef>, StoreError>;

    /// Returns the sizes of the contents of these artifacts, as compact JSON in bytes, in any order and
    /// without those that do not exist. MUST NOT return the contents from the database.
    async fn artifact_sizes(&self, ids: &[ContextId]) -> Result<Vec<(ContextId, u64)>, StoreError>;
}
