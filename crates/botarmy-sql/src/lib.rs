//! Code shared by the storage crates, independent of the dialect: entities as JSON text, conversion
//! of columns, errors for unreadable rows, reaches as conditions, a whole database as rows, and
//! health checks.

pub mod column;
pub mod database_copy;
pub mod dialect;
pub mod health;
pub mod hitl_lines;
pub mod json;
pub mod log_marks;
pub mod log_pages;
pub mod log_search;
pub mod log_spans;
pub mod log_zones;
mod observed;
pub mod pending;
pub mod reach;
pub mod time_of_id;
mod workload;

pub use column::{Column, bodies, body, corrupt, hash_column, integer, ready_tasks, record, word};
pub use observed::ObservedCommits;
pub use workload::{PendingRow, open_requests, workload};
