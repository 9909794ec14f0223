//! Tickets with which pages open a WebSocket: the cookie of the session does not open one.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use botarmy_web::TicketOffice;

use crate::guard::Confirmed;

/// Issues a ticket.
pub(crate) async fn create(
    Confirmed(caller): Confirmed,
    office: Data<dyn TicketOffice>,
) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(office.issue(caller))
}
