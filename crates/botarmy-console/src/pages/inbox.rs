//! The inbox: requests that wait for a person, with filters, and those that were decided.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;
use botarmy_domain::hitl::PendingQuery;
use botarmy_domain::{
    DomainError, EntryFilter, Error, EventType, HitlRequest, HitlStatus, Project, ProjectId,
    ProjectStatus,
};
use botarmy_web::Problem;
use serde::Deserialize;

use super::choice::{self, Choice};
use super::queue;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::part::{Part, Versioned as _};
use crate::view::icon::Icon;
use crate::view::inbox::{self, DecidedView, Filter, KindFilter, ListView, Names, Sizes};
use crate::view::waiting::Waiting;

/// Number of decided requests on a page.
const MAX_DECIDED: u32 = 50;
/// Number of running projects on a page without requests.
const MAX_PROJECTS: u32 = 5;

#[derive(Debug, Default, Deserialize)]
struct InboxQuery {
    kind: Option<String>,
    project: Option<String>,
    agent: Option<String>,
    /// `decided`, or absent for those that wait.
    tab: Option<String>,
    /// `all`, or absent for those that the person may answer.
    who: Option<String>,
    policy: Option<String>,
    group: Option<String>,
    /// `1` for those that should have been answered by now.
    overdue: Option<String>,
}

impl InboxQuery {
    /// Returns the filter. An empty value, as a form sends it, is none.
    fn filter(&self) -> Result<Filter, Problem> {
        let kind = self.kind.as_deref().filter(|text| !text.is_empty()).map(|text| {
            let unknown =
                || Problem::invalid("kind", "must be approval, question, failure or budget");
            KindFilter::parse(text).ok_or_else(unknown)
        });
        Ok(Filter {
            kind: kind.transpose()?,
            project: choice::given("project", self.project.as_deref())?,
            agent: choice::given("agent", self.agent.as_deref())?,
        })
    }

    /// Returns the selection of requests.
    fn pending(&self, project: Option<ProjectId>) -> Result<PendingQuery, Problem> {
        let is = |name: &'static str, text: &Option<String>, word: &str| match text.as_deref() {
            None | Some("") => Ok(false),
            Some(text) if text == word => Ok(true),
            Some(_) => Err(Problem::invalid(name, format!("must be {word}, or be left out"))),
        };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(PendingQuery {
            project,
            policy: given(&self.policy),
            group: given(&self.group),
            mine: !is("who", &self.who, "all")?,
            overdue: is("overdue", &self.overdue, "1")?,
        })
    }

    fn is_decided(&self) -> Result<bool, Problem> {
        match self.tab.as_deref() {
            None | Some("" | "waiting") => Ok(false),
            Some("decided") => Ok(true),
            Some(_) => Err(Problem::invalid("tab", "must be waiting or decided")),
        }
    }
}

#[derive(Template)]
#[template(path = "inbox/page.html")]
struct InboxTemplate {
    layout: Layout,
    frame: Frame,
    list: Part,
    waiting: Waiting,
    is_decided: bool,
    is_filtered: bool,
    /// Whether requests are shown that the person may not answer, too.
    is_all: bool,
    policy: String,
    group: String,
    is_overdue: bool,
    kinds: Vec<Choice>,
    agents: Vec<Choice>,
    /// Project of the filter, with its name.
    project: Option<(String, String)>,
}

/// Running project, on a page without requests.
#[derive(Hash)]
struct RunningView {
    path: String,
    name: String,
    step: Option<String>,
}

#[derive(Template)]
#[template(path = "inbox/waiting.html")]
struct WaitingListTemplate<'a> {
    prefix: &'a str,
    list: &'a ListView,
    is_filtered: bool,
    is_all: bool,
    running: Vec<RunningView>,
    /// Whether there is no project yet.
    is_first_use: bool,
    waiting: Waiting,
}

#[derive(Template)]
#[template(path = "inbox/decided.html")]
struct DecidedTemplate<'a> {
    prefix: &'a str,
    rows: Vec<DecidedView>,
}

/// Shows the page.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: InboxQuery = context.query_beside_part()?;
    let (filter, is_decided) = (query.filter()?, query.is_decided()?);
    let pending = query.pending(filter.project)?;
    let mut read = queue::read(&context).await?;
    let waiting = read.count();
    let mine = PendingQuery { mine: true, ..PendingQuery::default() };
    if pending != mine && !is_decided {
        read = queue::read_of(&context, &pending).await?;
    }
    let is_filtered = !filter.is_none() || PendingQuery { mine: true, ..pending.clone() } != mine;
    let list = if is_decided {
        decided_part(&context).await?
    } else {
        let shown = Shown { filter: &filter, is_filtered, is_all: !pending.mine };
        waiting_part(&context, shown, read.requests, waiting).await?
    };
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list]);
    }
    let project = match filter.project {
        Some(id) => Some((
            id.to_string(),
            context.console.queries.project(context.caller(), id).await?.name.clone(),
        )),
        None => None,
    };
    let (layout, frame) = context.frame_with(Section::Inbox, "Inbox", waiting);
    context.respond(&InboxTemplate {
        layout,
        frame,
        list,
        waiting,
        is_decided,
        is_filtered,
        is_all: !pending.mine,
        policy: pending.policy.unwrap_or_default(),
        group: pending.group.unwrap_or_default(),
        is_overdue: pending.overdue,
        kinds: kinds(&filter),
        agents: choice::agents(filter.agent),
        project,
    })
}

/// Selection of the requests that are shown.
#[derive(Clone, Copy)]
struct Shown<'a> {
    filter: &'a Filter,
    /// Whether some of those that wait are left out.
    is_filtered: bool,
    is_all: bool,
}

async fn waiting_part(
    context: &PageContext,
    Shown { filter, is_filtered, is_all }: Shown<'_>,
    requests: Vec<Arc<HitlRequest>>,
    waiting: Waiting,
) -> Result<Part, Problem> {
    let wanted: Vec<_> = requests.into_iter().filter(|request| filter.has(request)).collect();
    let now = context.now();
    let shown = inbox::sorted(wanted, now);
    let names = names(context, shown.iter().take(inbox::MAX_ROWS)).await?;
    let sizes = sizes(context, shown.iter().take(inbox::MAX_ROWS)).await?;
    let list = inbox::list(shown, &names, &sizes, now);
    let (mut running, mut is_first_use) = (Vec::new(), false);
    if list.is_empty() && !is_filtered {
        let projects = projects(context, Some(ProjectStatus::Active)).await?;
        is_first_use = projects.is_empty() && projects_exist(context).await?.is_empty();
        running = projects.iter().map(|project| running_view(context, project)).collect();
    }
    // Running projects change with every event, requests with their own.
    let topic = if list.is_empty() { "all" } else { "all hitl_" };
    Part::new(
        "list",
        topic,
        &WaitingListTemplate {
            prefix: &context.path(""),
            list: &list,
            is_filtered,
            is_all,
            running,
            is_first_use,
            waiting,
        },
    )
}

/// Reads the sizes of the documents of these requests.
async fn sizes(
    context: &PageContext,
    requests: impl Iterator<Item = &Arc<HitlRequest>>,
) -> Result<Sizes, Problem> {
    let requests: Vec<_> = requests.cloned().collect();
    if requests.is_empty() {
        return Ok(Sizes::new());
    }
    let sizes = context.console.queries.subject_sizes(context.caller(), &requests).await?;
    Ok(requests.iter().map(|request| request.id).zip(sizes).collect())
}

async fn projects_exist(context: &PageContext) -> Result<Vec<Arc<Project>>, Problem> {
    projects(context, None).await
}

async fn projects(
    context: &PageContext,
    status: Option<ProjectStatus>,
) -> Result<Vec<Arc<Project>>, Problem> {
    let page = context.console.queries.projects(context.caller(), status, None, MAX_PROJECTS).await;
    match page {
        Err(Error::Refused(DomainError::NotPermitted { .. })) => Ok(Vec::new()),
        page => Ok(page?.items),
    }
}

fn running_view(context: &PageContext, project: &Project) -> RunningView {
    RunningView {
        path: context.path(&format!("/console/projects/{}", project.id)),
        name: project.name.clone(),
        step: project
            .plan
            .as_ref()
            .and_then(|plan| plan.current_step())
            .map(|step| step.name.clone()),
    }
}

async fn decided_part(context: &PageContext) -> Result<Part, Problem> {
    let filter =
        EntryFilter { event_type: Some(EventType::HitlResponse), ..EntryFilter::default() };
    let entries = context.console.logs.entries(context.caller(), filter, MAX_DECIDED).await;
    let entries = match entries {
        Err(Error::Refused(DomainError::NotPermitted { .. })) => Vec::new(),
        entries => entries?.items,
    };
    let mut requests = Vec::new();
    for id in entries.iter().filter_map(|entry| entry.hitl_request_id) {
        match context.console.queries.request(context.caller(), id).await {
            Ok(request) if request.status() != HitlStatus::Pending => requests.push(request),
            Ok(_) | Err(Error::Refused(DomainError::NotFound { .. })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let names = names(context, requests.iter()).await?;
    let now = context.now();
    let rows = requests.iter().filter_map(|request| inbox::decided(request, &names, now));
    let (prefix, rows) = (context.path(""), rows.collect());
    Part::new("list", "all hitl_", &DecidedTemplate { prefix: &prefix, rows })
}

/// Reads the names of the projects of these requests.
pub(super) async fn names(
    context: &PageContext,
    requests: impl Iterator<Item = &Arc<HitlRequest>>,
) -> Result<Names, Problem> {
    let mut names = Names::new();
    for request in requests {
        if let Entry::Vacant(name) = names.entry(request.project_id) {
            let id = *name.key();
            let project = context.console.queries.project(context.caller(), id).await?;
            name.insert(project.name.clone());
        }
    }
    Ok(names)
}

fn kinds(filter: &Filter) -> Vec<Choice> {
    let kinds = KindFilter::ALL.map(|kind| Choice {
        value: kind.as_str().to_owned(),
        label: kind.label().to_owned(),
        is_chosen: filter.kind == Some(kind),
    });
    kinds.into()
}
