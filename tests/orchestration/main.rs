//! The use cases in memory, with a manual clock: the reaction of a project to agents and people.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod access;
mod activity;
mod budgets;
mod clock_jumps;
mod emergency;
mod forms;
mod gate_times;
mod gates;
mod idempotency;
mod leases;
mod projects;
mod refusals;
mod released;
mod released_model;
mod reopening;
mod tasks;
mod workflows;
