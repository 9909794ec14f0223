//! Commands that speak to a running server, over its API.

pub(crate) mod access;
pub(crate) mod agents;
mod commands;
mod confirm;
mod follow;
mod gate_acts;
pub(crate) mod gates;
pub(crate) mod log;
pub(crate) mod options;
mod package;
mod pager;
pub(crate) mod profiles;
pub(crate) mod projects;
pub(crate) mod run;
mod screen;
mod session;
pub(crate) mod stop;
mod summary;
pub(crate) mod tasks;
mod values;

pub(crate) use commands::ClientCommand;
pub(crate) use options::{OnServer, Place, ServerOptions};
pub(crate) use session::{Failure, exit_code};

use std::process::ExitCode;

use crate::signals::Signals;

/// Exit code of a command that Ctrl-C ended (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(crate) async fn run(command: ClientCommand, place: &Place) -> anyhow::Result<ExitCode> {
    interruptible(commands::run(command, place)).await
}

/// Runs the work of a command, unless Ctrl-C ends it.
///
/// # Errors
/// Those of the work.
pub(crate) async fn interruptible(
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        ended = work => ended,
        () = pager::interrupted(&mut signals) => Ok(ExitCode::from(INTERRUPTED)),
    }
}
