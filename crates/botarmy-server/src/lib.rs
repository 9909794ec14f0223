//! The thin server: settings, wiring, signals and the command line. It knows every crate and
//! decides nothing.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod access;
pub mod audit;
pub mod backup;
pub mod channels;
pub mod cli;
#[cfg(feature = "client")]
mod client;
pub mod copy;
mod environment;
pub mod features;
pub mod health_check;
mod health_log;
pub mod logging;
mod manual;
#[cfg(feature = "mcp")]
mod mcp;
mod metrics;
pub mod migrate;
#[cfg(feature = "llm")]
pub mod models;
mod open_files;
mod openid;
pub mod output;
pub mod run;
mod runners;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod steady_clock;
pub mod stores;
pub mod system;
mod traces;
mod webhooks;
pub mod wiring;

pub use settings::Settings;
pub use wiring::System;
