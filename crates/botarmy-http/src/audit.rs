//! The audit log: searching, checking and exporting it.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::log::{GENESIS, HeadMark, Line, LogId, Verification};
use botarmy_domain::replay::Difference;
use botarmy_domain::{
    Entry, EntryFilter, Error, EventId, EventSource, EventType, HitlRequestId, Page, Permission,
    ProjectId, Reach, TaskId, Timestamp,
};
use futures_util::{Stream, stream};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::endpoint::Endpoint;
use crate::error::{Problem, ProblemDocument};
use crate::extract::{Caller, Query, Segment, When, Whole, in_range};
use crate::paging::{self, List, Range};
use crate::{State, vocabulary};

/// Number of entries when the client asks for none.
const PAGE: u32 = 100;
/// Number of entries of a task when the client asks for none.
const TASK_PAGE: u32 = 50;
/// Largest number of entries that a client can ask for.
const PAGE_MAX: u32 = 1000;
/// Largest offset; a cursor goes further, and is faster.
const MAX_OFFSET: u32 = 1_000_000;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<__path_events, _, _>(events, Permission::ProjectRead),
        Endpoint::new::<__path_event, _, _>(event, Permission::ProjectRead),
        Endpoint::new::<__path_of_project, _, _>(of_project, Permission::ProjectRead),
        Endpoint::new::<__path_of_task, _, _>(of_task, Permission::ProjectRead),
        Endpoint::new::<__path_verify, _, _>(verify, Permission::ProjectRead).heavy(),
        Endpoint::new::<__path_export, _, _>(export, Permission::ProjectRead).heavy(),
        Endpoint::new::<__path_verify_system, _, _>(verify_system, Permission::SystemRead).heavy(),
        Endpoint::new::<__path_export_system, _, _>(export_system, Permission::SystemRead).heavy(),
    ]
}

/// Entry of a log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
struct EntryView<'a> {
    #[schema(value_type = Uuid)]
    id: EventId,
    #[schema(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    #[schema(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    #[schema(value_type = Option<Uuid>)]
    hitl_request_id: Option<HitlRequestId>,
    #[schema(value_type = vocabulary::EventType)]
    event_type: EventType,
    #[schema(value_type = vocabulary::EventSource)]
    event_source: EventSource,
    /// Data of the event.
    #[schema(value_type = Object)]
    event_data: &'a Map<String, Value>,
    /// Origin of the event: `actor` and, where they are known, `request_id`, `via`, `principal`, `auth`,
    /// `credential` and `claimed_user`.
    #[schema(value_type = Object)]
    event_metadata: &'a Map<String, Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Position in its log: 1, 2, 3, …
    seq: u64,
    /// SHA-256 over the canonical JSON of the fields above and the hash of the entry before, in
    /// hexadecimal.
    hash: &'a str,
}

impl<'a> EntryView<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            id: entry.id,
            project_id: entry.project_id,
            task_id: entry.task_id,
            hitl_request_id: entry.hitl_request_id,
            event_type: entry.event_type,
            event_source: entry.event_source,
            event_data: &entry.event_data,
            event_metadata: &entry.event_metadata,
            created_at: entry.created_at,
            seq: entry.seq,
            hash: &entry.hash,
        }
    }
}

/// Filter and page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Project to filter by.
    #[param(value_type = Option<Uuid>)]
    project_id: Option<ProjectId>,
    /// Task to filter by.
    #[param(value_type = Option<Uuid>)]
    task_id: Option<TaskId>,
    /// Request to filter by.
    #[param(value_type = Option<Uuid>)]
    hitl_request_id: Option<HitlRequestId>,
    /// Event type to filter by.
    #[param(value_type = Option<vocabulary::EventType>)]
    event_type: Option<EventType>,
    /// Source to filter by.
    #[param(value_type = Option<vocabulary::EventSource>)]
    event_source: Option<EventSource>,
    /// Earliest time, or first day (UTC).
    #[param(value_type = Option<String>, format = DateTime)]
    start_date: Option<When>,
    /// Latest time, or last day (UTC).
    #[param(value_type = Option<String>, format = DateTime)]
    end_date: Option<When>,
    /// Largest number of entries that a client can ask for.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<Whole>,
    /// Number of entries to leave out.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000)]
    offset: Option<Whole>,
    /// Cursor of the page, instead of `offset`; the `Link` header of the page before has it.
    #[param(value_type = Option<Uuid>)]
    cursor: Option<EventId>,
}

impl EventQuery {
    fn filter(&self) -> Result<EntryFilter, Problem> {
        let (from, to) = (self.start_date.map(When::start), self.end_date.map(When::end));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            return Err(Problem::invalid("end_date", "must not be before start_date"));
        }
        if self.cursor.is_some() && self.offset.is_some() {
            return Err(Problem::invalid("cursor", "cannot be combined with offset"));
        }
        Ok(EntryFilter {
            reach: Reach::everything(),
            project: self.project_id,
            task: self.task_id,
            request: self.hitl_request_id,
            event_type: self.event_type,
            event_source: self.event_source,
            from,
            to,
            before: self.cursor,
            offset: in_range("offset", self.offset, 0, 0..=MAX_OFFSET)?,
        })
    }
}

/// Logs that are searched.
#[derive(Clone, Copy)]
enum Searched {
    All,
    Project(ProjectId),
    Task(TaskId),
}

/// Entries of logs, newest first.
struct EntryList<'a> {
    state: &'a State,
    caller: &'a botarmy_domain::Caller,
    searched: Searched,
    filter: EntryFilter,
}

impl List for EntryList<'_> {
    type Item = Arc<Entry>;
    type Cursor = EventId;

    async fn read(&self, before: Option<EventId>, limit: u32) -> Result<Page<Arc<Entry>>, Error> {
        let mut filter = EntryFilter { before, ..self.filter.clone() };
        if before.is_some() {
            // The offset is from the newest entry, and a cursor is already beyond it.
            filter.offset = 0;
        }
        let Self { state, caller, .. } = self;
        match self.searched {
            Searched::All => state.logs.entries(caller, filter, limit).await,
            Searched::Project(id) => state.logs.project_entries(caller, id, filter, limit).await,
            Searched::Task(id) => state.logs.task_entries(caller, id, filter, limit).await,
        }
    }

    fn cursor(entry: &Arc<Entry>) -> EventId {
        entry.id
    }

    fn write(&self, entry: &Arc<Entry>, json: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(json, &EntryView::of(entry))
    }
}

/// Responds with a page of entries and, where there is another, a link to it.
async fn respond(
    state: &State,
    request: &HttpRequest,
    caller: &botarmy_domain::Caller,
    searched: Searched,
    query: &EventQuery,
) -> Result<HttpResponse, Problem> {
    let page = if let Searched::Task(_) = searched { TASK_PAGE } else { PAGE };
    let limit = in_range("limit", query.limit, page, 1..=PAGE_MAX)?;
    let list = EntryList { state, caller, searched, filter: query.filter()? };
    paging::respond_array(state, request, &list, Range { after: query.cursor, limit }).await
}

/// Searches all logs, newest entries first.
///
/// A page ends early when it would be large; the `Link` header names the next one.
#[utoipa::path(
    get, path = "/api/v1/audit/events", operation_id = "search_events",
    tag = "audit", params(EventQuery),
    responses((status = 200, body = [EntryView], headers(("Link" = String)))),
)]
async fn events(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<EventQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    respond(&state, &request, &caller, Searched::All, &query).await
}

/// Returns an entry.
#[utoipa::path(
    get, path = "/api/v1/audit/events/{event_id}", operation_id = "get_event", tag = "audit",
    params(("event_id" = Uuid, Path)),
    responses((status = 200, body = EntryView), (status = 404, body = ProblemDocument)),
)]
async fn event(
    state: Data<State>,
    Segment(id): Segment<EventId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let entry = state.logs.entry(&caller, id).await?;
    Ok(HttpResponse::Ok().json(EntryView::of(&entry)))
}

/// Searches the log of a project, newest entries first.
///
/// A page ends early when it would be large; the `Link` header names the next one.
#[utoipa::path(
    get, path = "/api/v1/audit/projects/{project_id}/events",
    operation_id = "search_project_events",
    tag = "audit",
    params(("project_id" = Uuid, Path), EventQuery),
    responses(
        (status = 200, body = [EntryView], headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn of_project(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<EventQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    respond(&state, &request, &caller, Searched::Project(id), &query).await
}

/// Searches the entries about a task, newest first.
///
/// Returns 50 entries when no limit is given. A page ends early when it would be large; the `Link`
/// header names the next one.
#[utoipa::path(
    get, path = "/api/v1/audit/tasks/{task_id}/events", operation_id = "search_task_events",
    tag = "audit",
    params(("task_id" = Uuid, Path), EventQuery),
    responses(
        (status = 200, body = [EntryView], headers(("Link" = String))),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn of_task(
    state: Data<State>,
    Segment(id): Segment<TaskId>,
    Caller(caller): Caller,
    Query(query): Query<EventQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    respond(&state, &request, &caller, Searched::Task(id), &query).await
}

/// Result of a check of a log.
#[derive(Serialize, ToSchema)]
struct VerifyView {
    /// Whether every entry is unchanged and in its place and, with `state`, the stored state follows
    /// from the log.
    valid: bool,
    /// Number of entries that were read.
    entries: u64,
    /// End of the log that was checked.
    head: HeadView,
    /// First position at which the log differs from what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_bad_seq: Option<u64>,
    /// Defect at that position.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Number of entries by earlier versions whose hashes do not show a change of the last digits
    /// of numbers of 2^53 or more; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rounded_entries: Option<u64>,
    /// Result of comparing the stored state; absent without `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateView>,
}

impl VerifyView {
    fn of(found: Verification) -> Self {
        Self {
            valid: found.valid,
            entries: found.entries,
            head: found.head.into(),
            first_bad_seq: found.first_bad_seq,
            reason: found.reason,
            rounded_entries: Some(found.rounded_entries).filter(|count| *count > 0),
            state: None,
        }
    }
}

/// Position in a log, with the hash of its entry.
#[derive(Serialize, ToSchema)]
struct HeadView {
    seq: u64,
    hash: String,
}

impl From<HeadMark> for HeadView {
    fn from(head: HeadMark) -> Self {
        Self { seq: head.seq, hash: head.hash }
    }
}

/// Result of comparing the stored state with the log.
#[derive(Serialize, ToSchema)]
#[schema(as = StateVerification)]
struct StateView {
    /// Number of rows that were compared; 0 if the log itself is not valid.
    rows: u64,
    /// First difference; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<DifferenceView>,
}

/// Difference between the stored state and the log.
#[derive(Serialize, ToSchema)]
#[schema(as = StateDifference)]
struct DifferenceView {
    /// Table of the row.
    table: String,
    /// Key of the row.
    row: String,
    /// Member of the row, such as `state.status`; absent if the row as a whole is missing, unknown to
    /// the log or unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Position of the log up to which the expected value was determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// Value according to the log, as JSON text; the digest of a long one.
    expected: String,
    /// Value in the store, as JSON text; the digest of a long one.
    found: String,
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        Self {
            table: difference.table,
            row: difference.row,
            field: difference.field,
            seq: difference.seq,
            expected: difference.expected,
            found: difference.found,
        }
    }
}

/// Options of a check.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct VerifyQuery {
    /// Head that the log must contain, as `SEQ:HASH`: one that was noted earlier. A log that was cut
    /// off before it, or is another from there on, is not valid.
    #[serde(default, deserialize_with = "head_mark")]
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}:[0-9A-Fa-f]{64}$")]
    head: Option<HeadMark>,
    /// Whether to compare the stored state and content with the log too.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<bool>)]
    state: bool,
}

fn head_mark<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HeadMark>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("must be true or false"))
}

/// Verifies the hash chain of the log of a project.
///
/// The check reads every entry up to the end of the log at the beginning of the check. With `state`
/// it also compares every stored row and document with the log, and names the first difference.
#[utoipa::path(
    get, path = "/api/v1/audit/projects/{project_id}/verify", operation_id = "verify_project_log",
    tag = "audit",
    params(("project_id" = Uuid, Path), VerifyQuery),
    responses((status = 200, body = VerifyView), (status = 404, body = ProblemDocument)),
)]
async fn verify(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
    Query(query): Query<VerifyQuery>,
) -> Result<HttpResponse, Problem> {
    check(&state, &caller, LogId::Project(id), query).await
}

/// Verifies the hash chain of the system log.
///
/// With `state` it also compares the statuses of the agent types and the emergency stops.
#[utoipa::path(
    get, path = "/api/v1/audit/system/verify", tag = "audit", params(VerifyQuery),
    responses((status = 200, body = VerifyView)),
)]
async fn verify_system(
    state: Data<State>,
    Caller(caller): Caller,
    Query(query): Query<VerifyQuery>,
) -> Result<HttpResponse, Problem> {
    check(&state, &caller, LogId::System, query).await
}

async fn check(
    state: &State,
    caller: &botarmy_domain::Caller,
    log: LogId,
    query: VerifyQuery,
) -> Result<HttpResponse, Problem> {
    let page = state.settings.log_page;
    if !query.state {
        let found = state.logs.verify_log(caller, log, query.head, page).await?;
        return Ok(HttpResponse::Ok().json(VerifyView::of(found)));
    }
    let found = state.logs.verify_state(caller, log, query.head, page).await?;
    let valid = found.is_valid();
    let compared =
        StateView { rows: found.rows, difference: found.difference.map(DifferenceView::from) };
    let view = VerifyView { valid, state: Some(compared), ..VerifyView::of(found.log) };
    Ok(HttpResponse::Ok().json(view))
}

/// Exports the log of a project as JSON Lines, oldest entry first.
///
/// The last line states the head of the log. The file can be checked without the server:
/// `botarmy-server audit verify FILE`.
#[utoipa::path(
    get, path = "/api/v1/audit/projects/{project_id}/export", operation_id = "export_project_log",
    tag = "audit",
    params(("project_id" = Uuid, Path)),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String),
        (status = 404, body = ProblemDocument),
    ),
)]
async fn export(
    state: Data<State>,
    Segment(id): Segment<ProjectId>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let head = state.logs.log_head(&caller, LogId::Project(id)).await?;
    let head = head.ok_or_else(|| Problem::not_found("Project", id))?;
    Ok(download(&id.to_string(), lines(state, caller, LogId::Project(id), head)))
}

/// Exports the system log as JSON Lines, oldest entry first.
///
/// The last line states the head of the log, as in the export of a project.
#[utoipa::path(
    get, path = "/api/v1/audit/system/export", tag = "audit",
    responses((status = 200, content_type = "application/x-ndjson", body = String)),
)]
async fn export_system(
    state: Data<State>,
    Caller(caller): Caller,
) -> Result<HttpResponse, Problem> {
    let head = state.logs.log_head(&caller, LogId::System).await?;
    let head = head.unwrap_or_else(|| HeadMark { seq: 0, hash: GENESIS.to_owned() });
    Ok(download("system", lines(state, caller, LogId::System, head)))
}

fn download(name: &str, lines: impl Stream<Item = Result<Bytes, Error>> + 'static) -> HttpResponse {
    let disposition = format!("attachment; filename=\"{name}_audit.jsonl\"");
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .streaming(lines)
}

/// Returns the lines of the export, a page at a time. An entry that cannot be read is named in its
/// place. If the store fails, the connection is closed without the last line, so that a part of the
/// log is not taken for the whole.
fn lines(
    state: Data<State>,
    caller: botarmy_domain::Caller,
    log: LogId,
    head: HeadMark,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let start = (state, caller, Some((0, head)));
    stream::try_unfold(start, move |(state, caller, rest)| async move {
        let Some((after, head)) = rest else { return Ok(None) };
        let mut text = Vec::new();
        let limit = state.settings.log_page;
        // An export can take long, and ends with the credential that it was asked for with.
        let caller = if after == 0 { caller } else { state.current(&caller)? };
        let page = if after < head.seq {
            state.logs.log_lines(&caller, log, after, limit).await?
        } else {
            Vec::new()
        };
        page.iter().filter(|line| line.seq() <= head.seq).for_each(|line| line.write(&mut text));
        let rest = if let Some(last) = page.last() {
            Some((last.seq().max(after + 1), head))
        } else {
            Line::End(head).write(&mut text);
            None
        };
        Ok(Some((Bytes::from(text), (state, caller, rest))))
    })
}

#[cfg(test)]
mod tests {
    use botarmy_domain::log::{ExportVerifier, Unreadable};
    use botarmy_domain::replay::StateVerification;
    use serde_json::json;

    use super::*;
    use crate::testing::{Fakes, away, get, log, no, project, unknown};

    fn path(rest: &str) -> String {
        format!("/api/v1/audit/projects/{}{rest}", project().id)
    }

    #[actix_web::test]
    async fn every_filter_reaches_the_log() {
        let (_, entries) = log(1);
        let task = entries[0].task_id.unwrap();
        let mut fakes = Fakes::default();
        fakes.logs.expect_entries().returning(move |_, filter, limit| {
            let expected = EntryFilter {
                reach: Reach::everything(),
                project: Some(project().id),
                task: Some(task),
                request: None,
                event_type: Some(EventType::TaskCreated),
                event_source: Some(EventSource::User),
                from: Some(Timestamp::parse("2026-01-01").unwrap()),
                to: Some(Timestamp::parse("2026-02-01").unwrap()),
                before: None,
                offset: 7,
            };
            assert_eq!((filter, limit), (expected, 5));
            Ok(Page::first(log(1).1, limit))
        });
        let query = format!(
            "project_id={}&task_id={task}&event_type=task_created&event_source=user\
             &start_date=2026-01-01&end_date=2026-02-01T00:00:00Z&limit=5&offset=7",
            project().id
        );
        let answer = fakes.send(get(&format!("/api/v1/audit/events?{query}"))).await;
        assert_eq!(answer.header("link"), "");
        // The view has the same members as the entry's own JSON.
        assert_eq!(answer.json(), json!([&*entries[0]]));
    }

    #[actix_web::test]
    async fn a_bad_parameter_is_422_naming_it() {
        for (query, field) in [
            ("project_id=x", "project_id"),
            ("task_id=", "task_id"),
            ("hitl_request_id=1", "hitl_request_id"),
            ("event_type=tea", "event_type"),
            ("event_source=moon", "event_source"),
            ("start_date=soon", "start_date"),
            ("end_date=2026-02-30", "end_date"),
            ("start_date=2026-02-02&end_date=2026-02-01", "end_date"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("offset=-1", "offset"),
            ("cursor=x", "cursor"),
            ("offset=1&cursor=0190a0b000007000800000000000000a", "cursor"),
        ] {
            let paths = ["/api/v1/audit/events", &path("/events")];
            let requests = paths.map(|path| get(&format!("{path}?{query}")));
            for answer in Fakes::default().send_all(requests).await {
                assert_eq!((answer.status, answer.field().as_str()), (422, field), "{query}");
            }
        }
    }

    #[actix_web::test]
    async fn a_page_links_to_the_next_one_with_the_same_filter() {
        let mut fakes = Fakes::default();
        fakes
            .logs
            .expect_entries()
            .times(1)
            .returning(|_, _, limit| Ok(Page::first(log(3).1, limit)));
        let last = log(3).1[1].id;
        fakes.logs.expect_entries().times(1).returning(move |_, filter, limit| {
            assert_eq!(
                (filter.before, filter.event_type),
                (Some(last), Some(EventType::TaskCreated))
            );
            assert_eq!(limit, 2);
            Ok(Page::first(log(2).1, limit))
        });
        let first = "/api/v1/audit/events?event_type=task_created&limit=2";
        let next = format!("{first}&cursor={last}");
        let answers = fakes.send_all([get(&format!("{first}&offset=4")), get(&next)]).await;
        assert_eq!(answers[0].json().as_array().unwrap().len(), 2);
        assert_eq!(answers[0].header("link"), format!("<{next}>; rel=\"next\""));
        assert_eq!(answers[1].header("link"), "");
    }

    #[actix_web::test]
    async fn the_logs_of_a_project_and_of_a_task_know_when_there_is_none() {
        let mut fakes = Fakes::default();
        fakes.logs.expect_project_entries().times(1).returning(|_, id, _, limit| {
            assert_eq!((id, limit), (project().id, 100));
            Err(no("Project", id))
        });
        fakes.logs.expect_task_entries().times(1).returning(|_, id, _, limit| {
            assert_eq!(limit, 50);
            Err(no("Task", id))
        });
        fakes.logs.expect_entry().returning(|_, id| Err(no("Event", id)));
        let answers = fakes
            .send_all([
                get(&path("/events")),
                get(&format!("/api/v1/audit/tasks/{}/events", unknown())),
                get(&format!("/api/v1/audit/events/{}", unknown())),
                get("/api/v1/audit/events/7"),
            ])
            .await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [404, 404, 404, 422]);
        assert_eq!(answers[3].field(), "event_id");
    }

    fn mark(length: u64) -> (HeadMark, Vec<Arc<Entry>>) {
        let (head, entries) = log(length);
        (HeadMark { seq: head.seq, hash: head.hash }, entries)
    }

    #[actix_web::test]
    async fn a_check_shows_what_it_found() {
        let (head, _) = mark(5);
        for (first_bad_seq, rounded_entries) in [(None, 0), (Some(4), 2)] {
            let mut fakes = Fakes::default();
            fakes.settings.log_page = 2;
            let found = Verification {
                valid: first_bad_seq.is_none(),
                entries: 5,
                head: head.clone(),
                first_bad_seq,
                reason: first_bad_seq.map(|_| "it is missing".to_owned()),
                rounded_entries,
            };
            fakes.logs.expect_verify_log().returning(move |_, log, expected, page| {
                assert_eq!((log, page), (LogId::Project(project().id), 2));
                assert!(expected.is_none());
                Ok(found.clone())
            });
            let body = fakes.send(get(&path("/verify"))).await.json();
            let mut expected = json!({
                "valid": first_bad_seq.is_none(), "entries": 5,
                "head": {"seq": 5, "hash": head.hash},
            });
            if let Some(seq) = first_bad_seq {
                expected["first_bad_seq"] = seq.into();
                expected["reason"] = "it is missing".into();
                expected["rounded_entries"] = 2.into();
            }
            assert_eq!(body, expected);
        }
    }

    #[actix_web::test]
    async fn a_check_compares_a_noted_head_and_the_state_on_request() {
        let (head, _) = mark(5);
        let noted = HeadMark { seq: 3, hash: "ab".repeat(32) };
        let mut fakes = Fakes::default();
        let (end, expected) = (head.clone(), noted.clone());
        fakes.logs.expect_verify_state().returning(move |_, log, noted, _| {
            assert_eq!((log, noted), (LogId::System, Some(expected.clone())));
            let log = Verification {
                valid: true,
                entries: 5,
                head: end.clone(),
                first_bad_seq: None,
                reason: None,
                rounded_entries: 0,
            };
            let difference = Difference::unreadable("tasks", "7".to_owned(), "not JSON".to_owned());
            Ok(StateVerification { log, rows: 4, difference: Some(difference) })
        });
        let query = format!("head=3:{}&state=true", noted.hash.to_uppercase());
        let body = fakes.send(get(&format!("/api/v1/audit/system/verify?{query}"))).await.json();
        let expected = json!({
            "valid": false, "entries": 5, "head": {"seq": 5, "hash": head.hash},
            "state": {"rows": 4, "difference": {
                "table": "tasks", "row": "7", "expected": "a row that can be read",
                "found": "not JSON",
            }},
        });
        assert_eq!(body, expected);
        for (query, field) in [
            ("head=", "head"),
            ("head=3", "head"),
            ("head=3:abc", "head"),
            ("head=-1:00", "head"),
            ("state=yes", "state"),
            ("state=", "state"),
        ] {
            let answer = Fakes::default().send(get(&path(&format!("/verify?{query}")))).await;
            assert_eq!((answer.status, answer.field().as_str()), (422, field), "{query}");
        }
    }

    #[actix_web::test]
    async fn an_export_names_an_entry_that_cannot_be_read_and_ends_with_the_head() {
        let (_, entries) = log(7);
        let (head, _) = mark(5);
        for system in [false, true] {
            let mut fakes = Fakes::default();
            fakes.settings.log_page = 2;
            let (end, entries) = (head.clone(), entries.clone());
            fakes.logs.expect_log_head().returning(move |_, _| Ok(Some(end.clone())));
            fakes.logs.expect_log_lines().returning(move |_, _, after, limit| {
                let page = entries.iter().filter(|entry| entry.seq > after).take(limit as usize);
                let lines = page.map(|entry| match entry.seq {
                    3 => Line::Unreadable(Unreadable { seq: 3, reason: "not JSON".to_owned() }),
                    _ => Line::Entry(Arc::clone(entry)),
                });
                Ok(lines.collect())
            });
            let path = if system { "/api/v1/audit/system/export".into() } else { path("/export") };
            let answer = fakes.send(get(&path)).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), "application/x-ndjson");
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            let lines: Vec<Line> = text.lines().map(|line| Line::read(line).unwrap()).collect();
            assert_eq!(lines.len(), 6);
            assert!(matches!(&lines[2], Line::Unreadable(found) if found.reason == "not JSON"));
            assert_eq!(lines[5], Line::End(head.clone()));
            let mut verifier = ExportVerifier::expecting(Some(head.clone()));
            text.lines().for_each(|line| verifier.line(line).unwrap());
            assert_eq!(verifier.finish().unwrap().first_bad_seq, Some(3));
        }
    }

    #[actix_web::test]
    async fn a_log_nobody_has_is_404_and_a_store_that_is_away_503() {
        for rest in ["/verify", "/export"] {
            let mut fakes = Fakes::default();
            fakes.logs.expect_log_head().times(0..=1).returning(|_, _| Ok(None));
            fakes.logs.expect_log_head().times(0..=1).returning(|_, _| Err(away().into()));
            let missing = || Err(no("Project", project().id));
            fakes.logs.expect_verify_log().times(0..=1).returning(move |_, _, _, _| missing());
            fakes.logs.expect_verify_log().times(0..=1).returning(|_, _, _, _| Err(away().into()));
            let answers = fakes.send_all([get(&path(rest)), get(&path(rest))]).await;
            assert_eq!((answers[0].status, answers[1].status), (404, 503));
        }
    }
}
