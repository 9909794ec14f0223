//! Tickets, which are good on every replica.

use async_trait::async_trait;
use botarmy_domain::ports::Tickets;
use botarmy_domain::{KeyDigest, StoreError, Ticket, Timestamp};
use tokio::sync::oneshot;

use crate::claims::Request;
use crate::store::{PostgresStore, closed};

#[async_trait]
impl Tickets for PostgresStore {
    async fn keep(&self, ticket: Ticket, now: Timestamp) -> Result<(), StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::KeepTicket(ticket, now, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn take(&self, digest: KeyDigest) -> Result<Option<Ticket>, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::TakeTicket(digest, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}
