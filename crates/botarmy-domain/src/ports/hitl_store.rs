//! Queries for human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;

use crate::access::Reach;
use crate::error::StoreError;
use crate::hitl::{HitlRequest, HitlSample, OpenRequests};
use crate::ids::{HitlRequestId, ProjectId};
use crate::page::Page;
use crate::timestamp::Timestamp;
use crate::vocabulary::HitlStatus;

/// Reads requests.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST end a page with the request with which it has [`crate::page::PART_BYTES`], and MUST NOT
///   read much more than that.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HitlStore: Send + Sync + 'static {
    /// Returns the request, or `None`.
    async fn request(&self, id: HitlRequestId) -> Result<Option<Arc<HitlRequest>>, StoreError>;

    /// Returns requests of a project, newest first, those created before the request `before`; at
    /// most `limit`.
    async fn requests(
        &self,
        project: ProjectId,
        status: Option<HitlStatus>,
        before: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError>;

    /// Returns pending requests of all projects within the reach, oldest first, those created after the
    /// request `after`; at most `limit`.
    async fn pending(
        &self,
        reach: &Reach,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError>;

    /// Reads what the statistics are computed from, of one project or of all within the reach: the
    /// pending requests, and the newest of those that were raised at `since` or later and are not pending
    /// any more, at most `limit`. May include such that were raised in the millisecond before `since`.
    async fn sample(
        &self,
        reach: &Reach,
        project: Option<ProjectId>,
        since: Timestamp,
        limit: u32,
    ) -> Result<HitlSample, StoreError>;

    /// Returns pending requests that expired at `now` or before; at most `limit`.
    async fn expired(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError>;

    /// Returns the number of pending requests of each kind and the time of the oldest, over all
    /// projects, in the order of kinds and without those that have none.
    async fn open_requests(&self) -> Result<Vec<OpenRequests>, StoreError>;
}
