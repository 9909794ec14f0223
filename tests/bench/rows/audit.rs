//! A page of the audit log, from a log and from one ten times as long.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use botarmy_domain::event::Note;
use botarmy_domain::ports::{Clock, Ids, Ledger};
use botarmy_domain::{
    Caller, DecisionContext, EventPayload, NewProject, Oversight, ProjectId, Scope, decide,
};
use botarmy_server::system::{RandomIds, SystemClock};
use botarmy_sqlite::{SqliteSettings, SqliteStore, Synchronous};
use diesel::connection::SimpleConnection;
use diesel::{Connection as _, SqliteConnection};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Scale;
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms, thousands};
use crate::table::Line;

/// Number of entries of a page.
const PAGE: usize = 100;
/// Number of concurrent decisions while the log is filled.
const WRITERS: usize = 512;

/// Entries beside which two servers are compared.
const COMPARED: usize = 100_000;

pub(crate) const FIGURES: &[Figure] = &[
    Figure { name: "audit page of 100 of 100,000, newest, p50", unit: Unit::Milliseconds },
    Figure { name: "audit page of 100 of 100,000, anywhere, p50", unit: Unit::Milliseconds },
];

/// Lets the server create the database, so that it has the tables of this server, and copies its
/// newest entry.
pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let server = Server::start(data.path(), &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = super::project(&mut connection).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    connection.create(&path, &super::task(200)).await?;
    server.stop().await?;
    grow(data.path(), COMPARED)?;
    let cursors = (1..COMPARED / 20).map(|n| copied_id(n * 20)).collect();
    let seed = Cursors { project, cursors };
    let [newest, anywhere] = pages(data.path(), &seed, scale.of(300, 100)).await?;
    Ok(vec![ms(newest.p50()), ms(anywhere.p50())])
}

/// Id of a copied entry; they come after all that a server makes.
fn copied_id(n: usize) -> String {
    format!("7fffffff-ffff-7000-8000-{n:012x}")
}

/// Copies the newest entry this many times into the same log. The hashes do not match the copies;
/// pages do not check them.
fn grow(folder: &Path, count: usize) -> Result<()> {
    let path = folder.join(setting::DATABASE);
    let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
    let id = "unhex(printf('7fffffffffff70008000%012x', n))";
    connection.batch_execute(&format!(
        "BEGIN;
         CREATE TEMPORARY TABLE numbers AS
           WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers
             WHERE n < {count}) SELECT n FROM numbers;
         INSERT INTO events (id, log, seq, event_type, event_source, task_id, created_at, hash,
           event_metadata, event_data)
         SELECT {id}, e.log, e.seq + n, e.event_type, e.event_source, e.task_id, e.created_at,
           e.hash, e.event_metadata, e.event_data
         FROM (SELECT * FROM events WHERE event_type = 'task_created' LIMIT 1) e, numbers;
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let (few, many) = (scale.of(100_000, 20_000), scale.of(1_000_000, 200_000));
    let data = data_dir()?;
    let mut seed = Seed::begin(data.path()).await?;
    seed.fill(few).await?;
    let count = scale.of(600, 100);
    let of_few = all(pages(data.path(), &seed.cursors, count).await?);
    seed.fill(many - few).await?;
    let of_many = all(pages(data.path(), &seed.cursors, count).await?);

    let goal = Duration::from_millis(20);
    let what = |count: usize| format!("audit page of 100 of {}", thousands(count as f64));
    let first = Line::times(&what(few), &[("p99", of_few.p99(), goal)]).note(format!(
        "{} pages, one client, newest entries of all logs and anywhere in a project's log in \
         turn; p50 {:.2} ms. The log was filled through the store, an entry per decision",
        of_few.len(),
        ms(of_few.p50())
    ));
    let mut second = Line::times(&what(many), &[("p99", of_many.p99(), goal)]);
    // By the median: the slowest of a few hundred pages say more about the machine.
    let slower = ms(of_many.p50()) / ms(of_few.p50());
    second.limit = format!("p50 {:.2} ms of the above", ms(of_few.p50()));
    second.measured = format!("{}, p50 {:.2} ms", second.measured, ms(of_many.p50()));
    second.ratio = format!("{slower:.2}");
    second.goal = format!("{}, p50 <= 1.2 x", second.goal);
    second.met &= slower <= 1.2;
    Ok(vec![first, second])
}

/// Cursors at which pages may begin.
struct Cursors {
    project: String,
    /// Some of its entries.
    cursors: Vec<String>,
}

/// Returns the samples of both kinds of pages as one.
fn all([newest, anywhere]: [Samples; 2]) -> Samples {
    let mut all = newest;
    all.extend(anywhere);
    all
}

/// Reads this many pages in all. Returns the durations for the newest entries of all logs and for
/// pages anywhere in a project's log.
async fn pages(folder: &Path, seed: &Cursors, count: usize) -> Result<[Samples; 2]> {
    let server = Server::start(folder, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut samples = [Samples::default(), Samples::default()];
    for n in 0..count + 20 {
        let path = if n % 2 == 0 {
            format!("/api/v1/audit/events?limit={PAGE}")
        } else {
            // A stride that visits all parts of the log in no order a cache could guess.
            let cursor = &seed.cursors[n * 7919 % seed.cursors.len()];
            let project = &seed.project;
            format!("/api/v1/audit/projects/{project}/events?limit={PAGE}&cursor={cursor}")
        };
        let asked = Instant::now();
        let answer = connection.get(&path).await?;
        let took = asked.elapsed();
        let page = answer.json()?;
        anyhow::ensure!(page.as_array().map(Vec::len) == Some(PAGE), "a page is not full");
        if n >= 20 {
            samples[n % 2].push(took);
        }
    }
    server.stop().await?;
    Ok(samples)
}

/// Fills a log.
struct Seed {
    settings: SqliteSettings,
    project: ProjectId,
    cursors: Cursors,
}

impl Seed {
    async fn begin(folder: &Path) -> Result<Self> {
        // This part is not measured, so it need not wait for the disk.
        let settings = SqliteSettings {
            synchronous: Synchronous::Normal,
            ..SqliteSettings::new(folder.join(setting::DATABASE))
        };
        let now = context();
        let project = now.id_generator().project();
        let new = NewProject {
            name: "Bench".to_owned(),
            description: None,
            workflow: None,
            oversight: Oversight::Standard,
        };
        let store = open(&settings).await?;
        let create = move |snapshot: &botarmy_domain::Snapshot| {
            decide::projects::create(&now.fork(1), snapshot, project, &new, None)
        };
        store.transact(Scope::project(project), Box::new(create)).await?;
        store.close().await;
        let cursors = Cursors { project: project.to_string(), cursors: Vec::new() };
        Ok(Self { settings, project, cursors })
    }

    /// Adds notes to the project's log, each as a decision, so that the store commits them many at
    /// a time.
    async fn fill(&mut self, count: usize) -> Result<()> {
        let store = open(&self.settings).await?;
        let mut writers = JoinSet::new();
        for n in 0..WRITERS {
            let (store, project) = (store.clone(), self.project);
            let share = count / WRITERS + usize::from(n < count % WRITERS);
            writers.spawn(async move {
                let mut cursors = Vec::new();
                for n in 0..share {
                    let committed = note(&store, project).await?;
                    if n % 20 == 19 {
                        cursors.extend(committed.entries.iter().map(|entry| entry.id.to_string()));
                    }
                }
                anyhow::Ok(cursors)
            });
        }
        while let Some(cursors) = writers.join_next().await {
            self.cursors.cursors.extend(cursors??);
        }
        store.close().await;
        Ok(())
    }
}

fn context() -> DecisionContext {
    DecisionContext::new(SystemClock.now(), RandomIds.seed(), Caller::person("bench"))
}

async fn open(settings: &SqliteSettings) -> Result<SqliteStore> {
    let settings = settings.clone();
    Ok(tokio::task::spawn_blocking(move || SqliteStore::open(settings)).await??)
}

async fn note(
    store: &SqliteStore,
    project: ProjectId,
) -> Result<botarmy_domain::Committed, botarmy_domain::Error> {
    let now = context();
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let data = [
        ("agent_type".to_owned(), json!("coder")),
        ("status".to_owned(), json!("working")),
        ("message".to_owned(), json!("measure ".repeat(24))),
        ("worker".to_owned(), json!(format!("{:032x}", ids.seed()))),
    ];
    let payload = EventPayload::SystemWarning(Note(data.into_iter().collect()));
    let decide = move |snapshot: &botarmy_domain::Snapshot| {
        decide::projects::system_note(&now.by(Caller::system()), snapshot, &payload)
    };
    store.transact(Scope::project(project), Box::new(decide)).await
}
