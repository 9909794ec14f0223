//! Effect of the amount of stored data on throughput: projects, and entries of the log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use botarmy_tests::services;
use tempfile::TempDir;

use crate::client::Connection;
use crate::full::Full;
use crate::pairs::{Figure, Unit};
use crate::rows::{project, task};
use crate::server::{Server, data_dir, setting};
use crate::table::Line;
use crate::{Scale, load};

const CLIENTS: usize = 64;

/// Copies the last project this many times, with a head and its first entry, which submissions
/// need.
const PROJECTS: &str = "
CREATE TEMPORARY TABLE made AS SELECT p.id AS old,
  ('00000000-0001-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS new
  FROM (SELECT id FROM projects ORDER BY id DESC LIMIT 1) p, generate_series(@FROM@, @TO@) n;
INSERT INTO projects (id, status, body) SELECT made.new, p.status,
  replace(p.body::text, p.id::text, made.new::text)::json FROM made JOIN projects p ON p.id = made.old;
INSERT INTO heads (log, seq, hash, previous, counts, next_turn)
  SELECT made.new, h.seq, h.hash, h.previous, h.counts, h.next_turn
  FROM made JOIN heads h ON h.log = made.old;
DROP TABLE made;
";

/// Copies the newest entry this many times, into a separate log.
const ENTRIES: &str = "
INSERT INTO events (id, log, seq, event_type, event_source, task_id, created_at, hash,
  event_metadata, event_data)
SELECT ('00000000-0002-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  '00000000-0003-7000-8000-000000000001', n, e.event_type, e.event_source, e.task_id,
  e.created_at, e.hash, e.event_metadata, e.event_data
FROM (SELECT * FROM events WHERE event_type = 'task_created' ORDER BY id DESC LIMIT 1) e,
  generate_series(@FROM@, @TO@) n;
";

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "PostgreSQL: durable submissions to random ones of 10,000 projects",
        unit: Unit::PerSecond,
    },
    Figure {
        name: "PostgreSQL: durable submissions beside 100,000 log entries",
        unit: Unit::PerSecond,
    },
];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let time = Duration::from_millis(scale.of(2000, 1000) as u64);
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let data = data_dir()?;
    let server = start(&full, &url, &data).await?;
    let (few, many) = (100, 10_000);
    grow(&url, PROJECTS, 1, many).await?;
    let with_many = submit(&server, many, time).await?;
    grow(&url, ENTRIES, 1, 100_000).await?;
    let with_lots = submit(&server, few, time).await?;
    server.stop().await?;
    Ok(vec![with_many, with_lots])
}

/// Starts a replica with one project and one task, from which the tables are grown.
async fn start(full: &Full, url: &str, data: &TempDir) -> Result<Server> {
    let server = full.replica(data, url, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let first = project(&mut connection).await?;
    connection.create(&format!("/api/v1/projects/{first}/tasks"), &task(64)).await?;
    Ok(server)
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let time = Duration::from_secs(scale.of(6, 2) as u64);
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let data = data_dir()?;
    let server = start(&full, &url, &data).await?;

    let few = 100;
    let many = scale.of(100_000, 10_000);
    grow(&url, PROJECTS, 1, few).await?;
    submit(&server, few, time / 2).await?;
    let with_few = submit(&server, few, time).await?;
    grow(&url, PROJECTS, few + 1, many).await?;
    let with_many = submit(&server, many, time).await?;
    let projects = flat("PostgreSQL: 100,000 projects instead of 100", with_few, with_many);

    let (some, lots) = (10_000, scale.of(1_000_000, 100_000));
    grow(&url, ENTRIES, 1, some).await?;
    let with_some = submit(&server, few, time).await?;
    grow(&url, ENTRIES, some + 1, lots).await?;
    let with_lots = submit(&server, few, time).await?;
    let entries = flat("PostgreSQL: a million log entries instead of 10,000", with_some, with_lots);
    server.stop().await?;
    Ok(vec![
        projects.note(format!(
            "durable submissions by 64 clients to random projects of {few}, and of {many}"
        )),
        entries.note(format!(
            "the same to {few} projects; {some} entries, and {lots}, beside those that are written"
        )),
    ])
}

fn flat(what: &str, before: f64, after: f64) -> Line {
    Line::share(what, after, before, 0.85)
}

async fn grow(url: &str, sql: &str, from: usize, to: usize) -> Result<()> {
    let sql = sql.replace("@FROM@", &from.to_string()).replace("@TO@", &to.to_string());
    let client = services::connect(url).await?;
    client.batch_execute(&sql).await.context("the tables do not grow")?;
    // A database that has been running for a while has done this by itself.
    for upkeep in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(upkeep).await?;
    }
    Ok(())
}

/// Submissions per second to random ones of the first projects.
async fn submit(server: &Server, projects: usize, time: Duration) -> Result<f64> {
    let body = Arc::new(task(64).to_string());
    let outcome = load::drive(server.address, CLIENTS, time, move |_, mut connection| {
        let body = Arc::clone(&body);
        async move {
            let n = services::random() as usize % projects + 1;
            let path = format!("/api/v1/projects/00000000-0001-7000-8000-{n:012x}/tasks");
            let answer = connection.post(&path, body.as_bytes()).await?;
            if answer.status != 201 {
                bail!("a task was answered {}", answer.status);
            }
            Ok(connection)
        }
    });
    Ok(outcome.await?.rate)
}
