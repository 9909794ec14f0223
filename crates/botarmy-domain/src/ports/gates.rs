//! The driving port for gates: requests that wait for a person.

use std::sync::Arc;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::hitl::{HitlRequest, NewRequest, Responded, Response};
use crate::ids::HitlRequestId;

/// Raises requests to people and records their responses.
///
/// An implementation
/// - MUST take one decision per call, and commit it before it returns;
/// - MUST finish a commit that it began even if the caller is dropped meanwhile.
///
/// # Errors
/// A refusal, or the error of the store. Nothing has changed then.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Gates: Send + Sync + 'static {
    /// Raises a request.
    async fn raise_request(
        &self,
        new: NewRequest,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error>;

    /// Records the response to a request.
    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        caller: Caller,
    ) -> Result<Responded, Error>;
}
