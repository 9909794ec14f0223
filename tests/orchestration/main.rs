//! The use cases on memory, with a clock that is turned by hand: what a project does when agents
//! and people do this or that.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod budgets;
mod emergency;
mod forms;
mod gates;
mod leases;
mod projects;
mod tasks;
mod workflows;
