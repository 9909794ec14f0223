//! The log of a project, and one of its entries.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;
use botarmy_domain::{Entry, EntryFilter, EventId, EventSource, EventType, Via};
use botarmy_web::Problem;
use serde::Deserialize;

use super::choice::{self, Choice};
use super::entries;
use super::project::{self as page, NoQuery, Shared};
use crate::api_source::ApiSource;
use crate::blocking::blocking;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::next::escaped;
use crate::part::{Part, Versioned as _};
use crate::view::document;
use crate::view::icon::Icon;
use crate::view::log::{self, EntryView};
use crate::view::project::Tab;
use crate::view::raw::{self, RawView};

#[derive(Debug, Default, Deserialize)]
struct LogQuery {
    #[serde(rename = "type")]
    kind: Option<String>,
    source: Option<String>,
    /// Name of the party.
    actor: Option<String>,
    /// Entry before which the page begins.
    before: Option<EventId>,
}

#[derive(Template)]
#[template(path = "project/log.html")]
struct LogTemplate {
    layout: Layout,
    frame: Frame,
    shared: Shared,
    list: Part,
    path: String,
    kinds: Vec<Choice>,
    sources: Vec<Choice>,
    actor: String,
    is_filtered: bool,
}

#[derive(Template)]
#[template(path = "project/log_list.html")]
struct ListTemplate<'a> {
    prefix: &'a str,
    path: &'a str,
    /// Path of the first page with the same filters.
    first: String,
    rows: Vec<EntryView>,
    is_filtered: bool,
    is_earlier: bool,
    next: Option<String>,
    /// Number of entries that were looked through for those of the actor.
    searched: Option<usize>,
    actor: &'a str,
    /// Position and hash of the newest entry that is shown.
    head: Option<(u64, String)>,
}

/// Shows the entries, newest first.
pub(crate) async fn show(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let query: LogQuery = context.query_beside_part()?;
    let kind: Option<EventType> = choice::given("type", query.kind.as_deref())?;
    let source: Option<EventSource> = choice::given("source", query.source.as_deref())?;
    let loaded = page::load(&context, page::project_id(&id)?).await?;
    let id = loaded.project().id;
    let filter = EntryFilter {
        event_type: kind,
        event_source: source,
        before: query.before,
        ..EntryFilter::default()
    };
    let logs = &context.console.logs;
    let actor = query.actor.as_deref().unwrap_or_default().trim();
    let read =
        async |filter, limit| logs.project_entries(context.caller(), id, filter, limit).await;
    let found = entries::find(&filter, actor, read).await?;
    let path = loaded.path(&context, "/log");
    let mut pairs = String::new();
    if let Some(kind) = kind {
        pairs.push_str(&format!("type={kind}&"));
    }
    if let Some(source) = source {
        pairs.push_str(&format!("source={source}&"));
    }
    if !actor.is_empty() {
        pairs.push_str(&format!("actor={}&", escaped(actor)));
    }
    let is_filtered = kind.is_some() || source.is_some() || !actor.is_empty();
    let prefix = context.path("");
    let list = ListTemplate {
        prefix: &prefix,
        path: &path,
        first: choice::with(&path, &pairs),
        next: found.next.map(|last| format!("{path}?{pairs}before={last}")),
        rows: log::entries(&found.entries, context.now(), is_filtered),
        searched: found.searched,
        actor,
        is_filtered,
        is_earlier: query.before.is_some(),
        head: found.entries.first().map(|first| (first.seq, first.hash.clone())),
    };
    // To look through thousands of entries whenever there is a new one would be too much.
    let topic = page::topic(id);
    let topic = if actor.is_empty() { topic } else { format!("{topic} none") };
    let list = Part::new("list", &topic, &list)?;
    let api = format!("/audit/projects/{id}/events");
    let shared = page::shared(&context, &loaded, Tab::Log, &api)?;
    if let Some(name) = context.part() {
        return context.respond_part(name, &[&list, &shared.head, &shared.tabs]);
    }
    let title = format!("Log of {}", loaded.project().name);
    let (layout, frame) = page::frame(&context, &loaded, &title, Some("Log")).await?;
    let kinds = kinds(kind);
    let (sources, actor) = (choice::sources(source), actor.to_owned());
    let template =
        LogTemplate { layout, frame, shared, list, path, kinds, sources, actor, is_filtered };
    context.respond(&template)
}

/// Returns the types of entries that a project has; those of the installation are left out.
fn kinds(chosen: Option<EventType>) -> Vec<Choice> {
    const OF_PROJECTS: [&str; 9] = [
        "project_",
        "task_",
        "hitl_",
        "artifact",
        "handoff_",
        "budget_",
        "emergency_",
        "webhook_",
        "agent_error",
    ];
    let is_known = |kind: &&EventType| {
        OF_PROJECTS.iter().any(|begin| kind.as_str().starts_with(begin)) || chosen == Some(**kind)
    };
    choice::of(EventType::ALL.iter().filter(is_known), chosen, |kind| {
        document::title(kind.as_str())
    })
}

#[derive(Template)]
#[template(path = "entry/page.html")]
struct EntryTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    entry: EntryView,
    raw: RawView,
    /// Path of all of it.
    whole: String,
    origin: Vec<(&'static str, String)>,
}

/// Shows an entry with its payload.
pub(crate) async fn entry(context: PageContext, id: Path<String>) -> Result<HttpResponse, Problem> {
    let NoQuery {} = context.query()?;
    let id: EventId = id.parse().map_err(|_| Problem::not_found("Entry", id.as_str()))?;
    let found = context.console.logs.entry(context.caller(), id).await?;
    let (shown, now) = (Arc::clone(&found), context.now());
    let work = move || (log::entries(&[Arc::clone(&shown)], now, true), raw::view(&*shown));
    let (view, raw) = blocking(work).await?;
    let view = view.into_iter().next().ok_or_else(|| Problem::not_found("Entry", id))?;
    let title = format!("Entry {}", found.seq);
    let (layout, frame) = context.frame(Section::Projects, title).await?;
    let frame = match found.project_id {
        None => frame,
        Some(project) => {
            let project = context.console.queries.project(context.caller(), project).await?;
            let own = context.path(&format!("/console/projects/{}", project.id));
            frame
                .below([
                    ("Projects".to_owned(), context.path("/console/projects")),
                    (project.name.clone(), own.clone()),
                    ("Log".to_owned(), format!("{own}/log")),
                ])
                .following(project.id)
        }
    };
    let template = EntryTemplate {
        layout,
        frame,
        api: ApiSource::new(&context, &format!("/audit/events/{id}"))?,
        raw,
        whole: context.path(&format!("/console/raw/audit/events/{id}")),
        origin: origin(&found),
        entry: view,
    };
    context.respond(&template)
}

/// Returns who caused an entry, and how it was proven.
fn origin(entry: &Entry) -> Vec<(&'static str, String)> {
    let names = [
        ("Actor", "actor"),
        ("Signed in by", "auth"),
        ("Claimed user", "claimed_user"),
        ("Came by", "via"),
        ("Request", "request_id"),
    ];
    let found = names.into_iter().filter_map(|(label, name)| {
        let value = entry.event_metadata.get(name)?.as_str()?;
        Some((label, if name == "via" { way(value) } else { value }.to_owned()))
    });
    let source = ("Source", texts_of(entry.event_source));
    found.chain([source]).collect()
}

/// Returns how a way is called on a page. One that a later version has recorded is shown as it is.
fn way(via: &str) -> &str {
    match via.parse() {
        Ok(Via::Rest) => "the REST API",
        Ok(Via::Console) => "the console",
        Ok(Via::Terminal) => "the terminal",
        Ok(Via::Mcp) => "an MCP server",
        Ok(Via::Link) => "an answer link",
        Err(_) => via,
    }
}

fn texts_of(source: EventSource) -> String {
    match source {
        EventSource::Agent => "an agent".to_owned(),
        other => other.as_str().to_owned(),
    }
}
