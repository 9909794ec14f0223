//! `run "<idea>"`: one project from idea to package, in the terminal.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use botarmy_domain::ports::{Gates, Operations, Projects};
use botarmy_domain::{
    AgentType, BusMessage, Caller, Entry, EventPayload, HitlAction, HitlKind, HitlRequest,
    HitlRequestId, HitlStatus, NewProject, Oversight, Project, ProjectId, ProjectState, Response,
    package,
};

use tracing::warn;

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
}

/// Interval between two looks at the project, in case messages were lost.
const GLANCE: Duration = Duration::from_secs(2);

/// Time for which messages are still read after the project has ended.
const LAST_MESSAGES: Duration = Duration::from_millis(100);

/// Time without messages before a gate is shown.
const PAUSE: Duration = Duration::from_millis(20);

/// Number of failures that are tried again without asking.
const SECOND_CHANCES: u32 = 3;

/// Takes an idea to a package. The exit code is 0 for a package, 1 for a project that ended
/// otherwise, 2 when it was left waiting.
///
/// # Errors
/// What kept it from starting, or the package from being written.
pub async fn run(settings: &Settings, wish: Wish) -> anyhow::Result<ExitCode> {
    let name = wish.name.clone().unwrap_or_else(|| title(&wish.idea));
    let out = match &wish.out {
        Some(out) => out.clone(),
        None => default_out(&name)?,
    };
    let mut system = System::open(settings).await?;
    if !system.has_runners() {
        bail!(
            "no agent type has a runner, and `run` serves no external workers: set agents.….runner, or \
             use `serve`"
        );
    }
    system.start().await?;
    let mut news = system.channels.bus.subscribe().await?;
    let new = NewProject {
        name,
        description: Some(wish.idea.clone()),
        workflow: Some(wish.workflow.clone()),
        oversight: wish.oversight,
    };
    let project = system.engine.create_project(new, Caller::person("terminal")).await?;
    println!("Project {} \"{}\"", project.id, project.name);

    let mut terminal = Terminal::new(&system, project.id, wish.yes);
    let mut signals = Signals::listen()?;
    let ended = loop {
        tokio::select! {
            heard = news.next() => terminal.hear(&heard.unwrap_or(BusMessage::Lagged)),
            () = tokio::time::sleep(GLANCE) => {}
            () = signals.told() => break None,
        }
        // Messages about a gate may still arrive, and are shown before it.
        while let Ok(Some(heard)) = tokio::time::timeout(PAUSE, news.next()).await {
            terminal.hear(&heard);
        }
        // The project waits at the gate, even if the person leaves.
        let answered = tokio::select! {
            answered = terminal.answer_gates() => answered?,
            () = signals.told() => false,
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
                terminal.hear(&heard);
            }
            break Some(now);
        }
    };
    let code = match &ended {
        Some(project) => finish(&system, project, &out).await?,
        None => {
            println!(
                "\nStopped. The project waits in {}; `botarmy-server serve` goes on with it.",
                settings.store.data_dir.display()
            );
            ExitCode::from(2)
        }
    };
    system.drain().await;
    system.close().await;
    Ok(code)
}

async fn finish(system: &System, project: &Project, out: &Path) -> anyhow::Result<ExitCode> {
    match &project.state {
        ProjectState::Completed { .. } => {}
        ProjectState::Halted { by, reason, .. } => {
            println!("\nThe project was halted by {by}: {reason}.");
            return Ok(ExitCode::FAILURE);
        }
        _ => {
            println!("\nThe project is {}.", project.status());
            return Ok(ExitCode::FAILURE);
        }
    }
    let made = system.engine.generate_package(project.id, Caller::system()).await?;
    let artifacts = system.stores.ports.context.artifacts_by_id(&made.artifacts).await?;
    artifacts.iter().try_for_each(|artifact| artifact.verify())?;
    let files = package::layout(&made.cover, &artifacts);
    let bytes = botarmy_http::zip::zip_bytes(&files);
    write_whole(out, &bytes)?;
    println!(
        "\nCompleted. {} files, {} KB: {}",
        made.files.len(),
        bytes.len().div_ceil(1024),
        out.display()
    );
    if let Some(entry) = made.files.iter().find(|file| file.name.ends_with("index.html")) {
        println!("Unpack it and open {} in a browser.", entry.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file beside its place and moves it there, so that what stands there is always whole.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// The beginning of an idea, as a name.
fn title(idea: &str) -> String {
    let line = idea.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    if short.len() < line.len() { format!("{}…", short.trim_end()) } else { short }
}

fn default_out(name: &str) -> anyhow::Result<PathBuf> {
    let safe = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    let stem: String = name.chars().map(safe).collect();
    let out = PathBuf::from(format!("{}_artifacts.zip", stem.trim_matches('_')));
    if out.exists() {
        bail!(
            "{} exists already; say where the package is to go with --out FILE.zip",
            out.display()
        );
    }
    Ok(out)
}

/// Shows messages and gates of the project at the terminal.
struct Terminal<'a> {
    system: &'a System,
    project: ProjectId,
    yes: bool,
    answered: std::collections::BTreeSet<HitlRequestId>,
    /// Number of failures that `--yes` still answers with another try.
    second_chances: u32,
}

impl<'a> Terminal<'a> {
    const fn new(system: &'a System, project: ProjectId, yes: bool) -> Self {
        Self {
            system,
            project,
            yes,
            answered: std::collections::BTreeSet::new(),
            second_chances: SECOND_CHANCES,
        }
    }

    fn hear(&self, news: &BusMessage) {
        if let BusMessage::Entry(entry) = news
            && entry.project_id == Some(self.project)
        {
            self.print(entry);
        }
    }

    /// One line for what happened, where a person wants to know.
    /// Prints the line for an entry that a person at the terminal wants to see.
    fn print(&self, entry: &Entry) {
        let name = |step: Option<String>, agent: AgentType| {
            step.unwrap_or_else(|| agent.as_str().to_owned())
        };
        let line = match EventPayload::of(entry) {
            Ok(EventPayload::TaskStarted(e)) => {
                format!("  ▸ {} ({})", name(e.step, e.agent_type), e.agent_type)
            }
            Ok(EventPayload::TaskCompleted(e)) => format!("  ✓ {}", name(e.step, e.agent_type)),
            Ok(EventPayload::TaskFailed(e)) => {
                format!("  ✗ {}: {}", name(e.step, e.agent_type), e.error)
            }
            Ok(EventPayload::TaskRetryScheduled(e)) => {
                format!("  ↻ {} is tried again", name(e.step, e.agent_type))
            }
            Ok(EventPayload::HitlResponse(e)) => format!("  ● {} by {}", e.status, entry.actor()),
            Ok(EventPayload::ProjectHalted(e)) => format!("  ■ halted: {}", e.reason),
            Ok(EventPayload::ArtifactsGenerated(_)) => "  ▣ the package is ready".to_owned(),
            Ok(_) => return,
            Err(error) => {
                warn!(entry.seq, %error, "Entry {} cannot be shown", entry.seq);
                return;
            }
        };
        println!("{line}");
    }

    /// Answers every open gate of the project. Returns `false` when the input has ended.
    async fn answer_gates(&mut self) -> anyhow::Result<bool> {
        let pending = Some(HitlStatus::Pending);
        let open = self.system.stores.ports.requests.requests(self.project, pending, 100).await?;
        for request in open.iter().rev() {
            if self.answered.contains(&request.id) {
                continue;
            }
            let response = if self.yes { self.nod(request) } else { self.ask(request).await? };
            let Some(response) = response else { return Ok(false) };
            let caller = Caller::person("terminal");
            if let Err(error) = self.system.engine.respond(request.id, response, caller).await {
                println!("  {error}");
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
                println!("\n{}\nThis needs a person: it has failed too often.", request.question);
                return None;
            }
            self.second_chances -= 1;
        }
        Some(simply(HitlAction::Approve))
    }

    /// Puts a gate before the person at the terminal.
    async fn ask(&self, request: &HitlRequest) -> anyhow::Result<Option<Response>> {
        println!("\n{}", request.question);
        loop {
            print!("[a]pprove  [r]eject  a[m]end with text  [s]how > ");
            std::io::stdout().flush()?;
            let Some(line) = read_line().await? else { return Ok(None) };
            match line.trim().to_lowercase().as_str() {
                "a" | "approve" | "y" | "yes" => return Ok(Some(simply(HitlAction::Approve))),
                "r" | "reject" | "n" | "no" => return Ok(Some(simply(HitlAction::Reject))),
                "m" | "amend" => {
                    print!("What should be different? > ");
                    std::io::stdout().flush()?;
                    let Some(text) = read_line().await? else { return Ok(None) };
                    if !text.trim().is_empty() {
                        let content = Some(text.trim().to_owned());
                        return Ok(Some(Response { content, ..simply(HitlAction::Amend) }));
                    }
                }
                "s" | "show" => self.show(request).await?,
                _ => {}
            }
        }
    }

    async fn show(&self, request: &HitlRequest) -> anyhow::Result<()> {
        let ids: Vec<_> = request.subject.artifacts.iter().map(|a| a.context_id).collect();
        for artifact in self.system.stores.ports.context.artifacts_by_id(&ids).await? {
            artifact.verify()?;
            match artifact.content.get("markdown").and_then(|text| text.as_str()) {
                Some(markdown) => println!("\n{markdown}\n"),
                None => println!("\n{}\n", serde_json::to_string_pretty(&artifact.content)?),
            }
        }
        Ok(())
    }
}

const fn simply(action: HitlAction) -> Response {
    Response { action, content: None, comment: None, amended_content: None, subject_digest: None }
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
    fn a_name_is_the_beginning_of_the_idea() {
        assert_eq!(title("  A shop\nwith more to say"), "A shop");
        assert_eq!(title(&"x".repeat(80)).chars().count(), 61);
    }
}
