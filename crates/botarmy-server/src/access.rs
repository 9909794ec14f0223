//! Access control as the server sees it: the way in after the first start, and the commands that
//! manage principals, keys and sessions.

mod first_start;
pub mod grants;
pub mod header_file;
pub mod keys;
mod local;
pub mod login;
pub mod sessions;
mod sign_in_link;
mod text;

pub(crate) use first_start::{FirstStart, command, prepare};
pub(crate) use sign_in_link::sign_in_address;
