//! The runner that starts a program of the operator's for each assignment: a coding agent, a test
//! run, anything that reads files and writes files.
//!
//! The program is started from a list of arguments and never through a shell, in a folder of its
//! own with the project's files. Files that it changes there become the new source code.
//!
//! [`CommandSpec`] is the operator's configuration of one program. `contract.rs` is the protocol
//! `botarmy.command/1`, `presets.rs` adapts programs that speak another one, `folder.rs` is the
//! working folder, which `tree.rs` reaches by its descriptor, `process.rs` the group of processes,
//! and `sandbox.rs` what keeps them from the rest of the machine.
#![cfg(unix)]

mod contract;
mod exact;
mod folder;
mod presets;
mod process;
mod processes;
mod runner;
mod sandbox;
mod session;
mod spec;
mod text;
mod tree;

pub use runner::CommandRunner;
pub use sandbox::Sandbox;
pub use spec::{CommandSpec, Preset, SandboxMode};
