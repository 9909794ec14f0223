//! Completions for shells, and manual pages. Both follow from the commands.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;

use crate::output;

/// Prints the script that completes the commands in a shell.
pub(crate) fn completions(command: &mut Command, shell: clap_complete::Shell) {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    output::write(format_args!("{}", String::from_utf8_lossy(&script)));
}

/// Prints the manual page, or writes those of all commands into a folder.
///
/// # Errors
/// A folder that cannot be created, and files that cannot be written.
pub(crate) fn write(command: Command, dir: Option<&Path>) -> anyhow::Result<()> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page).context("the manual page cannot be written")?;
        output::write(format_args!("{}", String::from_utf8_lossy(&page)));
        return Ok(());
    };
    fs::create_dir_all(dir)
        .with_context(|| format!("the folder {} cannot be created", dir.display()))?;
    clap_mangen::generate_to(command, dir)
        .with_context(|| format!("the manual pages cannot be written to {}", dir.display()))
}
