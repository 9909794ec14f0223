//! The page of a request: the subject in tabs, and beside it the answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::artifact::{ArtifactRef, digest_bytes};
use botarmy_domain::vocabulary::Verdict;
use botarmy_domain::{EntryFilter, EventId, EventType, HitlAction, HitlStatus};
use botarmy_web::Problem;
use serde_json::Value;

use super::act_form::EXTENSIONS;
use super::asked::{Notice, ReviewQuery, Typed};
use super::content::{self, Content, EditView, FileLink, OpenFile, Raw, Shown};
use super::load::Subject;
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::{self, Layout};
use crate::pages::{artifacts, once};
use crate::part::Part;
use crate::view::answer_form::{self, FieldView};
use crate::view::diff::{FileChanges, Row};
use crate::view::discussion::{self, ThreadView};
use crate::view::gate::{self, GateView};
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
    Plan(PlanView),
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

/// Step before it runs.
struct PlanView {
    agent: &'static str,
    instructions: String,
    output: String,
    /// Documents that it is given.
    inputs: Vec<GivenView>,
    /// Words of people that it is given.
    feedback: Vec<GivenView>,
    documents: Vec<DocumentView>,
}

struct Changes {
    from: usize,
    to: usize,
    /// Author and text of the feedback that caused them.
    feedback: Option<(Sentence, String)>,
    amended: Option<AmendedView>,
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
    /// Fields of an answer with a schema.
    fields: Vec<FieldView>,
    /// Whether the answer is JSON, with its text and what is wrong with it.
    json: Option<(String, Option<String>)>,
    /// Words beside the field for a comment.
    comment_rule: String,
    /// Answer that the person has given, which another takes the place of.
    given: Option<String>,
    /// Whether several people have to approve, so that an answer can be taken back.
    is_vote: bool,
    /// Whether the document can be edited.
    is_editable: bool,
    is_editing: bool,
}

struct OptionView {
    index: usize,
    text: String,
    is_chosen: bool,
}

/// Change of what is reviewed, by a person.
struct AmendedView {
    by: String,
    time: TimeView,
    /// Number of votes that are void since.
    voided: u32,
}

/// Forms for everything beside the answer.
struct ActsView {
    path: String,
    key: String,
    has_vote: bool,
    claim: bool,
    unclaim: bool,
    delegate: bool,
    extend: bool,
    remind: bool,
    escalate: bool,
    extensions: [(u32, &'static str); 5],
}

impl ActsView {
    const fn is_empty(&self) -> bool {
        !(self.has_vote
            || self.claim
            || self.unclaim
            || self.delegate
            || self.extend
            || self.remind
            || self.escalate)
    }
}

/// Rules and standing of the request.
#[derive(Template)]
#[template(path = "request/gate.html")]
struct GateTemplate {
    gate: GateView,
}

/// Discussion, without the form.
#[derive(Template)]
#[template(path = "request/discussion.html")]
struct DiscussionTemplate {
    threads: Vec<ThreadView>,
    /// Path of the page, if the person may say something.
    reply_path: Option<String>,
}

#[derive(Template)]
#[template(path = "request/page.html")]
struct ReviewTemplate<'a> {
    layout: Layout,
    frame: Frame,
    id: String,
    state: Part,
    gate: Part,
    discussion: Part,
    /// Whether the person may say something.
    may_comment: bool,
    /// Remark that is to be answered, and its author.
    reply: Option<(EventId, String)>,
    comment_key: String,
    acts: Option<ActsView>,
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
    amended: Option<AmendedView>,
    /// Whether the people who may still approve are too few.
    is_unsatisfiable: bool,
    changes_path: Option<String>,
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
    let (gate, discussion) = (gate(context, subject)?, talk(context, subject)?);
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&state, &gate, &discussion]);
    }
    let wanted = query.tab()?;
    let is_pending = request.status() == HitlStatus::Pending;
    let may_answer = is_pending && !subject.allowed.verdicts.is_empty();
    let may_edit = may_answer && is_editable(subject);
    let is_editing = may_edit && (query.is_editing() || typed.document.is_some());
    let form = may_answer.then(|| form(context, subject, query, &typed, is_editing));
    let (whole, asked, written) = (subject.clone(), query.clone(), typed.clone());
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
    let refusal = subject.allowed.refusal.as_ref();
    let page = ReviewTemplate {
        layout,
        frame,
        id: request.id.to_string(),
        state,
        gate,
        discussion,
        may_comment: subject.allowed.comment,
        reply: replied(subject, query, &typed),
        comment_key: once::new_key(context),
        acts: Some(acts(context, subject)).filter(|acts| !acts.is_empty()),
        api: ApiSource::new(context, &format!("/hitl/{}", request.id))?,
        notice,
        is_pending,
        forbidden: refusal.filter(|_| is_pending && !may_answer).map(ToString::to_string),
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
        changes_path: subject.compared().map(|_| tab_path(context, subject, Tab::Changes, first)),
    };
    html::respond(status, &page)
}

fn state(context: &PageContext, subject: &Subject, query: &ReviewQuery) -> Result<Part, Problem> {
    let request = &subject.request;
    let digest = request.subject.digest.clone();
    let has_changed = query.seen.as_ref().is_some_and(|seen| *seen != digest);
    let may_answer = !subject.allowed.verdicts.is_empty();
    let state =
        review::state(request, &subject.project, &subject.versions, may_answer, context.now());
    let is_pending = request.status() == HitlStatus::Pending;
    let changes_path = context.path(&format!("/console/requests/{}?view=changes", request.id));
    let topic = format!("project:{}", request.project_id);
    let template = StateTemplate {
        state,
        project_path: context.path(&format!("/console/projects/{}", request.project_id)),
        page_path: context.path(&format!("/console/requests/{}", request.id)),
        digest,
        has_changed,
        amended: amended(context, subject).filter(|_| is_pending),
        is_unsatisfiable: is_pending && request.unsatisfiable,
        changes_path: subject.compared().map(|_| changes_path),
    };
    Part::new("state", &topic, &template)
}

fn gate(context: &PageContext, subject: &Subject) -> Result<Part, Problem> {
    let request = &subject.request;
    let gate = gate::view(request, &subject.project, context.now());
    Part::new("gate", &format!("project:{}", request.project_id), &GateTemplate { gate })
}

fn amended(context: &PageContext, subject: &Subject) -> Option<AmendedView> {
    let changed = subject.changed.as_ref()?;
    Some(AmendedView {
        by: changed.by.clone(),
        time: TimeView::relative(changed.at, context.now()),
        voided: changed.voided,
    })
}

fn talk(context: &PageContext, subject: &Subject) -> Result<Part, Problem> {
    let request = &subject.request;
    let path = context.path(&format!("/console/requests/{}", request.id));
    let template = DiscussionTemplate {
        threads: discussion::threads(&request.comments, context.now()),
        reply_path: subject.allowed.comment.then_some(path),
    };
    let topic = format!("project:{} hitl_commented", request.project_id);
    Part::new("discussion", &topic, &template)
}

/// Returns the remark that is to be answered, if there is one, and its author.
fn replied(subject: &Subject, query: &ReviewQuery, typed: &Typed) -> Option<(EventId, String)> {
    let id = query.reply.or_else(|| typed.act.reply_to.parse().ok())?;
    let comment = subject.request.comments.iter().find(|comment| comment.id == id)?;
    Some((id, comment.by.name.clone()))
}

/// Whether the person may replace the document under review.
fn is_editable(subject: &Subject) -> bool {
    Case::of(&subject.request).is_review()
        && subject.request.planned.is_none()
        && subject.artifacts.len() == 1
        && subject.may(Verdict::Amend)
}

fn acts(context: &PageContext, subject: &Subject) -> ActsView {
    let allowed = &subject.allowed;
    ActsView {
        path: context.path(&format!("/console/requests/{}/act", subject.request.id)),
        key: once::new_key(context),
        has_vote: allowed.withdraw,
        claim: allowed.claim,
        unclaim: allowed.unclaim,
        delegate: allowed.delegate,
        extend: allowed.extend,
        remind: allowed.remind,
        escalate: allowed.escalate,
        extensions: EXTENSIONS,
    }
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
        Shown::Plan(documents) => Body::Plan(plan(context, subject, documents).await?),
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
    let (from, to) = subject.compared_versions();
    Changes {
        from,
        to,
        feedback,
        amended: amended(context, subject),
        files,
        all_path: format!("{path}?view=changes&all=1"),
    }
}

/// Reads what a step that has not run would do.
async fn plan(
    context: &PageContext,
    subject: &Subject,
    documents: Vec<DocumentView>,
) -> Result<PlanView, Problem> {
    let Some(planned) = subject.request.planned.as_ref() else {
        return Err(Problem::internal("a plan is shown of a request without one"));
    };
    let mut feedback = Vec::new();
    for id in &planned.feedback {
        let artifact = context.console.queries.artifact(context.caller(), *id).await?;
        feedback.push(given_view(context, &artifact.meta));
    }
    Ok(PlanView {
        agent: texts::agent(planned.agent),
        instructions: planned.instructions.clone(),
        output: texts::artifact_in_sentence(planned.output),
        inputs: subject.artifacts.iter().map(|one| given_view(context, &one.meta)).collect(),
        feedback,
        documents,
    })
}

fn given_view(context: &PageContext, meta: &ArtifactRef) -> GivenView {
    GivenView {
        path: context.path(&format!("/console/artifacts/{}", meta.id)),
        name: texts::artifact(meta.artifact_type),
        icon: review::icon(meta.artifact_type),
        digest: review::short(&meta.digest),
        made: TimeView::relative(meta.created_at, context.now()),
    }
}

/// Reads what the agent was given, and what it reported.
async fn given(context: &PageContext, subject: &Subject) -> Result<ContextView, Problem> {
    let Some(task) = &subject.task else { return Ok(review::context(None, Vec::new(), None)) };
    let mut given = Vec::new();
    for id in &task.context_ids {
        let artifact = context.console.queries.artifact(context.caller(), *id).await?;
        given.push(given_view(context, &artifact.meta));
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
    answers.retain(|answer| match answer.action {
        "approve" => subject.may(Verdict::Approve),
        "reject" => subject.may(Verdict::Reject),
        _ => subject.may(Verdict::RequestChanges) || subject.may(Verdict::Amend),
    });
    if !is_editable(subject) && case.is_review() {
        for answer in answers.iter_mut().filter(|answer| answer.action == "amend") {
            answer.label = "Ask for changes";
        }
    }
    let excluded = subject.allowed.refusal.as_ref().filter(|_| !subject.may(Verdict::Approve));
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
    let schema = request.response_schema.as_ref().map(answer_form::of);
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
        is_editable: is_editable(subject),
        excluded: excluded.map(ToString::to_string),
        fields: schema
            .as_ref()
            .map_or_else(Vec::new, |schema| schema.views(&typed.fields, &typed.errors)),
        json: schema.filter(|schema| *schema == answer_form::AnswerForm::Json).map(|_| {
            let text = typed.fields.get(answer_form::JSON).cloned().unwrap_or_default();
            (text, typed.errors.get(answer_form::JSON).cloned())
        }),
        comment_rule: gate::comment_rule(request),
        given: given_before(context, subject),
        is_vote: request.pinned_policy().policy.approvals() > 1,
        is_editing,
        answers,
    }
}

/// Returns the sentence about the answer that the person has given to the subject.
fn given_before(context: &PageContext, subject: &Subject) -> Option<String> {
    let votes = &subject.request.votes;
    let vote = votes.iter().find(|vote| context.caller().is(&vote.voter))?;
    let verb = if vote.action == HitlAction::Reject { "rejected" } else { "approved" };
    let time = TimeView::relative(vote.at, context.now()).text;
    Some(format!("You {verb} it {time}. Another answer takes the place of that one."))
}

/// Returns the idempotency key of the answer from this session to the request as it is shown: an answer
/// that was taken back can be given again.
fn key(context: &PageContext, subject: &Subject) -> String {
    let parts = [
        context.visitor.form_token(),
        &subject.request.id.to_string(),
        &subject.request.subject.digest,
        &subject.request.history.len().to_string(),
    ];
    let mut key = digest_bytes(parts.join("\n").as_bytes());
    key.truncate(32);
    key
}
