//! `run --server`: one project from idea to package on a running server, in the terminal.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use botarmy_client::ClientError;
use botarmy_terminal::text::{one_line, printable, wrap_hard};
use serde_json::{Value, json};

use super::follow::{Follower, View, exit_code_of, step};
use super::gates::{Review, answer};
use super::options::{OutputOptions, Place, ServerOptions};
use super::session::Session;
use super::values::{clock, list, text};
use super::{package, pager, summary};
use crate::output::{is_closed, say, say_error};
use crate::run::prompt::{self, Answer, Question, Subject, suggested};
use crate::run::{SECOND_CHANCES, Wish, package_file, title};
use crate::signals::Signals;

/// Takes an idea to a package on a server. The exit code is 0 for a package, 1 for a project that
/// ended otherwise, 2 when it was left waiting.
///
/// # Errors
/// Those of the connection, what the server refuses, and a package that cannot be written.
pub(crate) async fn run(
    server: &ServerOptions,
    place: &Place,
    wish: Wish,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let session = Session::with(server, OutputOptions::default(), place)?;
    let name = wish.name.clone().unwrap_or_else(|| title(&wish.idea));
    let out = package_file::place(wish.out.as_deref(), &name)?;
    let body = json!({
        "name": name, "description": wish.idea, "workflow": wish.workflow,
        "oversight": wish.oversight.to_string(),
    });
    let project = session.client.post(&["projects"], &body).await?;
    let id = text(&project, "/id").to_owned();
    say!("Project {id} \"{}\" on {}", summary::name(&project), session.client.server());
    let mut run = Run {
        session: &session,
        id: &id,
        yes: wish.yes,
        second_chances: SECOND_CHANCES,
        answered: BTreeSet::new(),
    };
    let ended = tokio::select! {
        ended = run.follow() => ended?,
        () = pager::interrupted(&mut signals) => None,
    };
    match ended {
        Some(project) => run.finish(&project, &out).await,
        None => {
            session.screen.clear_status();
            let on = format!("\nThe project goes on at {}.", session.client.server());
            let how = format!("To follow it: botarmy-server projects watch {id}");
            say!("{on}\n{how}");
            if is_closed() {
                say_error!("{}\n{how}", on.trim_start());
            }
            Ok(ExitCode::from(2))
        }
    }
}

struct Run<'a> {
    session: &'a Session,
    id: &'a str,
    yes: bool,
    /// Number of failures that `--yes` still answers with another try.
    second_chances: u32,
    answered: BTreeSet<String>,
}

impl Run<'_> {
    /// Follows the project to its end. Returns `None` if it was left waiting.
    async fn follow(&mut self) -> anyhow::Result<Option<Value>> {
        let client = &self.session.client;
        let mut view = View::new(self.session.screen);
        view.hide_gates();
        let mut follower = Follower::new(client, self.session.screen, self.id, 0);
        loop {
            if let Some(project) = step(client, self.id, &mut follower, &mut view).await? {
                view.end_status();
                return Ok(Some(project));
            }
            if is_closed() {
                return Ok(None);
            }
            let path = ["hitl", "project", self.id, "requests"];
            let query = [("status_filter", "pending")];
            let open = client.items(&path, &query, 100).all().await?;
            for request in open.iter().rev() {
                let request_id = text(request, "/request_id");
                if self.answered.contains(request_id) {
                    continue;
                }
                // The step that led to the gate was committed with it or before.
                for entry in follower.entries().await? {
                    view.entry(&entry);
                }
                view.end_status();
                if !self.answer(request_id).await? {
                    return Ok(None);
                }
            }
        }
    }

    /// Answers a request. Returns `false` if it is left waiting.
    async fn answer(&mut self, id: &str) -> anyhow::Result<bool> {
        let (client, screen) = (&self.session.client, &self.session.screen);
        let review = Review::read(client, id).await?;
        let wanted = if self.yes { self.nod(&review.request) } else { self.ask(&review).await? };
        let Some(wanted) = wanted else { return Ok(false) };
        let sent = match &wanted {
            Answer::Approve => answer(client, &review, "approve", None).await,
            Answer::Reject(reason) => answer(client, &review, "reject", Some(reason)).await,
            Answer::Amend(text) => answer(client, &review, "amend", Some(text)).await,
        };
        match sent {
            Ok(_) => {}
            // Another person was first, or the subject has changed: it is asked again if it is open.
            Err(ClientError::Problem(problem)) if problem.status == 409 => {
                screen.print(&printable(&format!("  {problem}")));
                return Ok(true);
            }
            Err(ClientError::Problem(problem)) if problem.status < 500 => {
                screen.print(&printable(&format!("  {problem}")));
                // The same answer would be refused for ever.
                return Ok(!self.yes && problem.status != 403);
            }
            Err(error) => return Err(error.into()),
        }
        self.answered.insert(id.to_owned());
        Ok(true)
    }

    /// Returns the answer of a person who says yes to everything, but not for ever.
    fn nod(&mut self, request: &Value) -> Option<Answer> {
        if text(request, "/kind") == "failure" {
            if self.second_chances == 0 {
                let question = printable(text(request, "/question"));
                let text = format!("\n{question}\nThis needs a person: it has failed too often.");
                self.session.screen.print(&text);
                return None;
            }
            self.second_chances -= 1;
        }
        Some(Answer::Approve)
    }

    async fn ask(&self, review: &Review) -> anyhow::Result<Option<Answer>> {
        let request = &review.request;
        let is_question = text(request, "/kind") == "question" && request["budget"].is_null();
        let options = list(request, "/options").iter().filter_map(Value::as_str);
        let question = Question {
            text: text(request, "/question").to_owned(),
            options: if is_question { suggested(options) } else { Vec::new() },
            deadline: format!("The deadline is {} UTC.", clock(request, "/expires_at")),
        };
        let subject = Reviewed { session: self.session, review };
        prompt::ask(&question, &subject, Some(self.session.screen.look.width)).await
    }

    async fn finish(&self, project: &Value, out: &Path) -> anyhow::Result<ExitCode> {
        let client = &self.session.client;
        let screen = &self.session.screen;
        match text(project, "/status") {
            "completed" => {
                let size = package::download(client, self.id, out).await?;
                say!("\nCompleted. {} KB: {}", size.div_ceil(1024), out.display());
            }
            "halted" => screen.print(&printable(&format!(
                "\nThe project was halted by {}: {}.\nTo go on after all: botarmy-server projects \
                 reopen {} --reason …",
                text(project, "/status_by"),
                text(project, "/status_reason"),
                self.id
            ))),
            other => screen.print(&printable(&format!("\nThe project is {other}."))),
        }
        let used = client.get(&["projects", self.id, "usage"], &[]).await?;
        screen.print(&format!("It took {}.", summary::took(project, &used)));
        Ok(exit_code_of(project))
    }
}

/// Request under review, as the server has it.
struct Reviewed<'a> {
    session: &'a Session,
    review: &'a Review,
}

impl Subject for Reviewed<'_> {
    async fn show(&self) -> anyhow::Result<()> {
        let look = self.session.screen.look;
        let mut view = self.review.documents(look);
        let task = text(&self.review.request, "/task_id");
        if text(&self.review.request, "/kind") != "approval" && !task.is_empty() {
            let task = self.session.client.get(&["tasks", task], &[]).await?;
            view.push_str(&wrap_hard(&about(&task), look.width));
        }
        if view.is_empty() {
            view.push_str("There is nothing to show besides the question.");
        }
        self.session.screen.page(&format!("\n{view}\n")).await
    }

    async fn show_file(&self, path: &str) -> anyhow::Result<()> {
        match self.review.file(path) {
            Some(text) => self.session.screen.page(&text).await,
            None => {
                say!("There is no file {} under review.", one_line(path, 200));
                Ok(())
            }
        }
    }
}

/// Returns the state of a task that failed or asks, with its instructions.
fn about(task: &Value) -> String {
    let error = printable(text(task, "/error_message"));
    let error = if error.is_empty() { error } else { format!("\nError:\n{error}\n") };
    let instructions = printable(text(task, "/instructions"));
    format!("\nTask of the {}{error}\nInstructions:\n{instructions}", text(task, "/agent_type"))
}
