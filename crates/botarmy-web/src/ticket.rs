//! Tickets, with which a page opens a WebSocket.

use botarmy_domain::Caller;
use serde::Serialize;
use utoipa::ToSchema;

/// Ticket for one live connection.
#[derive(Serialize, ToSchema)]
#[schema(as = TicketView)]
pub struct Ticket {
    /// Secret that opens one WebSocket.
    ticket: String,
    /// Protocols to offer when the WebSocket is opened, the second with the ticket. The server answers
    /// with the first.
    protocols: [String; 2],
    /// Seconds for which the ticket is good.
    expires_in_s: u64,
}

impl Ticket {
    /// Creates a ticket with this secret.
    #[must_use]
    pub fn new(secret: String, expires_in_s: u64) -> Self {
        let protocols = ["botarmy.v1".to_owned(), format!("botarmy.ticket.{secret}")];
        Self { ticket: secret, protocols, expires_in_s }
    }
}

/// Issues tickets. The application has one as its data, as `Data<dyn TicketOffice>`.
pub trait TicketOffice: Send + Sync + 'static {
    /// Returns a ticket that opens one connection of this caller on this server.
    fn issue(&self, caller: Caller) -> Ticket;
}
