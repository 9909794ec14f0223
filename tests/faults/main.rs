//! Failures of several replicas that share a database: servers that are killed, stopped, frozen or
//! cut off, and clients that do not read. Each test has a time limit; random ones print their seed.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod database;
mod failover;
mod frozen;
mod kills;
mod limits;
mod news;
mod pooler;
mod redis_access;
mod revocation;
mod rolling;
mod soak;
mod subscribers;
mod timers;
mod tls;
