//! The storage ports on PostgreSQL 14 or newer, which several replicas of the server can share.
//!
//! [`PostgresStore`] writes through a few commit workers (`commit_worker`, one per lane): each
//! takes the waiting decisions, runs them together, and writes the result with **one** statement.
//! Decisions of one log always take the same lane. Claims and leases have a worker of their own
//! (`claims`). Reads use a separate pool of connections.
//!
//! The end of a log carries the hash over all its entries, and a writer names the hash it has read.
//! So a commit worker may cache the end of a log from one batch to the next (`head_cache`) without
//! holding a lock: if another replica has written meanwhile, the statement writes nothing for that
//! log, and its decisions are retried under a lock.
//!
//! **Invariant:** connections never leave this crate. **Invariant:** neither a refusal nor a
//! success is reported on the basis of cached rows alone. **Invariant:** a transaction waits for
//! locks on existing heads in the order of their ids, or holds no lock while it waits, so two
//! replicas never wait for each other. When new logs are created in one transaction with others,
//! the database may resolve a deadlock; the losing transaction is retried.

mod agent_status;
mod audit_log;
mod claims;
mod commit_worker;
mod connect;
mod context_store;
mod database_copy;
mod delivery_store;
mod error;
mod head_cache;
mod health;
mod hitl_store;
mod in_doubt;
mod job;
mod json_text;
mod ledger;
mod limits;
mod load;
mod load_error;
pub mod migrate;
mod open;
mod outdated;
mod part;
mod pessimistic;
mod pooling;
mod project_store;
mod read_view;
mod record_statements;
mod records;
mod rows;
mod schema;
mod settings;
mod statements;
mod store;
mod task_store;
mod tickets;
mod tls;
mod url;
mod within;
mod write;
mod writer;

pub use database_copy::PostgresDatabaseCopy;
pub use open::OpenError;
pub use settings::PostgresSettings;
pub use store::PostgresStore;
pub use url::{PostgresUrl, UrlError};
