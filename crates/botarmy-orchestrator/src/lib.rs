//! The use cases of BotArmy, on nothing but ports: load, decide, commit, tell. Beside them run
//! the worker, which hands tasks to agents, the desk, which hands them to workers outside, and the
//! timers.

mod after_commit;
mod budgets;
mod commands;
mod dispatcher;
mod emergency;
mod engine;
mod leases;
mod output_validation;
mod queries;
mod recovery;
mod timers;
mod wake_up_fanout;
mod work;
mod worker;
mod workflows;

pub use budgets::Budgets;
pub use dispatcher::LeaseDispatcher;
pub use engine::{Engine, EngineSettings, Ports};
pub use leases::{LeaseSettings, Leases};
pub use worker::{Runners, Worker, WorkerSettings};
pub use workflows::{Workflows, WorkflowsError};
