//! `migrate`: where the database is, and bringing it to the version of this binary.

use std::process::ExitCode;

use botarmy_sqlite::migrate;

use crate::settings::Settings;
use crate::wiring::DATABASE;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Apply what is missing.
    Up,
    /// Take the last one back.
    Down,
    /// Say where the database is.
    Status,
    /// Say what would be applied.
    DryRun,
}

const UP_TO_DATE: &str = "Nothing to do: the database is up to date.";

/// Does it, and prints what was done.
///
/// # Errors
/// A database that cannot be used.
pub fn migrate(settings: &Settings, action: Action) -> anyhow::Result<ExitCode> {
    let path = settings.store.data_dir.join(DATABASE);
    match action {
        Action::Status => {
            for migration in migrate::status(&path)? {
                let state = if migration.is_applied { "applied" } else { "pending" };
                println!("{state}  {}", migration.name);
            }
        }
        Action::Up => {
            report("Applied", UP_TO_DATE, &migrate::up(&path)?);
        }
        Action::DryRun => {
            report("Would apply", UP_TO_DATE, &migrate::dry_run(&path)?);
        }
        Action::Down => {
            let undone: Vec<_> = migrate::down_one(&path)?.into_iter().collect();
            report("Took back", "Nothing to take back.", &undone);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(verb: &str, nothing: &str, names: &[String]) {
    if names.is_empty() {
        println!("{nothing}");
    }
    for name in names {
        println!("{verb} {name}");
    }
}
