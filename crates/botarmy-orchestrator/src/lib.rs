//! The use cases of BotArmy, on nothing but ports: load, decide, commit, tell. Beside them run
//! the worker, which hands tasks to agents, the desk, which hands them to workers outside, and the
//! timers.

mod budgets;
mod desk;
mod ears;
mod emergency;
mod engine;
mod form;
mod leases;
mod recovery;
mod tell;
mod timers;
mod use_cases;
mod work;
mod worker;
mod workflows;

pub use budgets::Budgets;
pub use desk::Desk;
pub use engine::{Engine, EngineSettings, Ports};
pub use leases::{LeaseSettings, Leases};
pub use worker::{Runners, Worker, WorkerSettings};
pub use workflows::{Workflows, WorkflowsError};
