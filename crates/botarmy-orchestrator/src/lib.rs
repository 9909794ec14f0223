//! The use cases of BotArmy, on ports only: load, decide, commit, publish. Beside them run the worker,
//! which gives tasks to agents, the dispatcher, which gives them to external workers, and the timers.
//!
//! Start with `engine.rs`, which all other files use. `commands` and `queries` are the driving
//! ports; `worker`, `dispatch` and `background` run beside them.

mod access;
mod after_commit;
mod assignment;
mod attempt_result;
mod background;
mod budgets;
mod commands;
mod dispatch;
mod emergency;
mod engine;
mod lease_settings;
mod output_validation;
mod people_review;
mod queries;
mod requeue;
mod reservation;
mod served_agents;
mod verified_artifacts;
mod visibility;
mod wake_up_fanout;
mod webhooks;
mod worker;
mod workflows;

pub use access::{AccessControl, AccessSettings, AdminKey, Admins};
pub use budgets::Budgets;
pub use dispatch::{LeaseDispatcher, Leases};
pub use engine::{Engine, EngineSettings, Ports};
pub use lease_settings::LeaseSettings;
pub use queries::state::verify_state;
pub use webhooks::{WebhookControl, WebhookFigures, WebhookSettings};
pub use worker::{Runners, Worker, WorkerSettings};
pub use workflows::{Workflows, WorkflowsError};
