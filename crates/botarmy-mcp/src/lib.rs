//! An MCP server for assistants. It reads and starts projects and, if it is allowed to, answers gates,
//! through the REST API of a BotArmy server and with one key.
//!
//! Start with `tool`, the table of the tools. `server` is the protocol, `parameter` the arguments,
//! `answer` the form of results: whatever agents or people wrote is marked as data in them.

mod answer;
mod api;
mod changes;
mod excerpt;
mod outline;
mod parameter;
mod server;
mod tool;
mod tools;
mod visible;

pub use server::{Options, ServeError, serve};
