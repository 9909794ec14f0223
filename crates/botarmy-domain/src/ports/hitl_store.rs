//! Queries for human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::hitl::HitlRequest;
use crate::ids::{HitlRequestId, ProjectId};
use crate::timestamp::Timestamp;
use crate::vocabulary::HitlStatus;

/// Reads requests. Results MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HitlStore: Send + Sync + 'static {
    /// Returns the request, or `None`.
    async fn request(&self, id: HitlRequestId) -> Result<Option<Arc<HitlRequest>>, StoreError>;

    /// Returns requests of a project, newest first; at most `limit`.
    async fn requests(
        &self,
        project: ProjectId,
        status: Option<HitlStatus>,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError>;

    /// Returns pending requests of all projects, oldest first, those created after the request
    /// `after`; at most `limit`.
    async fn pending(
        &self,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError>;

    /// Returns pending requests that expired at `now` or before; at most `limit`.
    async fn expired(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError>;
}
