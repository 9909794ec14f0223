//! The storage ports on embedded SQLite: the default profile, production grade.
//!
//! [`SqliteStore`] is one database file with one writer and a few readers. Whoever changes
//! something puts a decision into a bounded queue; one thread takes whatever waits there, runs it
//! in **one** transaction, commits, and then answers everybody (`writer`). Reading happens beside
//! it on connections that wait for nobody (`readers`): short reads on the thread that asks, because
//! handing them over costs more than they do, long ones on Tokio's blocking threads.
//!
//! **Invariant:** nothing outside this crate ever sees a connection. **Invariant:** one process at
//! a time uses a data directory; the lock vanishes with the process. **Invariant:** a file that is
//! not ours, not whole or not known is refused when it is opened, and left as it was.

mod agent_status;
mod audit_log;
mod backup;
mod connection;
mod context_store;
mod database_copy;
mod error;
mod health;
mod hitl_store;
mod ledger;
mod load;
mod load_error;
pub mod migrate;
mod migrations;
mod open;
mod project_store;
mod readers;
mod record_statements;
mod records;
mod rows;
mod schema;
mod settings;
mod statements;
mod store;
mod task_store;
#[cfg(test)]
mod tests;
mod write;
mod writer;

pub use backup::{BackupError, backup};
pub use database_copy::SqliteDatabaseCopy;
pub use health::{SqliteAuditHealth, SqliteHealth};
pub use open::OpenError;
pub use settings::{SqliteSettings, Synchronous};
pub use store::SqliteStore;
