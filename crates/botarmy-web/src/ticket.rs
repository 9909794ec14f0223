//! Tickets, with which a page opens a WebSocket.

use actix_web::HttpResponse;
use actix_web::http::header;
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

impl Ticket {
    /// Returns the response that hands a ticket out, which nothing keeps.
    #[must_use]
    pub fn created(text: &TicketText) -> HttpResponse {
        let ticket = text.expose().to_owned();
        let protocols = [PROTOCOL.to_owned(), format!("{TICKET_PROTOCOL}{ticket}")];
        let ticket = Self { ticket, protocols, expires_in_s: TICKET_LIFETIME.as_secs() };
        HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(ticket)
    }
}
