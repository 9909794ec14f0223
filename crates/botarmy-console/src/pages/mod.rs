//! The pages: each reads the request, calls ports, fills a view, and renders it. The comment of the crate
//! says how one is added.

pub(crate) mod account;
pub(crate) mod agents;
pub(crate) mod artifacts;
pub(crate) mod audit;
mod choice;
mod entries;
pub(crate) mod fields;
pub(crate) mod find;
pub(crate) mod help;
pub(crate) mod inbox;
pub(crate) mod keys;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod members;
pub(crate) mod more;
mod once;
pub(crate) mod openid;
pub(crate) mod people;
pub(crate) mod preview;
pub(crate) mod project;
pub(crate) mod projects;
mod queue;
pub(crate) mod requests;
pub(crate) mod sessions;
pub(crate) mod settings;
mod sign_in;
pub(crate) mod stop;
pub(crate) mod tasks;
pub(crate) mod ticket;
pub(crate) mod usage;
pub(crate) mod waiting;
pub(crate) mod workers;
