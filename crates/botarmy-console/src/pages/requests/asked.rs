//! Parameters of the page of a request, the texts that were typed into it, and the message above it.

use botarmy_domain::{Actor, EventId, HitlAction, HitlStatus};
use botarmy_web::Problem;
use serde::Deserialize;

use super::act_form::{self, ActForm};
use super::load::Subject;
use crate::context::PageContext;
use crate::view::answer_form;
use crate::view::icon::Icon;
use crate::view::review::Tab;

/// Parameters of the page.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ReviewQuery {
    /// Tab.
    view: Option<String>,
    /// File of source code.
    file: Option<String>,
    /// Present if unchanged lines are shown, too.
    all: Option<String>,
    /// Answer that is chosen first.
    pub(super) choose: Option<String>,
    /// Present if the document is edited: `json` for all of it, anything else for its text.
    edit: Option<String>,
    /// Digest that the person has seen, for the part with the state.
    pub(super) seen: Option<String>,
    /// Present after an answer, which the page then confirms to the person who gave it.
    answered: Option<String>,
    /// Act that was done, which the page then confirms with the mark of its redirection.
    done: Option<String>,
    mark: Option<String>,
    /// Remark that is to be answered.
    pub(super) reply: Option<EventId>,
}

impl ReviewQuery {
    /// Returns the tab that is asked for.
    pub(super) fn tab(&self) -> Result<Option<Tab>, Problem> {
        let Some(text) = self.view.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let tab = Tab::parse(text).ok_or_else(|| {
            let names = Tab::ALL.map(Tab::as_str).join(", ");
            Problem::invalid("view", format!("must be one of {names}"))
        })?;
        Ok(Some(tab))
    }

    /// Returns the file that is asked for.
    pub(super) fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether unchanged lines are shown, too.
    pub(super) const fn shows_all(&self) -> bool {
        self.all.is_some()
    }

    /// Whether the document is edited.
    pub(super) const fn is_editing(&self) -> bool {
        self.edit.is_some()
    }

    /// Whether the document is edited as JSON.
    pub(super) fn edits_json(&self) -> bool {
        self.edit.as_deref() == Some("json")
    }

    /// Returns the message above the page.
    pub(super) fn notice(&self, context: &PageContext, subject: &Subject) -> Option<Notice> {
        if let Some(done) = &self.done {
            let text = act_form::confirmation(done)?;
            let parts = act_form::mark(&subject.request, done);
            let is_own = context.visitor.has_mark(self.mark.as_deref(), &parts);
            return is_own.then(|| Notice::good(text));
        }
        self.answered.as_ref()?;
        let (request, caller) = (&subject.request, context.caller());
        if request.status() != HitlStatus::Pending {
            request.reply()?;
            let last = request.answers().last()?;
            let by = Actor { name: last.user_id.clone(), principal: last.principal };
            return caller.is(&by).then(|| Notice::good("Your answer is recorded."));
        }
        let vote = request.votes.iter().find(|vote| caller.is(&vote.voter));
        if let Some(vote) = vote {
            let text = match vote.action {
                HitlAction::Reject => "Your rejection is recorded. Others have to answer, too.",
                _ => "Your approval is recorded. Others have to approve, too.",
            };
            return Some(Notice::good(text));
        }
        let last = request.history.last()?;
        let by = Actor { name: last.user_id.clone(), principal: last.principal };
        (last.action == "subject_changed" && caller.is(&by)).then(|| {
            Notice::good("Your version is under review now. Other people have to approve it.")
        })
    }
}

/// Text that a person has typed, so that no error loses it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) action: Option<String>,
    pub(super) content: String,
    pub(super) comment: String,
    pub(super) choice: Option<usize>,
    pub(super) document: Option<String>,
    /// Whether the document is edited as JSON.
    pub(super) is_json: bool,
    pub(super) tokens: String,
    pub(super) dollars: String,
    /// Fields of an answer with a schema.
    pub(super) fields: answer_form::Typed,
    /// Problem with them.
    pub(super) errors: answer_form::Errors,
    /// Form of something else than an answer.
    pub(super) act: ActForm,
}

impl Typed {
    /// Returns the texts, for a page that does not take them any more.
    pub(super) fn texts(&self) -> Vec<&str> {
        let document = self.document.as_deref().unwrap_or_default();
        let response = self.fields.get(answer_form::JSON).map_or("", String::as_str);
        [self.content.as_str(), &self.comment, document, response, &self.act.comment]
            .into_iter()
            .filter(|text| !text.trim().is_empty())
            .collect()
    }
}

/// Message above the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) class: &'static str,
    pub(super) icon: Icon,
    pub(super) text: String,
    /// Whether it is about changes, to which it leads.
    pub(super) has_changes: bool,
}

impl Notice {
    pub(super) fn good(text: &str) -> Self {
        Self { class: "", icon: Icon::Check, text: text.to_owned(), has_changes: false }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { class: "bad", icon: Icon::Warning, text: text.into(), has_changes: false }
    }
}
