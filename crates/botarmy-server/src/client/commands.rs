//! The commands that speak to a server, each with its group.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::agents::{self, Agents};
use super::gate_acts::{self, Delegations};
use super::gates::{self, Gates};
use super::log::{self, Log};
use super::options::{Common, Place};
use super::package::{self, PackageCommand};
use super::profiles::{self, Profiles};
use super::projects::{self, Projects};
use super::stop::{self, Stop};
use super::tasks::{self, Tasks};

/// Commands that speak to a server.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// List, create, watch and steer projects on a server.
    Projects(Group<Projects>),
    /// List, create, cancel and retry tasks on a server.
    Tasks(Group<Tasks>),
    /// Show and answer requests to people on a server.
    Gates(Group<Gates>),
    /// Show and set who answers requests in your place on a server.
    Delegation(Group<Delegations>),
    /// List and download the package of a project on a server.
    Package(Group<PackageCommand>),
    /// Follow and search the logs of a server.
    Log(Group<Log>),
    /// Show and reset the agent types of a server.
    Agents(Group<Agents>),
    /// Stop work on a server in an emergency, and release a stop.
    Stop(Group<Stop>),
    /// List the profiles: servers by name.
    Profiles(Profiles),
}

/// Commands about one thing, with the options that all of them have.
#[derive(Debug, Args)]
pub(crate) struct Group<C: Subcommand> {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: C,
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(command: ClientCommand, place: &Place) -> anyhow::Result<ExitCode> {
    match command {
        ClientCommand::Projects(all) => projects::run(all.command, &all.common, place).await,
        ClientCommand::Tasks(all) => tasks::run(all.command, &all.common, place).await,
        ClientCommand::Gates(all) => gates::run(all.command, &all.common, place).await,
        ClientCommand::Delegation(all) => {
            gate_acts::run_delegation(all.command, &all.common, place).await
        }
        ClientCommand::Package(all) => package::run(all.command, &all.common, place).await,
        ClientCommand::Log(all) => log::run(all.command, &all.common, place).await,
        ClientCommand::Agents(all) => agents::run(all.command, &all.common, place).await,
        ClientCommand::Stop(all) => stop::run(all.command, &all.common, place).await,
        ClientCommand::Profiles(all) => profiles::run(&all),
    }
}
