//! Queries for human-in-the-loop requests.

use std::sync::Arc;

use async_trait::async_trait;

use crate::access::Reach;
use crate::error::StoreError;
use crate::hitl::{HitlRequest, HitlSample, OpenRequests, PendingFilter, SampleWindow};
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

    /// Returns pending requests of all projects within the reach, oldest first, those that the filter
    /// selects and that were created after the request `after`; at most `limit`.
    async fn pending(
        &self,
        reach: &Reach,
        filter: &PendingFilter,
        after: Option<HitlRequestId>,
        limit: u32,
    ) -> Result<Page<Arc<HitlRequest>>, StoreError>;

    /// Reads what the statistics are computed from, of one project or of all within the reach: the
    /// pending requests, and the newest of those that were raised at the beginning of the window or later
    /// and are not pending any more, at most `limit`. May include such that were raised in the millisecond
    /// before.
    async fn sample(
        &self,
        reach: &Reach,
        project: Option<ProjectId>,
        window: SampleWindow,
        limit: u32,
    ) -> Result<HitlSample, StoreError>;

    /// Returns pending requests on which something is due at `now`, the longest due first; at most
    /// `limit`. Those whose next due time is that of their expiry are left out unless `may_expire`, so
    /// that they keep no others waiting.
    async fn due(
        &self,
        now: Timestamp,
        may_expire: bool,
        limit: u32,
    ) -> Result<Vec<Arc<HitlRequest>>, StoreError>;

    /// Returns the number of pending requests of each kind and the time of the oldest, over all
    /// projects, in the order of kinds and without those that have none.
    async fn open_requests(&self) -> Result<Vec<OpenRequests>, StoreError>;
}
