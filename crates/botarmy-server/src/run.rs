//! `run "<idea>"`: one project from idea to package, in the terminal.

mod other_projects;
mod package_file;
mod readable;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use botarmy_domain::ports::{Gates, Operations, Projects, Queries};
use botarmy_domain::{
    AgentType, BusMessage, Caller, DomainError, Entry, Error, EventPayload, HitlAction, HitlKind,
    HitlRequest, HitlRequestId, HitlStatus, LogId, NewProject, OnExpiry, Oversight, Project,
    ProjectId, ProjectState, Response, TaskId, Timestamp, Usage,
};
use botarmy_http::zip::zip_package;
use serde_json::{Map, Value};
use tracing::warn;

use crate::output::{is_closed, say, write};
use crate::settings::Settings;
use crate::signals::Signals;
use crate::wiring::System;

/// Options of `run`.
#[derive(Debug)]
pub struct Wish {
    /// Idea of the project, in a sentence or more.
    pub idea: String,
    /// Approve every gate.
    pub yes: bool,
    /// Path of the package.
    pub out: Option<PathBuf>,
    /// Name of the project.
    pub name: Option<String>,
    /// The workflow to follow.
    pub workflow: String,
    /// Number of gates.
    pub oversight: Oversight,
    /// Settings file of the command line.
    pub config: Option<PathBuf>,
}

/// Interval between two looks at the project, in case messages were lost.
const GLANCE: Duration = Duration::from_secs(2);

/// Time for which messages are still read after the project has ended.
const LAST_MESSAGES: Duration = Duration::from_millis(100);

/// Time without messages before a gate is shown.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest wait for a moment without messages.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Number of entries that are read at once to catch up with the log.
const PAGE: u32 = 100;

/// First answer to a signal; what runs may take a while to end.
const STOPPING: &str = "\nStopping: what runs now may end, and then the project waits. Press Ctrl-C again to stop at \
                        once.";

/// Number of failures that are tried again without asking.
const SECOND_CHANCES: u32 = 3;

/// Takes an idea to a package. The exit code is 0 for a package, 1 for a project that ended
/// otherwise, 2 when it was left waiting.
///
/// # Errors
/// What kept it from starting, or the package from being written.
pub async fn run(settings: &Settings, wish: Wish) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let name = wish.name.clone().unwrap_or_else(|| title(&wish.idea));
    let out = package_file::place(wish.out.as_deref(), &name)?;
    let mut system = tokio::select! {
        opened = System::open(settings) => opened?,
        () = signals.told() => bail!("stopped before the project was created"),
    };
    if !system.has_runners() && !system.stores.is_shared() {
        bail!(
            "no agent type has a runner: every agents.….runner is \"none\", which waits for external \
             workers, and `run` has no API that they could connect to. Use `serve`, or set a runner"
        );
    }
    let agents = text::wrap(&system.agents_line(), text::width());
    say!("{agents}");
    system.start().await?;
    let code = follow(&system, &wish, name, &out, &mut signals).await;
    let code = match code {
        Ok(None) => {
            // A second signal ends it at once; nothing is lost by that, only handed back later.
            tokio::spawn(async move {
                signals.told().await;
                std::process::exit(130);
            });
            system.drain().await;
            system.close().await;
            say!("\nStopped. The project waits in {}.", place_of(settings));
            say!("To go on with it: {}", serve_command(settings, wish.config.as_deref()));
            if is_closed() {
                crate::output::say_error!(
                    "The reader of the output went away, so `run` stopped. To go on: {}",
                    serve_command(settings, wish.config.as_deref())
                );
            }
            ExitCode::from(2)
        }
        other => {
            system.drain().await;
            system.close().await;
            other?.unwrap_or(ExitCode::FAILURE)
        }
    };
    say!("{agents}");
    Ok(code)
}

/// Creates the project and follows it to its end. Returns `None` if it was left waiting.
async fn follow(
    system: &System,
    wish: &Wish,
    name: String,
    out: &Path,
    signals: &mut Signals,
) -> anyhow::Result<Option<ExitCode>> {
    let mut news = system.channels.bus.subscribe().await?;
    let new = NewProject {
        name,
        description: Some(wish.idea.clone()),
        workflow: Some(wish.workflow.clone()),
        oversight: wish.oversight,
    };
    let project = system.engine.create_project(new, Caller::local("terminal")).await?;
    say!("Project {} \"{}\"", project.id, text::printable(&project.name));
    let others = other_projects::lines(system, project.id).await?;
    if !others.is_empty() {
        say!("Other unfinished projects here:");
        for line in others {
            say!("{line}");
        }
    }

    let mut terminal = Terminal::new(system, project.id, wish.yes);
    let ended = 'following: loop {
        tokio::select! {
            heard = news.next() => terminal.hear(&heard.unwrap_or(BusMessage::Lagged)).await?,
            () = tokio::time::sleep(GLANCE) => {}
            () = signals.told() => {
                terminal.print(STOPPING);
                break None;
            }
        }
        // Messages about a gate may still arrive, and are shown before it. An agent that reports
        // all the time must not keep the gate, or a signal, waiting.
        let patience = tokio::time::sleep(MAX_PAUSE);
        tokio::pin!(patience);
        while !is_closed() {
            tokio::select! {
                heard = tokio::time::timeout(PAUSE, news.next()) => match heard {
                    Ok(Some(heard)) => terminal.hear(&heard).await?,
                    _ => break,
                },
                () = &mut patience => break,
                () = signals.told() => {
                    terminal.print(STOPPING);
                    break 'following None;
                }
            }
        }
        if is_closed() {
            break None;
        }
        terminal.catch_up().await?;
        if terminal.is_stuck().await? {
            break None;
        }
        // The project waits at the gate, even if the person leaves.
        let answered = tokio::select! {
            answered = terminal.answer_gates() => answered?,
            () = signals.told() => {
                terminal.print(STOPPING);
                false
            }
        };
        if !answered {
            break None;
        }
        let now = system
            .stores
            .ports
            .projects
            .project(project.id)
            .await?
            .context("the project is gone")?;
        if !now.status().is_open() {
            // What led to it is on its way still.
            while let Ok(Some(heard)) = tokio::time::timeout(LAST_MESSAGES, news.next()).await {
                terminal.hear(&heard).await?;
            }
            terminal.catch_up().await?;
            break Some(now);
        }
    };
    match &ended {
        Some(project) => {
            let code = finish(system, project, out).await?;
            terminal.print_totals(project).await?;
            Ok(Some(code))
        }
        None => Ok(None),
    }
}

/// Returns the place of the data, for people.
fn place_of(settings: &Settings) -> String {
    if settings.store.url.is_empty() {
        settings.store.data_dir.display().to_string()
    } else {
        "the database".to_owned()
    }
}

/// Returns the command that serves this data.
fn serve_command(settings: &Settings, config: Option<&Path>) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
        let is_safe = !text.is_empty() && text.chars().all(is_plain);
        if is_safe { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let mut command = "botarmy-server serve".to_owned();
    if let Some(config) = config {
        command.push_str(&format!(" --config {}", quoted(config)));
    }
    if settings.store.url.is_empty() {
        command.push_str(&format!(" --data-dir {}", quoted(&settings.store.data_dir)));
    }
    command
}

async fn finish(system: &System, project: &Project, out: &Path) -> anyhow::Result<ExitCode> {
    match &project.state {
        ProjectState::Completed { .. } => {}
        ProjectState::Halted { by, reason, .. } => {
            let halted = format!(
                "\nThe project was halted by {by}: {}.\nTo go on after all: start \
                 `botarmy-server serve` on the same data, and \
                 POST /api/v1/projects/{}/reopen {{\"reason\": …}}.",
                text::printable(reason),
                project.id
            );
            say!("{}", text::wrap(&halted, text::width()));
            return Ok(ExitCode::FAILURE);
        }
        _ => {
            say!("\nThe project is {}.", project.status());
            return Ok(ExitCode::FAILURE);
        }
    }
    let made = system.engine.generate_package(project.id, Caller::system()).await?;
    let folders = vec![package_file::folder(out).to_owned(), std::env::temp_dir()];
    let zip = zip_package(&system.engine, &made, &Caller::system(), folders).await?;
    let zip = zip.context("the package differs from its own record")?;
    package_file::write(out, |file| zip.copy_to(file))?;
    say!(
        "\nCompleted. {} files, {} KB: {}",
        made.files.len(),
        zip.len().div_ceil(1024),
        out.display()
    );
    if let Some(entry) = made.files.iter().find(|file| file.name.ends_with("index.html")) {
        say!("Unpack it and open {} in a browser.", entry.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the beginning of an idea, as a name.
fn title(idea: &str) -> String {
    let line = idea.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    if short.len() < line.len() { format!("{}…", short.trim_end()) } else { short }
}

/// Shows messages and gates of the project at the terminal.
struct Terminal<'a> {
    system: &'a System,
    project: ProjectId,
    yes: bool,
    width: Option<usize>,
    /// Position of the last entry of the project's log that was shown.
    shown: u64,
    answered: BTreeSet<HitlRequestId>,
    /// Number of failures that `--yes` still answers with another try.
    second_chances: u32,
    /// Begin of the running attempts.
    started: BTreeMap<TaskId, Timestamp>,
    /// Last message of each running task.
    reported: BTreeMap<TaskId, String>,
    /// Tasks that wait for an external worker.
    unserved: BTreeSet<TaskId>,
}

impl<'a> Terminal<'a> {
    fn new(system: &'a System, project: ProjectId, yes: bool) -> Self {
        Self {
            system,
            project,
            yes,
            width: text::width(),
            shown: 0,
            answered: BTreeSet::new(),
            second_chances: SECOND_CHANCES,
            started: BTreeMap::new(),
            reported: BTreeMap::new(),
            unserved: BTreeSet::new(),
        }
    }

    /// Prints text that fits the terminal.
    fn print(&self, text: &str) {
        say!("{}", text::wrap(text, self.width));
    }

    async fn hear(&mut self, news: &BusMessage) -> anyhow::Result<()> {
        match news {
            BusMessage::Entry(entry) if entry.project_id == Some(self.project) => {
                if entry.seq == self.shown + 1 {
                    self.show_entry(entry);
                } else if entry.seq > self.shown {
                    self.catch_up().await?;
                }
            }
            BusMessage::Progress(progress) if progress.project_id == self.project => {
                let message = text::one_line(&progress.message, 300);
                let last = self.reported.insert(progress.task_id, message.clone());
                if !message.is_empty() && last.as_ref() != Some(&message) {
                    self.print(&format!("    · {message}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows the entries of the project's log that were not shown yet: the bus delivers an entry a
    /// moment after its commit, and may lose some.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let (audit, log) = (&self.system.stores.ports.audit, LogId::Project(self.project));
        loop {
            let page = audit.since(log, self.shown, PAGE).await?;
            page.items.iter().for_each(|entry| self.show_entry(entry));
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Prints the line for an entry that a person at the terminal wants to see.
    fn show_entry(&mut self, entry: &Entry) {
        self.shown = entry.seq;
        let line = match EventPayload::of(entry) {
            Ok(EventPayload::TaskCreated(e)) => match self.waiting(entry, e.agent_type, e.step) {
                Some(line) => line,
                None => return,
            },
            Ok(EventPayload::TaskStarted(e)) => {
                if let Some(task) = entry.task_id {
                    self.started.insert(task, entry.created_at);
                    self.unserved.remove(&task);
                }
                let again =
                    if e.attempt > 1 { format!(", attempt {}", e.attempt) } else { String::new() };
                format!("  ▸ {} ({}{again})", name(e.step, e.agent_type), e.agent_type)
            }
            Ok(EventPayload::TaskCompleted(e)) => {
                let spent = self.spent(entry, Some(&e.usage));
                let name = name(e.step, e.agent_type);
                match failure(&e.output) {
                    Some(failure) => format!("  ✗ {name}: {failure} ({spent})"),
                    None => format!("  ✓ {name} ({spent})"),
                }
            }
            Ok(EventPayload::TaskFailed(e)) => {
                let spent = self.spent(entry, Some(&e.usage));
                let name = name(e.step, e.agent_type);
                format!("  ✗ {name}: {} ({spent})", text::one_line(&e.error, 600))
            }
            Ok(EventPayload::TaskRetryScheduled(e)) => {
                let reason = e.error.map_or_else(String::new, |error| {
                    format!(": {}", text::one_line(&error.message, 300))
                });
                format!("  ↻ {} is tried again{reason}", name(e.step, e.agent_type))
            }
            Ok(EventPayload::TaskLeaseExpired(e)) => {
                format!("  ↻ {}: {}", name(e.step, e.agent_type), text::one_line(&e.reason, 300))
            }
            Ok(EventPayload::TaskResultRefused(e)) => {
                let name = name(e.step, e.agent_type);
                format!("  ↻ {name}: refused: {}", text::one_line(&e.reason, 300))
            }
            Ok(EventPayload::HitlResponse(e)) => format!("  ● {} by {}", e.status, entry.actor()),
            Ok(EventPayload::HitlTimeout(e)) => format!("  ● {}", text::one_line(&e.comment, 300)),
            Ok(EventPayload::ProjectHalted(e)) => {
                format!("  ■ halted: {}", text::one_line(&e.reason, 600))
            }
            Ok(EventPayload::ArtifactsGenerated(_)) => "  ▣ the package is ready".to_owned(),
            Ok(_) => return,
            Err(error) => {
                warn!(entry.seq, %error, "Entry {} cannot be shown", entry.seq);
                return;
            }
        };
        self.print(&line);
    }

    /// Returns the line for a new task that no runner of this process will take.
    fn waiting(&mut self, entry: &Entry, agent: AgentType, step: Option<String>) -> Option<String> {
        if self.system.serves(agent) {
            return None;
        }
        self.unserved.extend(entry.task_id);
        let name = name(step, agent);
        Some(format!("  … {name} waits for an external worker: agents.{agent}.runner is \"none\""))
    }

    /// Returns `true` if all that is left of the project waits for external workers that cannot
    /// come, because `run` has no API and nobody else can use the data meanwhile.
    async fn is_stuck(&self) -> anyhow::Result<bool> {
        if self.unserved.is_empty() || self.system.stores.is_shared() {
            return Ok(false);
        }
        let detail = self.system.engine.project_detail(&Caller::system(), self.project).await?;
        let (counts, unserved) = (detail.counts, self.unserved.len());
        let is_stuck = counts.working == 0
            && counts.open_requests == 0
            && usize::try_from(counts.pending).is_ok_and(|pending| pending <= unserved)
            && detail.project.status().is_open();
        if is_stuck {
            self.print(
                "\n`run` has no API for external workers. Start `serve` with the same data, and let \
                 the worker connect to it.",
            );
        }
        Ok(is_stuck)
    }

    /// Returns time, tokens and cost of the attempt that an entry ends.
    fn spent(&mut self, entry: &Entry, usage: Option<&Usage>) -> String {
        let task = entry.task_id;
        let started = task.and_then(|task| self.started.remove(&task));
        if let Some(task) = task {
            self.reported.remove(&task);
        }
        let time = started.map(|started| text::duration(entry.created_at.since(started)));
        let usage = usage.and_then(|usage| {
            text::usage(usage.input_tokens, usage.output_tokens, usage.cost_micro_usd)
        });
        let parts: Vec<String> = time.into_iter().chain(usage).collect();
        if parts.is_empty() { "no time known".to_owned() } else { parts.join(", ") }
    }

    /// Prints time, tokens and cost of the whole project.
    async fn print_totals(&self, project: &Project) -> anyhow::Result<()> {
        let total = self.system.engine.usage(&Caller::system(), self.project).await?.total;
        let time = text::duration(project.updated_at.since(project.created_at));
        let cost = Some(total.cost_micro_usd);
        let usage = text::usage(total.input_tokens, total.output_tokens, cost)
            .unwrap_or_else(|| "no tokens".to_owned());
        let attempts = match total.attempts {
            0 => String::new(),
            1 => ", 1 attempt".to_owned(),
            n => format!(", {n} attempts"),
        };
        say!("It took {time}{attempts}, {usage}.");
        Ok(())
    }

    /// Answers every open gate of the project. Returns `false` when the input has ended.
    async fn answer_gates(&mut self) -> anyhow::Result<bool> {
        let pending = Some(HitlStatus::Pending);
        let requests = &self.system.stores.ports.requests;
        let open = requests.requests(self.project, pending, None, 100).await?;
        for request in open.iter().rev() {
            if self.answered.contains(&request.id) {
                continue;
            }
            // The step that led to the gate was committed with it or before.
            self.catch_up().await?;
            let response = if self.yes { self.nod(request) } else { self.ask(request).await? };
            let Some(response) = response else { return Ok(false) };
            let caller = Caller::local("terminal");
            if let Err(error) = self.system.engine.respond(request.id, response, caller).await {
                self.print(&format!("  {error}"));
                let needs_another = matches!(
                    &error,
                    Error::Refused(DomainError::Forbidden { code: "four_eyes", .. })
                );
                // The same answer would be refused for ever.
                if self.yes && needs_another {
                    return Ok(false);
                }
            } else {
                self.answered.insert(request.id);
            }
        }
        Ok(true)
    }

    /// The answer of somebody who says yes to everything, but not for ever: what fails again and
    /// again is left to a person.
    fn nod(&mut self, request: &HitlRequest) -> Option<Response> {
        if request.kind == HitlKind::Failure {
            if self.second_chances == 0 {
                let question = text::printable(&request.question);
                self.print(&format!("\n{question}\nThis needs a person: it has failed too often."));
                return None;
            }
            self.second_chances -= 1;
        }
        Some(simply(request, HitlAction::Approve))
    }

    /// Puts a gate before the person at the terminal.
    async fn ask(&self, request: &HitlRequest) -> anyhow::Result<Option<Response>> {
        self.print(&format!("\n{}", text::printable(&request.question)));
        let options = suggested(request);
        for (n, option) in options.iter().enumerate() {
            self.print(&format!("  {}) {}", n + 1, text::one_line(option, 400)));
        }
        self.print(&deadline(request));
        let choose = match options.len() {
            0 => String::new(),
            1 => "[1]  ".to_owned(),
            n => format!("[1-{n}]  "),
        };
        loop {
            write(format_args!("{choose}[a]pprove  [r]eject  a[m]end with text  [s]how > "));
            let Some(line) = read_line().await? else { return Ok(None) };
            let line = line.trim();
            if let Some(path) = line.strip_prefix("s ").or_else(|| line.strip_prefix("show ")) {
                self.show_file(request, path.trim()).await?;
                continue;
            }
            if let Some(option) = chosen(&options, line) {
                let content = Some(option.to_owned());
                return Ok(Some(Response { content, ..simply(request, HitlAction::Amend) }));
            }
            match line.to_lowercase().as_str() {
                "a" | "approve" | "y" | "yes" => {
                    return Ok(Some(simply(request, HitlAction::Approve)));
                }
                "r" | "reject" | "n" | "no" => match confirm_rejection().await? {
                    None => return Ok(None),
                    Some(None) => {}
                    Some(comment) => {
                        let rejected = simply(request, HitlAction::Reject);
                        return Ok(Some(Response { comment, ..rejected }));
                    }
                },
                "m" | "amend" => {
                    write(format_args!("What should be different? > "));
                    let Some(text) = read_line().await? else { return Ok(None) };
                    if !text.trim().is_empty() {
                        let content = Some(text.trim().to_owned());
                        let response = simply(request, HitlAction::Amend);
                        return Ok(Some(Response { content, ..response }));
                    }
                }
                "s" | "show" => self.show(request).await?,
                _ => {}
            }
        }
    }

    /// Shows what a request is about.
    async fn show(&self, request: &HitlRequest) -> anyhow::Result<()> {
        let caller = Caller::local("terminal");
        let review = self.system.engine.review(&caller, request.id).await?;
        let task = match request.task_id {
            Some(id) => self.system.stores.ports.tasks.task(id).await?,
            None => None,
        };
        let view = readable::request(request, &review.artifacts, task.as_deref());
        self.print(&format!("\n{view}"));
        Ok(())
    }

    /// Shows a file of the source code that a request is about.
    async fn show_file(&self, request: &HitlRequest, path: &str) -> anyhow::Result<()> {
        let caller = Caller::local("terminal");
        let review = self.system.engine.review(&caller, request.id).await?;
        match readable::file(&review.artifacts, path) {
            Some(text) => say!("\n{text}\n"),
            None => say!("There is no file {} under review.", text::one_line(path, 200)),
        }
        Ok(())
    }
}

/// Returns the name of a task: its step, or else its agent type.
fn name(step: Option<String>, agent: AgentType) -> String {
    step.map_or_else(|| agent.as_str().to_owned(), |step| text::one_line(&step, 200))
}

/// Returns the answers that an agent or a client suggested. The options of other requests only
/// repeat the keys of the prompt.
fn suggested(request: &HitlRequest) -> Vec<&str> {
    if request.kind != HitlKind::Question || request.budget.is_some() {
        return Vec::new();
    }
    let is_key = |option: &str| {
        ["approve", "reject", "amend"].iter().any(|key| option.eq_ignore_ascii_case(key))
    };
    request.options.iter().map(String::as_str).filter(|option| !is_key(option)).collect()
}

/// Returns the option that a line chooses by its number.
fn chosen<'a>(options: &[&'a str], line: &str) -> Option<&'a str> {
    let number: usize = line.parse().ok()?;
    options.get(number.checked_sub(1)?).copied()
}

/// Returns what failed, if the output of a completed task says that something did: the first
/// sentence of its summary.
fn failure(output: &Map<String, Value>) -> Option<String> {
    let failed = ["passed", "ok"].iter().any(|key| output.get(*key) == Some(&Value::Bool(false)));
    let summary = output.get("summary").and_then(Value::as_str).unwrap_or_default();
    let first = summary.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let first = text::one_line(first, 300);
    failed.then(|| if first.is_empty() { "it did not pass".to_owned() } else { first })
}

/// Returns a response to what was shown, with nothing but its action.
fn simply(request: &HitlRequest, action: HitlAction) -> Response {
    let subject_digest = Some(request.subject.digest.clone());
    Response { action, content: None, comment: None, amended_content: None, subject_digest }
}

/// Returns the sentence about the time by which a request has to be answered.
fn deadline(request: &HitlRequest) -> String {
    let at = request.expires_at;
    match request.on_expiry {
        OnExpiry::KeepWaiting => format!("The deadline is {at}; it keeps waiting after that."),
        OnExpiry::Reject => format!("Without an answer until {at} it is rejected."),
        OnExpiry::Approve => format!("Without an answer until {at} it is approved."),
    }
}

/// Asks why, and whether to reject: a rejection halts the project. Returns `Some(None)` for second
/// thoughts, and `None` when the input has ended.
async fn confirm_rejection() -> anyhow::Result<Option<Option<String>>> {
    write(format_args!("Why? A rejection halts the project. (empty: do not reject) > "));
    let Some(reason) = read_line().await? else { return Ok(None) };
    if reason.trim().is_empty() {
        return Ok(Some(None));
    }
    write(format_args!("Reject and halt the project? [y/N] > "));
    let Some(line) = read_line().await? else { return Ok(None) };
    let is_sure = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
    Ok(Some(is_sure.then(|| reason.trim().to_owned())))
}

/// A line from standard input; `None` at its end.
async fn read_line() -> anyhow::Result<Option<String>> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|count| (count > 0).then_some(line))
    });
    Ok(read.await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_did_not_pass_is_shown_as_failed() {
        let output = |value: Value| value.as_object().unwrap().clone();
        let said = |value: Value| failure(&output(value));
        assert_eq!(said(serde_json::json!({"passed": true, "summary": "All 10 passed."})), None);
        let failed =
            serde_json::json!({"passed": false, "summary": "2 of 14 checks failed. One: x"});
        assert_eq!(said(failed).as_deref(), Some("2 of 14 checks failed"));
        assert_eq!(said(serde_json::json!({"ok": false})).as_deref(), Some("it did not pass"));
        assert_eq!(said(serde_json::json!({})), None);
    }

    #[test]
    fn an_option_is_chosen_by_its_number() {
        let options = ["Red", "Blue"];
        assert_eq!(chosen(&options, "2"), Some("Blue"));
        for line in ["0", "3", "-1", "Red", ""] {
            assert_eq!(chosen(&options, line), None, "{line}");
        }
    }

    #[test]
    fn the_command_to_go_on_names_the_data_and_quotes_it() {
        let mut settings = Settings::defaults();
        settings.store.data_dir = "/srv/my data".into();
        assert_eq!(
            serve_command(&settings, Some(Path::new("a.toml"))),
            "botarmy-server serve --config a.toml --data-dir '/srv/my data'"
        );
    }

    #[test]
    fn a_name_is_the_beginning_of_the_idea() {
        assert_eq!(title("  A shop\nwith more to say"), "A shop");
        assert_eq!(title(&"x".repeat(80)).chars().count(), 61);
    }
}
