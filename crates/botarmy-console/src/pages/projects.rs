//! The list of projects, and the form for a new one.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use botarmy_domain::{
    Caller, DomainError, Error, Limit, NewProject, Oversight, Permission, Place, Project,
    ProjectId, ProjectStatus, Workflow, text,
};
use botarmy_web::Problem;
use serde::Deserialize;

use super::choice;
use super::once::{self, Created, Sent};
use super::project::NoQuery;
use crate::Console;
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::part::{Part, Versioned as _};
use crate::view::icon::Icon;
use crate::view::project::{self, OversightView, RowView};
use crate::view::{texts, usage};

/// Number of projects on a page.
const WINDOW: u32 = 100;
/// Number of projects for which the cost is read; a list of many has none.
const MAX_COSTS: usize = 25;

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    status: Option<String>,
    /// Project before which the page begins.
    before: Option<ProjectId>,
}

/// Filter of the list.
struct FilterView {
    label: &'static str,
    path: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "projects/page.html")]
struct ProjectsTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    list: Part,
    filters: Vec<FilterView>,
    may_create: bool,
}

#[derive(Template)]
#[template(path = "projects/list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    rows: Vec<RowView>,
    status: Option<&'static str>,
    is_later: bool,
    /// Path of the newest projects with the same filter.
    first: String,
    next: Option<String>,
    may_create: bool,
    has_costs: bool,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: ListQuery = context.query_beside_part()?;
    let status: Option<ProjectStatus> = choice::given("status", query.status.as_deref())?;
    let may_create = may_create(&context);
    let list = list(&context, status, query.before, may_create).await?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list]);
    }
    let api = ApiSource::new(
        &context,
        &status
            .map_or_else(|| "/projects".to_owned(), |status| format!("/projects?status={status}")),
    )?;
    let filter = |label, value: Option<ProjectStatus>| FilterView {
        label,
        path: value.map_or_else(
            || context.path("/console/projects"),
            |value| context.path(&format!("/console/projects?status={value}")),
        ),
        is_current: value == status,
    };
    let filters = [filter("All", None)].into_iter();
    let filters = filters
        .chain(ProjectStatus::ALL.iter().map(|one| filter(texts::project_status(*one), Some(*one))))
        .collect();
    let (layout, frame) = context.frame(Section::Projects, "Projects").await?;
    context.respond(&ProjectsTemplate { layout, frame, api, list, filters, may_create })
}

fn may_create(context: &PageContext) -> bool {
    context.caller().check(Permission::ProjectCreate, Place::NewProject).is_ok()
}

async fn list(
    context: &PageContext,
    status: Option<ProjectStatus>,
    before: Option<ProjectId>,
    may_create: bool,
) -> Result<Part, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let page = queries.projects(caller, status, before, WINDOW).await?;
    let activities = queries.activities(caller, &page.items).await?;
    let has_costs = page.items.len() <= MAX_COSTS;
    let now = context.now();
    let mut rows = Vec::with_capacity(page.items.len());
    for (one, activity) in page.items.iter().zip(&activities) {
        let budget = if has_costs { Some(queries.budget(caller, one.id).await?) } else { None };
        rows.push(project::row(one, activity, budget.as_ref(), now));
    }
    let filter = status.map_or_else(String::new, |status| format!("status={status}&"));
    let next = page
        .last_before_next()
        .map(|last| context.path(&format!("/console/projects?{filter}before={}", last.id)));
    let prefix = context.path("");
    let template = ListTemplate {
        prefix: &prefix,
        rows,
        status: status.map(texts::project_status),
        is_later: before.is_some(),
        first: choice::with(&context.path("/console/projects"), &filter),
        next,
        may_create,
        has_costs,
    };
    Part::new("list", "all", &template)
}

/// Workflow that can be chosen.
struct WorkflowView {
    name: String,
    description: String,
    facts: String,
    is_chosen: bool,
    oversights: Vec<OversightView>,
}

/// Fields of the form, as they were typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct NewForm {
    #[serde(default)]
    form_token: String,
    /// Key under which the project is created once.
    #[serde(default)]
    key: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    idea: String,
    /// Name of a workflow; empty for a project that is driven task by task.
    #[serde(default)]
    workflow: String,
    #[serde(default)]
    oversight: String,
    #[serde(default)]
    dollars: String,
    #[serde(default)]
    tokens: String,
}

impl HasToken for NewForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

#[derive(Template)]
#[template(path = "projects/new.html")]
struct NewTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    /// Sentence in place of the form.
    forbidden: Option<String>,
    /// Whether the person may also set the budget.
    may_limit: bool,
    workflows: Vec<WorkflowView>,
    /// Key of the form that is shown.
    key: String,
    fields: NewForm,
    /// Field that is invalid, and what is expected of it.
    error: Option<(String, String)>,
}

/// Shows the form.
pub(crate) async fn new(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let workflow = "sdlc".to_owned();
    let fields = NewForm { workflow, oversight: "standard".to_owned(), ..NewForm::default() };
    new_page(&context, fields, None, StatusCode::OK).await
}

/// Whether the person may set the budget of a project that it creates.
fn may_limit(context: &PageContext) -> bool {
    context.caller().check(Permission::ProjectManage, Place::NewProject).is_ok()
}

async fn new_page(
    context: &PageContext,
    fields: NewForm,
    error: Option<(String, String)>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let workflows = context.console.queries.workflows(context.caller()).await?;
    let known = workflows.iter().any(|workflow| workflow.name == fields.workflow);
    let view = |(n, workflow): (usize, &Arc<Workflow>)| WorkflowView {
        name: workflow.name.clone(),
        description: workflow.description.clone(),
        facts: texts::counted(workflow.steps.len(), "step", "steps"),
        is_chosen: if known {
            workflow.name == fields.workflow
        } else {
            n == 0 && !fields.workflow.is_empty()
        },
        oversights: project::oversights(workflow),
    };
    let workflows = workflows.iter().enumerate().map(view).collect();
    let forbidden = (!may_create(context))
        .then(|| project::requires("Creating a project", Permission::ProjectCreate));
    let may_limit = may_limit(context);
    let (layout, frame) = context.frame(Section::Projects, "New project").await?;
    let frame = frame.below([("Projects", context.path("/console/projects"))]);
    let api = ApiSource::new(context, "/projects")?;
    let key = once::new_key(context);
    let page =
        NewTemplate { layout, frame, api, forbidden, may_limit, workflows, key, fields, error };
    html::respond(status, &page)
}

/// Creates the project, and shows it. An invalid field leads back to the form with all that was typed.
pub(crate) async fn create(
    context: PageContext,
    console: Data<Console>,
    Form { caller, fields }: Form<NewForm>,
) -> Result<HttpResponse, Problem> {
    once::check_key(&fields.key)?;
    let invalid = |field: &str, message: String| Some((field.to_owned(), message));
    let error = match new_project(&fields) {
        Err((field, message)) => invalid(field, message),
        Ok(new) => match usage::limit(&fields.dollars, &fields.tokens) {
            Err((field, message)) => invalid(field, message.to_owned()),
            Ok(limit) if !limit.is_none() && !may_limit(&context) => {
                invalid("dollars", "can be set by an administrator only; leave it empty".to_owned())
            }
            Ok(limit) => match make(&context, &fields, new, limit, caller).await {
                Ok(path) => return Ok(html::redirect(&console.path(&path))),
                Err(Error::Refused(error)) if once::is_of_another(&error) => {
                    let text = "was sent before with other fields, and created another project; to \
                                create this one too, send it again";
                    invalid("form", text.to_owned())
                }
                Err(Error::Refused(DomainError::Invalid { field, message })) => {
                    invalid(if field == "description" { "idea" } else { field }, message)
                }
                Err(error) => return Err(error.into()),
            },
        },
    };
    new_page(&context, fields, error, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// Creates the project with its budget, once for the key of the form, and returns its path.
async fn make(
    context: &PageContext,
    fields: &NewForm,
    new: NewProject,
    limit: Limit,
    caller: Caller,
) -> Result<String, Error> {
    let console = &context.console;
    let sent = Sent {
        key: &fields.key,
        path: "/console/projects/new",
        fields: &[
            &fields.name,
            &fields.idea,
            &fields.workflow,
            &fields.oversight,
            &fields.dollars,
            &fields.tokens,
        ],
    };
    let call = async |caller| console.projects.create_project(new, caller).await;
    let path = |project: &Arc<Project>| path_of(project.id);
    let made = once::once(context, caller.clone(), sent, path, call).await?;
    let (id, path) = match made {
        Created::Now(project) => (Some(project.id), path_of(project.id)),
        Created::Before(path) => (path.rsplit('/').next().and_then(|id| id.parse().ok()), path),
    };
    // A form that was sent again may find its project without the budget, if the first one was interrupted.
    if let Some(id) = id
        && !limit.is_none()
        && !console.queries.budget(&caller, id).await?.is_set
    {
        console.operations.set_budget(id, limit, caller).await?;
    }
    Ok(path)
}

fn path_of(id: ProjectId) -> String {
    format!("/console/projects/{id}")
}

fn new_project(fields: &NewForm) -> Result<NewProject, (&'static str, String)> {
    let idea = text::non_blank(&fields.idea);
    let workflow = text::non_blank(&fields.workflow);
    if workflow.is_some() && idea.is_none() {
        return Err(("idea", "must not be blank: the workflow starts with it".to_owned()));
    }
    let name = match (text::non_blank(&fields.name), idea) {
        (Some(name), _) => name.to_owned(),
        (None, Some(idea)) => name_of(idea),
        (None, None) => return Err(("name", "must not be blank".to_owned())),
    };
    let oversight = match fields.oversight.as_str() {
        "" => Oversight::Standard,
        word => {
            word.parse().map_err(|_| ("oversight", "must be high, standard or low".to_owned()))?
        }
    };
    Ok(NewProject {
        name,
        description: idea.map(str::to_owned),
        workflow: workflow.map(str::to_owned),
        oversight,
    })
}

/// Returns a name for a project without one: the first words of the idea.
fn name_of(idea: &str) -> String {
    const MAX: usize = 60;
    let line = idea.lines().next().unwrap_or_default();
    let sentence = line.split_inclusive(['.', '!', '?', ':']).next().unwrap_or(line);
    let sentence = sentence.trim().trim_end_matches(['.', ':', '!', '?']);
    if sentence.chars().count() <= MAX {
        return sentence.to_owned();
    }
    let mut name = String::new();
    for word in sentence.split_whitespace() {
        if name.chars().count() + word.chars().count() + 1 > MAX {
            break;
        }
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    if name.is_empty() { sentence.chars().take(MAX).collect() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_without_a_name_is_named_by_its_idea() {
        assert_eq!(name_of("A site for recipes. It has a search."), "A site for recipes");
        let long = "A site where the members of one family keep and find and share all recipes";
        assert_eq!(name_of(long), "A site where the members of one family keep and find and");
        assert_eq!(name_of(&"x".repeat(100)).len(), 60);
    }

    #[test]
    fn a_workflow_needs_an_idea_and_a_project_by_hand_a_name() {
        let form = |name: &str, idea: &str, workflow: &str| {
            let (name, idea, workflow) = (name.into(), idea.into(), workflow.into());
            new_project(&NewForm { name, idea, workflow, ..NewForm::default() })
        };
        assert_eq!(form("A", " ", "sdlc").unwrap_err().0, "idea");
        assert_eq!(form(" ", "", "").unwrap_err().0, "name");
        assert_eq!(form("A", "", "").unwrap().description, None);
        assert_eq!(form("", "Recipes", "sdlc").unwrap().name, "Recipes");
    }
}
