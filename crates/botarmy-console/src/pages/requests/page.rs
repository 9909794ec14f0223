//! The page of a request: the subject in tabs, and beside it the answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::artifact::digest_bytes;
use botarmy_domain::decide::exclusion;
use botarmy_domain::{EntryFilter, EventType, HitlStatus, Permission, Place};
use botarmy_web::Problem;
use serde_json::Value;

use super::asked::{Notice, ReviewQuery, Typed};
use super::content::{self, Content, EditView, FileLink, OpenFile, Raw, Shown};
use super::load::Subject;
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::{self, Layout};
use crate::pages::artifacts;
use crate::part::Part;
use crate::view::diff::{FileChanges, Row};
use crate::view::icon::Icon;
use crate::view::request::{self, AnswerView, Case};
use crate::view::review::{self, ContextView, DocumentView, GivenView, StateView, Tab, TrailView};
use crate::view::sentence::Sentence;
use crate::view::texts;
use crate::view::time::TimeView;

/// Number of entries of the history beside the document.
const SHORT_HISTORY: usize = 12;

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
    Edit(EditView),
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

struct Changes {
    from: usize,
    to: usize,
    /// Author and text of the feedback that caused them.
    feedback: Option<(Sentence, String)>,
    files: Vec<FileChanges>,
    all_path: String,
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
    /// Sentence for a person who may not approve, because of its part in the document.
    excluded: Option<String>,
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
    let wanted = query.tab()?;
    let place = Place::Project { id: subject.project.id, creator: subject.project.creator };
    let permitted = context.caller().check(Permission::GateAnswer, place);
    let is_pending = request.status() == HitlStatus::Pending;
    let is_editing = query.is_editing() || typed.document.is_some();
    let form = (is_pending && permitted.is_ok())
        .then(|| form(context, subject, query, &typed, is_editing));
    let (whole, asked, written) = (subject.clone(), query.clone(), typed.clone());
    let may_edit = form.is_some();
    let work = move || content::content(&whole, &asked, wanted, &written, may_edit);
    let content = blocking(work).await?;
    let tabs = tab_views(context, subject, &content);
    let (tab, first) = (content.tab, content.tabs[0]);
    let body = body(context, subject, tab, content.shown).await?;
    let title = request::title(request, &subject.project.name).plain();
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
        changes_path: subject.previous().map(|_| tab_path(context, subject, Tab::Changes, first)),
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

fn tab_path(context: &PageContext, subject: &Subject, tab: Tab, first: Tab) -> String {
    let path = context.path(&format!("/console/requests/{}", subject.request.id));
    if tab == first { path } else { format!("{path}?view={}", tab.as_str()) }
}

fn tab_views(context: &PageContext, subject: &Subject, content: &Content) -> Vec<TabView> {
    let view = |tab: Tab| TabView {
        path: tab_path(context, subject, tab, content.tabs[0]),
        label: tab.label(),
        is_current: tab == content.tab,
        count: match tab {
            Tab::Files => content.files,
            Tab::Context => {
                subject.task.as_ref().map(|task| task.context_ids.len()).filter(|count| *count > 0)
            }
            _ => None,
        },
        changes: content.totals.filter(|_| tab == Tab::Changes),
    };
    content.tabs.iter().copied().map(view).collect()
}

/// Returns what the tab shows, as the page has it.
async fn body(
    context: &PageContext,
    subject: &Subject,
    tab: Tab,
    shown: Shown,
) -> Result<Body, Problem> {
    Ok(match shown {
        Shown::Documents(documents) => Body::Documents(documents),
        Shown::Edit(edit) => Body::Edit(edit),
        Shown::Files { files, open } => Body::Files { files, open },
        Shown::Changes(files) => Body::Changes(changes(context, subject, files)),
        Shown::Raw(raw) => Body::Raw(raw),
        Shown::Preview(entry) => match subject.artifacts.first() {
            Some(one) => {
                Body::Preview { src: artifacts::preview_path(context, one.meta.id, &entry) }
            }
            None => Body::Documents(Vec::new()),
        },
        Shown::Other if tab == Tab::Context => Body::Context(given(context, subject).await?),
        Shown::Other => Body::History,
    })
}

fn changes(context: &PageContext, subject: &Subject, files: Vec<FileChanges>) -> Changes {
    let step = subject.request.step.as_deref();
    let name = context.caller().name();
    let made = subject.versions.last().map(|new| new.meta.created_at);
    let feedback =
        made.and_then(|made| review::feedback(&subject.requests, step, made)).map(|(by, text)| {
            (if by == name { "Your".into() } else { Sentence::default().name(by).text("’s") }, text)
        });
    let path = context.path(&format!("/console/requests/{}", subject.request.id));
    Changes {
        from: subject.version().saturating_sub(1),
        to: subject.version(),
        feedback,
        files,
        all_path: format!("{path}?view=changes&all=1"),
    }
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
    let excluded = exclusion::check(request, &subject.project, context.caller()).err();
    if excluded.is_some() {
        answers.retain(|answer| answer.action != "approve");
    }
    let digest = request.subject.digest.clone();
    let is_known = |action: &&str| answers.iter().any(|answer| answer.action == *action);
    let wanted = typed.action.as_deref().or(query.choose.as_deref());
    let default = if is_editing || excluded.is_some() { "amend" } else { "approve" };
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
        is_editable: case.is_review() && subject.artifacts.len() == 1 && excluded.is_none(),
        excluded: excluded.map(|error| error.to_string()),
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
