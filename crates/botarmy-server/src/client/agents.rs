//! `agents`: shows and resets the agent types.

use std::process::ExitCode;

use botarmy_domain::AgentType;
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::one_line;
use clap::Subcommand;
use serde_json::{Value, json};

use super::options::{Common, Place};
use super::session::Session;
use super::values::{age, number, text};

/// Commands for agent types.
#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Show what each agent type is doing.
    Status,
    /// Clear the error state of an agent type.
    Reset {
        /// The agent type: analyst, architect, coder, tester, deployer or orchestrator.
        agent: AgentType,
    },
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(
    command: Agents,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    let screen = &session.screen;
    match command {
        Agents::Status => {
            let statuses = session.client.get(&["agents", "status"], &[]).await?;
            if screen.is_json {
                screen.json(&statuses);
                return Ok(ExitCode::SUCCESS);
            }
            let columns = [
                Column::whole("AGENT"),
                Column::whole("STATUS"),
                Column::whole("TASKS"),
                Column::whole("ACTIVE").optional(),
                Column::cut("ERROR", 10),
            ];
            let row = |agent: &Value| {
                vec![
                    Cell::new(text(agent, "/agent_type")),
                    Cell::status(text(agent, "/status")),
                    Cell::new(&number(agent, "/active_tasks").to_string()),
                    Cell::new(&format!("{} ago", age(agent, "/last_activity"))),
                    Cell::new(text(agent, "/error_message")),
                ]
            };
            let all = statuses.as_object().into_iter().flat_map(|all| all.values());
            let rows: Vec<_> = all.map(row).collect();
            screen.table(&columns, &rows, "There are no agent types.");
        }
        Agents::Reset { agent } => {
            let path = ["agents", "status", agent.as_str(), "reset"];
            let reset = session.client.post(&path, &json!({})).await?;
            if screen.is_json {
                screen.json(&reset);
            } else {
                screen.print(&one_line(text(&reset, "/message"), 400));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
