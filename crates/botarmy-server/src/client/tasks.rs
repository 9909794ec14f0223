//! `tasks`: lists, shows, creates, cancels and retries tasks.

use std::process::ExitCode;

use botarmy_domain::{AgentType, ContextId, ProjectId, TaskId, TaskStatus};
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::{duration, one_line, printable, usage, wrap_hard};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::confirm::confirm;
use super::options::{Common, Place};
use super::session::Session;
use super::values::{age, number, object, text, time};
use crate::output::say;

/// Commands for tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum Tasks {
    /// List the tasks of a project, oldest first.
    List(List),
    /// Show a task: its instructions, its output or its error.
    Show {
        /// The id of the task.
        id: TaskId,
        /// Print it at once, without a pager.
        #[arg(long)]
        no_pager: bool,
    },
    /// Submit a task to a project, and print its id.
    Create(Create),
    /// Cancel a task. Asks first.
    Cancel {
        /// The id of the task.
        id: TaskId,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Run a failed or cancelled task again.
    Retry {
        /// The id of the task.
        id: TaskId,
    },
}

/// Options of `tasks list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The id of the project.
    project: ProjectId,
    /// Only those with this status: pending, working, waiting_for_hitl, completed, failed or cancelled.
    #[arg(long)]
    status: Option<TaskStatus>,
    /// Only those of this agent type.
    #[arg(long, value_name = "TYPE")]
    agent: Option<AgentType>,
    /// The most tasks to list.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Options of `tasks create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The id of the project.
    project: ProjectId,
    /// The agent type: analyst, architect, coder, tester, deployer or orchestrator.
    agent: AgentType,
    /// The instructions for the agent.
    instructions: String,
    /// A document of the project that the agent gets. May be given several times.
    #[arg(long = "context", value_name = "ID")]
    contexts: Vec<ContextId>,
    /// The priority, 0 to 9; a higher number goes first [default: 5].
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// The number of failures before a person is asked, 1 to 10 [default: 3].
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(
    command: Tasks,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    match command {
        Tasks::List(options) => listed(&session, &options).await?,
        Tasks::Show { id, no_pager } => show(&session, id, no_pager).await?,
        Tasks::Create(options) => create(&session, options).await?,
        Tasks::Retry { id } => change(&session, id, "retry").await?,
        Tasks::Cancel { id, yes } => {
            confirm(&session.screen, &format!("Cancel the task {id}?"), yes).await?;
            change(&session, id, "cancel").await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn listed(session: &Session, options: &List) -> anyhow::Result<()> {
    let project = options.project.to_string();
    let status = options.status.map(|status| status.to_string());
    let mut query = Vec::new();
    query.extend(status.iter().map(|status| ("status", status.as_str())));
    query.extend(options.agent.iter().map(|agent| ("agent_type", agent.as_str())));
    let mut items = session.client.items(&["projects", &project, "tasks"], &query, options.limit);
    let mut tasks = Vec::new();
    while let Some(task) = items.next().await? {
        tasks.push(task);
    }
    if session.screen.is_json {
        session.screen.json(&tasks);
    } else {
        let columns = [
            Column::whole("ID"),
            Column::cut("STATUS", 9),
            Column::cut("TASK", 9),
            Column::whole("AGENT").optional(),
            Column::whole("AGE").optional(),
        ];
        let row = |task: &Value| {
            vec![
                Cell::new(text(task, "/task_id")),
                Cell::status(text(task, "/status")),
                Cell::new(name(task)),
                Cell::new(text(task, "/agent_type")),
                Cell::new(&age(task, "/created_at")),
            ]
        };
        let rows: Vec<_> = tasks.iter().map(row).collect();
        session.screen.table(&columns, &rows, "There are no such tasks.");
    }
    if items.has_more() {
        session.screen.note("There are more tasks; --limit N shows them.");
    }
    Ok(())
}

/// Returns the step of a task, or else its instructions.
fn name(task: &Value) -> &str {
    let step = text(task, "/step");
    if step.is_empty() { text(task, "/instructions") } else { step }
}

async fn show(session: &Session, id: TaskId, no_pager: bool) -> anyhow::Result<()> {
    let task = session.client.get(&["tasks", &id.to_string()], &[]).await?;
    let screen = &session.screen;
    if screen.is_json {
        screen.json(&task);
        return Ok(());
    }
    let mut page = screen.title(&one_line(name(&task), 300));
    page.push_str("\n\n");
    for (fact, value) in facts(&task) {
        page.push_str(&format!("{fact:<10} {value}\n"));
    }
    page.push_str(&format!("\nInstructions:\n{}\n", printable(text(&task, "/instructions"))));
    let error = text(&task, "/error_message");
    if !error.is_empty() {
        page.push_str(&format!("\nError:\n{}\n", printable(error)));
    }
    let output = object(&task, "/output");
    if !output.is_empty() {
        let plain = botarmy_terminal::document::plain("agent_output", &output);
        page.push_str(&format!("\nOutput:\n{plain}"));
    }
    let page = wrap_hard(page.trim_end(), screen.look.width);
    if no_pager {
        say!("{page}");
        Ok(())
    } else {
        screen.page(&page).await
    }
}

fn facts(task: &Value) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Id", text(task, "/task_id").to_owned()),
        ("Project", text(task, "/project_id").to_owned()),
        ("Agent", text(task, "/agent_type").to_owned()),
        ("Status", text(task, "/status").replace('_', " ")),
        (
            "Attempts",
            format!(
                "{}, {} of {} failures",
                number(task, "/attempt"),
                number(task, "/failures"),
                number(task, "/max_attempts")
            ),
        ),
    ];
    if let (Some(from), Some(to)) = (time(task, "/started_at"), time(task, "/ended_at")) {
        facts.push(("Took", duration(to.since(from))));
    }
    let cost = task.pointer("/usage/cost_micro_usd").and_then(Value::as_u64);
    let tokens = |name: &str| number(task, &format!("/usage/{name}"));
    if let Some(used) = usage(tokens("input_tokens"), tokens("output_tokens"), cost) {
        facts.push(("Used", used));
    }
    let gate = text(task, "/hitl_request_id");
    if !gate.is_empty() {
        facts.push(("Gate", gate.to_owned()));
    }
    facts.iter().map(|(name, value)| (*name, one_line(value, 400))).collect()
}

async fn create(session: &Session, options: Create) -> anyhow::Result<()> {
    let mut body = Map::new();
    body.insert("agent_type".to_owned(), options.agent.as_str().into());
    body.insert("instructions".to_owned(), options.instructions.into());
    if !options.contexts.is_empty() {
        let ids: Vec<_> = options.contexts.iter().map(ToString::to_string).collect();
        body.insert("context_ids".to_owned(), ids.into());
    }
    if let Some(priority) = options.priority {
        body.insert("priority".to_owned(), priority.into());
    }
    if let Some(max_attempts) = options.max_attempts {
        body.insert("max_attempts".to_owned(), max_attempts.into());
    }
    let path = ["projects", &options.project.to_string(), "tasks"];
    let task = session.client.post(&path, &body.into()).await?;
    if session.screen.is_json {
        session.screen.json(&task);
    } else {
        say!("{}", one_line(text(&task, "/task_id"), 100));
    }
    Ok(())
}

async fn change(session: &Session, id: TaskId, verb: &str) -> anyhow::Result<()> {
    let task = session.client.post(&["tasks", &id.to_string(), verb], &json!({})).await?;
    if session.screen.is_json {
        session.screen.json(&task);
    } else {
        let status = text(&task, "/status").replace('_', " ");
        session.screen.print(&format!("The task {id} is {}.", one_line(&status, 40)));
    }
    Ok(())
}
