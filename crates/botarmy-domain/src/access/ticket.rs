//! One-time tickets, with which a browser opens a WebSocket: a page cannot send a header there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::api_key::KeyDigest;
use super::secret_text::secret_text;
use crate::ids::CredentialId;
use crate::timestamp::Timestamp;

/// Time for which a ticket is good.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);
/// Largest number of tickets that a holder has at once; a further one replaces the oldest.
pub const MAX_TICKETS: usize = 64;

secret_text!(
    /// Text of a ticket: `botarmy_t_` and 43 letters and digits for 256 random bits.
    TicketText, "botarmy_t_",
    /// Text that is not a ticket.
    MalformedTicket, "not a ticket"
);

/// A ticket without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Digest of its text.
    pub digest: KeyDigest,
    /// Holder, to whom it was issued.
    pub holder: TicketHolder,
    /// Time from which it is refused.
    pub expires_at: Timestamp,
}

/// Holder of a ticket: the caller that asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketHolder {
    /// Caller with this key.
    Key(CredentialId),
    /// Caller with the cookie of this session.
    Session(CredentialId),
    /// Person of this name, on an open server.
    Person(String),
}
