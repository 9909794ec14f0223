//! Following a project on a server: what happens comes from its log, and the event stream tells when
//! to read on.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use botarmy_client::{Client, ClientError, Events, Heard};
use botarmy_domain::event::HitlRequestCreated;
use botarmy_domain::{Entry, EventPayload, EventType, ProjectId, TaskId};
use botarmy_terminal::text::{one_line, wrap_hard};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::screen::Screen;
use super::session::Session;
use super::summary::{activity, name, took};
use super::values::{list, number, text};
use crate::output::{is_closed, say};
use crate::run::story::Story;

/// Interval between two looks at the log of a server without an event stream.
const POLL: Duration = Duration::from_secs(1);
/// Interval between two looks at a project while its status is shown, and longest wait for an event
/// before the log is read all the same.
pub(super) const GLANCE: Duration = Duration::from_secs(2);
/// Time without events before the log is read.
const PAUSE: Duration = Duration::from_millis(30);
/// Longest wait for a moment without events.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// Longest time for which a server that is away is waited for.
const MAX_OUTAGE: Duration = Duration::from_secs(300);
/// Most entries that are read at once to catch up.
const MAX_ENTRIES: usize = 10_000;

/// Options of `projects watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The id of the project.
    id: ProjectId,
    /// The position in the log after which to begin; 0 shows everything [default: the last 20 entries].
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
}

/// Reader of a project's log, which knows how far it has read.
pub(super) struct Follower<'a> {
    client: &'a Client,
    screen: Screen,
    project: String,
    /// Position of the last entry that was read.
    position: u64,
    events: Option<Events>,
    /// Time since when the server is away.
    away_since: Option<Instant>,
}

/// Report of an agent about its task.
pub(super) struct Progress {
    pub(super) task: TaskId,
    pub(super) message: String,
}

impl<'a> Follower<'a> {
    /// Begins after a position.
    pub(super) fn new(client: &'a Client, screen: Screen, project: &str, position: u64) -> Self {
        let events = Some(client.events(project, Some(position)));
        Self { client, screen, project: project.to_owned(), position, events, away_since: None }
    }

    /// Waits for what happens from now on, and reads no entries.
    pub(super) fn of_changes(client: &'a Client, screen: Screen, project: &str) -> Self {
        let events = Some(client.events(project, None));
        let (project, position) = (project.to_owned(), 0);
        Self { client, screen, project, position, events, away_since: None }
    }

    /// Waits for a server that is away, so that its restart ends nothing.
    ///
    /// # Errors
    /// Another error, and that of a server that has been away for [`MAX_OUTAGE`].
    pub(super) async fn outlast(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        let is_outage = error.downcast_ref().is_some_and(ClientError::is_outage);
        let is_first = self.away_since.is_none();
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if !is_outage || since.elapsed() > MAX_OUTAGE {
            return Err(error);
        }
        if is_first {
            self.screen.clear_status();
            self.screen.note(&format!("{error}; waiting for it"));
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }

    /// Notes that the server answers.
    pub(super) fn reached(&mut self) {
        self.away_since = None;
    }

    /// Waits until something may have happened. The future may be dropped at any time.
    ///
    /// # Errors
    /// A server that cannot be reached for a while, or that refuses it.
    pub(super) async fn changed(&mut self) -> anyhow::Result<Option<Progress>> {
        let Some(events) = &mut self.events else {
            tokio::time::sleep(POLL).await;
            return Ok(None);
        };
        match events.next().await {
            Ok(Heard::Event(event)) => Ok(progress(&event.data)),
            Ok(Heard::Lost(error)) => {
                self.screen.clear_status();
                self.screen.note(&format!("{error}; connecting again"));
                Ok(None)
            }
            // A server without an event stream: the project exists, as its log was read.
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                self.events = None;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the entries after the last one, oldest first.
    ///
    /// # Errors
    /// Those of the connection, and a project that does not exist.
    pub(super) async fn entries(&mut self) -> anyhow::Result<Vec<Value>> {
        let path = ["audit", "projects", &self.project, "events"];
        let mut items = self.client.items(&path, &[], MAX_ENTRIES);
        let mut entries = Vec::new();
        while let Some(entry) = items.next().await? {
            if number(&entry, "/seq") <= self.position {
                break;
            }
            entries.push(entry);
        }
        entries.reverse();
        if let Some(last) = entries.last() {
            self.position = number(last, "/seq");
        }
        Ok(entries)
    }
}

/// Returns the report in a frame of the type `task_progress`.
fn progress(frame: &Value) -> Option<Progress> {
    if text(frame, "/event_type") != "task_progress" {
        return None;
    }
    let task = text(frame, "/task_id").parse().ok()?;
    Some(Progress { task, message: text(frame, "/data/message").to_owned() })
}

/// Prints what happens in a project, and keeps a line with its status below.
pub(super) struct View {
    pub(super) screen: Screen,
    story: Story,
    status: String,
    /// Whether requests to people are shown; where they are asked at once, they are not.
    has_gates: bool,
}

impl View {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen, story: Story::default(), status: String::new(), has_gates: true }
    }

    /// Leaves requests to people out.
    pub(super) const fn hide_gates(&mut self) {
        self.has_gates = false;
    }

    /// Prints a line above the status.
    pub(super) fn print(&self, line: &str) {
        self.screen.clear_status();
        say!("{}", wrap_hard(line, self.screen.look.width));
        self.screen.status(&self.status);
    }

    /// Prints an entry of the log, if a person wants to see it.
    pub(super) fn entry(&mut self, entry: &Value) {
        if self.screen.is_json {
            self.screen.json_line(entry);
            return;
        }
        // An entry of a type that this program does not know yet.
        let Ok(entry) = Entry::deserialize(entry) else { return };
        if !self.has_gates && entry.event_type == EventType::HitlRequestCreated {
            return;
        }
        if let Some(line) = beside_the_work(&entry).or_else(|| self.story.entry(&entry)) {
            self.print(&line);
        }
    }

    /// Prints what an agent reports.
    pub(super) fn progress(&mut self, progress: &Progress) {
        if !self.screen.is_json
            && let Some(line) = self.story.progress(progress.task, &progress.message)
        {
            self.print(&line);
        }
    }

    /// Replaces the line with the status.
    pub(super) fn set_status(&mut self, project: &Value, used: &Value) {
        let steps = list(project, "/progress/steps");
        let done = steps.iter().filter(|step| text(step, "/status") == "done").count();
        let mut parts = vec![activity(project)];
        if !steps.is_empty() {
            parts.push(format!("{done}/{} steps", steps.len()));
        }
        parts.push(took(project, used));
        parts.retain(|part| !part.is_empty());
        self.status = parts.join(" · ");
        self.screen.status(&self.status);
    }

    /// Takes the line with the status away.
    pub(super) fn end_status(&mut self) {
        self.status.clear();
        self.screen.clear_status();
    }
}

impl Drop for View {
    /// Leaves no status behind, however the command ends.
    fn drop(&mut self) {
        if !self.status.is_empty() {
            self.screen.clear_status();
        }
    }
}

/// Returns the line for what happens to a project as a whole.
fn beside_the_work(entry: &Entry) -> Option<String> {
    let by = entry.actor();
    match EventPayload::of(entry).ok()? {
        EventPayload::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
            let question = one_line(&opened.question, 300);
            Some(format!("  ? {question}\n    gates show {}", opened.hitl_request_id))
        }
        EventPayload::HitlRequestCreated(HitlRequestCreated::SubjectChanged(changed)) => {
            Some(format!("  ? the subject has changed\n    gates show {}", changed.hitl_request_id))
        }
        EventPayload::ProjectPaused(_) => Some(format!("  ‖ paused by {by}")),
        EventPayload::ProjectResumed(_) => Some(format!("  ▸ resumed by {by}")),
        EventPayload::ProjectReopened(_) => Some(format!("  ▸ reopened by {by}")),
        EventPayload::ProjectCancelled(_) => Some(format!("  ■ cancelled by {by}")),
        _ => None,
    }
}

/// Follows a project until it ends.
///
/// # Errors
/// Those of the connection, and a project that does not exist.
pub(super) async fn watch(session: &Session, options: &Watch) -> anyhow::Result<ExitCode> {
    let id = options.id.to_string();
    let client = &session.client;
    let project = client.get(&["projects", &id], &[]).await?;
    let mut view = View::new(session.screen);
    if !session.screen.is_json {
        view.print(&format!("\"{}\"", name(&project)));
    }
    let position = match options.after {
        Some(after) => after,
        None => before_the_last(client, &id).await?,
    };
    let mut follower = Follower::new(client, session.screen, &id, position);
    let ended = loop {
        let followed = step(client, &id, &mut follower, &mut view).await?;
        if let Some(ended) = followed {
            break ended;
        }
        if is_closed() {
            return Ok(ExitCode::SUCCESS);
        }
    };
    let used = client.get(&["projects", &id, "usage"], &[]).await?;
    view.end_status();
    if !session.screen.is_json {
        view.print(&format!(
            "The project is {}. It took {}.",
            text(&ended, "/status"),
            took(&ended, &used)
        ));
    }
    Ok(exit_code_of(&ended))
}

/// Returns 0 for a completed project, and 1 for one that ended otherwise.
pub(super) fn exit_code_of(project: &Value) -> ExitCode {
    if text(project, "/status") == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the position before the newest entries of a log.
async fn before_the_last(client: &Client, id: &str) -> anyhow::Result<u64> {
    let newest = client.items(&["audit", "projects", id, "events"], &[], 20).all().await?;
    Ok(newest.last().map_or(0, |entry| number(entry, "/seq").saturating_sub(1)))
}

/// Shows what has happened, and waits for what happens next, or for a server that is away. Returns the
/// project when it has ended.
pub(super) async fn step(
    client: &Client,
    id: &str,
    follower: &mut Follower<'_>,
    view: &mut View,
) -> anyhow::Result<Option<Value>> {
    match look(client, id, follower, view).await {
        Ok(ended) => {
            follower.reached();
            Ok(ended)
        }
        Err(error) => follower.outlast(error).await.map(|()| None),
    }
}

async fn look(
    client: &Client,
    id: &str,
    follower: &mut Follower<'_>,
    view: &mut View,
) -> anyhow::Result<Option<Value>> {
    for entry in follower.entries().await? {
        view.entry(&entry);
    }
    let project = client.get(&["projects", id], &[]).await?;
    if !["active", "paused"].contains(&text(&project, "/status")) {
        // Entries that were committed with the end, or after it was read.
        for entry in follower.entries().await? {
            view.entry(&entry);
        }
        return Ok(Some(project));
    }
    let used = match view.screen.has_status() {
        true => client.get(&["projects", id, "usage"], &[]).await?,
        false => Value::Null,
    };
    wait(follower, view, &project, &used).await?;
    Ok(None)
}

/// Waits until something may have happened, and then for a moment in which nothing does.
async fn wait(
    follower: &mut Follower<'_>,
    view: &mut View,
    project: &Value,
    used: &Value,
) -> anyhow::Result<()> {
    let glance = tokio::time::sleep(GLANCE);
    tokio::pin!(glance);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            heard = follower.changed() => {
                match heard? {
                    // A report of an agent changes nothing that is stored.
                    Some(progress) => view.progress(&progress),
                    None => break,
                }
            }
            _ = tick.tick() => view.set_status(project, used),
            () = &mut glance => return Ok(()),
        }
    }
    let patience = tokio::time::sleep(MAX_PAUSE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            heard = tokio::time::timeout(PAUSE, follower.changed()) => match heard {
                Ok(Ok(Some(progress))) => view.progress(&progress),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            },
            () = &mut patience => return Ok(()),
        }
    }
}
