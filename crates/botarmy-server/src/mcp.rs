//! `mcp`: an MCP server for an assistant, with a server and a key of the person who uses it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use botarmy_client::{Client, ClientKind, Configuration, Selection};
use botarmy_domain::ports::Ids;
use botarmy_mcp::Options;
use clap::Args;
use uuid::Uuid;

use crate::logging;
use crate::output::say_error;
use crate::settings::Settings;
use crate::system::RandomIds;

/// Options of `mcp`.
#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// The address of the server, such as https://botarmy.example [default: BOTARMY_SERVER, then the
    /// profile].
    #[arg(long, value_name = "URL", conflicts_with = "profile")]
    server: Option<String>,
    /// The profile that names the server and the key [default: BOTARMY_PROFILE, then the default of the
    /// file].
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The file with the key, which no other user may read [default: BOTARMY_KEY_FILE, or that of the
    /// profile].
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A PEM file with the authorities that the server's certificate is checked against [default: those of
    /// the system].
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Send the key without encryption, also to another machine.
    #[arg(long)]
    allow_http: bool,
    /// Let the assistant answer gates. Documents that it reads may try to make it do so: read the page
    /// about assistants in the documentation first.
    #[arg(long)]
    allow_answers: bool,
}

/// Serves an assistant until it closes standard input.
///
/// # Errors
/// No server, a key that cannot be used, or a session that could not begin.
pub(crate) async fn run(command: Mcp) -> anyhow::Result<ExitCode> {
    // Standard output belongs to the protocol, and log lines go to standard error.
    logging::start(&Settings::defaults().log, true)?;
    let options = Options { allows_answers: command.allow_answers };
    let selection = Selection {
        server: command.server,
        profile: command.profile,
        key_file: command.key_file,
        ca_file: command.ca_file,
        allow_http: command.allow_http,
    };
    let connection = selection
        .resolve(&|name| std::env::var_os(name))?
        .context("no server is named. Add --server URL and --key-file FILE, or --profile NAME")?;
    if std::io::stdin().is_terminal() {
        say_error!(
            "This command is for an assistant, which starts it and talks to it (docs/mcp.md). \
             End it with Ctrl-D."
        );
    }
    let client = Client::new(connection, Configuration::new(ClientKind::Mcp, new_key))?;
    botarmy_mcp::serve(client, options, Arc::new(RandomIds)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a new idempotency key.
fn new_key() -> String {
    Uuid::from_u128(RandomIds.seed()).to_string()
}
