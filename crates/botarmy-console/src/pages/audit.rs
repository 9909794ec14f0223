//! The audit log: entries of all logs, their check, and their export.

use std::sync::Arc;

use actix_web::HttpResponse;
use askama::Template;
use botarmy_domain::log::{HeadMark, LogId};
use botarmy_domain::{
    DomainError, Entry, EntryFilter, Error, EventId, EventSource, EventType, Permission, Place,
    ProjectId, Timestamp,
};
use botarmy_web::Problem;
use serde::Deserialize;

use super::choice::{self, Choice};
use super::entries::{self, Found};
use crate::api_source::ApiSource;
use crate::context::PageContext;
use crate::frame::{Frame, Section};
use crate::html::Layout;
use crate::next::escaped;
use crate::view::audit::{self, RowView, VerdictView};
use crate::view::icon::Icon;
use crate::view::inbox::Names;
use crate::view::sentence::Sentence;

/// Path of the page.
const AUDIT: &str = "/console/audit";
/// Number of entries that are read at once to check a log.
const PART: u32 = 1000;
/// Most projects that the forms offer.
const MAX_PROJECTS: u32 = 100;
/// Length of a date, such as `2026-01-31`.
const DATE: usize = 10;

#[derive(Debug, Default, Deserialize)]
struct AuditQuery {
    project: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    source: Option<String>,
    /// Name of the party.
    actor: Option<String>,
    /// Earliest time, or first day (UTC).
    from: Option<String>,
    /// Latest time, or last day (UTC).
    to: Option<String>,
    /// Entry before which the page begins.
    before: Option<EventId>,
}

/// Filters, as they were chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Filters {
    project: Option<ProjectId>,
    kind: Option<EventType>,
    source: Option<EventSource>,
    actor: String,
    from: String,
    to: String,
    entries: EntryFilter,
}

impl AuditQuery {
    /// Reads the filters. An empty value, as a form sends it, is none.
    fn filters(&self) -> Result<Filters, Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let project = choice::given("project", given(&self.project).as_deref().map(str::trim))?;
        let kind = choice::given("type", given(&self.kind).as_deref())?;
        let source = choice::given("source", given(&self.source).as_deref())?;
        let (from, to) = (given(&self.from), given(&self.to));
        let earliest = from.as_deref().map(|text| time("from", text, "")).transpose()?;
        let latest = to.as_deref().map(|text| time("to", text, "T23:59:59.999999Z")).transpose()?;
        if earliest.zip(latest).is_some_and(|(earliest, latest)| latest < earliest) {
            return Err(Problem::invalid("to", "must not be before the beginning"));
        }
        Ok(Filters {
            project,
            kind,
            source,
            actor: given(&self.actor).unwrap_or_default().trim().to_owned(),
            from: from.unwrap_or_default(),
            to: to.unwrap_or_default(),
            entries: EntryFilter {
                project,
                event_type: kind,
                event_source: source,
                from: earliest,
                to: latest,
                before: self.before,
                ..EntryFilter::default()
            },
        })
    }
}

/// Reads a time. `end` is added to a date alone.
fn time(field: &'static str, text: &str, end: &str) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let whole = if text.len() == DATE { format!("{text}{end}") } else { text.to_owned() };
    Timestamp::parse(&whole).map_err(|error| Problem::invalid(field, error.to_string()))
}

impl Filters {
    fn is_none(&self) -> bool {
        let entries = EntryFilter { before: None, ..self.entries.clone() };
        entries == EntryFilter::default() && self.actor.is_empty()
    }

    /// Returns the query of the page with these filters that begins before this entry, or with the newest.
    fn query(&self, before: Option<EventId>) -> String {
        let pairs = [
            ("project", self.project.map(|id| id.to_string())),
            ("type", self.kind.map(|kind| kind.to_string())),
            ("source", self.source.map(|source| source.to_string())),
            ("actor", Some(self.actor.clone())),
            ("from", Some(self.from.clone())),
            ("to", Some(self.to.clone())),
            ("before", before.map(|id| id.to_string())),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some(format!("{name}={}", escaped(&value)))
        });
        given.collect::<Vec<_>>().join("&")
    }
}

#[derive(Template)]
#[template(path = "audit/page.html")]
struct AuditTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    rows: Vec<RowView>,
    kinds: Vec<Choice>,
    sources: Vec<Choice>,
    projects: Vec<Choice>,
    filters: Filters,
    is_filtered: bool,
    is_earlier: bool,
    /// Path of the newest entries with the same filters.
    first: String,
    next: Option<String>,
    /// Number of entries that were looked through for those of one party.
    searched: Option<usize>,
    /// Logs that can be checked and exported: `system`, or the id of a project.
    logs: Vec<Choice>,
}

/// Shows the entries, newest first.
pub(crate) async fn show(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: AuditQuery = context.query()?;
    let filters = query.filters()?;
    let caller = context.caller();
    let sees_system = caller.check(Permission::SystemRead, Place::Installation).is_ok();
    let found = find(&context, &filters).await?;
    let names = names(&context, &filters, &found.entries).await?;
    let rows = audit::rows(&found.entries, &names, context.now());
    let chosen = filters.kind.map_or("", EventType::as_str);
    let kinds = audit::kinds(sees_system).into_iter();
    let kinds = kinds.map(|(value, label)| Choice {
        is_chosen: value == chosen,
        value: value.to_owned(),
        label,
    });
    let project = |(id, name): (&ProjectId, &String)| Choice {
        value: id.to_string(),
        label: name.clone(),
        is_chosen: filters.project == Some(*id),
    };
    let logs = logs(&names, sees_system, filters.project.map(LogId::Project));
    let next =
        found.next.map(|before| choice::with(&context.path(AUDIT), &filters.query(Some(before))));
    let api = match filters.project {
        Some(id) => format!("/audit/projects/{id}/events"),
        None => "/audit/events".to_owned(),
    };
    let api = ApiSource::new(&context, &api)?;
    let (layout, frame) = context.frame(Section::Audit, "Audit log").await?;
    context.respond(&AuditTemplate {
        layout,
        frame,
        api,
        rows,
        kinds: kinds.collect(),
        sources: choice::sources(filters.source),
        projects: names.iter().map(project).collect(),
        is_filtered: !filters.is_none(),
        is_earlier: query.before.is_some(),
        first: choice::with(&context.path(AUDIT), &filters.query(None)),
        next,
        searched: found.searched,
        logs,
        filters,
    })
}

/// Reads a page of entries.
async fn find(context: &PageContext, filters: &Filters) -> Result<Found, Problem> {
    let (logs, caller) = (&context.console.logs, context.caller());
    if let Some(id) = filters.project {
        // A project that the person does not see is not found, rather than empty.
        context.console.queries.project(caller, id).await?;
    }
    let read = async |filter, limit| logs.entries(caller, filter, limit).await;
    Ok(entries::find(&filters.entries, &filters.actor, read).await?)
}

/// Returns the names of the newest projects, and of those that the page is about.
async fn names(
    context: &PageContext,
    filters: &Filters,
    entries: &[Arc<Entry>],
) -> Result<Names, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let mut names = match queries.projects(caller, None, None, MAX_PROJECTS).await {
        Ok(page) => page.iter().map(|project| (project.id, project.name.clone())).collect(),
        Err(Error::Refused(DomainError::NotPermitted { .. })) => Names::new(),
        Err(error) => return Err(error.into()),
    };
    let shown = entries.iter().filter_map(|entry| entry.project_id);
    for id in shown.chain(filters.project) {
        if names.contains_key(&id) {
            continue;
        }
        match queries.project(caller, id).await {
            Ok(project) => names.insert(id, project.name.clone()),
            // Its grant was taken back a moment ago.
            Err(Error::Refused(_)) => continue,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(names)
}

fn logs(names: &Names, sees_system: bool, chosen: Option<LogId>) -> Vec<Choice> {
    let system = sees_system.then(|| Choice {
        value: "system".to_owned(),
        label: "The log of the system".to_owned(),
        is_chosen: chosen == Some(LogId::System),
    });
    let of = |(id, name): (&ProjectId, &String)| Choice {
        value: id.to_string(),
        label: name.clone(),
        is_chosen: chosen == Some(LogId::Project(*id)),
    };
    system.into_iter().chain(names.iter().map(of)).collect()
}

#[derive(Debug, Default, Deserialize)]
struct VerifyQuery {
    log: String,
    /// Head that was noted earlier.
    head: Option<String>,
    /// Present if the stored state is compared, too.
    state: Option<String>,
    /// Present if the log is exported instead.
    export: Option<String>,
}

#[derive(Template)]
#[template(path = "audit/verify.html")]
struct VerifyTemplate {
    layout: Layout,
    frame: Frame,
    api: ApiSource,
    name: Sentence,
    verdict: VerdictView,
    /// Path of the check, once more.
    again: String,
    export: String,
    /// Path of the first entry that is wrong, in the list.
    log: String,
}

/// Checks a log, or leads to its export.
pub(crate) async fn verify(context: PageContext) -> Result<HttpResponse, Problem> {
    let query: VerifyQuery = context.query()?;
    let (console, caller) = (&context.console, context.caller());
    let log = match query.log.trim() {
        "system" => LogId::System,
        id => LogId::Project(choice::parsed("log", id)?),
    };
    let (name, part) = match log {
        LogId::System => {
            caller.check(Permission::SystemRead, Place::Installation)?;
            (Sentence::from("the log of the system"), "system".to_owned())
        }
        LogId::Project(id) => {
            let project = console.queries.project(caller, id).await?;
            (Sentence::from("the log of “").name(&project.name).text("”"), format!("projects/{id}"))
        }
    };
    let export = context.path(&format!("/console/raw/audit/{part}/export"));
    if query.export.is_some() {
        return Ok(crate::html::redirect(&export));
    }
    let head = query.head.filter(|text| !text.trim().is_empty());
    let head: Option<HeadMark> = head.map(|text| choice::parsed("head", &text)).transpose()?;
    let verdict = if query.state.is_some() {
        let found = console.logs.verify_state(caller, log, head.clone(), PART).await?;
        audit::verdict_of_state(found)
    } else {
        audit::verdict(&console.logs.verify_log(caller, log, head.clone(), PART).await?)
    };
    let mut parameters = Vec::new();
    if let Some(head) = &head {
        parameters.push(format!("head={head}"));
    }
    if query.state.is_some() {
        parameters.push("state=true".to_owned());
    }
    let parameters =
        if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    let api = ApiSource::new(&context, &format!("/audit/{part}/verify{parameters}"))?;
    let again = context.path(&format!("{AUDIT}/verify?{}", context.request.query_string()));
    let log = match log {
        LogId::System => context.path(AUDIT),
        LogId::Project(id) => context.path(&format!("/console/projects/{id}/log")),
    };
    let (layout, frame) =
        context.frame(Section::Audit, format!("Check of {}", name.plain())).await?;
    let frame = frame.below([("Audit log", context.path(AUDIT))]).called("Check");
    context.respond(&VerifyTemplate { layout, frame, api, name, verdict, again, export, log })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Filters, Problem> {
        let query: AuditQuery =
            botarmy_web::parse_query(text, botarmy_web::UnknownFields::Reject).unwrap();
        query.filters()
    }

    #[test]
    fn a_day_is_meant_as_a_whole() {
        let filters = query("from=2026-01-31&to=2026-01-31&actor=+ada+&project=").unwrap();
        let (from, to) = (filters.entries.from.unwrap(), filters.entries.to.unwrap());
        assert_eq!(from.to_string(), "2026-01-31T00:00:00.000000Z");
        assert_eq!(to.to_string(), "2026-01-31T23:59:59.999999Z");
        assert_eq!((filters.actor.as_str(), filters.project), ("ada", None));
        assert!(query("").unwrap().is_none() && !filters.is_none());
    }

    #[test]
    fn filters_that_cannot_be_read_are_named() {
        for text in
            ["project=x", "type=tea", "source=moon", "from=soon", "from=2026-02-02&to=2026-02-01"]
        {
            assert!(query(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_next_page_has_the_same_filters() {
        let filters = query("type=task_created&actor=a%26b").unwrap();
        let id: EventId = "0190a0b000007000800000000000000a".parse().unwrap();
        let text = filters.query(Some(id));
        assert_eq!(text, format!("type=task_created&actor=a%26b&before={id}"));
        let again = query(&text).unwrap();
        assert_eq!((again.kind, again.actor), (filters.kind, filters.actor));
    }
}
