//! The rules of the domain from outside: state machines as tables, workflows as properties, the
//! stored form of events as a golden file.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "these are tests")]

mod access;
mod counted;
mod flow;
mod gate_model;
mod gate_needs;
mod gate_rules;
mod golden;
mod machines;
mod people;
mod sample_assignment;
mod seen;
mod worker_document;
mod world;
