//! Log lines, as text for people or JSON for machines; on standard error, so that what a command
//! prints stays clean.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::settings::{Log, LogFormat};

/// Returns `true` if colours are welcome: on a terminal, unless `NO_COLOR` has a value
/// (<https://no-color.org>).
fn has_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

/// Starts logging. `quiet` shows warnings only, whatever the settings say, for a terminal that
/// somebody else writes to.
///
/// # Errors
/// A level that is not one.
pub fn start(log: &Log, quiet: bool) -> anyhow::Result<()> {
    let level = if quiet { "warn" } else { &log.level };
    // The lines of `actix_http` about bad requests name no peer; botarmy-http writes better ones.
    let filter = EnvFilter::try_new(format!("{level},actix_http=off"));
    let filter = filter.with_context(|| format!("log.level = \"{level}\""))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(has_colours())
        // It would print about a line that cannot be written, and panic because that fails too.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
