//! The pages of one project: the frame that they share, the overview, and the changes of its state.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use botarmy_domain::log::LogId;
use botarmy_domain::project::ProjectDetail;
use botarmy_domain::{
    ArtifactFilter, Caller, Entry, EntryFilter, Error, HitlRequest, Permission, Project, ProjectId,
    ProjectStatus, Seen, Timestamp,
};
use botarmy_web::Problem;
use serde::Deserialize;

use super::fields::{is_changed, seen};
use crate::Console;
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Confirmed, Form, HasToken};
use crate::html::{self, Layout};
use crate::part::Part;
use crate::view::icon::Icon;
use crate::view::log::EntryView;
use crate::view::project::{
    self, ActionView, Allowed, HeadView, LatestView, PENDING, Tab, TabView, WorkflowView,
};
use crate::view::sentence::Sentence;
use crate::view::usage::{self, BudgetView};
use crate::view::{log, timeline};

/// Number of entries in the overview.
const LATEST: u32 = 8;
/// Number of entries that are read at once for the timeline.
const ENTRIES_AT_ONCE: u32 = 500;
/// Most artifacts of which the overview counts the versions.
const MAX_ARTIFACTS: u32 = 400;

/// Project with all that each of its pages shows.
pub(super) struct Loaded {
    pub(super) detail: ProjectDetail,
    pending: Vec<Arc<HitlRequest>>,
    /// Number of entries of its log.
    pub(super) entries: u64,
    pub(super) allowed: Allowed,
}

impl Loaded {
    pub(super) fn project(&self) -> &Arc<Project> {
        &self.detail.project
    }

    /// Returns the path of a page of the project, as browsers use it.
    pub(super) fn path(&self, context: &PageContext, end: &str) -> String {
        context.path(&format!("/console/projects/{}{end}", self.project().id))
    }
}

/// Reads a project. One that the caller does not see does not exist.
pub(super) async fn load(context: &PageContext, id: ProjectId) -> Result<Loaded, Problem> {
    let (console, caller) = (&context.console, context.caller());
    let detail = console.queries.project_detail(caller, id).await?;
    let pending = match detail.activity.requests {
        0 => Vec::new(),
        _ => console.queries.requests(caller, id, PENDING, None, 2).await?.items,
    };
    let head = console.logs.log_head(caller, LogId::Project(id)).await?;
    let allowed = project::allowed(caller, &detail.project);
    Ok(Loaded { detail, pending, entries: head.map_or(0, |head| head.seq), allowed })
}

/// Parses the id in a path. A text that is no id names nothing that exists.
pub(super) fn project_id(text: &str) -> Result<ProjectId, Problem> {
    text.parse().map_err(|_| Problem::not_found("Project", text))
}

#[derive(Template)]
#[template(path = "project/head.html")]
struct HeadTemplate<'a> {
    prefix: &'a str,
    form_token: &'a str,
    head: HeadView,
    first: Vec<ActionView>,
    more: Vec<ActionView>,
    has_package: bool,
    /// Sentence in place of the buttons.
    forbidden: Option<String>,
    api: ApiSource,
}

#[derive(Template)]
#[template(path = "project/tabs.html")]
struct TabsTemplate<'a> {
    prefix: &'a str,
    tabs: Vec<TabView>,
}

/// Parts that all pages of a project have.
pub(super) struct Shared {
    pub(super) head: Part,
    pub(super) tabs: Part,
}

/// Renders the parts that all pages of a project have. `api` is the path of the page's subject below
/// `/api/v1`.
pub(super) fn shared(
    context: &PageContext,
    loaded: &Loaded,
    tab: Tab,
    api: &str,
) -> Result<Shared, Problem> {
    let project = loaded.project();
    let (first, more) = project::actions(project, loaded.allowed);
    let forbidden = (!loaded.allowed.run && !project::is_over(project.status()))
        .then(|| project::requires("Changing this project", Permission::ProjectRun));
    let prefix = context.path("");
    let head = HeadTemplate {
        prefix: &prefix,
        form_token: context.visitor.form_token(),
        head: project::head(&loaded.detail, &loaded.pending, loaded.allowed, context.now()),
        first,
        more,
        has_package: loaded.detail.counts.artifacts > 0,
        forbidden,
        api: ApiSource::new(context, api)?,
    };
    let tabs = project::tabs(project, &loaded.detail.counts, loaded.entries, loaded.allowed, tab);
    let topic = topic(project.id);
    Ok(Shared {
        head: Part::new("head", &topic, &head)?,
        tabs: Part::new("tabs", &topic, &TabsTemplate { prefix: &prefix, tabs })?,
    })
}

/// Returns the name of the events that change the parts of a project.
pub(super) fn topic(id: ProjectId) -> String {
    format!("project:{id}")
}

/// Returns the frame of a page of a project.
pub(super) async fn frame(
    context: &PageContext,
    loaded: &Loaded,
    title: &str,
    below: Option<&str>,
) -> Result<(Layout, Frame), Problem> {
    let project = loaded.project();
    let (layout, frame) = context.frame(Section::Projects, title.to_owned()).await?;
    let projects = ("Projects".to_owned(), context.path("/console/projects"));
    let frame = match below {
        None => frame.below([projects]),
        Some(label) => {
            let own = (project.name.clone(), loaded.path(context, ""));
            frame.below([projects, own]).called(label)
        }
    };
    Ok((layout, frame.following(project.id)))
}

#[derive(Template)]
#[template(path = "project/workflow.html")]
struct WorkflowTemplate<'a> {
    prefix: &'a str,
    workflow: Option<WorkflowView>,
    entries: u64,
    /// Project without a workflow: where its tasks are, and where one is added.
    tasks: &'a str,
    may_run: bool,
}

#[derive(Template)]
#[template(path = "project/side.html")]
struct SideTemplate<'a> {
    prefix: &'a str,
    path: &'a str,
    latest: Vec<EntryView>,
    budget: BudgetView,
    artifacts: Vec<LatestView>,
    has_artifacts: bool,
}

#[derive(Template)]
#[template(path = "project/page.html")]
struct OverviewTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    workflow: Part,
    side: Part,
}

#[derive(Default, Deserialize)]
pub(super) struct NoQuery {}

/// Shows the overview.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query_beside_part()?;
    let id = project_id(&id)?;
    let loaded = load(&context, id).await?;
    let shared = shared(&context, &loaded, Tab::Overview, &format!("/projects/{id}"))?;
    let part = context.part();
    // A part is fetched often, and the timeline reads much of the log.
    if let Some(name @ ("head" | "tabs")) = part {
        return context.respond_part(name, &[&shared.head, &shared.tabs]);
    }
    if let Some(name @ "workflow") = part {
        return context.respond_part(name, &[&workflow(&context, &loaded).await?]);
    }
    let side = side(&context, &loaded).await?;
    if let Some(name) = part {
        return context.respond_part(name, &[&side]);
    }
    let workflow = workflow(&context, &loaded).await?;
    let (layout, frame) = frame(&context, &loaded, &loaded.project().name, None).await?;
    context.respond(&OverviewTemplate { layout, frame, shared, workflow, side })
}

async fn workflow(context: &PageContext, loaded: &Loaded) -> Result<Part, Problem> {
    let project = loaded.project();
    let now = context.now();
    let view = match &project.plan {
        None => None,
        Some(_) => {
            let entries = log_entries(context, project.id, loaded.entries).await?;
            let (project, end) = (Arc::clone(project), end_of(project, now));
            let work = move || {
                let timeline = timeline::view(entries.iter().map(AsRef::as_ref), end);
                project.plan.as_ref().map(|plan| project::workflow(plan, timeline.as_ref(), now))
            };
            blocking(work).await?
        }
    };
    let (prefix, tasks) = (context.path(""), loaded.path(context, "/tasks"));
    let template = WorkflowTemplate {
        prefix: &prefix,
        workflow: view,
        entries: loaded.entries,
        tasks: &tasks,
        may_run: loaded.allowed.run,
    };
    Part::new("workflow", &topic(project.id), &template)
}

/// Returns the time up to which a project is drawn.
fn end_of(project: &Project, now: Timestamp) -> Timestamp {
    let is_over = project::is_over(project.status()) || project.status() == ProjectStatus::Halted;
    project.standing().since.filter(|_| is_over).unwrap_or(now)
}

/// Reads the newest entries of a log, up to the limit of a timeline, oldest first.
async fn log_entries(
    context: &PageContext,
    id: ProjectId,
    head: u64,
) -> Result<Vec<Arc<Entry>>, Problem> {
    let most = timeline::MAX_ENTRIES as u64;
    let mut after = head.saturating_sub(most);
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    while entries.len() < timeline::MAX_ENTRIES {
        let logs = &context.console.logs;
        let page =
            logs.log_entries(context.caller(), LogId::Project(id), after, ENTRIES_AT_ONCE).await?;
        let next = page.last_before_next().map(|last| last.seq);
        entries.extend(page.items);
        match next {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(entries)
}

async fn side(context: &PageContext, loaded: &Loaded) -> Result<Part, Problem> {
    let (console, caller, id) = (&context.console, context.caller(), loaded.project().id);
    let filter = EntryFilter::default();
    let latest = console.logs.project_entries(caller, id, filter, LATEST).await?;
    let budget = console.queries.budget(caller, id).await?;
    let artifacts = latest_artifacts(context, loaded.project()).await?;
    let (prefix, path) = (context.path(""), loaded.path(context, ""));
    let template = SideTemplate {
        prefix: &prefix,
        path: &path,
        latest: log::entries(&latest.items, context.now(), false),
        budget: usage::budget(&budget),
        artifacts,
        has_artifacts: loaded.detail.counts.artifacts > 0,
    };
    Part::new("side", &topic(id), &template)
}

/// Returns the newest artifact of each type. With their versions, if there are not too many to count them.
async fn latest_artifacts(
    context: &PageContext,
    project: &Project,
) -> Result<Vec<LatestView>, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let filter = ArtifactFilter::default();
    let refs = queries.artifact_refs(caller, project.id, filter, MAX_ARTIFACTS).await?;
    let newest = if refs.has_more {
        // They are read from the oldest, so the newest are not among them.
        let plan = project.plan.iter();
        plan.flat_map(|plan| plan.progress.latest.values()).map(|id| (*id, None)).collect()
    } else {
        project::newest(&refs.items)
    };
    let mut found = Vec::with_capacity(newest.len());
    for (id, versions) in newest {
        found.push((queries.artifact(caller, id).await?, versions));
    }
    Ok(project::latest(found))
}

/// Pauses the project.
pub(crate) async fn pause(
    console: Data<Console>,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let id = project_id(&id)?;
    console.projects.pause_project(id, caller).await?;
    Ok(back(&console, id))
}

/// Resumes the project.
pub(crate) async fn resume(
    console: Data<Console>,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let id = project_id(&id)?;
    console.projects.resume_project(id, caller).await?;
    Ok(back(&console, id))
}

fn back(console: &Console, id: ProjectId) -> HttpResponse {
    html::redirect(&console.path(&format!("/console/projects/{id}")))
}

/// Change that is asked about before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Cancel,
    Complete,
    Reopen,
}

impl Change {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "cancel" => Some(Self::Cancel),
            "complete" => Some(Self::Complete),
            "reopen" => Some(Self::Reopen),
            _ => None,
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Cancel | Self::Reopen => Permission::ProjectRun,
            Self::Complete => Permission::ProjectManage,
        }
    }
}

#[derive(Template)]
#[template(path = "project/change.html")]
struct ChangeTemplate {
    layout: Layout,
    frame: Frame,
    question: Sentence,
    consequence: &'static str,
    /// Conditions that are not met.
    unmet: Vec<String>,
    has_reason: bool,
    class: &'static str,
    button: &'static str,
    action: String,
    back: String,
    /// Sentence in place of the form.
    forbidden: Option<String>,
    /// Version of the conditions that are shown.
    seen: Option<Seen>,
    /// Reason for which the change was not made.
    error: Option<String>,
}

/// Asks whether the project shall be cancelled, reopened or completed by force.
pub(crate) async fn ask(
    context: PageContext,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let (id, word) = path.into_inner();
    let change = Change::parse(&word).ok_or_else(|| Problem::not_found("Page", &word))?;
    question(&context, project_id(&id)?, change, &word, None).await
}

/// Shows the question, with the reason for which the change was not made.
async fn question(
    context: &PageContext,
    id: ProjectId,
    change: Change,
    word: &str,
    error: Option<String>,
) -> Result<HttpResponse, Problem> {
    let loaded = load(context, id).await?;
    let name = &loaded.project().name;
    let is_allowed = match change {
        Change::Cancel | Change::Reopen => loaded.allowed.run,
        Change::Complete => loaded.allowed.manage,
    };
    let mut unmet = Vec::new();
    let (question, consequence, what, class, button) = match change {
        Change::Cancel => (
            Sentence::from("Cancel “").name(name).text("”?"),
            "Running agents are stopped, waiting requests are cancelled, and nothing of it starts \
             again. Documents and log stay.",
            "Cancelling a project",
            "danger",
            "Cancel the project",
        ),
        Change::Reopen => (
            Sentence::from("Reopen “").name(name).text("”?"),
            "The rejected step is put up for review again, with its history.",
            "Reopening a project",
            "primary",
            "Reopen the project",
        ),
        Change::Complete => {
            if is_allowed {
                unmet = botarmy_domain::decide::projects::unmet(
                    loaded.project(),
                    &loaded.detail.counts,
                );
            }
            (
                Sentence::from("Complete “").name(name).text("” by force?"),
                "It counts as completed although conditions are not met. Open tasks and requests are \
                 cancelled, and the package is made of what there is. The log names you and the \
                 conditions.",
                "Completing a project by force",
                "danger",
                "Complete the project by force",
            )
        }
    };
    let forbidden = (!is_allowed).then(|| project::requires(what, change.permission()));
    let (layout, frame) = frame(context, &loaded, &question.plain(), Some(button)).await?;
    let status = if error.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let page = ChangeTemplate {
        layout,
        frame,
        question,
        consequence,
        seen: (change == Change::Complete).then(|| Seen::of_unmet(&unmet)),
        unmet,
        has_reason: change == Change::Reopen,
        class,
        button,
        action: loaded.path(context, &format!("/{word}")),
        back: loaded.path(context, ""),
        forbidden,
        error,
    };
    html::respond(status, &page)
}

/// Form of a change.
#[derive(Debug, Deserialize)]
pub(crate) struct ChangeForm {
    #[serde(default)]
    form_token: String,
    /// Reason for reopening.
    #[serde(default)]
    reason: String,
    /// Version of the conditions that were shown before a completion by force.
    #[serde(default)]
    seen: String,
}

impl HasToken for ChangeForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Makes the change.
pub(crate) async fn make(
    context: PageContext,
    path: Path<(String, String)>,
    Form { caller, fields }: Form<ChangeForm>,
) -> Result<HttpResponse, Problem> {
    let (id, word) = path.into_inner();
    let change = Change::parse(&word).ok_or_else(|| Problem::not_found("Page", &word))?;
    let id = project_id(&id)?;
    let caller =
        if change == Change::Complete { caller.with_seen(seen(&fields.seen)?) } else { caller };
    match change_project(&context.console, id, change, fields.reason, caller).await {
        Ok(()) => Ok(back(&context.console, id)),
        Err(Error::Refused(error)) if is_changed(&error) => {
            let text = format!("{error} They are shown as they are now.");
            question(&context, id, change, &word, Some(text)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn change_project(
    console: &Console,
    id: ProjectId,
    change: Change,
    reason: String,
    caller: Caller,
) -> Result<(), Error> {
    match change {
        Change::Cancel => {
            console.projects.cancel_project(id, caller).await?;
        }
        Change::Reopen => {
            console.projects.reopen_project(id, reason, caller).await?;
        }
        Change::Complete => {
            console.projects.force_complete(id, caller).await?;
        }
    }
    Ok(())
}
