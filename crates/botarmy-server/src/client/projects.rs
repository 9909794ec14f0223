//! `projects`: lists, shows, creates, watches and steers projects.

use std::process::ExitCode;

use botarmy_domain::{Oversight, ProjectId, ProjectStatus};
use botarmy_terminal::Style;
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::{one_line, printable};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::confirm::confirm;
use super::follow::{self, Watch};
use super::options::{Common, Place};
use super::session::Session;
use super::summary::{activity, took};
use super::values::{age, list, number, text};
use crate::output::say;

/// Commands for projects.
#[derive(Debug, Subcommand)]
pub(crate) enum Projects {
    /// List the projects, newest first.
    List(List),
    /// Show a project: its steps, what it waits for, and what it has used.
    Show {
        /// The id of the project.
        id: ProjectId,
    },
    /// Create a project, and print its id.
    ///
    /// With a workflow it starts at once. Without one it waits for tasks: see `tasks create`.
    Create(Create),
    /// Show what happens in a project until it ends.
    ///
    /// A connection that is lost is made again, and nothing is left out. The exit code is 0 when the
    /// project is completed, 1 when it ends otherwise, and 130 after Ctrl-C.
    Watch(Watch),
    /// Pause a project; running tasks finish.
    Pause {
        /// The id of the project.
        id: ProjectId,
    },
    /// Resume a paused project.
    Resume {
        /// The id of the project.
        id: ProjectId,
    },
    /// Cancel a project for good. Asks first.
    Cancel {
        /// The id of the project.
        id: ProjectId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Reopen a halted project: the step that was rejected is put up for review again.
    Reopen {
        /// The id of the project.
        id: ProjectId,
        /// The reason, for the log.
        #[arg(long)]
        reason: String,
    },
}

/// Options of `projects list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this status: active, paused, completed, halted, failed or cancelled.
    #[arg(long)]
    status: Option<ProjectStatus>,
    /// The most projects to list.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Options of `projects create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The name of the project.
    name: String,
    /// The idea: the product to build, in a sentence or more.
    #[arg(long, value_name = "TEXT")]
    idea: Option<String>,
    /// The workflow to follow, such as sdlc [default: none].
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// The oversight level, which sets how many gates there are: low, standard or high.
    #[arg(long, value_name = "LEVEL")]
    oversight: Option<Oversight>,
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(
    command: Projects,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    match command {
        Projects::List(options) => listed(&session, &options).await?,
        Projects::Show { id } => show(&session, id).await?,
        Projects::Create(options) => create(&session, options).await?,
        Projects::Watch(options) => return follow::watch(&session, &options).await,
        Projects::Pause { id } => change(&session, id, "pause", json!({})).await?,
        Projects::Resume { id } => change(&session, id, "resume", json!({})).await?,
        Projects::Reopen { id, reason } => {
            change(&session, id, "reopen", json!({ "reason": reason })).await?;
        }
        Projects::Cancel { id, yes } => {
            if !yes {
                let project = session.client.get(&["projects", &id.to_string()], &[]).await?;
                let name = one_line(text(&project, "/name"), 60);
                let question = format!("Cancel the project \"{name}\" for good?");
                confirm(&session.screen, &question, yes).await?;
            }
            change(&session, id, "cancel", json!({})).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn listed(session: &Session, options: &List) -> anyhow::Result<()> {
    let status = options.status.map(|status| status.to_string());
    let query: Vec<_> = status.iter().map(|status| ("status", status.as_str())).collect();
    let mut items = session.client.items(&["projects"], &query, options.limit);
    let mut projects = Vec::new();
    while let Some(project) = items.next().await? {
        projects.push(project);
    }
    if session.screen.is_json {
        session.screen.json(&projects);
    } else {
        let columns = [
            Column::whole("ID"),
            Column::whole("STATUS"),
            Column::cut("NAME", 8),
            Column::cut("NOW", 12).optional(),
            Column::whole("AGE").optional(),
        ];
        let row = |project: &Value| {
            vec![
                Cell::new(text(project, "/id")),
                Cell::status(text(project, "/status")),
                Cell::new(text(project, "/name")),
                Cell::new(&activity(project)),
                Cell::new(&age(project, "/created_at")),
            ]
        };
        let rows: Vec<_> = projects.iter().map(row).collect();
        session.screen.table(&columns, &rows, "There are no such projects.");
    }
    if items.has_more() {
        session.screen.note("There are more projects; --limit N shows them.");
    }
    Ok(())
}

async fn show(session: &Session, id: ProjectId) -> anyhow::Result<()> {
    let id = id.to_string();
    let project = session.client.get(&["projects", &id], &[]).await?;
    if session.screen.is_json {
        session.screen.json(&project);
        return Ok(());
    }
    let used = session.client.get(&["projects", &id, "usage"], &[]).await?;
    let screen = &session.screen;
    say!("{}", screen.title(&one_line(text(&project, "/name"), 300)));
    let description = printable(text(&project, "/description"));
    if !description.trim().is_empty() && description != text(&project, "/name") {
        screen.print(&one_line(&description, 600));
    }
    say!();
    for (name, value) in facts(&project, &used) {
        screen.print(&format!("{name:<10} {value}"));
    }
    let steps = list(&project, "/progress/steps");
    if !steps.is_empty() {
        say!();
        let columns = [
            Column::whole(""),
            Column::cut("STEP", 16),
            Column::whole("AGENT"),
            Column::whole("RUNS").optional(),
            Column::cut("PHASE", 8).optional(),
        ];
        let rows: Vec<_> = steps.iter().map(step).collect();
        screen.table(&columns, &rows, "");
    }
    Ok(())
}

fn step(step: &Value) -> Vec<Cell> {
    let status = text(step, "/status");
    let (mark, style) = match status {
        "done" => ("✓", Style::Good),
        "running" => ("▸", Style::Code),
        "in_review" => ("?", Style::Warning),
        "failed" => ("✗", Style::Bad),
        "skipped" => ("-", Style::Dim),
        _ => ("·", Style::Dim),
    };
    vec![
        Cell::new(mark).with(style),
        Cell::new(text(step, "/name")),
        Cell::new(text(step, "/agent_type")),
        Cell::new(&number(step, "/runs").to_string()),
        Cell::new(text(step, "/phase")),
    ]
}

fn facts(project: &Value, used: &Value) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Id", text(project, "/id").to_owned())];
    let mut status = text(project, "/status").to_owned();
    let by = one_line(text(project, "/status_by"), 100);
    if !by.is_empty() {
        status = format!("{status}, by {by}");
    }
    let reason = one_line(text(project, "/status_reason"), 400);
    if !reason.is_empty() {
        status = format!("{status}: {reason}");
    }
    facts.push(("Status", status));
    let activity = activity(project);
    if !activity.is_empty() {
        facts.push(("Now", format!("{activity}, for {}", age(project, "/activity/since"))));
    }
    let workflow = one_line(text(project, "/workflow"), 100);
    let workflow = if workflow.is_empty() { "none".to_owned() } else { workflow };
    facts.push(("Workflow", format!("{workflow}, {} oversight", text(project, "/oversight"))));
    let tasks = |status: &str| number(project, &format!("/counts/tasks/{status}"));
    facts.push((
        "Tasks",
        format!(
            "{} of {} completed, {} failed",
            tasks("completed"),
            tasks("total"),
            tasks("failed")
        ),
    ));
    let (open, artifacts) =
        (number(project, "/counts/open_requests"), number(project, "/counts/artifacts"));
    facts.push(("Gates", format!("{open} open")));
    facts.push(("Documents", artifacts.to_string()));
    facts.push(("Took", took(project, used)));
    facts
}

async fn create(session: &Session, options: Create) -> anyhow::Result<()> {
    let project = session.client.post(&["projects"], &new_project(options)).await?;
    if session.screen.is_json {
        session.screen.json(&project);
        return Ok(());
    }
    // The id alone, for scripts.
    say!("{}", one_line(text(&project, "/id"), 100));
    let name = one_line(text(&project, "/name"), 100);
    session.screen.note(&format!("Created the project \"{name}\"."));
    Ok(())
}

/// Returns the request for a new project.
fn new_project(options: Create) -> Value {
    let Create { name, idea, workflow, oversight } = options;
    let mut body = Map::new();
    body.insert("name".to_owned(), name.into());
    let oversight = oversight.map(|level| level.to_string());
    for (key, value) in [("description", idea), ("workflow", workflow), ("oversight", oversight)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.into());
        }
    }
    body.into()
}

async fn change(session: &Session, id: ProjectId, verb: &str, body: Value) -> anyhow::Result<()> {
    let project = session.client.post(&["projects", &id.to_string(), verb], &body).await?;
    if session.screen.is_json {
        session.screen.json(&project);
    } else {
        let name = one_line(text(&project, "/name"), 100);
        session.screen.print(&format!("\"{name}\" is {}.", text(&project, "/status")));
    }
    Ok(())
}
