//! What goes wrong where several replicas share a database: servers that are killed, stopped,
//! frozen or cut off, and clients that do not read. Each test is bounded in time; where chance is
//! involved, its seed is printed.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod database;
mod frozen;
mod kills;
mod news;
mod rolling;
mod subscribers;
mod timers;
mod tls;
