//! `run "<idea>"`: one project from idea to package, in the terminal.

mod other_projects;
pub(crate) mod package_file;
pub(crate) mod prompt;
mod readable;
pub(crate) mod story;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use botarmy_domain::ports::{Gates, Operations, Projects, Queries};
use botarmy_domain::{
    AgentType, BusMessage, Caller, DomainError, Entry, Error, EventPayload, HitlAction, HitlKind,
    HitlRequest, HitlRequestId, HitlStatus, LogId, NewProject, OnExpiry, Oversight, Project,
    ProjectId, ProjectState, Response, TaskId,
};
use botarmy_http::zip::zip_package;
use botarmy_terminal::text;

use self::prompt::{Answer, Question, Subject};
use self::story::{Story, name as task_name};
use crate::output::{columns, is_closed, say};
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

/// Widest line, also on a wider terminal.
const MAX_WIDTH: usize = 100;

/// Number of failures that are tried again without asking.
pub(crate) const SECOND_CHANCES: u32 = 3;

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
    let agents = text::wrap(&system.agents_line(), width());
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

/// Returns the number of columns to write in; `None` where the output is no terminal.
fn width() -> Option<usize> {
    columns().map(|columns| columns.clamp(20, MAX_WIDTH))
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
            say!("{}", text::wrap(&halted, width()));
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
pub(crate) fn title(idea: &str) -> String {
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
    story: Story,
    /// Tasks that wait for an external worker.
    unserved: BTreeSet<TaskId>,
}

impl<'a> Terminal<'a> {
    fn new(system: &'a System, project: ProjectId, yes: bool) -> Self {
        Self {
            system,
            project,
            yes,
            width: width(),
            shown: 0,
            answered: BTreeSet::new(),
            second_chances: SECOND_CHANCES,
            story: Story::default(),
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
                if let Some(line) = self.story.progress(progress.task_id, &progress.message) {
                    self.print(&line);
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
            Ok(EventPayload::TaskCreated(e)) => self.waiting(entry, e.agent_type, e.step),
            payload => {
                if let (Ok(EventPayload::TaskStarted(_)), Some(task)) = (payload, entry.task_id) {
                    self.unserved.remove(&task);
                }
                self.story.entry(entry)
            }
        };
        if let Some(line) = line {
            self.print(&line);
        }
    }

    /// Returns the line for a new task that no runner of this process will take.
    fn waiting(&mut self, entry: &Entry, agent: AgentType, step: Option<String>) -> Option<String> {
        if self.system.serves(agent) {
            return None;
        }
        self.unserved.extend(entry.task_id);
        let name = task_name(step, agent);
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
                    Error::Refused(DomainError::Forbidden { code: "separation_of_duties", .. })
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
        let question = Question {
            text: request.question.clone(),
            options: options(request),
            deadline: deadline(request),
        };
        let subject = Reviewed { system: self.system, request, width: self.width };
        let answer = prompt::ask(&question, &subject, self.width).await?;
        Ok(answer.map(|answer| match answer {
            Answer::Approve => simply(request, HitlAction::Approve),
            Answer::Reject(reason) => {
                Response { comment: Some(reason), ..simply(request, HitlAction::Reject) }
            }
            Answer::Amend(text) => {
                Response { content: Some(text), ..simply(request, HitlAction::Amend) }
            }
        }))
    }
}

/// Request under review, with its artifacts in the store.
struct Reviewed<'a> {
    system: &'a System,
    request: &'a HitlRequest,
    width: Option<usize>,
}

impl Subject for Reviewed<'_> {
    async fn show(&self) -> anyhow::Result<()> {
        let caller = Caller::local("terminal");
        let review = self.system.engine.review(&caller, self.request.id).await?;
        let task = match self.request.task_id {
            Some(id) => self.system.stores.ports.tasks.task(id).await?,
            None => None,
        };
        let view = readable::request(self.request, &review.artifacts, task.as_deref(), self.width);
        say!("{}", text::wrap(&format!("\n{view}"), self.width));
        Ok(())
    }

    async fn show_file(&self, path: &str) -> anyhow::Result<()> {
        let caller = Caller::local("terminal");
        let review = self.system.engine.review(&caller, self.request.id).await?;
        match readable::file(&review.artifacts, path) {
            Some(text) => say!("\n{text}\n"),
            None => say!("There is no file {} under review.", text::one_line(path, 200)),
        }
        Ok(())
    }
}

/// Returns the answers that an agent or a client suggested. The options of other requests only
/// repeat the keys of the prompt.
fn options(request: &HitlRequest) -> Vec<String> {
    if request.kind != HitlKind::Question || request.budget.is_some() {
        return Vec::new();
    }
    prompt::suggested(request.options.iter().map(String::as_str))
}

/// Returns a response to what was shown, with nothing but its action.
fn simply(request: &HitlRequest, action: HitlAction) -> Response {
    let subject_digest = Some(request.subject.digest.clone());
    Response {
        action,
        content: None,
        comment: None,
        amended_content: None,
        subject_digest,
        response: None,
        in_bulk: false,
        link: None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
