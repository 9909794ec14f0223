//! How an agent really runs. [`LlmRunner`] asks a model provider; [`CommandRunner`] starts a program
//! of the operator's; [`OfflineDrafter`] does every step of the built-in workflow from templates,
//! without a model, a key or a network; and [`Scripted`] does what a test tells it.

#[cfg(unix)]
pub mod command;
pub mod llm;
pub mod offline;
pub mod scripted;

#[cfg(unix)]
pub use command::{CommandRunner, CommandSpec};
pub use llm::LlmRunner;
pub use offline::OfflineDrafter;
pub use scripted::{Act, Scripted};
