//! The workers that hold tasks, and the way to connect one.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use askama::Template;
use botarmy_domain::{DomainError, Error, Permission, ProjectId, Task, TaskId};
use botarmy_web::{Problem, origin_of};
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::part::{Part, Versioned as _};
use crate::view::icon::Icon;
use crate::view::lease::{self, LeaseView};

/// Path of the page.
const WORKERS: &str = "/console/workers";
/// Number of leases on a page.
const WINDOW: u32 = 100;

#[derive(Debug, Default, Deserialize)]
struct WorkersQuery {
    /// Task after which the page begins.
    after: Option<TaskId>,
}

#[derive(Template)]
#[template(path = "workers/page.html")]
struct WorkersTemplate {
    layout: Layout,
    frame: Frame,
    list: Part,
    /// Agent types whose tasks the server gives to its own runners.
    with_runner: Vec<&'static str>,
    /// Address of the leases.
    url: String,
    may_create_keys: bool,
}

#[derive(Template)]
#[template(path = "workers/list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    rows: Vec<LeaseView>,
    is_later: bool,
    next: Option<String>,
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: WorkersQuery = context.query_beside_part()?;
    let (console, caller) = (&context.console, context.caller());
    let found = console.queries.leased_tasks(caller, query.after, WINDOW).await?;
    let names = names(&context, found.items.iter().map(|task| &**task)).await?;
    let now = context.now();
    let row = |task: &Task| lease::view(task, names.get(&task.project_id).map(String::as_str), now);
    let path = context.path(WORKERS);
    let prefix = context.path("");
    let list = ListTemplate {
        prefix: &prefix,
        rows: found.items.iter().filter_map(|task| row(task)).collect(),
        is_later: query.after.is_some(),
        next: found.last_before_next().map(|last| format!("{path}?after={}", last.id)),
    };
    let list = Part::new("list", "all task_", &list)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list]);
    }
    let head = context.request.head();
    let origin = origin_of(head, console.public_url.as_ref(), console.has_tls)?;
    let url = format!("{origin}{}", context.path("/api/v1/worker/leases"));
    let (layout, frame) = context.frame(Section::Workers, "Workers").await?;
    context.respond(&WorkersTemplate {
        layout,
        frame,
        list,
        with_runner: console.runners.keys().map(|agent| agent.as_str()).collect(),
        url,
        may_create_keys: caller.rights().has_globally(Permission::AccessManage),
    })
}

/// Returns the names of the projects of these tasks.
async fn names<'a>(
    context: &PageContext,
    tasks: impl Iterator<Item = &'a Task>,
) -> Result<BTreeMap<ProjectId, String>, Problem> {
    let mut names = BTreeMap::new();
    for task in tasks {
        let id = task.project_id;
        if names.contains_key(&id) {
            continue;
        }
        match context.console.queries.project(context.caller(), id).await {
            Ok(project) => names.insert(id, project.name.clone()),
            // Its grant was taken back a moment ago.
            Err(Error::Refused(DomainError::NotFound { .. })) => continue,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(names)
}
