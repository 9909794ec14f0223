//! The driving port for gates: requests that wait for a person.

use std::sync::Arc;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::hitl::{
    AnswerLinkText, GateAct, HitlRequest, IssuedLink, LinkedRequest, NewLink, NewRequest,
    Responded, Response,
};
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

    /// Does something else with a request. Returns it as it is afterwards.
    async fn act(
        &self,
        id: HitlRequestId,
        act: GateAct,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error>;

    /// Makes a link with which a person answers a request. Its token is stored nowhere.
    async fn issue_link(
        &self,
        id: HitlRequestId,
        new: NewLink,
        caller: Caller,
    ) -> Result<IssuedLink, Error>;

    /// Returns the request that a link is to, and the link. Changes nothing.
    ///
    /// # Errors
    /// [`DomainError::NotFound`](crate::error::DomainError::NotFound) for an unknown token. A link that
    /// cannot be used any more is returned, so that its page says why.
    async fn linked(&self, token: &AnswerLinkText) -> Result<LinkedRequest, Error>;

    /// Records the response that a person gives with a link, which is used up. `context` is the call of
    /// which the request id and the trace are recorded.
    ///
    /// # Errors
    /// [`DomainError::Gone`](crate::error::DomainError::Gone) for a link that cannot be used any more.
    async fn respond_with_link(
        &self,
        token: &AnswerLinkText,
        response: Response,
        context: Caller,
    ) -> Result<Responded, Error>;
}
