//! Tests beyond the store contract: the file, its guards, its lock and its failures.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use botarmy_domain::decide::{agents, projects, tasks};
use botarmy_domain::hitl::PendingFilter;
use botarmy_domain::log::{LogId, Verifier};
use botarmy_domain::ports::{
    AgentStatus, AuditLog, HealthCheck, HitlStore, Ledger, ProjectStore, TaskStore,
};
use botarmy_domain::{
    AgentType, Caller, Claim, DecisionContext, DomainError, EntryFilter, Error, Health, NewProject,
    NewTask, Oversight, ProjectId, Reach, Scope, StoreError, TaskFilter, TaskId, Timestamp,
    WorkerId,
};
use botarmy_sql::health::{AuditHealth, DatabaseHealth};
use diesel::connection::{
    Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation,
};
use diesel::prelude::*;

use crate::connection::number;
use crate::writer::Job;
use crate::{OpenError, SqliteSettings, SqliteStore, Synchronous, migrate};

const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn context(seed: u128) -> DecisionContext {
    DecisionContext::new(AT, seed, Caller::person("owner"))
}

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("botarmy.db");
    Place { _directory: directory, path }
}

impl Place {
    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.settings()).unwrap()
    }

    fn refusal(&self) -> OpenError {
        SqliteStore::open(self.settings()).unwrap_err()
    }

    fn settings(&self) -> SqliteSettings {
        SqliteSettings::new(&self.path)
    }

    /// Opens a second connection to the file, as SQLite's shell does.
    fn beside(&self) -> SqliteConnection {
        SqliteConnection::establish(self.path.to_str().unwrap()).unwrap()
    }

    /// Creates a closed file that holds a project.
    async fn filled(&self) -> ProjectId {
        let store = self.open();
        let project = create(&store, 1).await;
        submit(&store, project, 2).await.unwrap();
        store.close().await;
        project
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

async fn create(store: &SqliteStore, seed: u128) -> ProjectId {
    let id = context(seed).fork(1).id_generator().project();
    let new = NewProject {
        name: "A project".to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::Standard,
    };
    let decide = move |snapshot: &_| projects::create(&context(seed), snapshot, id, &new, None);
    store.transact(Scope::project(id), Box::new(decide)).await.unwrap();
    id
}

async fn submit(store: &SqliteStore, project: ProjectId, seed: u128) -> Result<TaskId, Error> {
    let id = context(seed).fork(1).id_generator().task();
    let new = NewTask {
        project_id: project,
        agent: AgentType::Coder,
        instructions: "Write it.".to_owned(),
        context_ids: Vec::new(),
        priority: None,
        max_attempts: None,
    };
    let decide = move |snapshot: &_| tasks::submit(&context(seed), snapshot, id, &new);
    store.transact(Scope::project(project), Box::new(decide)).await.map(|_| id)
}

fn claim(seed: u128, slots: u32) -> Claim {
    let worker = WorkerId("worker".to_owned());
    let context = context(seed).by(Caller::worker(&worker));
    Claim {
        reach: Reach::everything(),
        worker,
        slots: [(AgentType::Coder, slots)].into(),
        lease: std::time::Duration::from_secs(60),
        external: None,
        context,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let place = place();
    let project = place.filled().await;
    let store = place.open();
    assert_eq!(store.project(project).await.unwrap().unwrap().name, "A project");
    let status_list = store.status(project, 10).await.unwrap().unwrap();
    assert_eq!(status_list.tasks.len(), 1);
    let mut verifier = Verifier::default();
    for entry in store.since(LogId::Project(project), 0, 10).await.unwrap() {
        verifier.next(&entry);
    }
    let head = AuditLog::head(&store, LogId::Project(project)).await.unwrap().unwrap();
    assert!(verifier.finish(&head).valid);
}

#[tokio::test]
async fn directory_and_files_are_for_their_owner_only() {
    let place = place();
    let store = place.open();
    create(&store, 1).await;
    assert_eq!(mode(place.path.parent().unwrap()), 0o700);
    for name in ["botarmy.db", "botarmy.db-wal", "botarmy.db-shm", "botarmy.lock"] {
        assert_eq!(mode(&place.path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_closed() {
    let place = place();
    let first = place.open();
    let error = place.refusal();
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains("another process is using the data directory"), "{error}");
    assert!(matches!(migrate::up(&place.path), Err(OpenError::InUse { .. })));
    first.close().await;
    place.open();
}

#[tokio::test]
async fn what_is_not_a_database_is_refused_and_left_alone() {
    let place = place();
    fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    for text in ["hello", "this file is somebody's diary and longer than a header\n"] {
        fs::write(&place.path, text).unwrap();
        let error = place.refusal();
        assert!(matches!(error, OpenError::NotSqlite { .. }), "{error:?}");
        assert_eq!(place.bytes(), text.as_bytes());
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let place = place();
    fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    place.beside().batch_execute("CREATE TABLE songs (title TEXT)").unwrap();
    let before = place.bytes();
    assert!(matches!(place.refusal(), OpenError::NotOurs { .. }));
    assert_eq!(place.bytes(), before);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let place = place();
    place.filled().await;
    place
        .beside()
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')")
        .unwrap();
    let before = place.bytes();
    let error = place.refusal();
    assert!(matches!(&error, OpenError::Newer { unknown, .. } if unknown == "9999"), "{error:?}");
    assert!(error.to_string().contains("written by a newer version"), "{error}");
    assert!(matches!(migrate::down_one(&place.path), Err(OpenError::Newer { .. })));
    assert_eq!(place.bytes(), before);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let place = place();
    place.filled().await;
    let whole = place.bytes();
    let cut = whole[..whole.len() / 2].to_vec();
    let mut scribbled = whole.clone();
    scribbled[4096..8192].fill(0xa5);
    let mut no_schema = whole.clone();
    no_schema[100..1000].fill(0xa5);
    for damaged in [cut, scribbled, no_schema] {
        fs::write(&place.path, &damaged).unwrap();
        let error = place.refusal();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert_eq!(place.bytes(), damaged);
    }
    fs::write(&place.path, &whole).unwrap();
    place.open();
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let place = place();
    let directory = place.path.parent().unwrap();
    fs::write(directory, "a file is in the way").unwrap();
    let error = place.refusal();
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn the_log_refuses_changes_by_those_who_reach_it_beside_the_store() {
    let place = place();
    place.filled().await;
    let mut connection = place.beside();
    for statement in [
        "UPDATE events SET event_data = '{}'",
        "UPDATE OR REPLACE events SET seq = 1",
        "DELETE FROM events",
        "REPLACE INTO events SELECT * FROM events",
        "INSERT OR REPLACE INTO events (id, log, seq, event_type, event_source, created_at, hash, \
         event_metadata, event_data) SELECT randomblob(16), log, seq, event_type, event_source, \
         created_at, hash, '{}', '{}' FROM events",
        "INSERT OR REPLACE INTO events (id, log, seq, event_type, event_source, created_at, hash, \
         event_metadata, event_data) SELECT id, log, seq + 10, event_type, event_source, \
         created_at, hash, '{}', '{}' FROM events",
        "INSERT OR REPLACE INTO events (position, id, log, seq, event_type, event_source, \
         created_at, hash, event_metadata, event_data) SELECT position, randomblob(16), log, \
         seq + 10, event_type, event_source, created_at, hash, '{}', '{}' FROM events",
    ] {
        let error = connection.batch_execute(statement).unwrap_err().to_string();
        assert!(error.contains("the log is append-only"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn artifacts_refuse_changes_by_those_who_reach_them_beside_the_store() {
    let place = place();
    place.filled().await;
    let mut connection = place.beside();
    connection
        .batch_execute(
            "INSERT INTO artifacts SELECT randomblob(16), id, 'coder', 'source_code', \
             randomblob(32), NULL, 1, '{}', '{}' FROM projects",
        )
        .unwrap();
    for statement in [
        "UPDATE artifacts SET content = '{\"changed\":true}'",
        "DELETE FROM artifacts",
        "REPLACE INTO artifacts SELECT * FROM artifacts",
    ] {
        let error = connection.batch_execute(statement).unwrap_err().to_string();
        assert!(error.contains("artifacts are immutable"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn durability_is_what_the_settings_say() {
    for (synchronous, expected) in [(Synchronous::Full, 2), (Synchronous::Normal, 1)] {
        let place = place();
        SqliteStore::open(place.settings()).unwrap().close().await;
        let settings = SqliteSettings { synchronous, ..place.settings() };
        let mut connection = crate::connection::writer(&settings).unwrap();
        let level = number(&mut connection, "(SELECT synchronous FROM pragma_synchronous)");
        assert_eq!(level, Ok(expected));
        let keys = number(&mut connection, "(SELECT foreign_keys FROM pragma_foreign_keys)");
        assert_eq!(keys, Ok(1));
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_as_one_changes_nothing_and_passes() {
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    store.enqueue(Job::Set("PRAGMA max_page_count = 100")).await.unwrap();
    let mut seed = 10;
    let error = loop {
        seed += 1;
        match submit(&store, project, seed).await {
            Ok(_) => assert!(seed < 100_000, "the limit holds"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Store(StoreError::Full { .. })), "{error:?}");
    let (_, head) = store.overview(project).await.unwrap().unwrap();
    let tasks = store.status(project, 100_000).await.unwrap().unwrap().tasks;
    assert_eq!(head.seq, 1 + tasks.len() as u64);
    assert_eq!(head.counts.pending as usize, tasks.len());
    let health = DatabaseHealth(store.clone()).check().await;
    assert!(matches!(&health, Health::Unhealthy(why) if why.contains("full")), "{health:?}");

    assert!(store.claim(claim(seed + 1, 0)).await.unwrap().entries.is_empty());
    assert!(matches!(DatabaseHealth(store.clone()).check().await, Health::Unhealthy(_)));

    store.enqueue(Job::Set("PRAGMA max_page_count = 1000000")).await.unwrap();
    submit(&store, project, seed + 1).await.unwrap();
    assert!(matches!(DatabaseHealth(store.clone()).check().await, Health::Healthy(_)));
}

#[tokio::test]
async fn a_decision_that_panics_is_an_error_and_disturbs_no_other() {
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    let mut others = Vec::new();
    for seed in 10..74 {
        let store = store.clone();
        others.push(tokio::spawn(async move { submit(&store, project, seed).await }));
    }
    let panicking = store.transact(Scope::project(project), Box::new(|_| panic!("on purpose")));
    let error = panicking.await.unwrap_err();
    assert!(error.to_string().contains("the decision panicked: on purpose"), "{error}");
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(store.overview(project).await.unwrap().unwrap().1.seq, 65);
}

#[tokio::test]
async fn a_decision_that_the_database_refuses_disturbs_no_other() {
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    let submitted: Vec<_> = (10..74)
        .chain([10, 20, 30])
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move { submit(&store, project, seed).await })
        })
        .collect();
    let mut refused = 0;
    for task in submitted {
        match task.await.unwrap() {
            Ok(_) => {}
            Err(Error::Store(StoreError::Conflict)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(refused, 3);
    assert_eq!(store.overview(project).await.unwrap().unwrap().1.seq, 65);
}

#[tokio::test]
async fn looking_for_work_in_vain_and_refusals_write_nothing() {
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    let wal = place.path.with_file_name("botarmy.db-wal");
    let before = fs::read(&wal).unwrap();
    for seed in 10..20 {
        assert!(store.claim(claim(seed, 4)).await.unwrap().entries.is_empty());
        let refuse = |_: &_| Err(DomainError::BadRequest("no".to_owned()));
        store.transact(Scope::project(project), Box::new(refuse)).await.unwrap_err();
        let refresh =
            move |snapshot: &_| agents::refresh(&context(seed).by(Caller::system()), snapshot);
        store.transact(Scope::agent(AgentType::Coder), Box::new(refresh)).await.unwrap();
    }
    assert_eq!(fs::read(&wal).unwrap(), before);
}

#[tokio::test]
async fn who_was_killed_before_there_was_a_write_ahead_log_can_start_again() {
    let (killed, place) = (place(), place());
    fs::create_dir_all(killed.path.parent().unwrap()).unwrap();
    fs::create_dir_all(place.path.parent().unwrap()).unwrap();
    let mut connection = killed.beside();
    connection
        .batch_execute(
            "PRAGMA user_version = 1; PRAGMA cache_size = 1; BEGIN; CREATE TABLE half (of_it BLOB);
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
             INSERT INTO half SELECT randomblob(1000) FROM n;",
        )
        .unwrap();
    for ending in ["", "-journal"] {
        let name = format!("botarmy.db{ending}");
        fs::copy(killed.path.with_file_name(&name), place.path.with_file_name(&name)).unwrap();
    }
    let mut reader =
        SqliteConnection::establish(&format!("file:{}?mode=ro", place.path.display())).unwrap();
    let error = reader.batch_execute("SELECT count(*) FROM sqlite_schema").unwrap_err();
    assert_eq!(error.to_string(), "attempt to write a readonly database");
    let states = migrate::status(&place.path).unwrap();
    assert!(states.iter().all(|migration| !migration.is_applied));
    create(&place.open(), 1).await;
}

#[tokio::test]
async fn an_unreadable_row_is_corrupt_and_names_itself() {
    let place = place();
    let project = place.filled().await;
    place.beside().batch_execute("UPDATE tasks SET body = '{\"id\": 1}'").unwrap();
    let store = place.open();
    let error = store.status(project, 10).await.unwrap_err();
    let StoreError::Corrupt { table, row, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*table, row.len()), ("tasks", 36));
    assert!(matches!(store.claim(claim(9, 1)).await, Err(StoreError::Corrupt { .. })));
    submit(&store, project, 10).await.unwrap();
}

#[tokio::test]
async fn the_health_of_the_log_needs_its_guards() {
    let place = place();
    let store = place.open();
    assert!(matches!(AuditHealth(store.clone()).check().await, Health::Healthy(_)));
    place.beside().batch_execute("DROP TRIGGER events_are_not_changed").unwrap();
    assert!(matches!(AuditHealth(store).check().await, Health::Unhealthy(_)));
}

#[tokio::test]
async fn a_closed_store_says_so_and_has_kept_everything() {
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    let waiting: Vec<_> = (10..40)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move { submit(&store, project, seed).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await;
    store.close().await;
    let mut kept = 0;
    for task in waiting {
        kept += usize::from(task.await.unwrap().is_ok());
    }
    let error = submit(&store, project, 90).await.unwrap_err();
    assert!(error.to_string().contains("the store is closed"), "{error}");
    assert!(store.project(project).await.is_err());
    assert!(!place.path.with_file_name("botarmy.db-wal").exists());
    let status_list = place.open().status(project, 100).await.unwrap().unwrap();
    assert_eq!(status_list.tasks.len(), kept);
}

#[tokio::test]
async fn more_decisions_than_the_queue_holds_wait_their_turn() {
    let place = place();
    let settings = SqliteSettings { queue: 2, max_batch: 1, ..place.settings() };
    let store = SqliteStore::open(settings).unwrap();
    let project = create(&store, 1).await;
    let all: Vec<_> = (10..60)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move { submit(&store, project, seed).await })
        })
        .collect();
    for task in all {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn migrations_go_down_and_up_again_on_a_file_with_data() {
    let place = place();
    let before = migrate::status(&place.path).unwrap();
    assert!(before.iter().all(|migration| !migration.is_applied) && !before.is_empty());
    let names: Vec<_> = before.iter().map(|migration| migration.name.clone()).collect();
    assert_eq!(migrate::dry_run(&place.path).unwrap(), names);
    assert!(!place.path.exists());

    let project = place.filled().await;
    assert!(migrate::status(&place.path).unwrap().iter().all(|migration| migration.is_applied));
    assert!(migrate::dry_run(&place.path).unwrap().is_empty());

    for name in names.iter().rev() {
        assert_eq!(migrate::down_one(&place.path).unwrap().as_ref(), Some(name));
    }
    assert_eq!(migrate::down_one(&place.path).unwrap(), None);
    let left = number(
        &mut place.beside(),
        "(SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%diesel%' \
         AND name NOT LIKE 'sqlite_%')",
    );
    assert_eq!(left, Ok(0));

    assert_eq!(migrate::dry_run(&place.path).unwrap(), names);
    assert_eq!(migrate::up(&place.path).unwrap(), names);
    assert!(migrate::up(&place.path).unwrap().is_empty());
    let store = place.open();
    assert!(store.project(project).await.unwrap().is_none());
    create(&store, 1).await;
}

#[tokio::test]
async fn every_common_question_is_answered_by_an_index() {
    let place = place();
    place.open().close().await;
    let mut connection = place.beside();
    for (question, index) in [
        (
            "SELECT * FROM tasks WHERE tasks.status = 'pending' AND held = ?1 AND agent = ?2 AND \
          ready_at <= ?3 ORDER BY priority DESC, turn_at, id LIMIT 5",
            "tasks_queue",
        ),
        (
            "SELECT id FROM tasks WHERE tasks.status = 'working' AND agent = ?1 ORDER BY id",
            "tasks_working",
        ),
        ("SELECT * FROM tasks WHERE project_id = ?1 ORDER BY id LIMIT 5", "tasks_by_project"),
        ("SELECT * FROM projects WHERE status = ?1 ORDER BY id DESC LIMIT 5", "projects_by_status"),
        (
            "SELECT * FROM hitl_requests WHERE hitl_requests.status = 'pending' AND id > ?1 \
          ORDER BY id LIMIT 5",
            "hitl_requests_pending",
        ),
        (
            "SELECT * FROM hitl_requests WHERE hitl_requests.status = 'pending' AND due_at <= ?1 \
          ORDER BY due_at, id LIMIT (0 + 5)",
            "hitl_requests_due ",
        ),
        (
            "SELECT * FROM hitl_requests WHERE hitl_requests.status = 'pending' AND due_at <= ?1 \
          AND hitl_requests.due_at < hitl_requests.expires_at ORDER BY due_at, id LIMIT (0 + 5)",
            "hitl_requests_due_before_expiry ",
        ),
        (
            "SELECT * FROM events WHERE event_type = ?1 AND event_source = ?2 AND id < ?3 \
          ORDER BY id DESC LIMIT 5",
            "events_by_kind",
        ),
        (
            "SELECT * FROM events WHERE events.task_id IS NOT NULL AND task_id = ?1 \
          LIMIT 5",
            "events_by_task",
        ),
        (
            "SELECT * FROM events WHERE events.event_type = 'agent_status_changed' AND \
          events.event_data ->> '$.agent_type' = ?1 ORDER BY seq DESC LIMIT 5",
            "events_by_agent",
        ),
    ] {
        let plan = explain(&mut connection, question);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{question}\n{plan}");
    }
}

fn explain(connection: &mut SqliteConnection, question: &str) -> String {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let lines = diesel::sql_query(format!("EXPLAIN QUERY PLAN {question}")).load(connection);
    lines.unwrap().into_iter().map(|line: Line| line.detail + "\n").collect()
}

/// Statements that a connection ran again without having kept them prepared.
static PREPARED_AGAIN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn watch() -> Option<Box<dyn Instrumentation>> {
    let (mut seen, mut kept) = (BTreeSet::new(), BTreeSet::new());
    Some(Box::new(move |event: InstrumentationEvent<'_>| match event {
        InstrumentationEvent::CacheQuery { sql, .. } => drop(kept.insert(sql.to_owned())),
        InstrumentationEvent::StartQuery { query, .. } => {
            let text = query.to_string();
            let text = text.split(" -- binds").next().unwrap_or_default().trim().to_owned();
            if !seen.insert(text.clone()) && !kept.contains(&text) {
                PREPARED_AGAIN.lock().unwrap().insert(text);
            }
        }
        _ => {}
    }))
}

#[tokio::test]
async fn hot_statements_are_prepared_once() {
    set_default_instrumentation(watch).unwrap();
    let place = place();
    let store = place.open();
    let project = create(&store, 1).await;
    for seed in [10, 20, 30] {
        let task = submit(&store, project, seed).await.unwrap();
        let claimed = store.claim(claim(seed + 1, 1)).await.unwrap();
        assert!(store.extend(task, 1, AT).await.unwrap());
        let refresh =
            move |snapshot: &_| agents::refresh(&context(seed + 2).by(Caller::system()), snapshot);
        store.transact(Scope::agent(AgentType::Coder), Box::new(refresh)).await.unwrap();
        store.task(task).await.unwrap();
        store.project(project).await.unwrap();
        store.overview(project).await.unwrap();
        store.status(project, 10).await.unwrap();
        store.tasks(project, TaskFilter::default(), 10).await.unwrap();
        store.entry(claimed.entries[0].id).await.unwrap();
        store.entries(EntryFilter::default(), 10).await.unwrap();
        store.since(LogId::Project(project), 0, 10).await.unwrap();
        store.expired_leases(AT, 10).await.unwrap();
        let filter = PendingFilter::default();
        store.pending(&Reach::everything(), &filter, None, 10).await.unwrap();
        store.due(AT, true, 10).await.unwrap();
        store.due(AT, false, 10).await.unwrap();
        store.statuses().await.unwrap();
    }
    let again = PREPARED_AGAIN.lock().unwrap();
    // The migrations are savepoints of one transaction.
    let cold = ["BEGIN", "COMMIT", "PRAGMA", "SAVEPOINT", "RELEASE"];
    let hot = |text: &&String| !cold.iter().any(|word| text.starts_with(word));
    assert_eq!(again.iter().filter(hot).collect::<Vec<_>>(), Vec::<&String>::new());
}
