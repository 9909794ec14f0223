//! The driven port for tickets.

use async_trait::async_trait;

use crate::access::{KeyDigest, Ticket};
use crate::error::StoreError;
use crate::timestamp::Timestamp;

/// Keeps the tickets that were not used yet, for all servers of one database.
///
/// An implementation
/// - MUST return each ticket to one call of [`Tickets::take`] at most, on whichever server;
/// - MUST drop the oldest ticket of a holder that has [`MAX_TICKETS`](crate::access::MAX_TICKETS) already;
/// - MAY lose tickets when it ends: a client asks for another one.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Tickets: Send + Sync + 'static {
    /// Keeps a ticket, and drops those that had expired at the time `expired`.
    async fn keep(&self, ticket: Ticket, expired: Timestamp) -> Result<(), StoreError>;

    /// Uses up the ticket with this digest, and returns it; `None` where there is none. It may have
    /// expired.
    async fn take(&self, digest: KeyDigest) -> Result<Option<Ticket>, StoreError>;
}
