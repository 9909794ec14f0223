//! Tickets, which are good on every replica. They take the connections of reads: strangers may send what is
//! no ticket as often as they like, and must not delay a decision or a lease.

use async_trait::async_trait;
use botarmy_domain::access::MAX_TICKETS;
use botarmy_domain::ports::Tickets;
use botarmy_domain::{KeyDigest, StoreError, Ticket, Timestamp};
use botarmy_sql::json;
use diesel::result::Error::DeserializationError;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::error::reading;
use crate::statements::{KeepTicket, TakeTicket};
use crate::store::PostgresStore;

const TABLE: &str = "tickets";

#[async_trait]
impl Tickets for PostgresStore {
    async fn keep(&self, ticket: Ticket, expired: Timestamp) -> Result<(), StoreError> {
        let holder = json::write(&ticket.holder);
        let statement = move || KeepTicket {
            expired: expired.micros(),
            of: holder.clone(),
            // With the one that is added.
            kept: i64::try_from(MAX_TICKETS - 1).unwrap_or(i64::MAX),
            digest: *ticket.digest.bytes(),
            holder: holder.clone(),
            expires_at: ticket.expires_at.micros(),
        };
        let _: Vec<Vec<u8>> = self
            .read(TABLE, move |connection| {
                let statement = statement();
                async move { statement.load(connection).await }.boxed()
            })
            .await?;
        Ok(())
    }

    async fn take(&self, digest: KeyDigest) -> Result<Option<Ticket>, StoreError> {
        let bytes = *digest.bytes();
        let taken: Vec<(String, i64)> = self
            .read(TABLE, move |connection| {
                async move { TakeTicket { digest: bytes }.load(connection).await }.boxed()
            })
            .await?;
        let Some((holder, expires_at)) = taken.into_iter().next() else { return Ok(None) };
        let holder = serde_json::from_str(&holder)
            .map_err(|error| reading(TABLE, DeserializationError(error.into())))?;
        Ok(Some(Ticket { digest, holder, expires_at: Timestamp::from_micros(expires_at) }))
    }
}
