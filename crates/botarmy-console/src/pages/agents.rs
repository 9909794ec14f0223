//! The agent types: the list, and one with its tasks, its budget and its history.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::{AgentRecord, AgentType, DomainError, Error, Permission, Place, Stop, TaskId};
use botarmy_web::Problem;
use serde::Deserialize;

use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::guard::Confirmed;
use crate::html::{self, Layout};
use crate::part::{Part, Versioned as _};
use crate::view::agent::{self, AgentView, PastView};
use crate::view::icon::Icon;
use crate::view::lease::{self, LeaseView};
use crate::view::project::requires;

/// Path of the list.
const AGENTS: &str = "/console/agents";
/// Events that change what is shown.
const TOPIC: &str = "all agent_";
/// Number of earlier statuses on a page.
const WINDOW: u32 = 50;
/// Number of leases that are looked through for those of one agent type.
const MAX_LEASES: u32 = 100;

#[derive(Default, Deserialize)]
struct NoQuery {}

#[derive(Template)]
#[template(path = "agents/page.html")]
struct AgentsTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    list: Part,
}

#[derive(Template)]
#[template(path = "agents/list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    agents: Vec<AgentView>,
}

/// Shows the list.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query_beside_part()?;
    let records = context.console.queries.agents(context.caller()).await?;
    // Those of the context are for pages, and this may be a part of one.
    let stops = context.read_stops().await?;
    let mut agents = Vec::with_capacity(records.len());
    for record in &records {
        agents.push(view(&context, record, &stops).await?);
    }
    let prefix = context.path("");
    let list = Part::new("list", TOPIC, &ListTemplate { prefix: &prefix, agents })?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list]);
    }
    let api = ApiSource::new(&context, "/agents/status")?;
    let (layout, frame) = context.frame(Section::Agents, "Agents").await?;
    context.respond(&AgentsTemplate { layout, frame, api, list })
}

async fn view(
    context: &PageContext,
    record: &AgentRecord,
    stops: &[Stop],
) -> Result<AgentView, Problem> {
    let (console, agent) = (&context.console, record.agent_type);
    let budget = console.queries.day_budget(context.caller(), agent).await?;
    let runner = console.runners.get(&agent).map(String::as_str);
    Ok(agent::agent(record, runner, &budget, stops, context.now()))
}

#[derive(Debug, Default, Deserialize)]
struct AgentQuery {
    /// Position in the log of the system before which the history begins.
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "agents/agent.html")]
struct AgentTemplate {
    layout: Layout,
    frame: Frame,
    state: Part,
    history: Vec<PastView>,
    agent: &'static str,
    is_earlier: bool,
    next: Option<String>,
    /// Sentence in place of the form.
    forbidden: Option<String>,
}

#[derive(Template)]
#[template(path = "agents/state.html")]
struct StateTemplate<'a> {
    prefix: &'a str,
    agent: AgentView,
    leases: Vec<LeaseView>,
    api: ApiSource,
    form_token: &'a str,
    may_reset: bool,
    may_stop: bool,
}

/// Shows an agent type.
pub(crate) async fn agent(
    context: PageContext,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let query: AgentQuery = context.query_beside_part()?;
    let (queries, caller) = (&context.console.queries, context.caller());
    // A person who may not see any must not learn which there are, either.
    caller.check(Permission::AgentsRead, Place::Installation)?;
    let of = agent_type(&name)?;
    let record = queries.agent(caller, of).await?;
    let view = view(&context, &record, &context.read_stops().await?).await?;
    let leases = leases(&context, of).await?;
    let prefix = context.path("");
    let may = |permission| caller.check(permission, Place::Installation).is_ok();
    let may_reset = may(Permission::AgentsReset);
    let template = StateTemplate {
        prefix: &prefix,
        agent: view,
        leases,
        api: ApiSource::new(&context, &format!("/agents/status/{of}"))?,
        form_token: context.visitor.form_token(),
        may_reset,
        may_stop: may(Permission::StopSet),
    };
    let state = Part::new("state", TOPIC, &template)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&state]);
    }
    let history = queries.agent_history(caller, of, query.before, WINDOW).await?;
    let path = context.path(&format!("{AGENTS}/{of}"));
    let next = history.last_before_next().map(|last| format!("{path}?before={}", last.seq));
    let (layout, frame) = context.frame(Section::Agents, format!("Agent type {of}")).await?;
    let frame = frame.below([("Agents", context.path(AGENTS))]).called(of.as_str());
    context.respond(&AgentTemplate {
        layout,
        frame,
        state,
        history: history.items.iter().map(agent::past).collect(),
        agent: of.as_str(),
        is_earlier: query.before.is_some(),
        next,
        forbidden: (!may_reset)
            .then(|| requires("Resetting an agent type", Permission::AgentsReset)),
    })
}

/// Returns the leases of an agent type, as far as the person sees their projects.
async fn leases(context: &PageContext, of: AgentType) -> Result<Vec<LeaseView>, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let (mut after, mut found): (Option<TaskId>, _) = (None, Vec::new());
    loop {
        let page = match queries.leased_tasks(caller, after, MAX_LEASES).await {
            Err(Error::Refused(DomainError::NotPermitted { .. })) => return Ok(Vec::new()),
            page => page?,
        };
        after = page.last_before_next().map(|last| last.id);
        let now = context.now();
        let own = page.items.iter().filter(|task| task.agent == of);
        found.extend(own.filter_map(|task| lease::view(task, None, now)));
        if after.is_none() || found.len() >= MAX_LEASES as usize {
            return Ok(found);
        }
    }
}

fn agent_type(name: &str) -> Result<AgentType, Problem> {
    name.parse().map_err(|_| Problem::not_found("Agent type", name))
}

/// Clears the error of an agent type.
pub(crate) async fn reset(
    context: PageContext,
    name: Path<String>,
    Confirmed(caller): Confirmed,
) -> Result<HttpResponse, Problem> {
    caller.check(Permission::AgentsReset, Place::Installation)?;
    let of = agent_type(&name)?;
    context.console.operations.reset_agent(of, caller).await?;
    Ok(html::redirect(&context.path(&format!("{AGENTS}/{of}"))))
}
