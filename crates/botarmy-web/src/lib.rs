//! The parts that every HTTP border needs and that must exist once: problem documents (RFC 9457)
//! with the match from domain errors to statuses, the rule about foreign web pages and host names,
//! the caller of a request, and request ids.
//!
//! A shared leaf: `botarmy-http` and `botarmy-ws` build on it. It has no routes and no state.

mod caller;
mod error;
mod origin;
mod problem;
mod request_id;

pub use caller::Caller;
pub use error::RETRY_AFTER_S;
pub use origin::{FOREIGN_ORIGIN, OriginRule, check_host};
pub use problem::{CONTENT_TYPE, FieldError, Problem, ProblemDocument};
pub use request_id::{REQUEST_ID, assign_request_id};
