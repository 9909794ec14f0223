//! The storage ports on PostgreSQL 14 or newer: what several replicas of the server share.
//!
//! [`PostgresStore`] changes something through a few *lanes* (`commit_worker`): each takes whatever
//! decisions wait, runs them together, and writes all of it with **one** statement. Decisions of one
//! log always take the same lane. Claims and leases have a lane of their own (`claims`). Reading
//! happens beside them, on a pool.
//!
//! The end of a log carries the hash that everything before it led to, and whoever writes says
//! which hash they have seen. So a lane may keep what it knows of a log from one batch to the next
//! (`head_cache`) without holding any lock: if somebody else was there meanwhile, the statement writes
//! nothing for that log, and its decisions are taken again under a lock.
//!
//! **Invariant:** nothing outside this crate ever sees a connection. **Invariant:** nobody is
//! refused, and nobody is told that something was done, on the ground of what was only remembered.
//! **Invariant:** locks on heads that exist are waited for in the order of their ids, or by someone
//! who holds none, so no two replicas wait for each other. Where a log is begun beside others, the
//! database may break a tie; whoever loses it tries again.

mod agent_status;
mod audit_log;
mod claims;
mod commit_worker;
mod connect;
mod context_store;
mod database_copy;
mod error;
mod head_cache;
mod health;
mod hitl_store;
mod in_doubt;
mod job;
mod json_text;
mod ledger;
mod load;
mod load_error;
pub mod migrate;
mod open;
mod pessimistic;
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
mod tls;
mod url;
mod write;
mod write_health;
mod writer;

pub use database_copy::PostgresDatabaseCopy;
pub use health::{PostgresAuditHealth, PostgresHealth};
pub use open::OpenError;
pub use settings::PostgresSettings;
pub use store::PostgresStore;
pub use url::{PostgresUrl, UrlError};
