//! Values of the domain as the templates show them. Pure.

pub(crate) mod account;
pub(crate) mod time;
