//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use botarmy_domain::log::HeadMark;
use botarmy_domain::{Oversight, ProjectId};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::access::grants::{self, Grants};
use crate::access::keys::{self, Keys};
use crate::access::login::{self, Login};
use crate::access::sessions::{self, Sessions};
#[cfg(feature = "client")]
use crate::client::{self, ClientCommand, OnServer, Place, ServerOptions};
use crate::health_check::Target;
use crate::output::say;
use crate::settings::{self, Role, Settings};
use crate::{audit, backup, copy, health_check, logging, manual, migrate, run, serve};

/// Takes a product idea through a workflow of AI agents, with people deciding at the gates and
/// everything in an append-only log, and ends with a package.
///
/// Without a command it starts the server. config/default.toml has every setting with its default;
/// set your own with --config FILE or with variables such as BOTARMY_HTTP__PORT=9000.
#[derive(Debug, Parser)]
#[command(name = "botarmy-server", version, max_term_width = 100)]
struct Cli {
    /// A settings file (TOML) with the keys it changes.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Options of `serve`, the default command.
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server: answer REST and WebSocket clients, and let the agents work (the default).
    Serve(Serve),
    /// Let the agents work, and answer health probes only: the same as `serve --role worker`.
    Worker(Serve),
    /// Take one idea to a package, in the terminal.
    ///
    /// It does the work itself, on the data folder; with --server or --profile that server does it.
    Run(Run),
    /// Migrate the database to the version of this binary, or show its version.
    Migrate(Migrate),
    /// Ask a running server whether it is ready: exit code 0 if it is, 1 if it is not.
    HealthCheck(HealthCheck),
    /// Create, list, revoke and replace the keys that clients need, in the store itself.
    ///
    /// Whoever can read and write the store needs no key for this. While a server uses a SQLite
    /// database, ask it instead, with --server or --profile.
    Keys(OnStore<Keys>),
    /// Show and set what persons and programs may do, in the store itself.
    ///
    /// With --server or --profile it asks that server.
    Grants(OnStore<Grants>),
    /// Print a one-time link with which a person signs in to the console, in a browser.
    ///
    /// The link is good for ten minutes. While a server uses a SQLite database, the command asks that
    /// server for it, with the key in admin.header.
    Login(Login),
    /// List and end the sessions of people who are signed in to the console, in the store itself.
    ///
    /// While a server uses a SQLite database, ask it instead, with --server or --profile.
    Sessions(OnStore<Sessions>),
    /// Copy everything to another database, or back it up.
    #[command(subcommand)]
    Store(Store),
    /// Check logs, and the stored state against them.
    #[command(subcommand)]
    Audit(Audit),
    /// Connect an assistant to a server: a Model Context Protocol server on standard input and output.
    ///
    /// The assistant starts this command. It reads gates, documents and projects and starts projects with
    /// your key, and answers gates only with --allow-answers.
    #[cfg(feature = "mcp")]
    Mcp(crate::mcp::Mcp),
    /// Print the OpenAPI document.
    Openapi,
    #[cfg(feature = "client")]
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the script that completes the commands in a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a folder.
    Man {
        /// The folder for one page for each command. It must exist.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[cfg(feature = "client")]
type OnStore<C> = OnServer<C>;

/// Commands that work on the store itself.
#[cfg(not(feature = "client"))]
#[derive(Debug, Args)]
struct OnStore<C: Subcommand> {
    #[command(subcommand)]
    command: C,
}

#[derive(Debug, Default, Args)]
struct Serve {
    /// The address to listen on, or localhost [default: 127.0.0.1].
    #[arg(long, value_parser = host)]
    host: Option<IpAddr>,
    /// The port to listen on; 0 takes a free one [default: 8080].
    #[arg(long)]
    port: Option<u16>,
    /// The part of the work that this process does [default: all].
    #[arg(long, value_enum)]
    role: Option<Role>,
}

impl Serve {
    /// Returns the first option that was given.
    fn first_option(&self) -> Option<&'static str> {
        [
            ("--host", self.host.is_some()),
            ("--port", self.port.is_some()),
            ("--role", self.role.is_some()),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }
}

impl Cli {
    /// Moves the options of `serve` that stand before the command, or without one, to `serve`. Ends
    /// the program if the command has no use for them.
    fn place_options_of_serve(&mut self) {
        let before = std::mem::take(&mut self.serve);
        let Some(option) = before.first_option() else { return };
        match &mut self.command {
            None => self.command = Some(Command::Serve(before)),
            Some(Command::Serve(serve) | Command::Worker(serve)) => {
                serve.host = serve.host.or(before.host);
                serve.port = serve.port.or(before.port);
                serve.role = serve.role.or(before.role);
            }
            Some(_) => {
                let message = format!("{option} is an option of `serve` and `worker` only");
                Self::command().error(ErrorKind::ArgumentConflict, message).exit();
            }
        }
    }
}

/// Reads the address of a host.
fn host(text: &str) -> Result<IpAddr, String> {
    settings::host(text).ok_or_else(|| format!("{text:?} is no IP address, and not localhost"))
}

#[derive(Debug, Args)]
struct Run {
    /// The product to build, in a sentence or more.
    idea: String,
    /// Approve every gate without asking.
    #[arg(long)]
    yes: bool,
    /// The file of the package [default: NAME_artifacts.zip in the current folder].
    #[arg(long, value_name = "FILE.zip")]
    out: Option<PathBuf>,
    /// The name of the project [default: the beginning of the idea].
    #[arg(long)]
    name: Option<String>,
    /// The workflow to follow.
    #[arg(long, default_value = "sdlc")]
    workflow: String,
    /// The oversight level, which sets how many gates there are: low, standard or high.
    #[arg(long, default_value = "standard")]
    oversight: Oversight,
    #[cfg(feature = "client")]
    #[command(flatten)]
    server: ServerOptions,
}

impl Run {
    /// Returns the options as the command has them.
    fn wish(self, config: Option<PathBuf>) -> run::Wish {
        let Self { idea, yes, out, name, workflow, oversight, .. } = self;
        run::Wish { idea, yes, out, name, workflow, oversight, config }
    }
}

#[derive(Debug, Args)]
struct Migrate {
    /// Show the version of the database, and change nothing.
    #[arg(long, conflicts_with_all = ["down", "dry_run"])]
    status: bool,
    /// Revert the last migration.
    #[arg(long, conflicts_with = "dry_run")]
    down: bool,
    /// Show what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct HealthCheck {
    /// The address to request, such as http://127.0.0.1:8080/livez; without a path it is /readyz
    /// [default: the server on this machine with the same settings].
    #[arg(long)]
    url: Option<String>,
    /// A PEM file with the authorities that an https address is checked against, or with the
    /// certificate itself [default: the authorities of the system].
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Store {
    /// Copy a whole installation into an empty database, and compare both sides.
    ///
    /// An address is postgres://USER:PASSWORD@HOST:PORT/DATABASE for PostgreSQL, sqlite:DIR for the
    /// data directory DIR, or env:NAME for the variable NAME that holds one of these and keeps a
    /// password off the command line.
    ///
    /// Stop every server on either side first. If the copy is interrupted, the same command
    /// continues where it was; until it has finished, no server starts on the target. The exit code
    /// is 0 only if every row of both sides is the same and every hash is valid.
    Copy {
        /// The source. It is not changed.
        #[arg(long, value_name = "ADDRESS")]
        from: String,
        /// The target. It has to be empty.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// The most rows that are committed together.
        #[arg(long, value_name = "ROWS", hide = true)]
        chunk: Option<u32>,
    },
    /// Back the SQLite database of the data folder up to a new file, also while a server uses it.
    ///
    /// The file holds everything as of one moment, and every log in it is verified. To restore it,
    /// put it into an empty data folder as botarmy.db.
    Backup {
        /// The file to create. It must not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Check an exported log: every hash, every position, and that the end is not missing.
    ///
    /// Prints the head that was checked. To find out later whether the end of the log was removed or
    /// rewritten, note it and pass it to --head.
    Verify {
        /// A file from GET /api/v1/audit/projects/{id}/export, or - for standard input.
        file: PathBuf,
        /// A head that was noted earlier: the log has to contain it.
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<HeadMark>,
    },
    /// Compare the stored state with the logs: every project, task, request, artifact and package.
    ///
    /// Every log is checked first, then each row is compared with the entries that it follows from,
    /// and each document with its digest. The first difference of each log is named. While a server
    /// uses a SQLite database, ask it instead: GET /api/v1/audit/projects/{id}/verify?state=true.
    VerifyState {
        /// The project to check [default: all projects and the system log].
        #[arg(long, value_name = "ID")]
        project: Option<ProjectId>,
    },
}

#[cfg(feature = "client")]
impl Command {
    /// Returns whether the command speaks to a server, rather than being one or using its store.
    ///
    /// # Errors
    /// Options for a server that no option names.
    fn is_remote(&self) -> anyhow::Result<bool> {
        let server = match self {
            Self::Client(_) => return Ok(true),
            Self::Run(run) => &run.server,
            Self::Keys(keys) => &keys.server,
            Self::Grants(grants) => &grants.server,
            Self::Sessions(sessions) => &sessions.server,
            _ => return Ok(false),
        };
        if let Some(option) = server.without_server() {
            let reason = format!("{option} needs --server or --profile here");
            anyhow::bail!(client::Failure::usage(reason));
        }
        Ok(server.names_server())
    }
}

/// Runs a command that speaks to a server. It reads no settings, and starts no log.
#[cfg(feature = "client")]
async fn remote(command: Command, place: &Place) -> anyhow::Result<ExitCode> {
    match command {
        Command::Client(command) => client::run(command, place).await,
        Command::Keys(OnServer { server, command }) => {
            client::interruptible(client::access::keys(command, &server, place)).await
        }
        Command::Grants(OnServer { server, command }) => {
            client::interruptible(client::access::grants(command, &server, place)).await
        }
        Command::Sessions(OnServer { server, command }) => {
            client::interruptible(client::access::sessions(command, &server, place)).await
        }
        Command::Run(run) => {
            let server = run.server.clone();
            client::run::run(&server, place, run.wish(None)).await
        }
        _ => unreachable!("`Command::is_remote` names these commands"),
    }
}

/// Returns the exit code for an error: 1, or one that says more for commands that speak to a server.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "client")]
    return ExitCode::from(client::exit_code(error));
    #[cfg(not(feature = "client"))]
    {
        let _ = error;
        ExitCode::FAILURE
    }
}

/// Reads the command line and runs the command.
///
/// # Errors
/// Returns the error of the command, worded for the terminal.
pub async fn main() -> anyhow::Result<ExitCode> {
    let mut cli = Cli::parse();
    cli.place_options_of_serve();
    let config = cli.config.clone();
    match cli.command {
        Some(Command::Openapi) => {
            say!("{}", botarmy_http::openapi());
            return Ok(ExitCode::SUCCESS);
        }
        #[cfg(feature = "mcp")]
        Some(Command::Mcp(command)) => return crate::mcp::run(command).await,
        Some(Command::Audit(Audit::Verify { file, head })) => return audit::verify(&file, head),
        Some(Command::HealthCheck(HealthCheck { url: Some(url), ca })) => {
            return health_check::health_check(&Target::other(url, ca));
        }
        Some(Command::Store(Store::Copy { from, to, chunk })) => {
            return copy::copy(&from, &to, chunk).await;
        }
        Some(Command::Completions { shell }) => {
            manual::completions(&mut Cli::command(), shell);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Man { dir }) => {
            manual::write(Cli::command(), dir.as_deref())?;
            return Ok(ExitCode::SUCCESS);
        }
        #[cfg(feature = "client")]
        Some(command) if command.is_remote()? => {
            let place = Place { config, data_dir: cli.data_dir };
            return remote(command, &place).await;
        }
        command => cli.command = command,
    }
    let mut settings = Settings::load(cli.config.as_deref(), std::env::vars())?;
    if let Some(data_dir) = cli.data_dir {
        settings.store.data_dir = data_dir;
    }
    match cli.command {
        Some(Command::Run(run)) => {
            logging::start(&settings.log, true)?;
            run::run(&settings, run.wish(config)).await
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
        Some(Command::Keys(keys)) => keys::run(&settings, keys.command).await,
        Some(Command::Grants(grants)) => grants::run(&settings, grants.command).await,
        Some(Command::Login(login)) => login::run(&settings, login).await,
        Some(Command::Sessions(sessions)) => sessions::run(&settings, sessions.command).await,
        Some(Command::HealthCheck(_)) => health_check::health_check(&Target::own(&settings)),
        Some(Command::Store(Store::Backup { to })) => backup::backup(&settings, &to).await,
        Some(Command::Audit(Audit::VerifyState { project })) => {
            audit::verify_stored_state(&settings, project).await
        }
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
            settings.check_exposure()?;
            logging::start(&settings.log, false)?;
            serve::serve(&settings).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Cli {
        let mut cli = Cli::try_parse_from([&["botarmy-server"], arguments].concat()).unwrap();
        cli.place_options_of_serve();
        cli
    }

    #[test]
    fn the_options_of_serve_work_without_its_name() {
        for arguments in [
            &["--port", "9000", "--host", "localhost"][..],
            &["serve", "--port", "9000", "--host", "LOCALHOST"],
            &["--port", "9000", "serve", "--host", "127.0.0.1"],
        ] {
            let Some(Command::Serve(serve)) = parsed(arguments).command else {
                panic!("{arguments:?} is not `serve`")
            };
            assert_eq!(serve.port, Some(9000), "{arguments:?}");
            assert_eq!(serve.host, Some(IpAddr::from([127, 0, 0, 1])), "{arguments:?}");
        }
        assert!(Cli::try_parse_from(["botarmy-server", "--host", "nowhere"]).is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
