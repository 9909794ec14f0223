//! Access control as the server sees it: the way in after the first start, and the commands that
//! manage principals and keys.

mod first_start;
pub mod grants;
pub mod header_file;
pub mod keys;
mod local;
mod text;

pub(crate) use first_start::{FirstStart, prepare};
