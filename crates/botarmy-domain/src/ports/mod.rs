//! The ports: driven ones, which adapters implement for the use cases, and driving ones (`Projects`,
//! `Tasks`, `Gates`, `Operations`, `Queries`, `LogQueries`, `WorkerLeases`, `Access`, `Sessions`,
//! `Webhooks`), which the use cases implement for the borders. Each lists what an implementation MUST do; the contract tests check
//! every adapter.

mod access;
mod agent_runner;
mod agent_status;
mod audit_log;
mod clock;
mod context_store;
mod delivery_store;
mod event_bus;
mod gates;
mod health;
mod hitl_store;
mod identity_provider;
mod ledger;
mod log_queries;
mod metrics;
mod operations;
mod orchestrator;
mod project_store;
mod projects;
mod queries;
mod records;
mod sessions;
mod store_ports;
mod task_store;
mod tasks;
mod tickets;
mod tracer;
mod wake_ups;
mod webhook_sender;
mod webhooks;
mod worker_leases;

pub use access::*;
pub use agent_runner::*;
pub use agent_status::*;
pub use audit_log::*;
pub use clock::*;
pub use context_store::*;
pub use delivery_store::*;
pub use event_bus::*;
pub use gates::*;
pub use health::*;
pub use hitl_store::*;
pub use identity_provider::*;
pub use ledger::*;
pub use log_queries::*;
pub use metrics::*;
pub use operations::*;
pub use orchestrator::*;
pub use project_store::*;
pub use projects::*;
pub use queries::*;
pub use records::*;
pub use sessions::*;
pub use store_ports::*;
pub use task_store::*;
pub use tasks::*;
pub use tickets::*;
pub use tracer::*;
pub use wake_ups::*;
pub use webhook_sender::*;
pub use webhooks::*;
pub use worker_leases::*;
