//! How an agent really runs. Three runners so far: [`OfflineDrafter`], which does every step of the
//! built-in workflow from templates, without a model, a key or a network; [`CommandRunner`], which
//! starts a program of the operator's; and [`Scripted`], which does what a test tells it.

#[cfg(unix)]
pub mod command;
pub mod offline;
pub mod scripted;

#[cfg(unix)]
pub use command::{CommandRunner, CommandSpec};
pub use offline::OfflineDrafter;
pub use scripted::{Act, Scripted};
