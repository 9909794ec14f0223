//! `gates`: shows and answers requests to people. An answer carries the digest of what was shown, so
//! that the server refuses it if that has changed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use botarmy_client::{Client, ClientError};
use botarmy_domain::{HitlRequestId, HitlStatus, ProjectId};
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::{one_line, printable, wrap_hard};
use botarmy_terminal::{Look, Style, diff, document};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::confirm::confirm;
use super::follow::{Follower, GLANCE};
use super::gate_acts::{self, Acts};
use super::options::{Common, Place};
use super::session::{Failure, Session};
use super::values::{age, clock, list, object, text};
use crate::output::say;

/// Largest file with an amendment, in bytes.
const MAX_AMENDMENT: u64 = 16 << 20;

/// Width of the names of facts.
const FACT: usize = 10;

/// Commands for requests to people.
#[derive(Debug, Subcommand)]
pub(crate) enum Gates {
    /// List the requests that wait for a person, oldest first.
    List(List),
    /// Wait until a project asks a person, and print the id of that request.
    ///
    /// The exit code is 1 if the project ends first.
    Next {
        /// The id of the project.
        project: ProjectId,
    },
    /// Show a request with the documents under review.
    Show(Show),
    /// Approve what is under review.
    ///
    /// Shows it and asks. The answer carries the digest of what was shown: if that has changed
    /// meanwhile, the server refuses it and the exit code is 4.
    Approve(Answer),
    /// Reject what is under review, which halts a project with a workflow.
    Reject(Answer),
    /// Ask for changes: the step runs again with your words.
    Changes(Changes),
    #[command(flatten)]
    Act(Acts),
    /// Have something changed: with words, after which the step runs again, or by a document that takes
    /// the place of the one under review.
    Amend(Amend),
}

/// Options of `gates list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this project.
    #[arg(long, value_name = "ID")]
    project: Option<ProjectId>,
    /// Only those that you are asked to answer.
    #[arg(long, conflicts_with = "status")]
    mine: bool,
    /// Only those that ask this group.
    #[arg(long, value_name = "GROUP", conflicts_with = "status")]
    group: Option<String>,
    /// Only those under this policy.
    #[arg(long, value_name = "NAME", conflicts_with = "status")]
    policy: Option<String>,
    /// Only those that people should have answered already.
    #[arg(long, conflicts_with = "status")]
    overdue: bool,
    /// Those with this status instead, of a project: approved, rejected, amended, expired or cancelled.
    #[arg(long, requires = "project")]
    status: Option<HitlStatus>,
    /// The most requests to list.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Options of `gates show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The id of the request.
    id: HitlRequestId,
    /// Show how each document differs from the version before it.
    #[arg(long)]
    changes: bool,
    /// Show this file of the source code under review.
    #[arg(long, value_name = "PATH", conflicts_with = "changes")]
    file: Option<String>,
    /// Print it at once, without a pager.
    #[arg(long)]
    no_pager: bool,
}

/// Options of `gates approve` and `gates reject`.
#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The id of the request.
    id: HitlRequestId,
    /// A comment, for the log.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The answer in the form that the request asks for: JSON, or a file with JSON, or - for standard
    /// input.
    #[arg(long, value_name = "JSON|FILE")]
    response: Option<String>,
    /// The digest of the subject that was reviewed, as `gates show` has it. It is not shown again.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Options of `gates changes`.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    #[command(flatten)]
    answer: Answer,
    /// The words that say what should be different.
    #[arg(long, value_name = "TEXT")]
    text: String,
}

/// Options of `gates amend`.
#[derive(Debug, Args)]
pub(crate) struct Amend {
    #[command(flatten)]
    answer: Answer,
    /// The words that say what should be different.
    #[arg(long, value_name = "TEXT", required_unless_present = "document")]
    text: Option<String>,
    /// A file with the new document as a JSON object, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    document: Option<PathBuf>,
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn run(
    command: Gates,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    match command {
        Gates::List(options) => listed(&session, &options).await?,
        Gates::Next { project } => return next(&session, &project.to_string()).await,
        Gates::Show(options) => show(&session, &options).await?,
        Gates::Approve(answer) => respond(&session, "approve", answer, Map::new()).await?,
        Gates::Reject(answer) => respond(&session, "reject", answer, Map::new()).await?,
        Gates::Changes(Changes { answer, text }) => {
            ensure!(!text.trim().is_empty(), Failure::usage("--text is blank"));
            let body = Map::from_iter([("content".to_owned(), text.into())]);
            respond(&session, "request_changes", answer, body).await?;
        }
        Gates::Act(act) => gate_acts::run(&session, act).await?,
        Gates::Amend(Amend { answer, text, document }) => {
            let mut body = Map::new();
            if let Some(text) = text {
                ensure!(!text.trim().is_empty(), Failure::usage("--text is blank"));
                body.insert("content".to_owned(), text.into());
            }
            if let Some(file) = document {
                body.insert("amended_content".to_owned(), read_document(&file)?.into());
            }
            respond(&session, "amend", answer, body).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a document from a file or from standard input.
fn read_document(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = read_text(file)?;
    let name = file.display();
    serde_json::from_str(&text).with_context(|| format!("{name} holds no JSON object"))
}

/// Returns the answer in an argument: JSON, or the name of a file with JSON.
fn read_response(text: &str) -> anyhow::Result<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let read = read_text(Path::new(text)).with_context(|| {
        Failure::usage("--response is neither JSON nor a file that can be read")
    })?;
    serde_json::from_str(&read).with_context(|| format!("{} holds no JSON", one_line(text, 200)))
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("{name} cannot be read"))?)
    };
    let mut text = String::new();
    input
        .take(MAX_AMENDMENT + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("{name} cannot be read"))?;
    ensure!(text.len() as u64 <= MAX_AMENDMENT, "{name} has more than 16 MiB");
    Ok(text)
}

async fn listed(session: &Session, options: &List) -> anyhow::Result<()> {
    let client = &session.client;
    let project = options.project.map(|project| project.to_string());
    let status = options.status.unwrap_or(HitlStatus::Pending).to_string();
    let flags = [("mine", options.mine), ("overdue", options.overdue)];
    let flags = flags.into_iter().filter_map(|(name, is_set)| is_set.then_some((name, "true")));
    let names = [("group", options.group.as_deref()), ("policy", options.policy.as_deref())];
    let names = names.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut filter: Vec<_> = flags.chain(names).collect();
    let mut items = match &project {
        None => client.items(&["hitl", "pending"], &filter, options.limit),
        Some(id) if !filter.is_empty() => {
            filter.push(("project_id", id));
            client.items(&["hitl", "pending"], &filter, options.limit)
        }
        Some(id) => {
            let query = [("status_filter", status.as_str())];
            client.items(&["hitl", "project", id, "requests"], &query, options.limit)
        }
    };
    let mut requests = Vec::new();
    while let Some(request) = items.next().await? {
        requests.push(request);
    }
    if session.screen.is_json {
        session.screen.json(&requests);
    } else {
        let columns = [
            Column::whole("ID"),
            Column::whole("AGE").optional(),
            Column::cut("QUESTION", 14),
            Column::cut("STEP", 8).optional(),
        ];
        let row = |request: &Value| {
            vec![
                Cell::new(text(request, "/request_id")),
                Cell::new(&age(request, "/created_at")),
                Cell::new(text(request, "/question")),
                Cell::new(text(request, "/step")),
            ]
        };
        let rows: Vec<_> = requests.iter().map(row).collect();
        session.screen.table(&columns, &rows, "No request waits for a person.");
    }
    if items.has_more() {
        session.screen.note("There are more requests; --limit N shows them.");
    }
    Ok(())
}

/// Prints the oldest request of a project that waits for a person, when there is one.
async fn next(session: &Session, project: &str) -> anyhow::Result<ExitCode> {
    let (client, screen) = (&session.client, session.screen);
    let mut follower = Follower::of_changes(client, screen, project);
    loop {
        let (status, open) = match pending(client, project).await {
            Ok(found) => found,
            Err(error) => {
                follower.outlast(error).await?;
                continue;
            }
        };
        follower.reached();
        if let Some(request) = open.last() {
            if screen.is_json {
                screen.json(request);
            } else {
                say!("{}", one_line(text(request, "/request_id"), 100));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let status = one_line(text(&status, "/status"), 40);
        ensure!(["active", "paused"].contains(&status.as_str()), "The project is {status}.");
        if let Ok(Err(error)) = tokio::time::timeout(GLANCE, follower.changed()).await {
            follower.outlast(error).await?;
        }
    }
}

/// Reads a project, and its requests that wait.
async fn pending(client: &Client, project: &str) -> anyhow::Result<(Value, Vec<Value>)> {
    let status = client.get(&["projects", project], &[]).await?;
    let path = ["hitl", "project", project, "requests"];
    let open = client.items(&path, &[("status_filter", "pending")], 100).all().await?;
    Ok((status, open))
}

/// Request with the documents under review.
pub(super) struct Review {
    pub(super) request: Value,
    pub(super) artifacts: Vec<Value>,
    /// Digest over the documents.
    pub(super) digest: String,
}

impl Review {
    /// Reads a request and what it is about.
    ///
    /// # Errors
    /// Those of the connection, and a request that does not exist.
    pub(super) async fn read(client: &Client, id: &str) -> anyhow::Result<Self> {
        let request = client.get(&["hitl", id], &[]).await?;
        let context = client.get(&["hitl", id, "context"], &[]).await?;
        let digest = text(&context, "/subject_digest").to_owned();
        let artifacts = list(&context, "/artifacts").to_vec();
        Ok(Self { request, artifacts, digest })
    }

    /// Returns the question with its circumstances.
    fn head(&self, look: Look) -> String {
        let request = &self.request;
        let question = wrap_hard(&printable(text(request, "/question")), look.width);
        let mut head = look.paint(Style::Strong, &question);
        head.push_str("\n\n");
        // Below the name of a fact there is nothing but space.
        let width = look.width.saturating_sub(FACT + 1).max(20);
        let mut fact = |name: &str, value: &str| {
            let value = wrap_hard(&one_line(value, 300), width);
            for (n, line) in value.lines().filter(|line| !line.is_empty()).enumerate() {
                let name = if n == 0 { name } else { "" };
                head.push_str(&format!("{name:<FACT$} {line}\n"));
            }
        };
        fact("Id", text(request, "/request_id"));
        fact("Project", text(request, "/project_id"));
        fact("Step", text(request, "/step"));
        fact("Status", &text(request, "/status").replace('_', " "));
        fact("By", text(request, "/responded_by"));
        fact("Comment", text(request, "/response_comment"));
        fact("Deadline", &clock(request, "/expires_at"));
        for (name, value) in gate_acts::decision(request) {
            fact(name, &value);
        }
        fact("Digest", &self.digest);
        for artifact in &self.artifacts {
            let kind = text(artifact, "/artifact_type").replace('_', " ");
            fact("Subject", &format!("{kind}, {}", text(artifact, "/context_id")));
        }
        let options: Vec<_> = list(request, "/options").iter().filter_map(Value::as_str).collect();
        if !options.is_empty() {
            fact("Options", &options.join(", "));
        }
        head.trim_end().to_owned()
    }

    /// Returns the documents as text.
    pub(super) fn documents(&self, look: Look) -> String {
        let texts: Vec<_> =
            self.artifacts.iter().map(|artifact| rendered(artifact, look)).collect();
        texts.join("\n\n")
    }

    /// Returns a file of the source code under review.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let found = self.artifacts.iter().find_map(|artifact| {
            let content = object(artifact, "/content");
            let files = document::source_files(text(artifact, "/artifact_type"), &content)?;
            let (_, content) = files.into_iter().find(|(name, _)| *name == path)?;
            Some(content.to_owned())
        });
        found.map(|content| printable(content.trim_end()))
    }
}

fn rendered(artifact: &Value, look: Look) -> String {
    let (kind, agent) = (text(artifact, "/artifact_type"), text(artifact, "/source_agent"));
    document::render(kind, agent, &object(artifact, "/content"), look)
}

async fn show(session: &Session, options: &Show) -> anyhow::Result<()> {
    let screen = &session.screen;
    let review = Review::read(&session.client, &options.id.to_string()).await?;
    if screen.is_json {
        let mut request = review.request;
        request["artifacts"] = review.artifacts.into();
        screen.json(&request);
        return Ok(());
    }
    let body = match &options.file {
        Some(path) => review.file(path).with_context(|| {
            Failure::not_found(format!("there is no file {} under review", one_line(path, 200)))
        })?,
        None if options.changes => changes(session, &review).await?,
        None => format!("{}\n\n{}", review.head(screen.look), review.documents(screen.look)),
    };
    if options.no_pager {
        say!("{}", body.trim_end());
        Ok(())
    } else {
        screen.page(body.trim_end()).await
    }
}

/// Returns the differences of the documents to the versions before them.
async fn changes(session: &Session, review: &Review) -> anyhow::Result<String> {
    let look = session.screen.look;
    let mut parts = Vec::new();
    for artifact in &review.artifacts {
        let kind = text(artifact, "/artifact_type");
        let previous = text(artifact, "/previous");
        if previous.is_empty() {
            parts.push(format!("The {} has no version before it.", kind.replace('_', " ")));
            continue;
        }
        let old = session.client.get(&["context", previous], &[]).await?;
        parts.push(difference(kind, &old, artifact, look));
    }
    Ok(parts.join("\n"))
}

/// Returns the difference of two versions of a document: file by file for source code.
fn difference(kind: &str, old: &Value, new: &Value, look: Look) -> String {
    let (old, new) = (object(old, "/content"), object(new, "/content"));
    let none = format!("The {} has not changed.", kind.replace('_', " "));
    let (Some(before), Some(after)) =
        (document::source_files(kind, &old), document::source_files(kind, &new))
    else {
        let (before, after) = (document::plain(kind, &old), document::plain(kind, &new));
        return diff::unified(("before", &before), ("now", &after), look).unwrap_or(none);
    };
    let mut paths: Vec<&str> = before.iter().chain(&after).map(|(path, _)| *path).collect();
    paths.sort_unstable();
    paths.dedup();
    let content = |files: &[(&str, &str)], path: &str| {
        files
            .iter()
            .find(|(name, _)| *name == path)
            .map_or_else(String::new, |(_, c)| (*c).to_owned())
    };
    // What the author says, and the list of files with their sizes.
    let (said, says) = (document::plain(kind, &old), document::plain(kind, &new));
    let overview = diff::unified(("before", &said), ("now", &says), look);
    let parts: Vec<_> = overview
        .into_iter()
        .chain(paths.into_iter().filter_map(|path| {
            let (old, new) = (content(&before, path), content(&after, path));
            diff::unified((&format!("a/{path}"), &old), (&format!("b/{path}"), &new), look)
        }))
        .collect();
    if parts.is_empty() { none } else { parts.join("\n") }
}

async fn respond(
    session: &Session,
    action: &str,
    answer: Answer,
    mut body: Map<String, Value>,
) -> anyhow::Result<()> {
    let id = answer.id.to_string();
    let response = answer.response.as_deref().map(read_response).transpose()?;
    let digest = match answer.digest {
        Some(digest) => {
            confirm(&session.screen, &format!("Answer {id} with \"{action}\"?"), answer.yes)
                .await?;
            digest
        }
        None => {
            let review = Review::read(&session.client, &id).await?;
            // Before it asks, so that the person does not decide in vain.
            if answer.comment.as_deref().is_none_or(|text| text.trim().is_empty()) {
                check_reason(&review.request, action, &body)?;
            }
            reviewed(session, action, review, answer.yes).await?
        }
    };
    body.insert("action".to_owned(), action.into());
    body.insert("subject_digest".to_owned(), digest.into());
    if let Some(comment) = answer.comment {
        body.insert("comment".to_owned(), comment.into());
    }
    if let Some(response) = response {
        body.insert("response".to_owned(), response);
    }
    let done = session.client.post(&["hitl", &id, "respond"], &body.into()).await;
    let done = done.map_err(with_option)?;
    if session.screen.is_json {
        session.screen.json(&done);
    } else {
        session.screen.print(&one_line(text(&done, "/message"), 400));
    }
    Ok(())
}

/// Checks that an answer without a comment needs none. Words that say what should change are a reason.
///
/// # Errors
/// An error of use that names the policy and the option.
fn check_reason(request: &Value, action: &str, body: &Map<String, Value>) -> anyhow::Result<()> {
    let wanted = list(request, "/policy/rules/comment").contains(&action.into());
    if wanted && !body.contains_key("content") && text(request, "/status") == "pending" {
        let name = one_line(text(request, "/policy/name"), 100);
        let action = action.replace('_', " ");
        bail!(Failure::usage(format!(
            "the policy \"{name}\" wants a reason to {action}; give it with --comment TEXT"
        )));
    }
    Ok(())
}

/// Adds the option to an error about the comment.
fn with_option(error: ClientError) -> anyhow::Error {
    let is_about_comment = match &error {
        ClientError::Problem(problem) => problem.errors.iter().any(|one| one.field == "comment"),
        _ => false,
    };
    let error = anyhow::Error::from(error);
    if is_about_comment {
        error.context("--comment TEXT is not as the policy wants it")
    } else {
        error
    }
}

/// Shows what is answered, and asks. Returns the digest of what was shown.
async fn reviewed(
    session: &Session,
    action: &str,
    review: Review,
    yes: bool,
) -> anyhow::Result<String> {
    let screen = &session.screen;
    let status = text(&review.request, "/status");
    if status != "pending" {
        let by = one_line(text(&review.request, "/responded_by"), 100);
        let by = if by.is_empty() { by } else { format!(" by {by}") };
        bail!(Failure::conflict(format!("The request is {status}{by} already.")));
    }
    let head = review.head(screen.look);
    if yes {
        // Beside the output, which is the answer.
        screen.note(&head);
        return Ok(review.digest);
    }
    let documents = review.documents(screen.look);
    if screen.is_json {
        screen.note(&format!("{head}\n\n{documents}"));
    } else {
        screen.page(&format!("{head}\n\n{documents}")).await?;
    }
    let question = match action {
        "approve" => "Approve this?",
        "reject" => "Reject this, and halt a project with a workflow?",
        "request_changes" => "Ask for these changes?",
        _ => "Amend this?",
    };
    confirm(screen, question, yes).await?;
    Ok(review.digest)
}

/// Sends an answer of a person who was shown a request.
///
/// # Errors
/// Those of the connection, and what the server refuses.
pub(super) async fn answer(
    client: &Client,
    review: &Review,
    action: &str,
    words: Option<&str>,
) -> Result<Value, ClientError> {
    let mut body = json!({ "action": action, "subject_digest": review.digest });
    if let Some(words) = words {
        body[if action == "amend" { "content" } else { "comment" }] = words.into();
    }
    client.post(&["hitl", text(&review.request, "/request_id"), "respond"], &body).await
}
