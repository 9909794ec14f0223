//! A hundred thousand pending requests: the timers and the lists of people find theirs by an index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::hitl::{Asked, PendingFilter};
use botarmy_domain::{HitlRequestId, Reach, Timestamp};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::pending::{Selection, selection};
use botarmy_tests::prove::{self, PROVE};
use botarmy_tests::services;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::gates::{ask, gated};
use crate::stores::{Stores, postgres_at, sqlite_at};

/// Time within which 99 of 100 polls are answered, in the full form.
const POLL_LIMIT: Duration = Duration::from_millis(2);
/// Number of requests that the timers read at once.
const PAGE: u32 = 500;
/// Number of requests that are due.
const DUE: i64 = 5;
/// Number of requests of one person, all but one of them the last ones.
const MINE: usize = 11;

/// Returns the statements that turn two requests into many. Every other one asks `user:else`, and the
/// last ones `user:ada`; the first ones are due at `now`, and the others an hour later.
fn multiply(count: u32, now: Timestamp, series: &str, id: &str) -> String {
    let (now, later) = (now.micros(), now.after(Duration::from_secs(3600)).micros());
    let far = now + 86_400_000_000;
    let mine = i64::from(count) - 2 * (MINE as i64 - 1);
    format!(
        "INSERT INTO hitl_requests (id, project_id, agent, kind, status, expires_at, created_at, \
         due_at, answer_by, policy, restricted, body) \
         SELECT {id}, project_id, agent, kind, status, {far}, created_at, \
         CASE WHEN i <= {DUE} THEN {now} ELSE {later} END, {far}, policy, restricted, body \
         FROM {series} JOIN hitl_requests AS one ON (one.policy IS NULL) = (i % 2 = 0);
         INSERT INTO hitl_people (who, request_id) \
         SELECT CASE WHEN i > {mine} THEN 'user:ada' ELSE 'user:else' END, {id} \
         FROM {series} WHERE i % 2 = 1;"
    )
}

/// Statement that makes everything wait for an expiry in the past.
const ALL_EXPIRED: &str = "UPDATE hitl_requests SET expires_at = 1, due_at = 1";

fn ada() -> Asked {
    Asked { anywhere: vec!["user:ada".parse().unwrap()], on_projects: Vec::new() }
}

/// Filters of lists with the number of their requests on a page of a hundred.
fn lists() -> [(PendingFilter, usize); 3] {
    let mine = PendingFilter { asked: Some(ada()), ..PendingFilter::default() };
    let release = Some("release".to_owned());
    let group = Some("else".to_owned());
    [
        (mine.clone(), 100),
        (PendingFilter { policy: release, ..mine }, MINE),
        (PendingFilter { group, ..PendingFilter::default() }, 0),
    ]
}

/// Returns the statement of a list, as the store words it.
fn statement(dialect: Dialect, filter: &PendingFilter) -> String {
    let Selection::Among(condition) =
        selection(dialect, &Reach::everything(), filter, None::<HitlRequestId>, 101)
    else {
        panic!("it is found by people: {filter:?}")
    };
    format!(
        "SELECT id, body FROM hitl_requests WHERE {condition} ORDER BY hitl_requests.id LIMIT 101"
    )
}

/// Polls, and asserts how many requests are found; measures the times in the full form.
async fn polls(stores: &Stores, name: &str, now: Timestamp, may_expire: bool, expected: usize) {
    let mut times = Vec::new();
    for _ in 0..prove::count(50, 2000) {
        let started = Instant::now();
        let found = stores.requests.due(now, may_expire, PAGE).await.unwrap();
        times.push(started.elapsed());
        assert_eq!(found.len(), expected, "{name}");
    }
    times.sort();
    let p99 = times[times.len() * 99 / 100 - 1];
    println!(
        "{name}: median {:?}, p99 {p99:?}, longest {:?}",
        times[times.len() / 2],
        times.last()
    );
    if std::env::var(PROVE).is_ok() {
        assert!(p99 <= POLL_LIMIT, "{name}: {p99:?}");
    }
}

async fn read_lists(stores: &Stores) {
    for (filter, expected) in lists() {
        let mut times = Vec::new();
        for _ in 0..prove::count(3, 200) {
            let started = Instant::now();
            let page =
                stores.requests.pending(&Reach::everything(), &filter, None, 100).await.unwrap();
            times.push(started.elapsed());
            assert_eq!(page.len(), expected, "{filter:?}");
        }
        times.sort();
        println!(
            "a list of {expected}: median {:?}, longest {:?}",
            times[times.len() / 2],
            times.last()
        );
    }
}

/// Makes one request with a policy and one without.
async fn seed(stores: &Stores) -> Timestamp {
    let project = gated(stores, "One").await;
    ask(stores, project, Some("release")).await;
    ask(stores, project, None).await;
    stores.context().now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_finds_what_is_due_among_many_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.db");
    let stores = sqlite_at(&path, Arc::new(dir));
    let now = seed(&stores).await;
    let mut beside = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let count = prove::count(20_000, 100_000);
    let series = format!(
        "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT i FROM n) AS series"
    );
    beside.batch_execute(&multiply(count, now, &series, "unhex(printf('02%030x', i))")).unwrap();

    for (filter, _) in lists() {
        let plan = sqlite_plan(&mut beside, &statement(Dialect::SQLITE, &filter));
        assert!(!plan.contains("SCAN hitl_"), "{plan}");
    }
    let poll = "SELECT id, body FROM hitl_requests WHERE hitl_requests.status = 'pending' \
                AND due_at <= 5";
    let order = "ORDER BY due_at, id LIMIT 500";
    for (more, index) in [
        ("", "hitl_requests_due "),
        ("AND due_at < expires_at", "hitl_requests_due_before_expiry "),
    ] {
        let plan = sqlite_plan(&mut beside, &format!("{poll} {more} {order}"));
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
    polls(&stores, "SQLite, nothing due", now.before(Duration::from_secs(1)), true, 0).await;
    polls(&stores, "SQLite", now, true, DUE as usize).await;
    read_lists(&stores).await;
    beside.batch_execute(ALL_EXPIRED).unwrap();
    polls(&stores, "SQLite after a start", now, false, 0).await;
}

fn sqlite_plan(connection: &mut SqliteConnection, sql: &str) -> String {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let lines = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(connection);
    lines.unwrap().into_iter().map(|line: Line| line.detail + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_finds_what_is_due_among_many_by_an_index() {
    let Some(database) = services::database().await else { return };
    let url = database.url();
    let stores = postgres_at(&url, Arc::new(database)).await;
    let now = seed(&stores).await;
    let count = prove::count(20_000, 100_000);
    let series = format!("generate_series(1, {count}) AS i");
    let id = "('02' || lpad(to_hex(i), 30, '0'))::uuid";
    services::execute(&url, &multiply(count, now, &series, id)).await.unwrap();
    services::execute(&url, "VACUUM ANALYZE hitl_requests").await.unwrap();
    services::execute(&url, "VACUUM ANALYZE hitl_people").await.unwrap();

    let poll = "SELECT id, body FROM hitl_requests WHERE status = 'pending' AND due_at <= 5";
    let order = "ORDER BY due_at, id LIMIT 500";
    let mut questions = vec![
        (format!("{poll} {order}"), "hitl_requests_due "),
        (format!("{poll} AND due_at < expires_at {order}"), "hitl_requests_due"),
    ];
    questions.extend(
        lists().map(|(filter, _)| (statement(Dialect::POSTGRES, &filter), "hitl_people_pkey")),
    );
    let client = services::connect(&url).await.unwrap();
    for (question, index) in &questions {
        let lines = client.query(&format!("EXPLAIN {question}"), &[]).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan on hitl_"), "{question}\n{plan}");
    }
    polls(&stores, "PostgreSQL, nothing due", now.before(Duration::from_secs(1)), true, 0).await;
    polls(&stores, "PostgreSQL", now, true, DUE as usize).await;
    read_lists(&stores).await;
    services::execute(&url, ALL_EXPIRED).await.unwrap();
    polls(&stores, "PostgreSQL after a start", now, false, 0).await;
}
