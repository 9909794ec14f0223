//! Options of the commands that speak to a server.

use std::path::PathBuf;

use botarmy_client::Selection;
use clap::{Args, Subcommand, ValueEnum};

/// Options of every command that speaks to a server.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Options that name a server and the key for it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerOptions {
    /// The address of the server, such as https://botarmy.example [default: BOTARMY_SERVER, then the
    /// profile, then the server on this machine].
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// The profile that names the server and the key [default: BOTARMY_PROFILE, then the default of the file].
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// The file with the key, which no other user may read [default: BOTARMY_KEY_FILE, or that of the profile].
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A PEM file with the authorities that the server's certificate is checked against [default: those
    /// of the system].
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Send the key without encryption, also to another machine.
    #[arg(long, global = true)]
    allow_http: bool,
}

impl ServerOptions {
    /// Returns whether an option names a server.
    pub(crate) const fn names_server(&self) -> bool {
        self.server.is_some() || self.profile.is_some()
    }

    /// Returns the first option that was given, though no option names a server.
    pub(crate) fn without_server(&self) -> Option<&'static str> {
        [
            ("--key-file", self.key_file.is_some()),
            ("--ca-file", self.ca_file.is_some()),
            ("--allow-http", self.allow_http),
        ]
        .into_iter()
        .find_map(|(name, is_given)| (is_given && !self.names_server()).then_some(name))
    }

    /// Returns whether two options name a server.
    pub(crate) const fn is_ambiguous(&self) -> bool {
        self.server.is_some() && self.profile.is_some()
    }

    /// Returns the options as the client has them.
    pub(super) fn selection(&self) -> Selection {
        Selection {
            server: self.server.clone(),
            profile: self.profile.clone(),
            key_file: self.key_file.clone(),
            ca_file: self.ca_file.clone(),
            allow_http: self.allow_http,
        }
    }
}

/// Options of the output.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Print the server's JSON: one document, or a line for each event.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use of colours; NO_COLOR turns them off where it is `auto`.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Times at which colours are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Commands that work on the store itself, or over REST where an option names a server.
#[derive(Debug, Args)]
pub(crate) struct OnServer<C: Subcommand> {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    #[command(subcommand)]
    pub(crate) command: C,
}

/// Settings of the server on this machine, which commands speak to when no other is named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// Settings file.
    pub(crate) config: Option<PathBuf>,
    /// Data folder.
    pub(crate) data_dir: Option<PathBuf>,
}
