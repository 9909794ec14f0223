//! The pages: each reads the request, calls ports, fills a view, and renders it.

pub(crate) mod account;
pub(crate) mod login;
pub(crate) mod openid;
mod sign_in;
pub(crate) mod ticket;
