//! What the tests share.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "this is test code")]

pub mod rig;
pub mod server;
