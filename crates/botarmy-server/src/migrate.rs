//! `migrate`: where the database is, and bringing it to the version of this binary.

use std::process::ExitCode;

use crate::output::say;
use crate::settings::Settings;
use crate::stores;

/// Action of the command.
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
    #[cfg(feature = "postgres")]
    if let Some(postgres) = stores::postgres(settings)? {
        migrate_postgres(&postgres, action).await?;
        return Ok(ExitCode::SUCCESS);
    }
    migrate_sqlite(&stores::sqlite(settings).path, action)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "postgres")]
async fn migrate_postgres(
    settings: &botarmy_postgres::PostgresSettings,
    action: Action,
) -> anyhow::Result<()> {
    use botarmy_postgres::migrate;
    match action {
        Action::Status => {
            let states = migrate::status(settings).await?;
            print_states(states.into_iter().map(|state| (state.name, state.is_applied)));
        }
        Action::Up => report("Applied", UP_TO_DATE, &migrate::up(settings).await?),
        Action::DryRun => report("Would apply", UP_TO_DATE, &migrate::dry_run(settings).await?),
        Action::Down => report_down(migrate::down_one(settings).await?.as_ref()),
    }
    Ok(())
}

fn migrate_sqlite(path: &std::path::Path, action: Action) -> anyhow::Result<()> {
    use botarmy_sqlite::migrate;
    match action {
        Action::Status => {
            let states = migrate::status(path)?;
            print_states(states.into_iter().map(|state| (state.name, state.is_applied)));
        }
        Action::Up => report("Applied", UP_TO_DATE, &migrate::up(path)?),
        Action::DryRun => report("Would apply", UP_TO_DATE, &migrate::dry_run(path)?),
        Action::Down => report_down(migrate::down_one(path)?.as_ref()),
    }
    Ok(())
}

fn print_states(states: impl Iterator<Item = (String, bool)>) {
    for (name, is_applied) in states {
        say!("{}  {name}", if is_applied { "applied" } else { "pending" });
    }
}

fn report_down(undone: Option<&String>) {
    report("Took back", "Nothing to take back.", undone.map_or(&[], std::slice::from_ref));
}

fn report(verb: &str, nothing: &str, names: &[String]) {
    if names.is_empty() {
        say!("{nothing}");
    }
    for name in names {
        say!("{verb} {name}");
    }
}
