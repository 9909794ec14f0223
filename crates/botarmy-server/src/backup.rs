//! `store backup`: the SQLite file as it is at this moment, while a server may be using it.

use std::path::Path;
use std::process::ExitCode;

use botarmy_sqlite::SqliteDatabaseCopy;

use crate::copy::{Progress, check_logs};
use crate::output::say;
use crate::settings::Settings;
use crate::stores;

/// Writes the backup, verifies every log in it, and prints what it holds.
///
/// # Errors
/// A database that cannot be backed up, a file that exists. A file that was written and is not
/// sound stays where it is, for whoever looks into it.
pub async fn backup(settings: &Settings, to: &Path) -> anyhow::Result<ExitCode> {
    #[cfg(feature = "postgres")]
    if let Some(postgres) = stores::postgres(settings)? {
        anyhow::bail!(
            "store.url names {}: back PostgreSQL up with its own tools, such as pg_dump; this is \
             for the SQLite file in a data directory",
            postgres.url
        );
    }
    botarmy_sqlite::backup(&stores::sqlite(settings).path, to)?;
    let mut backup = SqliteDatabaseCopy::file(to)?;
    let logs = check_logs(&mut backup, &mut Progress::new()).await?;
    if logs.bad.is_empty() {
        say!(
            "Wrote {}: {} logs with {} entries, every hash verified.",
            to.display(),
            logs.logs,
            logs.entries
        );
        return Ok(ExitCode::SUCCESS);
    }
    for bad in &logs.bad {
        say!("BAD: {bad}");
    }
    say!("{} holds what the database holds, and that is not sound.", to.display());
    Ok(ExitCode::FAILURE)
}
