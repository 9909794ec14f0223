//! The search: an id leads to what it names, and a text to the projects with it in their names.

use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;
use botarmy_domain::{DomainError, Error, Project, ProjectId};
use botarmy_web::Problem;
use serde::Deserialize;

use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::{self, Layout};
use crate::view::texts;
use crate::view::time::TimeView;

/// Number of projects that are read at once.
const WINDOW: u32 = 100;
/// Largest number of projects that are searched, the newest ones.
const MAX_SEARCHED: usize = 1000;
/// Largest number of results.
const MAX_FOUND: usize = 50;

#[derive(Default, Deserialize)]
struct FindQuery {
    #[serde(default)]
    q: String,
}

/// Project that was found.
struct FoundView {
    path: String,
    name: String,
    status: &'static str,
    created: TimeView,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindTemplate {
    layout: Layout,
    frame: Frame,
    wanted: String,
    found: Vec<FoundView>,
    /// Whether older projects were not searched.
    is_partial: bool,
}

/// Finds what is asked for.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: FindQuery = context.query()?;
    let wanted = query.q.trim();
    if let Some(path) = by_id(&context, wanted).await? {
        return Ok(html::redirect(&context.path(&path)));
    }
    let (mut found, is_partial) = by_name(&context, wanted).await?;
    found.truncate(MAX_FOUND);
    let found = found.iter().map(|project| FoundView {
        path: context.path(&format!("/console/projects/{}", project.id)),
        name: project.name.clone(),
        status: texts::project_status(project.status()),
        created: TimeView::relative(project.created_at, context.now()),
    });
    let found = found.collect();
    let (layout, frame) = context.frame(Section::Projects, "Search").await?;
    let wanted = wanted.to_owned();
    context.respond(&FindTemplate { layout, frame, wanted, found, is_partial })
}

/// Returns the path of the page of the object with this id.
async fn by_id(context: &PageContext, text: &str) -> Result<Option<String>, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    if let Ok(id) = text.parse()
        && exists(queries.project(caller, id).await)?
    {
        return Ok(Some(format!("/console/projects/{id}")));
    }
    if let Ok(id) = text.parse()
        && exists(queries.request(caller, id).await)?
    {
        return Ok(Some(format!("/console/requests/{id}")));
    }
    if let Ok(id) = text.parse()
        && exists(queries.task(caller, id).await)?
    {
        return Ok(Some(format!("/console/tasks/{id}")));
    }
    if let Ok(id) = text.parse()
        && exists(queries.artifact(caller, id).await)?
    {
        return Ok(Some(format!("/console/artifacts/{id}")));
    }
    Ok(None)
}

/// Whether an object exists for the caller.
fn exists<T>(result: Result<T, Error>) -> Result<bool, Problem> {
    match result {
        Ok(_) => Ok(true),
        Err(Error::Refused(DomainError::NotFound { .. } | DomainError::NotPermitted { .. })) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns projects with this text in their names, newest first, and whether not all were searched.
async fn by_name(context: &PageContext, text: &str) -> Result<(Vec<Arc<Project>>, bool), Problem> {
    let wanted = text.to_lowercase();
    let (mut found, mut searched) = (Vec::new(), 0);
    let mut before: Option<ProjectId> = None;
    if wanted.is_empty() {
        return Ok((found, false));
    }
    loop {
        let page = context.console.queries.projects(context.caller(), None, before, WINDOW).await;
        let page = match page {
            Err(Error::Refused(DomainError::NotPermitted { .. })) => return Ok((found, false)),
            page => page?,
        };
        before = page.last_before_next().map(|last| last.id);
        searched += page.items.len();
        found
            .extend(page.items.into_iter().filter(|one| one.name.to_lowercase().contains(&wanted)));
        if before.is_none() || searched >= MAX_SEARCHED || found.len() >= MAX_FOUND {
            return Ok((found, before.is_some()));
        }
    }
}
