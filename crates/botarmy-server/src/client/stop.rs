//! `stop`: stops work in an emergency, and releases a stop.

use std::process::ExitCode;

use botarmy_domain::{AgentType, ProjectId};
use botarmy_terminal::Style;
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::one_line;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::confirm::confirm;
use super::options::{Common, Place};
use super::session::Session;
use super::values::{age, list, number, text};

/// Commands for emergency stops.
#[derive(Debug, Subcommand)]
pub(crate) enum Stop {
    /// List the stops in force.
    List,
    /// End running attempts within a second, and start nothing until the stop is released. Asks first.
    Work(Change),
    /// Release a stop. Asks first.
    Release(Change),
}

/// Options of `stop work` and `stop release`.
#[derive(Debug, Args)]
pub(crate) struct Change {
    #[command(flatten)]
    scope: Scope,
    /// The reason, for people who find the work stopped, and for the log.
    #[arg(long)]
    reason: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Work that a stop is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Scope {
    /// All work.
    #[arg(long)]
    everything: bool,
    /// The work of an agent type.
    #[arg(long, value_name = "TYPE")]
    agent: Option<AgentType>,
    /// The work of a project.
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
}

impl Scope {
    /// Returns the members by which the server knows the scope.
    fn members(&self) -> Vec<(&'static str, String)> {
        match (self.agent, self.project) {
            (Some(agent), _) => {
                vec![("scope", "agent_type".to_owned()), ("agent_type", agent.to_string())]
            }
            (None, Some(project)) => {
                vec![("scope", "project".to_owned()), ("project_id", project.to_string())]
            }
            (None, None) => vec![("scope", "everything".to_owned())],
        }
    }

    fn words(&self) -> String {
        match (self.agent, self.project) {
            (Some(agent), _) => format!("the work of every {agent}"),
            (None, Some(project)) => format!("the work of the project {project}"),
            (None, None) => "all work".to_owned(),
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(command: Stop, common: &Common, place: &Place) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    let screen = &session.screen;
    match command {
        Stop::List => listed(&session).await?,
        Stop::Work(Change { scope, reason, yes }) => {
            confirm(screen, &format!("Stop {}?", scope.words()), yes).await?;
            let mut body = Map::new();
            body.extend(
                scope.members().into_iter().map(|(name, value)| (name.into(), value.into())),
            );
            body.insert("reason".to_owned(), reason.into());
            let stopped = session.client.post(&["emergency-stop"], &body.into()).await?;
            if screen.is_json {
                screen.json(&stopped);
            } else {
                let count = number(&stopped, "/interrupted");
                screen.print(&format!(
                    "Stopped {}; {count} tasks were interrupted and are back in the queue.",
                    scope.words()
                ));
            }
        }
        Stop::Release(Change { scope, reason, yes }) => {
            confirm(screen, &format!("Release {}?", scope.words()), yes).await?;
            let mut members = scope.members();
            members.push(("reason", reason));
            let query: Vec<_> =
                members.iter().map(|(name, value)| (*name, value.as_str())).collect();
            session.client.delete(&["emergency-stop"], &query).await?;
            if screen.is_json {
                screen.json(&Value::Null);
            } else {
                screen.print(&format!("Released {}.", scope.words()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn listed(session: &Session) -> anyhow::Result<()> {
    let stops = session.client.get(&["emergency-stop"], &[]).await?;
    if session.screen.is_json {
        session.screen.json(&stops);
        return Ok(());
    }
    let columns = [
        Column::cut("STOPPED", 12),
        Column::cut("REASON", 14),
        Column::cut("BY", 8),
        Column::whole("SINCE").optional(),
    ];
    let row = |stop: &Value| {
        let scope = match text(stop, "/scope") {
            "agent_type" => text(stop, "/agent_type").to_owned(),
            "project" => text(stop, "/project_id").to_owned(),
            other => one_line(other, 40),
        };
        vec![
            Cell::new(&scope).with(Style::Bad),
            Cell::new(text(stop, "/reason")),
            Cell::new(text(stop, "/stopped_by")),
            Cell::new(&age(stop, "/stopped_at")),
        ]
    };
    let rows: Vec<_> = list(&stops, "/stops").iter().map(row).collect();
    session.screen.table(&columns, &rows, "Nothing is stopped.");
    Ok(())
}
