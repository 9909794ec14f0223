//! Tickets with which pages open a WebSocket: the cookie of the session does not open one.

use actix_web::HttpResponse;
use actix_web::web::Data;
use botarmy_web::{Problem, Ticket};

use crate::Console;
use crate::guard::Confirmed;

/// Issues a ticket.
pub(crate) async fn create(
    Confirmed(caller): Confirmed,
    console: Data<Console>,
) -> Result<HttpResponse, Problem> {
    Ok(Ticket::created(&console.access.issue_ticket(&caller).await?))
}
