//! Searches in a long log: they find what a plain filter finds, by indexes, and in time.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use botarmy_domain::ports::{AuditLog, Clock, Ids, Ledger};
use botarmy_domain::{
    Caller, DecisionContext, EntryFilter, EventId, EventSource, EventType, HitlRequestId,
    NewProject, Oversight, PrincipalId, ProjectId, Reach, Scope, Sight, TaskId, Timestamp, decide,
};
use botarmy_postgres::{PostgresSettings, PostgresStore};
use botarmy_server::system::{RandomIds, SystemClock};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::log_search::{Positions, SHORT_LOG, Search};
use botarmy_sqlite::{SqliteSettings, SqliteStore};
use botarmy_tests::dice::Dice;
use botarmy_tests::server::{TestServer, http_client};
use botarmy_tests::{prove, services};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use uuid::Uuid;

/// Limit of a page at a million entries.
const IN_TIME: Duration = Duration::from_millis(20);
/// Limit of a page within a limited reach at a million entries. The worst one holds 400,000 entries, none
/// of them among the newest, and all of them are read.
const WITHIN_REACH: Duration = Duration::from_secs(3);
/// Limit in every test run, where the databases are not optimised and share the machine.
const IN_SHORT: Duration = Duration::from_secs(1);
/// Time of the first entry, in microseconds.
const BEGIN: i64 = 1_800_000_000_000_000;

/// Columns of an entry that a search reads.
#[derive(Debug, Clone)]
struct Row {
    id: Uuid,
    log: Uuid,
    seq: u64,
    event_type: EventType,
    source: EventSource,
    task: Option<Uuid>,
    request: Option<Uuid>,
    at: i64,
}

/// The project with most of the entries, and two of the others.
fn log(n: u64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

/// Returns the creator of a project: one of five principals for the small ones.
fn creator_of(log: Uuid) -> Option<PrincipalId> {
    let n = log.as_u128() - self::log(0).as_u128();
    (1..=OLD.into()).contains(&n).then(|| PrincipalId::from_uuid(Uuid::from_u128(n % 5)))
}

/// Entries of many projects, in the order in which they are written. Some types and sources are
/// frequent, some rare, some only old; for a while the clock is an hour slow.
fn rows(count: u64) -> Vec<Row> {
    rows_of(count, |n| if n % 10 < 7 { log(0) } else { log(1 + n % 89) })
}

/// A large project without entries among the newest fifth.
const OLD: u64 = 200;

/// The same entries with the project [`OLD`], for searches within a reach.
fn rows_with_old(count: u64) -> Vec<Row> {
    rows_of(count, |n| match n {
        _ if n % 2 == 0 && n < count * 4 / 5 => log(OLD),
        _ if n % 10 < 8 => log(0),
        _ => log(1 + n % 89),
    })
}

fn rows_of(count: u64, log_of: impl Fn(u64) -> Uuid) -> Vec<Row> {
    let mut lengths = std::collections::HashMap::new();
    let rows = (0..count).map(|n| {
        let log = log_of(n);
        let seq = lengths.entry(log).or_insert(0);
        *seq += 1;
        let event_type = match n {
            _ if n < count / 50 && n % 7 == 0 => EventType::ProjectPaused,
            _ if n % 997 == 0 => EventType::HitlResponse,
            _ if n % 5003 == 0 => EventType::WebhookReceived,
            _ => [
                EventType::TaskCreated,
                EventType::TaskStarted,
                EventType::TaskCompleted,
                EventType::AgentStatusChanged,
            ][(n % 4) as usize],
        };
        let source = match n {
            _ if n % 5003 == 0 => EventSource::Webhook,
            _ if n < count / 3 && n % 31 == 0 => EventSource::User,
            _ if n % 3 == 0 => EventSource::System,
            _ => EventSource::Agent,
        };
        let is_slow = n > count * 2 / 5 && n < count * 2 / 5 + count / 100;
        let at = BEGIN + n as i64 * 1_700 - if is_slow { 3_600_000_000 } else { 0 };
        let version = 0x7000_u128 << 64 | 0x8000_u128 << 48;
        let id = ((at / 1000) as u128) << 80 | version | u128::from(n);
        let task = (n % 5 > 0).then(|| Uuid::from_u128(0x1000_0000 + u128::from(n / 20)));
        let request = (n % 997 == 0).then(|| Uuid::from_u128(0x2000_0000 + u128::from(n / 5000)));
        Row { id: Uuid::from_u128(id), log, seq: *seq, event_type, source, task, request, at }
    });
    rows.collect()
}

/// Writes the entries and the ends of their logs as SQL, some hundred in one statement. Nothing
/// reads the hashes.
fn statements(rows: &[Row], id: fn(Uuid) -> String, hash: &str) -> Vec<String> {
    let optional = |value: Option<Uuid>| value.map_or_else(|| "NULL".to_owned(), id);
    let mut statements: Vec<String> = rows
        .chunks(500)
        .map(|rows| {
            let mut sql = "INSERT INTO events (id, log, seq, event_type, event_source, task_id, \
                           hitl_request_id, created_at, hash, event_metadata, event_data) VALUES "
                .to_owned();
            for (n, row) in rows.iter().enumerate() {
                let comma = if n == 0 { "" } else { ", " };
                write!(
                    sql,
                    "{comma}({}, {}, {}, '{}', '{}', {}, {}, {}, {hash}, '{{\"actor\":\"one\"}}', \
                     '{{\"message\":\"{}\"}}')",
                    id(row.id),
                    id(row.log),
                    row.seq,
                    row.event_type,
                    row.source,
                    optional(row.task),
                    optional(row.request),
                    row.at,
                    "measure ".repeat(24),
                )
                .unwrap();
            }
            sql
        })
        .collect();
    let mut ends = std::collections::BTreeMap::new();
    for row in rows {
        ends.insert(row.log, row.seq);
    }
    for log in ends.keys() {
        if let Some(creator) = creator_of(*log) {
            statements.push(format!(
                "INSERT INTO projects (id, status, creator, body) \
                 VALUES ({}, 'completed', {}, '{{}}') ON CONFLICT DO NOTHING",
                id(*log),
                id(creator.uuid())
            ));
        }
    }
    for (log, seq) in ends {
        let (columns, values) = if hash.starts_with("x'") {
            ("hash, counts", format!("{hash}, '{{}}'"))
        } else {
            ("hash, previous, counts", format!("{hash}, {hash}, '{{}}'"))
        };
        statements.push(format!(
            "INSERT INTO heads (log, seq, {columns}, next_turn) VALUES ({}, {seq}, {values}, 0) \
             ON CONFLICT (log) DO UPDATE SET seq = excluded.seq",
            id(log)
        ));
    }
    statements
}

/// Returns the ids of a page as a plain filter finds them.
fn expected(rows: &[Row], filter: &EntryFilter, limit: u32) -> Vec<EventId> {
    let mut found: Vec<&Row> = rows
        .iter()
        .filter(|row| filter.reach.sees(ProjectId::from_uuid(row.log), creator_of(row.log)))
        .filter(|row| filter.project.is_none_or(|project| row.log == project.uuid()))
        .filter(|row| filter.task.is_none_or(|task| row.task == Some(task.uuid())))
        .filter(|row| filter.request.is_none_or(|request| row.request == Some(request.uuid())))
        .filter(|row| filter.event_type.is_none_or(|event_type| row.event_type == event_type))
        .filter(|row| filter.event_source.is_none_or(|source| row.source == source))
        .filter(|row| filter.from.is_none_or(|from| row.at >= from.micros()))
        .filter(|row| filter.to.is_none_or(|to| row.at <= to.micros()))
        .collect();
    let cursor = filter.before.map(|before| {
        let project = filter.project.map(|project| project.uuid());
        let in_log = rows.iter().filter(|row| Some(row.log) == project);
        let seq = in_log.filter(|row| row.id == before.uuid()).map(|row| row.seq).next();
        (before.uuid(), seq)
    });
    if let Some((id, seq)) = cursor {
        found.retain(|row| match (filter.project, seq) {
            (Some(_), Some(seq)) => row.seq < seq,
            _ => row.id < id,
        });
    }
    if filter.project.is_some() {
        found.sort_by_key(|row| std::cmp::Reverse(row.seq));
    } else {
        found.sort_by_key(|row| std::cmp::Reverse(row.id));
    }
    let page = found.into_iter().skip(filter.offset as usize).take(limit as usize);
    page.map(|row| EventId::from_uuid(row.id)).collect()
}

/// Returns a random filter: few conditions at a time, as people combine them.
fn any_filter(rows: &[Row], dice: &mut Dice) -> EntryFilter {
    let row = |dice: &mut Dice| rows[dice.below(rows.len() as u64) as usize].clone();
    let at = |dice: &mut Dice| Timestamp::from_micros(row(dice).at + dice.below(3) as i64 - 1);
    let mut filter = EntryFilter::default();
    if dice.below(2) == 0 {
        filter.project = Some(ProjectId::from_uuid(log(dice.below(3))));
    }
    if dice.below(3) == 0 {
        let all = EventType::ALL;
        filter.event_type = Some(all[dice.below(all.len() as u64) as usize]);
        if dice.below(2) == 0 {
            filter.event_type = Some(row(dice).event_type);
        }
    }
    if dice.below(4) == 0 {
        filter.event_source = Some(EventSource::ALL[dice.below(5) as usize]);
    }
    match dice.below(6) {
        0 => filter.from = Some(at(dice)),
        1 => filter.to = Some(at(dice)),
        2 => {
            let (one, two) = (at(dice), at(dice));
            (filter.from, filter.to) = (Some(one.min(two)), Some(one.max(two)));
        }
        _ => {}
    }
    match dice.below(8) {
        0 => filter.task = row(dice).task.map(TaskId::from_uuid),
        1 => filter.request = row(dice).request.map(HitlRequestId::from_uuid),
        _ => {}
    }
    match dice.below(4) {
        0 => filter.offset = dice.below(20) as u32,
        1 => filter.offset = dice.below(rows.len() as u64 + 100) as u32,
        2 if dice.below(4) == 0 => {
            filter.before = Some(EventId::from_uuid(Uuid::from_u128(row(dice).id.as_u128() - 1)));
        }
        2 => filter.before = Some(EventId::from_uuid(row(dice).id)),
        _ => {}
    }
    if dice.below(2) == 0 {
        filter.reach = any_reach(dice);
    }
    filter
}

/// Returns a random limited reach, with few entries or with most of them.
fn any_reach(dice: &mut Dice) -> Reach {
    let projects = (0..dice.below(4)).map(|_| match dice.below(5) {
        0 => ProjectId::from_uuid(log(0)),
        1 => ProjectId::from_uuid(log(OLD)),
        _ => ProjectId::from_uuid(log(dice.below(95))),
    });
    let projects = projects.collect();
    let creator =
        (dice.below(3) == 0).then(|| PrincipalId::from_uuid(Uuid::from_u128(dice.below(6).into())));
    Reach::limited([Sight { projects, creator }])
}

/// The filters of the documents, one at a time, on all logs and on one project.
fn documented(rows: &[Row], dice: &mut Dice) -> Vec<(String, EntryFilter)> {
    let any = EntryFilter::default;
    let mut filters = Vec::new();
    let middle = rows[rows.len() / 2].at;
    let old = rows[rows.len() / 20].at;
    let at = |micros| Some(Timestamp::from_micros(micros));
    let kinds = [EventType::ProjectPaused, EventType::TaskStarted, EventType::BudgetExhausted];
    for event_type in kinds {
        let filter = EntryFilter { event_type: Some(event_type), ..any() };
        filters.push((format!("event_type={event_type}"), filter));
    }
    for source in EventSource::ALL {
        let filter = EntryFilter { event_source: Some(*source), ..any() };
        filters.push((format!("event_source={source}"), filter));
    }
    filters.push((
        "event_type and event_source".to_owned(),
        EntryFilter {
            event_type: Some(EventType::HitlResponse),
            event_source: Some(EventSource::User),
            ..any()
        },
    ));
    filters.push(("start_date".to_owned(), EntryFilter { from: at(middle), ..any() }));
    filters.push(("end_date".to_owned(), EntryFilter { to: at(middle), ..any() }));
    let between = EntryFilter { from: at(old), to: at(old + 1_000_000), ..any() };
    filters.push(("start_date and end_date".to_owned(), between));
    filters.push(("no entry of these dates".to_owned(), EntryFilter { to: at(0), ..any() }));
    let dated = EntryFilter {
        event_type: Some(EventType::ProjectPaused),
        from: at(old),
        to: at(middle),
        ..any()
    };
    filters.push(("event_type and dates".to_owned(), dated));
    for part in [10, 2] {
        let offset = rows.len() as u32 / part + dice.below(1000) as u32;
        filters.push((format!("offset={offset}"), EntryFilter { offset, ..any() }));
    }
    let offset = rows.len() as u32 - 50;
    filters.push((format!("offset={offset}"), EntryFilter { offset, ..any() }));
    let task = rows[rows.len() / 3 + 1].task.map(TaskId::from_uuid);
    filters.push(("task_id".to_owned(), EntryFilter { task, ..any() }));
    let request = rows[997].request.map(HitlRequestId::from_uuid);
    filters.push(("hitl_request_id".to_owned(), EntryFilter { request, ..any() }));
    let projects = filters.clone().into_iter().map(|(name, filter)| {
        let project = Some(ProjectId::from_uuid(log(0)));
        (format!("project_id and {name}"), EntryFilter { project, ..filter })
    });
    filters.extend(projects.collect::<Vec<_>>());
    filters
}

async fn finds_what_a_filter_finds(
    store: &dyn AuditLog,
    rows: &[Row],
    mut wanted: Vec<(String, EntryFilter)>,
    dice: &mut Dice,
) {
    for _ in 0..prove::count(150, 300) {
        wanted.push((String::new(), any_filter(rows, dice)));
    }
    for (name, filter) in wanted {
        let limit = 1 + dice.below(120) as u32;
        let page = store.entries(filter.clone(), limit).await.unwrap();
        let found: Vec<_> = page.iter().map(|entry| entry.id).collect();
        let mut expected = expected(rows, &filter, limit + 1);
        let has_more = expected.len() > limit as usize;
        expected.truncate(limit as usize);
        assert_eq!(found, expected, "{name} {filter:?} limit {limit}");
        assert_eq!(page.has_more, has_more, "{name} {filter:?} limit {limit}");
    }
}

/// The documented filters over all logs within a limited reach: with a few entries, with most of them,
/// and with a tenth that is all at the beginning of the logs.
fn within_reach(rows: &[Row], dice: &mut Dice) -> Vec<(String, EntryFilter)> {
    let named = |projects: &[u64]| {
        let projects = projects.iter().map(|n| ProjectId::from_uuid(log(*n))).collect();
        Reach::limited([Sight { projects, creator: None }])
    };
    let own = Sight {
        projects: BTreeSet::new(),
        creator: Some(PrincipalId::from_uuid(Uuid::from_u128(1))),
    };
    let reaches = [
        ("few", named(&[1, 2, 3])),
        ("own", Reach::limited([own])),
        ("most", named(&[0])),
        ("old", named(&[OLD])),
    ];
    let mut filters = documented(rows, dice);
    filters.push(("everything".to_owned(), EntryFilter::default()));
    filters.retain(|(_, filter)| filter.project.is_none());
    let filters = reaches.into_iter().flat_map(|(of, reach)| {
        let filters = filters.clone().into_iter();
        filters.map(move |(name, filter)| {
            (format!("{of}: {name}"), EntryFilter { reach: reach.clone(), ..filter })
        })
    });
    filters.collect()
}

/// Measures each documented filter, with the first search of all left out: it reads what the others
/// remember.
async fn is_in_time(
    store: &dyn AuditLog,
    rows: &[Row],
    filters: Vec<(String, EntryFilter)>,
    in_time: Duration,
) {
    let is_full = rows.len() == FULL as usize;
    let (count, limit) = match is_full {
        true if in_time == IN_TIME => (200, in_time),
        true => (20, in_time),
        false => (10, IN_SHORT),
    };
    let mut late = Vec::new();
    for (name, filter) in filters {
        drop(store.entries(filter.clone(), 101).await.unwrap());
        let mut times = Vec::new();
        for _ in 0..count {
            let began = Instant::now();
            drop(store.entries(filter.clone(), 101).await.unwrap());
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let (median, p99) = (times[count / 2], times[count * 99 / 100 - 1]);
        println!("{name}: p50 {median:.2?}, p99 {p99:.2?}");
        if p99 > limit {
            late.push(format!("{name}: {p99:?}"));
        }
    }
    assert!(late.is_empty(), "too slow at {} entries: {late:#?}", rows.len());
}

/// The searches whose plans are checked, with the index that each must use.
fn plans(dialect: Dialect) -> Vec<(String, &'static str)> {
    let any = EntryFilter::default;
    let types = EventType::ALL.iter().map(|event_type| event_type.as_str().to_owned());
    let types: Vec<_> = types.collect();
    let search =
        |filter| Search { dialect, filter, types: types.clone(), below: None, floor: None };
    let kind = search(EntryFilter { event_type: Some(EventType::ProjectPaused), ..any() });
    let source = search(EntryFilter { event_source: Some(EventSource::User), ..any() });
    let dates = search(EntryFilter {
        from: Some(Timestamp::from_micros(BEGIN)),
        to: Some(Timestamp::from_micros(BEGIN + 1_000_000)),
        ..any()
    });
    let task = search(EntryFilter {
        task: Some(TaskId::from_uuid(log(1))),
        project: Some(ProjectId::from_uuid(log(0))),
        ..any()
    });
    let some = [1, 2, 3].map(|n| ProjectId::from_uuid(log(n)));
    let own = Some(PrincipalId::from_uuid(Uuid::from_u128(1)));
    let few = search(EntryFilter {
        event_type: Some(EventType::TaskStarted),
        reach: Reach::limited([Sight { projects: some.into(), creator: own }]),
        ..any()
    });
    let many = search(EntryFilter {
        reach: Reach::limited([Sight {
            projects: [ProjectId::from_uuid(log(0))].into(),
            creator: None,
        }]),
        ..any()
    });
    let long = Positions { first: SHORT_LOG + 1, last: 50_000 };
    let short = Positions { first: 1, last: SHORT_LOG };
    vec![
        (kind.by_kind(100), "events_by_kind"),
        (source.by_kind(100), "events_by_kind"),
        (kind.in_part(log(0), long, 100), "events_of_long_logs"),
        (source.in_part(log(0), long, 100), "events_of_long_logs"),
        (kind.count_in_log(log(0), long), "events_of_long_logs"),
        (kind.in_part(log(0), short, 100), "log_seq"),
        (dates.by_time(100), "by_id"),
        (dates.in_part(log(0), short, 100), "log_seq"),
        (dates.oldest_after(log(5), 4095), "by_id"),
        (dates.length(log(0)), "log_seq"),
        (task.by_subject(None, 100), "events_by_task"),
        (few.within_reach(100), "log_seq"),
        (many.within_reach(100), "log_seq"),
        (Search { below: Some(log(9)), ..many.clone() }.nth_newest(20_000), "by_id"),
        (Search { floor: Some(log(0)), ..many.clone() }.by_time(100), "by_id"),
        (Search { floor: Some(log(0)), ..many }.count(100), "by_id"),
        (few.by_kind(100), "events_by_kind"),
        (few.count(100), "events_by_kind"),
        (few.count_of_kind(20_000), "events_by_kind"),
    ]
}

fn file(dir: &Path) -> PathBuf {
    dir.join("botarmy.db")
}

async fn sqlite(rows: &[Row]) -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::new(file(dir.path()));
    let open = || SqliteStore::open(settings.clone()).unwrap();
    open().close().await;
    fill_sqlite(dir.path(), rows);
    (dir, open())
}

fn fill_sqlite(dir: &Path, rows: &[Row]) {
    let mut beside = SqliteConnection::establish(file(dir).to_str().unwrap()).unwrap();
    beside.batch_execute("PRAGMA synchronous = OFF; BEGIN").unwrap();
    let hash = format!("x'{}'", "5a".repeat(32));
    for sql in statements(rows, Dialect::SQLITE.id, &hash) {
        beside.batch_execute(&sql).unwrap();
    }
    beside.batch_execute("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

async fn postgres(rows: &[Row]) -> Option<(services::Database, PostgresStore)> {
    let database = services::database().await?;
    fill_postgres(&database, rows).await;
    let store = open_postgres(&database).await;
    Some((database, store))
}

async fn open_postgres(database: &services::Database) -> PostgresStore {
    let settings = PostgresSettings::new(database.url().parse().unwrap());
    PostgresStore::open(settings).await.unwrap()
}

async fn fill_postgres(database: &services::Database, rows: &[Row]) {
    let admin = services::connect(&database.url()).await.unwrap();
    let hash = format!("'\\x{}'::bytea", "5a".repeat(32));
    admin.batch_execute("BEGIN").await.unwrap();
    for sql in statements(rows, Dialect::POSTGRES.id, &hash) {
        admin.batch_execute(&sql).await.unwrap();
    }
    admin.batch_execute("COMMIT").await.unwrap();
    admin.batch_execute("VACUUM ANALYZE events").await.unwrap();
}

/// Long enough for every way of searching: a long project, several marks and blocks.
const SHORT: u32 = 60_000;
const FULL: u32 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_what_a_plain_filter_finds_on_sqlite() {
    let rows = rows(SHORT.into());
    let (_dir, store) = sqlite(&rows).await;
    let mut dice = Dice::new();
    finds_what_a_filter_finds(&store, &rows, documented(&rows, &mut dice), &mut dice).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_find_what_a_plain_filter_finds_on_postgres() {
    let rows = rows(SHORT.into());
    let Some((_database, store)) = postgres(&rows).await else { return };
    let mut dice = Dice::new();
    finds_what_a_filter_finds(&store, &rows, documented(&rows, &mut dice), &mut dice).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_within_a_reach_find_what_a_plain_filter_finds_on_sqlite() {
    let rows = rows_with_old(SHORT.into());
    let (_dir, store) = sqlite(&rows).await;
    let mut dice = Dice::new();
    finds_what_a_filter_finds(&store, &rows, within_reach(&rows, &mut dice), &mut dice).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_within_a_reach_find_what_a_plain_filter_finds_on_postgres() {
    let rows = rows_with_old(SHORT.into());
    let Some((_database, store)) = postgres(&rows).await else { return };
    let mut dice = Dice::new();
    finds_what_a_filter_finds(&store, &rows, within_reach(&rows, &mut dice), &mut dice).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_comes_late_is_counted_on_sqlite() {
    let mut rows = rows(SHORT.into());
    // One of the oldest entries comes last of all.
    let late = rows.remove(40);
    let dir = {
        let (dir, store) = sqlite(&rows).await;
        let far = EntryFilter { offset: SHORT - 30, ..EntryFilter::default() };
        let before = store.entries(far.clone(), 10).await.unwrap();
        assert_eq!(before.len(), 10);
        let path = file(dir.path());
        let mut beside = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        let mut late = late;
        late.log = log(500);
        late.seq = 1;
        let hash = format!("x'{}'", "5a".repeat(32));
        for sql in statements(std::slice::from_ref(&late), Dialect::SQLITE.id, &hash) {
            beside.batch_execute(&sql).unwrap();
        }
        rows.push(late);
        // The marks are used for a second without being counted again.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let found = store.entries(far.clone(), 10).await.unwrap();
        let found: Vec<_> = found.iter().map(|entry| entry.id).collect();
        assert_eq!(found, expected(&rows, &far, 10));
        store.close().await;
        dir
    };
    drop(dir);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_search_reads_the_whole_log_on_sqlite() {
    let (dir, store) = sqlite(&[]).await;
    store.close().await;
    let path = file(dir.path());
    let mut beside = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    for (sql, index) in plans(Dialect::SQLITE) {
        let explain = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"));
        let lines: Vec<Line> = explain.load(&mut beside).unwrap();
        let plan: Vec<_> = lines.into_iter().map(|line| line.detail).collect();
        let plan = plan.join("\n");
        let index = match index {
            "by_id" => "sqlite_autoindex_events_1",
            "log_seq" => "sqlite_autoindex_events_2",
            named => named,
        };
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.lines().any(|line| line.starts_with("SCAN events")), "{sql}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_search_reads_the_whole_log_on_postgres() {
    let rows = rows(SHORT.into());
    let Some((database, store)) = postgres(&rows).await else { return };
    store.close().await;
    let admin = services::connect(&database.url()).await.unwrap();
    // As the connections of the server are set.
    let session = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off";
    admin.batch_execute(session).await.unwrap();
    for (sql, index) in plans(Dialect::POSTGRES) {
        let lines = admin.query(format!("EXPLAIN {sql}").as_str(), &[]).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
        let plan = plan.join("\n");
        let index = match index {
            "by_id" => "events_by_id",
            "log_seq" => "events_pkey",
            named => named,
        };
        assert!(plan.contains(index), "{sql}\n{plan}");
        assert!(!plan.contains("Seq Scan on events"), "{sql}\n{plan}");
    }
}

/// A million entries under `just prove`; fewer in every run, which shows that it still measures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_every_documented_filter_is_in_time_on_sqlite() {
    let rows = rows(prove::count(SHORT, FULL).into());
    let (_dir, store) = sqlite(&rows).await;
    is_in_time(&store, &rows, documented(&rows, &mut Dice::new()), IN_TIME).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_every_documented_filter_is_in_time_on_postgres() {
    let rows = rows(prove::count(SHORT, FULL).into());
    let Some((_database, store)) = postgres(&rows).await else { return };
    is_in_time(&store, &rows, documented(&rows, &mut Dice::new()), IN_TIME).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_within_a_reach_is_in_time_on_sqlite() {
    let rows = rows_with_old(prove::count(SHORT, FULL).into());
    let (_dir, store) = sqlite(&rows).await;
    let mut filters = within_reach(&rows, &mut Dice::new());
    // An offset far into a large reach costs as much as the entries that it skips.
    filters.retain(|(_, filter)| filter.offset == 0);
    is_in_time(&store, &rows, filters, WITHIN_REACH).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_within_a_reach_is_in_time_on_postgres() {
    let rows = rows_with_old(prove::count(SHORT, FULL).into());
    let Some((_database, store)) = postgres(&rows).await else { return };
    let mut filters = within_reach(&rows, &mut Dice::new());
    // An offset far into a large reach costs as much as the entries that it skips.
    filters.retain(|(_, filter)| filter.offset == 0);
    is_in_time(&store, &rows, filters, WITHIN_REACH).await;
    store.close().await;
}

/// Creates the project of the longest log, so that the server has it; returns the entries that
/// follow its first one.
async fn with_project(ledger: &dyn Ledger, mut rows: Vec<Row>) -> Vec<Row> {
    let project = ProjectId::from_uuid(log(0));
    let context =
        DecisionContext::new(SystemClock.now(), RandomIds.seed(), Caller::person("reader"));
    let new = NewProject {
        name: "Long".to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::Standard,
    };
    let create = move |snapshot: &botarmy_domain::Snapshot| {
        decide::projects::create(&context, snapshot, project, &new, None)
    };
    ledger.transact(Scope::project(project), Box::new(create)).await.unwrap();
    rows.iter_mut().filter(|row| row.log == log(0)).for_each(|row| row.seq += 1);
    rows
}

/// Returns the path of a search, as a client writes it.
fn path_of(filter: &EntryFilter) -> String {
    let (project, mut path) = (filter.project, "/api/v1/audit/events?limit=100".to_owned());
    if let Some(project) = project {
        path = format!("/api/v1/audit/projects/{project}/events?limit=100");
    }
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(path, "&{name}={value}").unwrap();
        }
    };
    add("event_type", filter.event_type.map(|value| value.to_string()));
    add("event_source", filter.event_source.map(|value| value.to_string()));
    add("start_date", filter.from.map(|value| value.to_string()));
    add("end_date", filter.to.map(|value| value.to_string()));
    add("task_id", filter.task.map(|value| value.to_string()));
    add("hitl_request_id", filter.request.map(|value| value.to_string()));
    add("cursor", filter.before.map(|value| value.to_string()));
    add("offset", Some(filter.offset).filter(|offset| *offset > 0).map(|value| value.to_string()));
    path
}

/// Number of entries of the first start with a key: a principal, a key, and grants for the tests.
const STARTED: usize = 3;

/// Measures each documented filter as a client of the server sees it.
async fn is_in_time_over_http(server: &TestServer, rows: &[Row], dice: &mut Dice) {
    let is_full = rows.len() == FULL as usize;
    let (count, limit) = if is_full { (200, IN_TIME) } else { (10, IN_SHORT) };
    let client = http_client();
    let mut filters = documented(rows, dice);
    let middle = Some(EventId::from_uuid(rows[rows.len() / 2].id));
    let project = Some(ProjectId::from_uuid(log(0)));
    for (name, project) in [("cursor", None), ("project_id and cursor", project)] {
        let filter = EntryFilter { before: middle, project, ..EntryFilter::default() };
        filters.push((name.to_owned(), filter));
    }
    let mut late = Vec::new();
    for (name, filter) in filters {
        let url = format!("{}{}", server.base, path_of(&filter));
        let mut times = Vec::new();
        for n in 0..=count {
            let began = Instant::now();
            let response = client.get(&url).send().await.unwrap();
            let status = response.status();
            let body = response.bytes().await.unwrap();
            if n > 0 {
                times.push(began.elapsed());
            }
            let answer = || String::from_utf8_lossy(&body).into_owned();
            assert_eq!(status, 200, "{url}: {}", answer());
            if n == 0 {
                let found = serde_json::from_slice::<Vec<serde_json::Value>>(&body).unwrap().len();
                // The entry of the creation of the project comes before all others, and those of the first
                // start after them.
                let expected = expected(rows, &filter, 100).len();
                assert!((expected..=expected + 1 + STARTED).contains(&found), "{url}: {found}");
            }
        }
        times.sort_unstable();
        let (median, p99) = (times[count / 2], times[count * 99 / 100 - 1]);
        println!("{name}: p50 {median:.2?}, p99 {p99:.2?}");
        if p99 > limit {
            late.push(format!("{name}: {p99:?}"));
        }
    }
    assert!(late.is_empty(), "too slow at {} entries: {late:#?}", rows.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_answers_every_documented_filter_in_time_on_sqlite() {
    let rows = rows(prove::count(SHORT, FULL).into());
    let (dir, store) = sqlite(&[]).await;
    let rows = with_project(&store, rows).await;
    store.close().await;
    fill_sqlite(dir.path(), &rows);
    let server = TestServer::on(dir, &[]).await;
    is_in_time_over_http(&server, &rows, &mut Dice::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_answers_every_documented_filter_in_time_on_postgres() {
    let rows = rows(prove::count(SHORT, FULL).into());
    let Some((database, store)) = postgres(&[]).await else { return };
    let rows = with_project(&store, rows).await;
    store.close().await;
    fill_postgres(&database, &rows).await;
    let url = database.url();
    let server = TestServer::with(&[("BOTARMY_STORE__URL", url.as_str())]).await;
    is_in_time_over_http(&server, &rows, &mut Dice::new()).await;
}
