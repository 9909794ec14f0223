//! The storage ports on embedded SQLite: the default profile, production grade.
//!
//! [`SqliteStore`] is one database file with one writer and a few readers. Every change is a
//! decision in a bounded queue; one thread takes the waiting decisions, runs them in **one**
//! transaction, commits, and then answers all callers (`writer`). Reads use connections that never
//! wait for the writer (`readers`): short reads run on the calling thread, because a hand-over
//! costs more than the read, long ones on Tokio's blocking threads.
//!
//! **Invariant:** connections never leave this crate. **Invariant:** one process at a time uses a
//! data directory; the lock ends with the process. **Invariant:** a file that belongs to another
//! program, is damaged or has an unknown version is refused when it is opened, and not changed.

mod agent_status;
mod audit_log;
mod backup;
mod connection;
mod context_store;
mod database_copy;
mod delivery_statements;
mod delivery_store;
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
pub use open::OpenError;
pub use settings::{SqliteSettings, Synchronous};
pub use store::SqliteStore;
