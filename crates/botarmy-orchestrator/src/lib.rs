//! The use cases of BotArmy, on nothing but ports: load, decide, commit, tell. Beside them run
//! the worker, which hands tasks to agents, and the timers.

mod engine;
mod recovery;
mod tell;
mod timers;
mod use_cases;
mod work;
mod worker;
mod workflows;

pub use engine::{Engine, EngineSettings, Ports};
pub use worker::{Runners, Worker, WorkerSettings};
pub use workflows::{Workflows, WorkflowsError};
