//! `log`: follows and searches the logs.

use std::process::ExitCode;

use botarmy_client::{ClientError, Heard};
use botarmy_domain::{EventType, HitlRequestId, ProjectId, TaskId};
use botarmy_terminal::Style;
use botarmy_terminal::text::one_line;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::options::{Common, Place};
use super::session::Session;
use super::values::{clock, number, text};
use crate::output::{is_closed, say};

/// Commands for logs.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Show the newest entries, and with --follow those that come.
    Tail(Tail),
    /// Search the entries, newest first.
    Search(Search),
}

/// Options of `log tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The project whose log is shown [default: all that the key may read].
    project: Option<ProjectId>,
    /// The number of entries to begin with.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: usize,
    /// Go on with the entries that come, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
}

/// Options of `log search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Only entries of this project.
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// Only entries about this task.
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
    /// Only entries about this request.
    #[arg(long, value_name = "ID")]
    gate: Option<HitlRequestId>,
    /// Only events of this type, such as hitl_response.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<EventType>,
    /// Only entries from this time or day on, such as 2026-12-01 (UTC).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries up to this time or day (UTC).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The most entries to show.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(command: Log, common: &Common, place: &Place) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    match command {
        Log::Tail(options) => tail(&session, &options).await,
        Log::Search(options) => search(&session, &options).await,
    }
}

async fn search(session: &Session, options: &Search) -> anyhow::Result<ExitCode> {
    let ids = [
        ("project_id", options.project.map(|id| id.to_string())),
        ("task_id", options.task.map(|id| id.to_string())),
        ("hitl_request_id", options.gate.map(|id| id.to_string())),
        ("event_type", options.event_type.map(|kind| kind.to_string())),
        ("start_date", options.since.clone()),
        ("end_date", options.until.clone()),
    ];
    let query: Vec<(&str, &str)> =
        ids.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let mut items = session.client.items(&["audit", "events"], &query, options.limit);
    let mut count = 0;
    while let Some(entry) = items.next().await? {
        show(session, &entry);
        count += 1;
        if is_closed() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if count == 0 && !session.screen.is_json {
        session.screen.note("There are no such entries.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn tail(session: &Session, options: &Tail) -> anyhow::Result<ExitCode> {
    let project = options.project.map(|id| id.to_string());
    let all = "all";
    let mut events = session.client.events(project.as_deref().unwrap_or(all), None);
    if options.follow && project.is_none() {
        // Before the entries are read, so that none is between them and the stream.
        events.open().await.map_err(without_stream)?;
    }
    let query: Vec<_> = project.iter().map(|project| ("project_id", project.as_str())).collect();
    let items = session.client.items(&["audit", "events"], &query, options.lines.max(1));
    let newest = items.all().await?;
    for entry in newest.iter().take(options.lines).rev() {
        show(session, entry);
    }
    if !options.follow {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(project) = &project {
        let position = newest.first().map_or(0, |entry| number(entry, "/seq"));
        events = session.client.events(project, Some(position));
    }
    let is_shown = |frame: &Value| newest.iter().any(|entry| entry["id"] == frame["id"]);
    loop {
        match events.next().await.map_err(without_stream)? {
            // Progress is in no log.
            Heard::Event(event) if event.data.get("seq").is_some() => {
                if !is_shown(&event.data) {
                    // The entry itself: a frame has other names, and not the actor.
                    let id = text(&event.data, "/id");
                    show(session, &session.client.get(&["audit", "events", id], &[]).await?);
                }
            }
            Heard::Event(event) if event.event_type == "gap" => {
                let message = one_line(text(&event.data, "/data/message"), 400);
                session.screen.note(&format!("Entries are missing here: {message}"));
            }
            Heard::Event(_) => {}
            Heard::Lost(error) => session.screen.note(&format!("{error}; connecting again")),
        }
        if is_closed() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Explains the refusal of a server without an event stream.
fn without_stream(error: ClientError) -> anyhow::Error {
    match error.status() {
        Some(404 | 405) => anyhow::Error::from(error)
            .context("the log cannot be followed: the project does not exist, or the server has no event stream"),
        _ => error.into(),
    }
}

/// Shows an entry in one line.
fn show(session: &Session, entry: &Value) {
    let screen = &session.screen;
    if screen.is_json {
        screen.json_line(entry);
        return;
    }
    let (time, data) = (clock(entry, "/created_at"), &entry["event_data"]);
    let kind = text(entry, "/event_type");
    let about = about(data);
    let actor = one_line(text(entry, "/event_metadata/actor"), 40);
    let by = if actor.is_empty() { String::new() } else { format!(", by {actor}") };
    let plain = format!("{time} {} {kind}{about}{by}", number(entry, "/seq"));
    let line = one_line(&plain, screen.look.width);
    // The time is dim, as far as it is there.
    let (head, rest) = line.split_at(line.char_indices().nth(19).map_or(line.len(), |(at, _)| at));
    let style = match kind {
        kind if kind.contains("failed") || kind.contains("error") => Style::Bad,
        kind if kind.starts_with("hitl") => Style::Warning,
        _ => Style::Plain,
    };
    say!("{}{}", screen.paint(Style::Dim, head), screen.paint(style, rest));
}

/// Returns what an entry is about, in a few words.
fn about(data: &Value) -> String {
    let first = ["/step", "/name", "/agent_type"].iter().map(|key| text(data, key));
    let first = first.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let second = ["/error", "/message", "/reason", "/question", "/status", "/action"];
    let second = second.iter().map(|key| text(data, key)).find(|text| !text.is_empty());
    let parts: Vec<_> =
        [Some(first), second].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}
