//! Tickets in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use botarmy_domain::access::MAX_TICKETS;
use botarmy_domain::ports::Tickets;
use botarmy_domain::{KeyDigest, StoreError, Ticket, Timestamp};

/// Tickets in the memory of one server.
#[derive(Debug, Default)]
pub struct MemoryTickets(Mutex<HashMap<KeyDigest, Ticket>>);

#[async_trait]
impl Tickets for MemoryTickets {
    async fn keep(&self, ticket: Ticket, expired: Timestamp) -> Result<(), StoreError> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, ticket| ticket.expires_at > expired);
        let of_holder = tickets.values().filter(|other| other.holder == ticket.holder);
        let of_holder: Vec<_> = of_holder.map(|one| (one.expires_at, one.digest)).collect();
        if of_holder.len() >= MAX_TICKETS
            && let Some((_, oldest)) = of_holder.iter().min_by_key(|(expires_at, _)| *expires_at)
        {
            tickets.remove(oldest);
        }
        tickets.insert(ticket.digest, ticket);
        Ok(())
    }

    async fn take(&self, digest: KeyDigest) -> Result<Option<Ticket>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest))
    }
}
