//! The use cases as pure functions: each takes a snapshot and returns a decision or an error.

pub mod access;
pub mod agents;
pub mod artifacts;
pub mod budget;
mod builder;
mod consequences;
pub mod eligibility;
pub mod emergency;
mod flow;
mod gate;
pub mod hitl;
pub mod keyed;
pub mod lease;
pub mod projects;
pub mod refusals;
mod remarks;
pub mod tasks;
pub mod webhooks;
