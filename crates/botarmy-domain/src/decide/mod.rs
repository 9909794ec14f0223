//! The use cases as pure functions: a snapshot in, a decision or a refusal out.

pub mod agents;
pub mod artifacts;
pub mod budget;
mod builder;
pub mod emergency;
mod flow;
mod gate;
pub mod hitl;
pub mod lease;
pub mod projects;
pub mod tasks;
