//! Questions before something is done that cannot be undone.

use std::io::IsTerminal;

use anyhow::{bail, ensure};

use super::screen::Screen;
use super::session::Failure;
use crate::run::prompt::read_line;

/// Asks whether to go on, unless `yes` says so already.
///
/// # Errors
/// No one to ask, and an answer that is not yes.
pub(super) async fn confirm(screen: &Screen, question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    ensure!(
        std::io::stdin().is_terminal(),
        Failure::usage("there is no terminal to ask at; --yes does it without asking")
    );
    screen.ask(&format!("{question} [y/N]"));
    match read_line().await?.as_deref().map(str::trim) {
        Some("y" | "Y" | "yes" | "Yes") => Ok(()),
        _ => bail!("not confirmed; nothing was changed"),
    }
}
