//! Tickets, with which a page opens a WebSocket.

use botarmy_domain::TicketText;
use botarmy_domain::access::TICKET_LIFETIME;
use serde::Serialize;
use utoipa::ToSchema;

/// Protocol of the frames.
const PROTOCOL: &str = "botarmy.v1";
/// Beginning of the protocol that carries a ticket.
pub const TICKET_PROTOCOL: &str = "botarmy.ticket.";

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

impl From<TicketText> for Ticket {
    fn from(text: TicketText) -> Self {
        let ticket = text.expose().to_owned();
        let protocols = [PROTOCOL.to_owned(), format!("{TICKET_PROTOCOL}{ticket}")];
        Self { ticket, protocols, expires_in_s: TICKET_LIFETIME.as_secs() }
    }
}
