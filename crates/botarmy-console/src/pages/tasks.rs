//! Tasks of a project, and the page of one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use botarmy_domain::log::EntryFilter;
use botarmy_domain::{
    Artifact, Caller, ContextId, DomainError, Error, NewTask, Permission, Task, TaskFilter, TaskId,
    TaskStatus,
};
use botarmy_web::Problem;
use serde::Deserialize;
use std::sync::Arc;

use super::choice::{self, Choice};
use super::once::{self, Created, Sent};
use super::project::{self as page, Loaded, NoQuery, Shared};
use crate::Console;
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::Frame;
use crate::guard::{Confirmed, Form, HasToken};
use crate::html::{self, Layout};
use crate::part::{Part, Versioned as _};
use crate::view::artifact;
use crate::view::icon::Icon;
use crate::view::project::{Tab, requires};
use crate::view::state;
use crate::view::task::{self, RowView, TaskView};

/// Number of tasks on a page.
const WINDOW: u32 = 100;
/// Most entries of the log that are read for the attempts of a task.
const MAX_ENTRIES: u32 = 200;
/// Most artifacts of the context of a task that are named.
const MAX_CONTEXT: usize = 50;

#[derive(Debug, Default, Deserialize)]
struct TasksQuery {
    status: Option<String>,
    agent: Option<String>,
    /// Task after which the page begins.
    after: Option<TaskId>,
}

impl TasksQuery {
    /// Returns the filter. An empty value, as a form sends it, is none.
    fn filter(&self) -> Result<TaskFilter, Problem> {
        let status = choice::given("status", self.status.as_deref())?;
        let agent = choice::given("agent", self.agent.as_deref())?;
        Ok(TaskFilter { status, agent, after: self.after })
    }
}

#[derive(Template)]
#[template(path = "project/tasks.html")]
struct TasksTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    list: Part,
    path: String,
    statuses: Vec<Choice>,
    agents: Vec<Choice>,
    is_filtered: bool,
    form: FormView,
}

#[derive(Template)]
#[template(path = "project/task_list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    path: &'a str,
    /// Path of the first page with the same filters.
    first: String,
    rows: Vec<RowView>,
    is_filtered: bool,
    is_later: bool,
    next: Option<String>,
}

/// Form for a task by hand.
struct FormView {
    /// Sentence in place of the form.
    forbidden: Option<String>,
    action: String,
    agents: Vec<Choice>,
    /// Key of the form that is shown.
    key: String,
    fields: TaskForm,
    error: Option<(String, String)>,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let query: TasksQuery = context.query_beside_part()?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let fields = TaskForm::default();
    list_page(&context, &loaded, &query, fields, None, StatusCode::OK).await
}

async fn list_page(
    context: &PageContext,
    loaded: &Loaded,
    query: &TasksQuery,
    fields: TaskForm,
    error: Option<(String, String)>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let filter = query.filter()?;
    let id = loaded.project().id;
    let (queries, caller) = (&context.console.queries, context.caller());
    let found = queries.tasks(caller, id, filter.clone(), WINDOW).await?;
    let path = loaded.path(context, "/tasks");
    let is_filtered = filter.status.is_some() || filter.agent.is_some();
    let mut pairs = String::new();
    if let Some(status) = filter.status {
        pairs.push_str(&format!("status={status}&"));
    }
    if let Some(agent) = filter.agent {
        pairs.push_str(&format!("agent={agent}&"));
    }
    let now = context.now();
    let prefix = context.path("");
    let list = ListTemplate {
        prefix: &prefix,
        path: &path,
        first: choice::with(&path, &pairs),
        next: found.last_before_next().map(|last| format!("{path}?{pairs}after={}", last.id)),
        rows: found.items.iter().map(|task| task::row(task, now)).collect(),
        is_filtered,
        is_later: filter.after.is_some(),
    };
    let list = Part::new("list", &page::topic(id), &list)?;
    let shared = page::shared(context, loaded, Tab::Tasks, &format!("/projects/{id}/tasks"))?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list, &shared.head, &shared.tabs]);
    }
    let title = format!("Tasks of {}", loaded.project().name);
    let (layout, frame) = page::frame(context, loaded, &title, Some("Tasks")).await?;
    let form = FormView {
        forbidden: (!loaded.allowed.run).then(|| requires("Adding a task", Permission::ProjectRun)),
        action: path.clone(),
        agents: choice::agents(fields.agent.parse().ok()),
        key: once::new_key(context),
        fields,
        error,
    };
    let template = TasksTemplate {
        layout,
        frame,
        shared,
        list,
        path,
        statuses: choice::of(TaskStatus::ALL, filter.status, |one| state::task(one).label),
        agents: choice::agents(filter.agent),
        is_filtered,
        form,
    };
    html::respond(status, &template)
}

/// Form for a task by hand.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct TaskForm {
    #[serde(default)]
    form_token: String,
    /// Key under which the task is submitted once.
    #[serde(default)]
    key: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    instructions: String,
    /// Ids of artifacts, separated by spaces or commas.
    #[serde(default)]
    context: String,
    #[serde(default)]
    priority: String,
}

impl HasToken for TaskForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Submits a task. An invalid field leads back to the form with all that was typed.
pub(crate) async fn add(
    context: PageContext,
    id: Path<String>,
    Form { caller, fields }: Form<TaskForm>,
) -> Result<HttpResponse, Problem> {
    once::check_key(&fields.key)?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let error = match new_task(loaded.project().id, &fields) {
        Err((field, message)) => (field.to_owned(), message),
        Ok(new) => match submit(&context, &fields, new, caller).await {
            Ok(path) => return Ok(html::redirect(&context.path(&path))),
            Err(Error::Refused(error)) if once::is_of_another(&error) => {
                let text = "was sent before with other fields, and added another task; to add this one \
                            too, send it again";
                ("form".to_owned(), text.to_owned())
            }
            Err(Error::Refused(DomainError::Invalid { field, message })) => {
                let field = if field == "context_ids" { "context" } else { field };
                (field.to_owned(), message)
            }
            Err(error) => return Err(error.into()),
        },
    };
    let query = TasksQuery::default();
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    list_page(&context, &loaded, &query, fields, Some(error), status).await
}

/// Submits the task once for the key of the form, and returns its path.
async fn submit(
    context: &PageContext,
    fields: &TaskForm,
    new: NewTask,
    caller: Caller,
) -> Result<String, Error> {
    let path = format!("/console/projects/{}/tasks", new.project_id);
    let sent = Sent {
        key: &fields.key,
        path: &path,
        fields: &[&fields.agent, &fields.instructions, &fields.context, &fields.priority],
    };
    let of = |task: &Arc<Task>| format!("/console/tasks/{}", task.id);
    let call = async |caller| context.console.tasks.submit_task(new, caller).await;
    Ok(match once::once(context, caller, sent, of, call).await? {
        Created::Now(task) => of(&task),
        Created::Before(path) => path,
    })
}

fn new_task(
    project_id: botarmy_domain::ProjectId,
    fields: &TaskForm,
) -> Result<NewTask, (&'static str, String)> {
    let agent =
        fields.agent.parse().map_err(|_| ("agent", "must be one of the agent types".to_owned()))?;
    if fields.instructions.trim().is_empty() {
        return Err(("instructions", "must not be blank".to_owned()));
    }
    let ids = fields.context.split([' ', ',', '\n', '\r', '\t']).filter(|id| !id.is_empty());
    let context_ids = ids
        .map(|id| id.parse::<ContextId>().map_err(|_| ("context", format!("{id:?} is not an id"))))
        .collect::<Result<_, _>>()?;
    let priority = match fields.priority.trim() {
        "" => None,
        text => Some(
            text.parse().map_err(|_| ("priority", "must be a number from 0 to 9".to_owned()))?,
        ),
    };
    let instructions = fields.instructions.clone();
    Ok(NewTask { project_id, agent, instructions, context_ids, priority, max_attempts: None })
}

#[derive(Template)]
#[template(path = "task/page.html")]
struct TaskTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    state: Part,
    task: TaskView,
    context: Vec<artifact::RowView>,
    artifacts: Vec<artifact::RowView>,
    /// Number of artifacts of the context that are not named.
    hidden: usize,
}

#[derive(Template)]
#[template(path = "task/state.html")]
struct StateTemplate<'a> {
    prefix: &'a str,
    form_token: &'a str,
    task: &'a TaskView,
    /// Sentence in place of the buttons.
    forbidden: Option<String>,
}

/// Shows a task.
pub(crate) async fn task(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query_beside_part()?;
    let (queries, caller) = (&context.console.queries, context.caller());
    let task = queries.task(caller, task_id(&id)?).await?;
    let project = queries.project(caller, task.project_id).await?;
    let allowed = crate::view::project::allowed(caller, &project);
    let entries = &context.console.logs;
    let mut entries =
        entries.task_entries(caller, task.id, EntryFilter::default(), MAX_ENTRIES).await?.items;
    entries.reverse();
    let (shown, now) = (Arc::clone(&task), context.now());
    let view = blocking(move || task::view(&shown, &entries, now)).await?;
    let can_change = view.can_retry || view.can_cancel;
    let prefix = context.path("");
    let state = StateTemplate {
        prefix: &prefix,
        form_token: context.visitor.form_token(),
        task: &view,
        forbidden: (can_change && !allowed.run)
            .then(|| requires("Changing a task", Permission::ProjectRun)),
    };
    let state = Part::new("state", &page::topic(project.id), &state)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&state]);
    }
    let all = project.plan.as_ref().and_then(|plan| plan.context_of(&task));
    let ids = all.map_or_else(|| task.context_ids.clone(), |context| context.all);
    let rows = |found: Vec<Arc<Artifact>>| {
        found.iter().map(|one| artifact::row(one, now)).collect::<Vec<_>>()
    };
    let made = match &task.state {
        botarmy_domain::TaskState::Completed { artifacts, .. } => artifacts.clone(),
        _ => Vec::new(),
    };
    let own = context.path(&format!("/console/projects/{}", project.id));
    let title = format!("{} · {}", view.title, project.name);
    let (layout, frame) = context.frame(crate::frame::Section::Projects, title).await?;
    let frame = frame
        .below([
            ("Projects".to_owned(), context.path("/console/projects")),
            (project.name.clone(), own.clone()),
            ("Tasks".to_owned(), format!("{own}/tasks")),
        ])
        .called(view.title.clone())
        .following(project.id);
    let template = TaskTemplate {
        layout,
        frame,
        api: ApiSource::new(&context, &format!("/tasks/{}", task.id))?,
        state,
        context: rows(named(&context, &ids).await?),
        artifacts: rows(named(&context, &made).await?),
        hidden: ids.len().saturating_sub(MAX_CONTEXT),
        task: view,
    };
    context.respond(&template)
}

/// Reads the first of these artifacts.
async fn named(context: &PageContext, ids: &[ContextId]) -> Result<Vec<Arc<Artifact>>, Problem> {
    let mut found = Vec::new();
    for id in ids.iter().take(MAX_CONTEXT) {
        match context.console.queries.artifact(context.caller(), *id).await {
            Ok(artifact) => found.push(artifact),
            Err(Error::Refused(DomainError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn task_id(text: &str) -> Result<TaskId, Problem> {
    text.parse().map_err(|_| Problem::not_found("Task", text))
}

/// Tries a failed task again.
pub(crate) async fn retry(
    console: Data<Console>,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let task = console.tasks.retry_task(task_id(&id)?, caller).await?;
    Ok(back(&console, &task))
}

/// Cancels a task.
pub(crate) async fn cancel(
    console: Data<Console>,
    id: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    let task = console.tasks.cancel_task(task_id(&id)?, caller).await?;
    Ok(back(&console, &task))
}

fn back(console: &Console, task: &Task) -> HttpResponse {
    html::redirect(&console.path(&format!("/console/tasks/{}", task.id)))
}
