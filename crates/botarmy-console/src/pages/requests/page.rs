//! The page of a request: the subject in tabs, and beside it the answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::artifact::digest_bytes;
use botarmy_domain::{Artifact, EntryFilter, EventType, HitlStatus, Permission, Place};
use botarmy_web::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::load::Subject;
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::{self, Layout};
use crate::pages::{artifacts, preview};
use crate::part::Part;
use crate::view::diff::{self, FileChange, FileChanges, Row};
use crate::view::icon::Icon;
use crate::view::markup::Markup;
use crate::view::request::{self, AnswerView, Case};
use crate::view::review::{self, ContextView, DocumentView, GivenView, StateView, Tab, TrailView};
use crate::view::time::TimeView;
use crate::view::{source, texts};

/// Number of entries of the history beside the document.
const SHORT_HISTORY: usize = 12;

/// Parameters of the page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReviewQuery {
    /// Tab.
    view: Option<String>,
    /// File of source code.
    file: Option<String>,
    /// Present if unchanged lines are shown, too.
    all: Option<String>,
    /// Answer that is chosen first.
    choose: Option<String>,
    /// Present if the document is edited: `json` for all of it, anything else for its text.
    edit: Option<String>,
    /// Digest that the person has seen, for the part with the state.
    seen: Option<String>,
    /// Present after an answer.
    answered: Option<String>,
}

impl ReviewQuery {
    fn tab(&self, subject: &Subject) -> Result<Tab, Problem> {
        let first = first_tab(subject);
        let Some(text) = self.view.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(first);
        };
        let tab = Tab::parse(text).ok_or_else(|| {
            let names = Tab::ALL.map(Tab::as_str).join(", ");
            Problem::invalid("view", format!("must be one of {names}"))
        })?;
        // A link to a tab that this subject does not have leads to the first.
        Ok(if tabs(subject).contains(&tab) { tab } else { first })
    }

    /// Returns the message above the page.
    pub(super) fn notice(&self, subject: &Subject) -> Option<Notice> {
        let is_over = subject.request.status() != HitlStatus::Pending;
        (self.answered.is_some() && is_over).then(|| Notice::good("Your answer is recorded."))
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
}

impl Typed {
    /// Returns the texts, for a page that does not take them any more.
    fn texts(&self) -> Vec<&str> {
        let document = self.document.as_deref().unwrap_or_default();
        [self.content.as_str(), &self.comment, document]
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
    fn good(text: &str) -> Self {
        Self { class: "", icon: Icon::Check, text: text.to_owned(), has_changes: false }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self { class: "bad", icon: Icon::Warning, text: text.into(), has_changes: false }
    }
}

/// Tab with its link.
struct TabView {
    path: String,
    label: &'static str,
    is_current: bool,
    /// Number of what the tab contains.
    count: Option<usize>,
    /// Numbers of added and removed lines.
    changes: Option<(usize, usize)>,
}

/// Content of the chosen tab.
enum Body {
    Documents(Vec<DocumentView>),
    Edit {
        text: String,
        is_markdown: bool,
        /// Whether there are members beside the text.
        has_members: bool,
    },
    /// The application, in a frame.
    Preview {
        src: String,
    },
    Files {
        files: Vec<FileLink>,
        open: Option<OpenFile>,
    },
    Changes(Changes),
    Context(ContextView),
    History,
    Raw(Vec<Raw>),
}

struct FileLink {
    path: String,
    name: String,
    is_current: bool,
    change: String,
}

struct OpenFile {
    name: String,
    size: usize,
    lines: Vec<Markup>,
}

struct Changes {
    from: usize,
    to: usize,
    /// Author and text of the feedback that caused them.
    feedback: Option<(String, String)>,
    files: Vec<FileChanges>,
    added: usize,
    removed: usize,
    all_path: String,
}

struct Raw {
    id: String,
    name: &'static str,
    digest: String,
    json: Markup,
}

/// Form with the answers.
struct FormView {
    path: String,
    key: String,
    digest: String,
    short_digest: String,
    version: usize,
    answers: Vec<AnswerView>,
    chosen: String,
    options: Vec<OptionView>,
    is_review: bool,
    is_question: bool,
    is_budget: bool,
    /// Whether the document can be edited.
    is_editable: bool,
    is_editing: bool,
}

struct OptionView {
    index: usize,
    text: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "request/page.html")]
struct ReviewTemplate<'a> {
    layout: Layout,
    frame: Frame,
    id: String,
    state: Part,
    api: ApiSource,
    notice: Option<Notice>,
    is_pending: bool,
    /// Sentence for a person who may not answer.
    forbidden: Option<String>,
    form: Option<FormView>,
    typed: Typed,
    /// Typed texts that the page does not take any more.
    kept: Vec<&'a str>,
    tabs: Vec<TabView>,
    body: Body,
    is_history: bool,
    version: usize,
    trail: Vec<TrailView>,
    /// Number of entries that the short history leaves out.
    earlier: usize,
    position: Option<(usize, usize)>,
    previous_path: Option<String>,
    next_path: Option<String>,
    project_path: String,
    changes_path: Option<String>,
}

#[derive(Template)]
#[template(path = "request/state.html")]
struct StateTemplate {
    state: StateView,
    project_path: String,
    page_path: String,
    digest: String,
    has_changed: bool,
}

/// Shows a request.
pub(super) async fn respond(
    context: &PageContext,
    subject: &Subject,
    query: &ReviewQuery,
    typed: Typed,
    notice: Option<Notice>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let request = &subject.request;
    let state = state(context, subject, query)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&state]);
    }
    let tab = query.tab(subject)?;
    let place = Place::Project { id: subject.project.id, creator: subject.project.creator };
    let permitted = context.caller().check(Permission::GateAnswer, place);
    let is_pending = request.status() == HitlStatus::Pending;
    let is_editing = query.edit.is_some() || typed.document.is_some();
    let form = (is_pending && permitted.is_ok())
        .then(|| form(context, subject, query, &typed, is_editing));
    let changes = (tab == Tab::Changes || subject.previous().is_some())
        .then(|| changes(context, subject, query.all.is_some()))
        .flatten();
    let tabs = tab_views(context, subject, tab, changes.as_ref());
    let body = match tab {
        Tab::Document if is_editing && form.is_some() => edit(subject, query, &typed),
        Tab::Document => Body::Documents(documents(subject)),
        Tab::Preview => preview_of(context, subject),
        Tab::Files => files(context, subject, query, changes.as_ref()),
        Tab::Changes => changes.map_or_else(|| Body::Documents(documents(subject)), Body::Changes),
        Tab::Context => Body::Context(given(context, subject).await?),
        Tab::History => Body::History,
        Tab::Raw => Body::Raw(raw(subject)),
    };
    let title = request::title(request, &subject.project.name);
    let (layout, frame) = context.frame_with(Section::Inbox, title, subject.waiting);
    let project_path = context.path(&format!("/console/projects/{}", subject.project.id));
    let frame = frame
        .called(request::subject(request))
        .below([
            ("Inbox".to_owned(), context.path("/console/inbox")),
            (subject.project.name.clone(), project_path.clone()),
        ])
        .following(subject.project.id);
    let frame = if form.is_some() { frame.with_decision() } else { frame };
    let mut trail = review::trail(
        request,
        &subject.requests,
        &subject.versions,
        context.caller().name(),
        context.now(),
    );
    let earlier = trail.len().saturating_sub(SHORT_HISTORY);
    if tab != Tab::History {
        trail.drain(..earlier);
    }
    let path = |id: botarmy_domain::HitlRequestId| context.path(&format!("/console/requests/{id}"));
    let kept = typed.clone();
    let kept = if form.is_none() { kept.texts() } else { Vec::new() };
    let page = ReviewTemplate {
        layout,
        frame,
        id: request.id.to_string(),
        state,
        api: ApiSource::new(context, &format!("/hitl/{}", request.id))?,
        notice,
        is_pending,
        forbidden: permitted.err().filter(|_| is_pending).map(|error| error.to_string()),
        form,
        kept,
        typed: typed.clone(),
        tabs,
        is_history: matches!(body, Body::History),
        body,
        version: subject.version(),
        trail,
        earlier,
        position: subject.place().map(|place| (place + 1, subject.queue.len())),
        previous_path: subject.before().map(path),
        next_path: subject.next().map(path),
        project_path,
        changes_path: subject.previous().map(|_| tab_path(context, subject, Tab::Changes)),
    };
    html::respond(status, &page)
}

fn state(context: &PageContext, subject: &Subject, query: &ReviewQuery) -> Result<Part, Problem> {
    let request = &subject.request;
    let digest = request.subject.digest.clone();
    let has_changed = query.seen.as_ref().is_some_and(|seen| *seen != digest);
    let state = review::state(request, &subject.project, &subject.versions, context.now());
    let topic = format!("project:{}", request.project_id);
    let template = StateTemplate {
        state,
        project_path: context.path(&format!("/console/projects/{}", request.project_id)),
        page_path: context.path(&format!("/console/requests/{}", request.id)),
        digest,
        has_changed,
    };
    Part::new("state", &topic, &template)
}

/// Returns the tabs that a subject has.
fn tabs(subject: &Subject) -> Vec<Tab> {
    let code = subject.artifacts.first().and_then(|one| review::source(one));
    let mut tabs = match &code {
        Some(code) if preview::entry(code).is_some() => vec![Tab::Preview, Tab::Files],
        Some(_) => vec![Tab::Files],
        None => vec![Tab::Document],
    };
    if subject.previous().is_some() {
        tabs.push(Tab::Changes);
    }
    tabs.extend([Tab::Context, Tab::History]);
    if !subject.artifacts.is_empty() {
        tabs.push(Tab::Raw);
    }
    tabs
}

fn first_tab(subject: &Subject) -> Tab {
    tabs(subject)[0]
}

fn tab_path(context: &PageContext, subject: &Subject, tab: Tab) -> String {
    let path = context.path(&format!("/console/requests/{}", subject.request.id));
    if tab == first_tab(subject) { path } else { format!("{path}?view={}", tab.as_str()) }
}

fn tab_views(
    context: &PageContext,
    subject: &Subject,
    current: Tab,
    changes: Option<&Changes>,
) -> Vec<TabView> {
    let view = |tab: Tab| TabView {
        path: tab_path(context, subject, tab),
        label: tab.label(),
        is_current: tab == current,
        count: match tab {
            Tab::Files => subject
                .artifacts
                .first()
                .and_then(|one| review::source(one))
                .map(|source| source.files.len()),
            Tab::Context => {
                subject.task.as_ref().map(|task| task.context_ids.len()).filter(|count| *count > 0)
            }
            _ => None,
        },
        changes: changes.filter(|_| tab == Tab::Changes).map(|all| (all.added, all.removed)),
    };
    tabs(subject).into_iter().map(view).collect()
}

fn documents(subject: &Subject) -> Vec<DocumentView> {
    subject.artifacts.iter().map(|artifact| review::read(artifact)).collect()
}

fn preview_of(context: &PageContext, subject: &Subject) -> Body {
    let artifact = subject.artifacts.first();
    let code = artifact.and_then(|one| review::source(one));
    match (artifact, code.as_ref().and_then(preview::entry)) {
        (Some(artifact), Some(entry)) => {
            Body::Preview { src: artifacts::preview_path(context, artifact.meta.id, entry) }
        }
        _ => Body::Documents(documents(subject)),
    }
}

/// Returns the text of a document as it is edited, and whether that is its Markdown: the text under
/// `markdown`, or all of it as JSON if there is none or JSON is asked for.
pub(super) fn editable(artifact: &Artifact, is_json: bool) -> (String, bool) {
    match artifact.content.get("markdown") {
        Some(Value::String(text)) if !is_json => (text.clone(), true),
        _ => (pretty(artifact), false),
    }
}

fn pretty(artifact: &Artifact) -> String {
    serde_json::to_string_pretty(&artifact.content).expect("an object can be written as JSON")
}

fn edit(subject: &Subject, query: &ReviewQuery, typed: &Typed) -> Body {
    let is_json = typed.is_json || query.edit.as_deref() == Some("json");
    let artifact = subject.artifacts.first();
    let (text, is_markdown) =
        artifact.map_or_else(|| (String::new(), true), |one| editable(one, is_json));
    Body::Edit {
        text: typed.document.clone().unwrap_or(text),
        is_markdown,
        has_members: artifact.is_some_and(|one| one.content.len() > 1),
    }
}

fn files(
    context: &PageContext,
    subject: &Subject,
    query: &ReviewQuery,
    changes: Option<&Changes>,
) -> Body {
    let Some(code) = subject.artifacts.first().and_then(|one| review::source(one)) else {
        return Body::Documents(documents(subject));
    };
    let wanted = query.file.as_deref().unwrap_or(&code.entry);
    let open = code.files.iter().find(|file| file.path == wanted).or_else(|| code.files.first());
    let current = open.map(|file| file.path.clone()).unwrap_or_default();
    let path = context.path(&format!("/console/requests/{}", subject.request.id));
    let change = |name: &str| {
        let Some(file) = changes.and_then(|all| all.files.iter().find(|file| file.path == name))
        else {
            return String::new();
        };
        match file.kind {
            FileChange::Added => "new".to_owned(),
            _ => format!("+{} −{}", file.changes.added, file.changes.removed),
        }
    };
    let links = code.files.iter().map(|file| FileLink {
        path: format!("{path}?view=files&file={}", crate::next::escaped(&file.path)),
        name: file.path.clone(),
        is_current: file.path == current,
        change: change(&file.path),
    });
    let open = open.map(|file| OpenFile {
        name: file.path.clone(),
        size: file.content.len(),
        lines: source::lines(&file.path, &file.content),
    });
    Body::Files { files: links.collect(), open }
}

fn changes(context: &PageContext, subject: &Subject, all: bool) -> Option<Changes> {
    let (old, new) = (subject.previous()?, subject.versions.last()?);
    let files = match (review::source(old), review::source(new)) {
        (Some(old), Some(new)) => {
            let old = old.files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
            let new = new.files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
            diff::files(old, new, all)
        }
        _ => {
            let changes = diff::texts(&review::text(old), &review::text(new), all);
            let path = new.meta.artifact_type.as_str().to_owned();
            vec![FileChanges { path, kind: FileChange::Changed, changes }]
        }
    };
    let (added, removed) = diff::totals(&files);
    let step = subject.request.step.as_deref();
    let name = context.caller().name();
    let feedback = review::feedback(&subject.requests, step, new.meta.created_at)
        .map(|(by, text)| (if by == name { "Your".to_owned() } else { format!("{by}’s") }, text));
    let path = context.path(&format!("/console/requests/{}", subject.request.id));
    Some(Changes {
        from: subject.version() - 1,
        to: subject.version(),
        feedback,
        files,
        added,
        removed,
        all_path: format!("{path}?view=changes&all=1"),
    })
}

/// Reads what the agent was given, and what it reported.
async fn given(context: &PageContext, subject: &Subject) -> Result<ContextView, Problem> {
    let Some(task) = &subject.task else { return Ok(review::context(None, Vec::new(), None)) };
    let mut given = Vec::new();
    for id in &task.context_ids {
        let artifact = context.console.queries.artifact(context.caller(), *id).await?;
        let meta = &artifact.meta;
        given.push(GivenView {
            path: context.path(&format!("/console/artifacts/{id}")),
            name: texts::artifact(meta.artifact_type),
            icon: review::icon(meta.artifact_type),
            digest: review::short(&meta.digest),
            made: TimeView::relative(meta.created_at, context.now()),
        });
    }
    let filter =
        EntryFilter { event_type: Some(EventType::TaskCompleted), ..EntryFilter::default() };
    let entries = context.console.logs.task_entries(context.caller(), task.id, filter, 1).await?;
    let confidence = entries.items.first().and_then(|entry| entry.event_data.get("confidence"));
    Ok(review::context(Some(task), given, confidence.and_then(Value::as_f64)))
}

fn raw(subject: &Subject) -> Vec<Raw> {
    let raw = |artifact: &std::sync::Arc<Artifact>| Raw {
        id: artifact.meta.id.to_string(),
        name: texts::artifact(artifact.meta.artifact_type),
        digest: artifact.meta.digest.clone(),
        json: source::highlight("json", &pretty(artifact)),
    };
    subject.artifacts.iter().map(raw).collect()
}

fn form(
    context: &PageContext,
    subject: &Subject,
    query: &ReviewQuery,
    typed: &Typed,
    is_editing: bool,
) -> FormView {
    let request = &subject.request;
    let case = Case::of(request);
    let mut answers = request::answers(request, &subject.project, subject.version());
    if case == Case::Question {
        // Both would be the answer in words.
        answers.retain(|answer| answer.action != "amend");
    }
    let digest = request.subject.digest.clone();
    let is_known = |action: &&str| answers.iter().any(|answer| answer.action == *action);
    let wanted = typed.action.as_deref().or(query.choose.as_deref());
    let default = if is_editing { "amend" } else { "approve" };
    let chosen = wanted.filter(is_known).unwrap_or(default).to_owned();
    let options = request.options.iter().enumerate().map(|(index, text)| OptionView {
        index,
        text: text.clone(),
        is_chosen: typed.choice == Some(index),
    });
    FormView {
        path: context.path(&format!("/console/requests/{}/answer", request.id)),
        key: key(context, subject),
        short_digest: review::short(&digest),
        digest,
        version: subject.version(),
        chosen,
        options: if case == Case::Question { options.collect() } else { Vec::new() },
        is_review: case.is_review(),
        is_question: case == Case::Question,
        is_budget: case == Case::Budget,
        is_editable: case.is_review() && subject.artifacts.len() == 1,
        is_editing,
        answers,
    }
}

/// Returns the idempotency key of the answer from this session to the subject as it is shown.
fn key(context: &PageContext, subject: &Subject) -> String {
    let parts = [
        context.visitor.form_token(),
        &subject.request.id.to_string(),
        &subject.request.subject.digest,
    ];
    let mut key = digest_bytes(parts.join("\n").as_bytes());
    key.truncate(32);
    key
}
