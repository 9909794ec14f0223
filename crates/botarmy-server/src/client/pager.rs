//! The pager: `$PAGER`, or `less` if there is one. It is started without a shell.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::output::say;
use crate::signals::Signals;

/// Pager that is used if none is named.
const USUAL: &str = "less -R";
/// Options of `less`: end at once where all fits, keep colours and do not clear the screen.
const LESS: &str = "FRX";

/// Set while the pager has the terminal.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Returns when the command is told to stop. What is meant for the pager does not count.
pub(super) async fn interrupted(signals: &mut Signals) {
    loop {
        signals.told().await;
        if !IS_OPEN.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// Shows text in the pager, or prints it where there is none.
///
/// # Errors
/// A pager that is named and cannot be started.
pub(super) async fn show(text: &str) -> anyhow::Result<()> {
    let named = std::env::var("PAGER").ok();
    let command = named.as_deref().unwrap_or(USUAL);
    let mut words = command.split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else {
        say!("{text}");
        return Ok(());
    };
    let mut child = Command::new(program);
    child.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        child.env("LESS", LESS);
    }
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
            say!("{text}");
            return Ok(());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("the pager {command:?} cannot be started"));
        }
    };
    IS_OPEN.store(true, Ordering::Relaxed);
    let mut input = child.stdin.take();
    let text = format!("{text}\n");
    let ended = tokio::task::spawn_blocking(move || {
        if let Some(input) = &mut input {
            // A pager that is left early reads no more.
            drop(input.write_all(text.as_bytes()));
        }
        drop(input);
        child.wait()
    });
    let ended = ended.await;
    IS_OPEN.store(false, Ordering::Relaxed);
    ended?.context("the pager cannot be waited for")?;
    Ok(())
}
