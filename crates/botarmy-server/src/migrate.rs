//! `migrate`: where the database is, and bringing it to the version of this binary.

use std::process::ExitCode;

use crate::settings::Settings;
use crate::stores;

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
pub async fn migrate(settings: &Settings, action: Action) -> anyhow::Result<ExitCode> {
    if let Some(postgres) = stores::postgres(settings)? {
        use botarmy_postgres::migrate;
        match action {
            Action::Status => {
                let states = migrate::status(&postgres).await?;
                print_states(states.into_iter().map(|state| (state.name, state.is_applied)));
            }
            Action::Up => report("Applied", UP_TO_DATE, &migrate::up(&postgres).await?),
            Action::DryRun => {
                report("Would apply", UP_TO_DATE, &migrate::dry_run(&postgres).await?);
            }
            Action::Down => report_down(&migrate::down_one(&postgres).await?),
        }
    } else {
        use botarmy_sqlite::migrate;
        let path = stores::sqlite(settings).path;
        match action {
            Action::Status => {
                let states = migrate::status(&path)?;
                print_states(states.into_iter().map(|state| (state.name, state.is_applied)));
            }
            Action::Up => report("Applied", UP_TO_DATE, &migrate::up(&path)?),
            Action::DryRun => report("Would apply", UP_TO_DATE, &migrate::dry_run(&path)?),
            Action::Down => report_down(&migrate::down_one(&path)?),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_states(states: impl Iterator<Item = (String, bool)>) {
    for (name, is_applied) in states {
        println!("{}  {name}", if is_applied { "applied" } else { "pending" });
    }
}

fn report_down(undone: &Option<String>) {
    report("Took back", "Nothing to take back.", undone.as_slice());
}

fn report(verb: &str, nothing: &str, names: &[String]) {
    if names.is_empty() {
        println!("{nothing}");
    }
    for name in names {
        println!("{verb} {name}");
    }
}
