//! Usage and budget of a project.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::{DomainError, Error, Permission, Seen, TaskFilter};
use botarmy_web::Problem;
use serde::Deserialize;

use super::fields::{is_changed, seen};
use super::project::{self as page, Loaded, NoQuery, Shared};
use crate::context::PageContext;
use crate::frame::Frame;
use crate::guard::{Form, HasToken};
use crate::html::{self, Layout};
use crate::part::Part;
use crate::view::icon::Icon;
use crate::view::project::{Tab, is_over, requires};
use crate::view::usage::{self, BudgetView, StepLine, UsageView};

/// Most tasks whose usage is listed by step.
const MAX_TASKS: u32 = 100;

#[derive(Template)]
#[template(path = "project/usage.html")]
struct UsageTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    usage: Part,
    /// Sentence in place of the form.
    forbidden: Option<String>,
    action: String,
    fields: BudgetForm,
    error: Option<(String, String)>,
}

#[derive(Template)]
#[template(path = "project/usage_tables.html")]
struct TablesTemplate<'a> {
    prefix: &'a str,
    budget: BudgetView,
    usage: UsageView,
    steps: Vec<StepLine>,
    has_more_steps: bool,
}

/// Shows the usage.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query_beside_part()?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    usage_page(&context, &loaded, None, None, StatusCode::OK).await
}

async fn usage_page(
    context: &PageContext,
    loaded: &Loaded,
    fields: Option<BudgetForm>,
    error: Option<(String, String)>,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let project = loaded.project();
    let (queries, caller) = (&context.console.queries, context.caller());
    let budget = queries.budget(caller, project.id).await?;
    let report = queries.usage(caller, project.id).await?;
    let tasks = queries.tasks(caller, project.id, TaskFilter::default(), MAX_TASKS).await?;
    let mut fields = fields.unwrap_or_else(|| {
        let (dollars, tokens) = usage::fields(budget.limit);
        BudgetForm { dollars, tokens, ..BudgetForm::default() }
    });
    Seen::of_limit(budget.is_set.then_some(budget.limit)).as_str().clone_into(&mut fields.seen);
    let prefix = context.path("");
    let tables = TablesTemplate {
        prefix: &prefix,
        budget: usage::budget(&budget),
        usage: usage::usage(&report),
        steps: usage::steps(&tasks.items),
        has_more_steps: tasks.has_more,
    };
    let tables = Part::new("usage", &page::topic(project.id), &tables)?;
    let api = format!("/projects/{}/usage", project.id);
    let shared = page::shared(context, loaded, Tab::Usage, &api)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&tables, &shared.head, &shared.tabs]);
    }
    let forbidden = match (loaded.allowed.manage, is_over(project.status())) {
        (false, _) => Some(requires("Changing the budget", Permission::ProjectManage)),
        (true, true) => {
            Some("The project is over: its budget does not change any more.".to_owned())
        }
        (true, false) => None,
    };
    let title = format!("Usage of {}", project.name);
    let (layout, frame) = page::frame(context, loaded, &title, Some("Usage")).await?;
    let action = loaded.path(context, "/budget");
    let template =
        UsageTemplate { layout, frame, shared, usage: tables, forbidden, action, fields, error };
    html::respond(status, &template)
}

/// Form of the budget.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct BudgetForm {
    #[serde(default)]
    form_token: String,
    #[serde(default)]
    dollars: String,
    #[serde(default)]
    tokens: String,
    /// Version of the budget that was shown.
    #[serde(default)]
    seen: String,
}

impl HasToken for BudgetForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Changes the budget. An invalid field leads back to the form with what was typed.
pub(crate) async fn set_budget(
    context: PageContext,
    id: Path<String>,
    Form { caller, fields }: Form<BudgetForm>,
) -> Result<HttpResponse, Problem> {
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let error = match usage::limit(&fields.dollars, &fields.tokens) {
        Err((field, message)) => (field.to_owned(), message.to_owned()),
        Ok(limit) => {
            let id = loaded.project().id;
            let caller = caller.with_seen(seen(&fields.seen)?);
            match context.console.operations.set_budget(id, limit, caller).await {
                Ok(_) => return Ok(html::redirect(&loaded.path(&context, "/usage"))),
                Err(Error::Refused(DomainError::Invalid { field, message })) => {
                    let field = if field == "cost_micro_usd" { "dollars" } else { field };
                    (field.to_owned(), message)
                }
                Err(Error::Refused(error)) if is_changed(&error) => {
                    let message = "is another one since the page was shown; it stands above as it \
                                   is now. Set it again to replace it";
                    let error = Some(("budget".to_owned(), message.to_owned()));
                    let status = StatusCode::CONFLICT;
                    return usage_page(&context, &loaded, Some(fields), error, status).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    usage_page(&context, &loaded, Some(fields), Some(error), status).await
}
