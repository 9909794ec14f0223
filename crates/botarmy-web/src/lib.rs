//! The parts that every HTTP border needs and that must exist once: problem documents (RFC 9457)
//! with the match from domain errors to statuses, the rule about foreign web pages and host names,
//! the caller of a request and its address, request ids, and the rule about fields and parameters that are unknown.
//!
//! A shared leaf: `botarmy-http` and `botarmy-ws` build on it. It has no routes and no state.

mod browser;
mod caller;
mod client_address;
mod credential;
mod error;
mod origin;
mod pages;
mod problem;
mod public_url;
mod query;
mod request_id;
pub mod strict;
mod ticket;

pub use browser::{RefusedSignIn, SESSION_COOKIE, SameSite, Session, browser, cookie, set_cookie};
pub use caller::{Caller, declared_way, named_user};
pub use client_address::{ClientAddress, TrustedProxies};
pub use credential::has_credential;
pub use error::{RETRY_AFTER_FULL_S, RETRY_AFTER_S};
pub use origin::{FOREIGN_ORIGIN, OWN_LOOPBACK_NAME, OriginRule, is_host};
pub use pages::{
    ErrorPage, ErrorPages, PageRequest, Preview, accepts_html, ascii, has_preview_token,
    is_answer_link, is_page, preview_path,
};
pub use problem::{CONTENT_TYPE, FieldError, Problem, ProblemDocument, ends_connection};
pub use public_url::{PublicUrl, origin_of};
pub use query::{is_credential_in_path, names_credential, parameter_name, parse_query};
pub use request_id::{REQUEST_ID, assign_request_id};
pub use strict::{UnknownFields, field_problem};
pub use ticket::{TICKET_PROTOCOL, Ticket};
