//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use botarmy_domain::Oversight;
use clap::{Args, Parser, Subcommand};

use crate::settings::{Role, Settings};
use crate::{audit, backup, copy, health_check, logging, migrate, run, serve};

/// The control plane for teams of AI agents: an idea goes in, agents work it through a workflow,
/// people decide at gates, everything is in an append-only log, a package comes out.
///
/// Without a command it serves. Every setting with its default is in config/default.toml; give
/// your own with --config FILE or variables such as BOTARMY_HTTP__PORT=9000.
#[derive(Debug, Parser)]
#[command(name = "botarmy-server", version, max_term_width = 100)]
struct Cli {
    /// A settings file (TOML) with the keys it changes.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder everything is kept in [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer REST and WebSocket clients, and let the agents work (what happens without a command).
    Serve(Serve),
    /// Let the agents work, and answer health probes only: `serve --role worker`.
    Worker(Serve),
    /// Take one idea to a package, here in the terminal.
    Run(Run),
    /// Bring the database to the version of this binary, or look where it is.
    Migrate(Migrate),
    /// Ask a running server whether it is ready: exit code 0 when it is, 1 when it is not.
    HealthCheck(HealthCheck),
    /// Move everything to another database, or back it up.
    #[command(subcommand)]
    Store(Store),
    /// Check logs.
    #[command(subcommand)]
    Audit(Audit),
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Args)]
struct Serve {
    /// The address to listen on [default: 127.0.0.1].
    #[arg(long)]
    host: Option<std::net::IpAddr>,
    /// The port to listen on; 0 takes a free one [default: 8080].
    #[arg(long)]
    port: Option<u16>,
    /// What this process does [default: all].
    #[arg(long, value_enum)]
    role: Option<Role>,
}

#[derive(Debug, Args)]
struct Run {
    /// What is to be built, in a sentence or more.
    idea: String,
    /// Approve every gate without asking.
    #[arg(long)]
    yes: bool,
    /// Where the package goes [default: NAME_artifacts.zip here].
    #[arg(long, value_name = "FILE.zip")]
    out: Option<PathBuf>,
    /// What the project is called [default: the beginning of the idea].
    #[arg(long)]
    name: Option<String>,
    /// The workflow to follow.
    #[arg(long, default_value = "sdlc")]
    workflow: String,
    /// How many gates there are: low, standard or high.
    #[arg(long, default_value = "standard")]
    oversight: Oversight,
}

#[derive(Debug, Args)]
struct Migrate {
    /// Only say where the database is.
    #[arg(long, conflicts_with_all = ["down", "dry_run"])]
    status: bool,
    /// Take the last migration back.
    #[arg(long, conflicts_with = "dry_run")]
    down: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct HealthCheck {
    /// What to ask, such as http://127.0.0.1:8080/livez; without a path it is /readyz [default: the
    /// server on this machine that has the same settings].
    #[arg(long)]
    url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Store {
    /// Copy a whole installation into an empty database, and compare both sides.
    ///
    /// An address is postgres://USER:PASSWORD@HOST:PORT/DATABASE for PostgreSQL, sqlite:DIR for the
    /// data directory DIR, or env:NAME for the variable NAME that holds one of these and keeps a
    /// password off the command line.
    ///
    /// Stop every server on either side first. When it is interrupted, the same command goes on
    /// where it was; until it is finished no server starts on the target. The exit code is 0 only
    /// when every row of both sides is the same and every hash is as it should be.
    Copy {
        /// Where everything is. It is not changed.
        #[arg(long, value_name = "ADDRESS")]
        from: String,
        /// Where everything goes. It has to be empty.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// The most rows that are committed at once.
        #[arg(long, value_name = "ROWS", hide = true)]
        chunk: Option<u32>,
    },
    /// Write the SQLite database of the data directory to a new file, also while a server uses it.
    ///
    /// The file holds everything as of one moment; every log in it is verified. To restore, put
    /// it as botarmy.db into an empty data directory.
    Backup {
        /// The file; there must be none yet.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Check an exported log: every hash, every number, and that the end is there.
    Verify {
        /// A file from GET /api/v1/audit/projects/{id}/export, or - for standard input.
        file: PathBuf,
    },
}

/// Reads the command line and does what it says.
///
/// # Errors
/// What went wrong, for the person who typed it.
pub async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Openapi) => {
            println!("{}", botarmy_http::openapi());
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Audit(Audit::Verify { file })) => return audit::verify(&file),
        Some(Command::HealthCheck(HealthCheck { url: Some(url) })) => {
            return health_check::health_check(&url);
        }
        Some(Command::Store(Store::Copy { from, to, chunk })) => {
            return copy::copy(&from, &to, chunk).await;
        }
        _ => {}
    }
    let mut settings = Settings::load(cli.config.as_deref(), std::env::vars())?;
    if let Some(data_dir) = cli.data_dir {
        settings.store.data_dir = data_dir;
    }
    match cli.command {
        Some(Command::Run(run)) => {
            logging::start(&settings.log, true)?;
            let wish = run::Wish {
                idea: run.idea,
                yes: run.yes,
                out: run.out,
                name: run.name,
                workflow: run.workflow,
                oversight: run.oversight,
            };
            run::run(&settings, wish).await
        }
        Some(Command::Migrate(how)) => {
            let action = match how {
                Migrate { status: true, .. } => migrate::Action::Status,
                Migrate { down: true, .. } => migrate::Action::Down,
                Migrate { dry_run: true, .. } => migrate::Action::DryRun,
                Migrate { .. } => migrate::Action::Up,
            };
            migrate::migrate(&settings, action).await
        }
        Some(Command::HealthCheck(_)) => health_check::health_check(&health_check::url(&settings)),
        Some(Command::Store(Store::Backup { to })) => backup::backup(&settings, &to).await,
        command => {
            if matches!(command, Some(Command::Worker(_))) {
                settings.server.role = Role::Worker;
            }
            if let Some(Command::Serve(serve) | Command::Worker(serve)) = command {
                settings.server.role = serve.role.unwrap_or(settings.server.role);
                settings.http.host = serve.host.unwrap_or(settings.http.host);
                settings.http.port = serve.port.unwrap_or(settings.http.port);
                settings.check()?;
            }
            logging::start(&settings.log, false)?;
            serve::serve(&settings).await
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
