//! Emergency stops: those in force, the form that stops work, and their release.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;
use botarmy_domain::{
    DomainError, Error, Permission, Place, Project, ProjectId, ProjectStatus, Seen, Stop, StopScope,
};
use botarmy_web::Problem;
use serde::Deserialize;

use super::fields::{is_changed, seen};
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::part::Versioned as _;
use crate::view::icon::Icon;
use crate::view::project::requires;
use crate::view::stop::{self, BarView, Names, Scopes, StopView};

/// Path of the page.
const STOP: &str = "/console/stop";
/// Most projects of each state that the form offers.
const MAX_PROJECTS: u32 = 100;

#[derive(Debug, Default, Deserialize)]
struct StopQuery {
    /// Scope that the form begins with.
    scope: Option<String>,
    /// Scope of the stop that was set.
    stopped: Option<String>,
    /// Number of tasks that were interrupted, after a stop.
    interrupted: Option<String>,
    /// Scope of the stop that was released.
    released: Option<String>,
    /// Mark of the change, after one.
    mark: Option<String>,
}

/// Form of a stop.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct StopForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    reason: String,
    /// Name of the scope, typed in.
    #[serde(default)]
    confirm: String,
}

impl HasToken for StopForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

#[derive(Template)]
#[template(path = "stop/page.html")]
struct StopTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    stops: Vec<StopView>,
    /// Sentence in place of the release of stops that the person may not release.
    not_released: Option<String>,
    scopes: Scopes,
    /// Sentence in place of the form.
    forbidden: Option<String>,
    form: StopForm,
    error: Option<(&'static str, String)>,
    notice: Option<String>,
}

#[derive(Template)]
#[template(path = "parts/stops.html")]
struct BarTemplate<'a> {
    bar_stops: &'a [BarView],
    bar_prefix: &'a str,
    bar_version: String,
}

/// Shows the bar of the pages alone.
pub(crate) async fn bar(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let bars = stop::bars(&context.stops, context.now());
    let prefix = context.path("");
    let bar_version = bars.v();
    context.respond(&BarTemplate { bar_stops: &bars, bar_prefix: &prefix, bar_version })
}

#[derive(Default, Deserialize)]
struct NoQuery {}

/// Returns the message after a change of this session, as long as it holds.
fn notice(context: &PageContext, query: &StopQuery) -> Option<String> {
    let in_force = |text: &str| {
        let scope: StopScope = text.parse().ok()?;
        context.stops.iter().find(|stop| stop.scope == scope)
    };
    let count = query.interrupted.as_deref().and_then(|count| count.parse::<usize>().ok());
    if let (Some(scope), Some(count)) = (&query.stopped, count) {
        let parts = stopped(in_force(scope)?, count);
        return context.visitor.has_mark(query.mark.as_deref(), &parts).then(|| match count {
            0 => "Work is stopped. No task was running.".to_owned(),
            1 => "Work is stopped. 1 running task is back in the queue.".to_owned(),
            count => format!("Work is stopped. {count} running tasks are back in the queue."),
        });
    }
    let scope = query.released.as_ref()?;
    let is_released = in_force(scope).is_none()
        && context.visitor.has_mark(query.mark.as_deref(), &released(scope));
    is_released.then(|| "The stop is released. Work goes on.".to_owned())
}

/// Returns the parts of the mark of a stop that interrupted this number of tasks.
fn stopped(stop: &Stop, interrupted: usize) -> [String; 2] {
    [Seen::of_stop(stop).as_str().to_owned(), interrupted.to_string()]
}

/// Returns the parts of the mark of a release.
fn released(scope: &str) -> [String; 2] {
    ["released".to_owned(), scope.to_owned()]
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: StopQuery = context.query()?;
    let form = StopForm { scope: query.scope.clone().unwrap_or_default(), ..StopForm::default() };
    if !form.scope.is_empty() {
        scope(&form.scope)?;
    }
    let notice = notice(&context, &query);
    page(&context, form, None, notice, StatusCode::OK).await
}

async fn page(
    context: &PageContext,
    form: StopForm,
    error: Option<(&'static str, String)>,
    notice: Option<String>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    // A person without any role is told so, in place of a page that is empty for another reason.
    caller.reach(Permission::ProjectRead)?;
    let chosen: Option<StopScope> = form.scope.parse().ok();
    let mut known: Vec<Arc<Project>> = Vec::new();
    for state in [ProjectStatus::Active, ProjectStatus::Paused] {
        known.extend(queries.projects(caller, Some(state), None, MAX_PROJECTS).await?.items);
    }
    let named = context.stops.iter().map(|stop| stop.scope).chain(chosen);
    for id in named.filter_map(project_of) {
        if !known.iter().any(|project| project.id == id) {
            known.push(queries.project(caller, id).await?);
        }
    }
    let names: Names = known.iter().map(|project| (project.id, project.name.clone())).collect();
    let place = |scope| place_of(scope, &known);
    let may =
        |permission, scope| place(scope).is_some_and(|at| caller.check(permission, at).is_ok());
    let may_release = |scope| may(Permission::StopRelease, scope);
    let stops = stop::stops(&context.stops, &names, may_release, context.now());
    let open = known.iter().map(|project| &**project).filter(|project| {
        project.status().is_open() && may(Permission::StopSet, StopScope::Project(project.id))
    });
    let scopes = stop::scopes(may(Permission::StopSet, StopScope::Everything), open, chosen);
    let may_stop = caller.rights().has_somewhere(Permission::StopSet);
    let forbidden = (!may_stop).then(|| requires("Stopping work", Permission::StopSet));
    let not_released = stops.iter().any(|stop| !stop.may_release);
    let not_released = not_released.then(|| requires("Releasing a stop", Permission::StopRelease));
    let api = ApiSource::new(context, "/emergency-stop")?;
    let (layout, frame) = context.frame(Section::Stop, "Emergency stop").await?;
    html::respond(
        status,
        &StopTemplate {
            layout,
            frame,
            api,
            stops,
            not_released,
            scopes,
            forbidden,
            form,
            error,
            notice,
        },
    )
}

const fn project_of(scope: StopScope) -> Option<ProjectId> {
    match scope {
        StopScope::Project(id) => Some(id),
        StopScope::Everything | StopScope::Agent(_) => None,
    }
}

/// Returns the place that a scope is, or `None` for a project that is not known.
fn place_of(scope: StopScope, known: &[Arc<Project>]) -> Option<Place> {
    let Some(id) = project_of(scope) else { return Some(Place::Installation) };
    let project = known.iter().find(|project| project.id == id)?;
    Some(Place::Project { id, creator: project.creator })
}

fn scope(text: &str) -> Result<StopScope, Problem> {
    text.parse().map_err(|message: String| Problem::invalid("scope", message))
}

/// Checks that a person may do this with a scope; returns the project, if it is one.
async fn check(
    context: &PageContext,
    permission: Permission,
    scope: StopScope,
) -> Result<Option<Arc<Project>>, Problem> {
    let caller = context.caller();
    let project = match project_of(scope) {
        Some(id) => Some(context.console.queries.project(caller, id).await?),
        None => None,
    };
    let known: Vec<_> = project.iter().cloned().collect();
    let place = place_of(scope, &known).unwrap_or(Place::Installation);
    caller.check(permission, place)?;
    Ok(project)
}

/// Stops work. A field that is wrong leads back to the form with what was typed.
pub(crate) async fn set(
    context: PageContext,
    Form { caller, fields }: Form<StopForm>,
) -> Result<HttpResponse, Problem> {
    let chosen = scope(&fields.scope)?;
    let project = check(&context, Permission::StopSet, chosen).await?;
    let name = project.as_ref().map(|project| project.name.as_str());
    let error = if stop::is_confirmed(&fields.confirm, chosen, name) {
        match context.console.operations.stop(chosen, fields.reason.clone(), caller).await {
            Ok(done) => {
                let count = done.interrupted;
                let mark = context.visitor.mark(&stopped(&done.stop, count));
                let path = mark.map_or_else(
                    || STOP.to_owned(),
                    |mark| format!("{STOP}?stopped={chosen}&interrupted={count}&mark={mark}"),
                );
                return Ok(html::redirect(&context.path(&path)));
            }
            Err(Error::Refused(DomainError::Invalid { field: "reason", message })) => {
                ("reason", message)
            }
            Err(Error::Refused(DomainError::Conflict { detail, .. })) => ("scope", detail),
            Err(error) => return Err(error.into()),
        }
    } else {
        let expected = name.map_or_else(|| typed_as(chosen), str::to_owned);
        ("confirm", format!("must be “{expected}”"))
    };
    page(&context, fields, Some(error), None, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// Returns the name of a scope that is no project, as it is typed.
fn typed_as(scope: StopScope) -> String {
    match scope {
        StopScope::Agent(agent) => agent.to_string(),
        other => other.to_string(),
    }
}

/// Form of a release.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ReleaseForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    reason: String,
    /// Version of the stop that was shown.
    #[serde(default)]
    seen: String,
}

impl HasToken for ReleaseForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Releases a stop.
pub(crate) async fn release(
    context: PageContext,
    Form { caller, fields }: Form<ReleaseForm>,
) -> Result<HttpResponse, Problem> {
    let chosen = scope(&fields.scope)?;
    check(&context, Permission::StopRelease, chosen).await?;
    let caller = caller.with_seen(seen(&fields.seen)?);
    match context.console.operations.release(chosen, fields.reason, caller).await {
        Ok(()) => {
            let mark = context.visitor.mark(&released(&chosen.to_string()));
            let path = mark.map_or_else(
                || STOP.to_owned(),
                |mark| format!("{STOP}?released={chosen}&mark={mark}"),
            );
            Ok(html::redirect(&context.path(&path)))
        }
        Err(Error::Refused(error)) if is_changed(&error) => {
            let text = "It was released meanwhile, and another one was set. The stops are shown as they \
                        are now.";
            let error = Some(("release", text.to_owned()));
            page(&context, StopForm::default(), error, None, StatusCode::CONFLICT).await
        }
        Err(error) => Err(error.into()),
    }
}
