//! The full profile under measurement: PostgreSQL and Redis of this run, on the disk of the binary,
//! with durable commits; and the limit of PostgreSQL itself, measured with `pgbench`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use botarmy_tests::services::{self, PostgresServer, RedisServer, postgres_tool};
use tempfile::TempDir;

use crate::server::{Server, data_dir};
use crate::stats::Samples;

/// Number of logs that the measured unit is spread over, for `pgbench` and for the server.
pub(crate) const LOGS: usize = 64;

/// Statement that `pgbench` runs: the rows of one submission (task, log entry, head of the log) in
/// the same tables with the same indexes, as one prepared statement. Every client has its own log,
/// so that none waits for another's lock.
const UNIT: &str = r#"
WITH head AS (
  UPDATE heads SET seq = seq + 1, previous = hash, hash = sha256(hash),
    counts = '{"pending":100,"open_requests":1}', next_turn = next_turn + 1
  WHERE log = ('00000000-0000-7000-8000-' || lpad(to_hex((:client_id)::int), 12, '0'))::uuid
  RETURNING log, seq, hash
), task AS (
  INSERT INTO tasks (id, project_id, agent, status, held, attempt, priority, turn_at, ready_at, body)
  SELECT gen_random_uuid(), log, 'coder', 'pending', false, 0, 5, seq, 0, json '@BODY@' FROM head
  RETURNING id
)
INSERT INTO events (id, log, seq, event_type, event_source, task_id, created_at, hash,
  event_metadata, event_data)
SELECT gen_random_uuid(), log, seq, 'task_created', 'user', task.id, seq, hash,
  json '@METADATA@', json '@DATA@' FROM head, task;
"#;

/// PostgreSQL and Redis.
pub(crate) struct Full {
    postgres: PostgresServer,
    redis: RedisServer,
}

impl Full {
    /// Starts both, with durable commits as in production.
    pub(crate) async fn start() -> Result<Self> {
        let settings = [
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("shared_buffers", "512MB"),
            ("max_wal_size", "8GB"),
        ];
        let missing = "these rows need PostgreSQL and Redis: run `just bench`";
        let postgres = PostgresServer::start(&settings).await.context(missing)?;
        let redis = RedisServer::start().await.context(missing)?;
        Ok(Self { postgres, redis })
    }

    /// Creates an empty, migrated database of this name and returns its address.
    pub(crate) async fn database(&self, name: &str) -> Result<String> {
        services::execute(&self.postgres.url(), &format!("CREATE DATABASE {name}")).await?;
        let url = services::url_of(&self.postgres.url(), name);
        let data = data_dir()?;
        let none = [("BOTARMY_STORE__URL", url.as_str())];
        Server::start(data.path(), &none).await?.stop().await?;
        Ok(url)
    }

    /// Starts a replica on this database.
    pub(crate) async fn replica(
        &self,
        data: &TempDir,
        database: &str,
        settings: &[(&str, &str)],
    ) -> Result<Server> {
        let redis = self.redis.url();
        let mut all = vec![("BOTARMY_STORE__URL", database), ("BOTARMY_REDIS__URL", &*redis)];
        all.extend_from_slice(settings);
        Server::start(data.path(), &all).await
    }
}

/// Result of `pgbench` for the unit.
pub(crate) struct Limit {
    pub(crate) rate: f64,
    pub(crate) samples: Samples,
}

/// Runs the unit in this database with this many clients.
pub(crate) async fn pgbench(url: &str, clients: usize, time: Duration) -> Result<Limit> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("unit.sql"), unit(url).await?)?;
    heads(url).await?;
    let run = |seconds: f64, log: &Path| {
        let mut command = postgres_tool("pgbench").context("pgbench")?;
        command.args(["-n", "-M", "prepared", "-j", "2", "-f", "unit.sql", "--log"]);
        command.arg("--log-prefix").arg(log).args(["-c", &clients.to_string()]);
        command.args(["-T", &format!("{:.0}", seconds.max(1.0)), url]);
        command.current_dir(folder.path());
        anyhow::Ok(tokio::process::Command::from(command))
    };
    run(time.as_secs_f64() / 4.0, Path::new("warm"))?.output().await?;
    let output = run(time.as_secs_f64(), Path::new("run"))?.output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    let rate = rate.and_then(|rate| rate.parse().ok()).context("pgbench says no tps")?;
    let mut samples = Samples::default();
    for entry in folder.path().read_dir()? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("run.")) {
            // client, transaction, microseconds, …
            for line in std::fs::read_to_string(path)?.lines() {
                let time = line.split(' ').nth(2).and_then(|time| time.parse().ok());
                samples.push(Duration::from_micros(time.context("a line of pgbench's log")?));
            }
        }
    }
    Ok(Limit { rate, samples })
}

/// Returns the unit with JSON of the length that the server writes, taken from an existing task.
async fn unit(url: &str) -> Result<String> {
    let client = services::connect(url).await?;
    let one = "SELECT t.body::text, e.event_metadata::text, e.event_data::text FROM tasks t \
               JOIN events e ON e.task_id = t.id AND e.event_type = 'task_created' \
               ORDER BY t.id DESC LIMIT 1";
    let row = client.query_one(one, &[]).await.context("a task to imitate")?;
    let text = |n: usize| row.get::<_, String>(n).replace('\'', "''").replace(':', ": ");
    Ok(UNIT
        .replace('\n', " ")
        .replace("@BODY@", &text(0))
        .replace("@METADATA@", &text(1))
        .replace("@DATA@", &text(2))
        + "\n")
}

async fn heads(url: &str) -> Result<()> {
    let sql = format!(
        "INSERT INTO heads (log, seq, hash, previous, counts, next_turn) \
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1, \
         sha256('head'), sha256('before'), '{{}}', 0 FROM generate_series(0, {}) n \
         ON CONFLICT DO NOTHING",
        LOGS - 1
    );
    services::execute(url, &sql).await
}
