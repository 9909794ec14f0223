//! `profiles`: lists the servers that have a name.

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use botarmy_terminal::table::{Cell, Column};
use clap::Args;
use serde_json::json;

use super::options::OutputOptions;
use super::screen::Screen;

/// Options of `profiles`.
#[derive(Debug, Args)]
pub(crate) struct Profiles {
    #[command(flatten)]
    output: OutputOptions,
}

/// Lists the profiles. Keys are not read.
///
/// # Errors
/// A file of profiles that is not acceptable.
pub(super) fn run(options: &Profiles) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(options.output);
    let path = botarmy_client::Profiles::path(&|name| env::var_os(name))
        .context("there is no folder for settings: neither XDG_CONFIG_HOME nor HOME is set")?;
    let all = botarmy_client::Profiles::load(&path)?;
    let is_default = |name: &String| all.default.as_ref() == Some(name);
    if screen.is_json {
        let profiles: Vec<_> = all
            .profiles
            .iter()
            .map(|(name, profile)| {
                json!({
                    "name": name, "server": profile.server, "key_file": profile.key_file,
                    "key_env": profile.key_env, "ca_file": profile.ca_file,
                    "allow_http": profile.allow_http, "is_default": is_default(name),
                })
            })
            .collect();
        screen.json(&profiles);
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        Column::whole(""),
        Column::cut("NAME", 8),
        Column::cut("SERVER", 20),
        Column::cut("KEY", 8).optional(),
    ];
    let rows: Vec<_> = all
        .profiles
        .iter()
        .map(|(name, profile)| {
            let key = match (&profile.key_file, &profile.key_env) {
                (Some(file), _) => file.display().to_string(),
                (None, Some(variable)) => format!("${variable}"),
                (None, None) => "none".to_owned(),
            };
            vec![
                Cell::new(if is_default(name) { "*" } else { "" }),
                Cell::new(name),
                Cell::new(&profile.server),
                Cell::new(&key),
            ]
        })
        .collect();
    screen.table(&columns, &rows, &format!("There are no profiles in {}.", path.display()));
    Ok(ExitCode::SUCCESS)
}
