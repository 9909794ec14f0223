//! Five hundred concurrent model calls: their memory, and the response time of the server
//! meanwhile. The provider is a double in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use botarmy_tests::providers::{Double, Protocol, Reply, TOKENS};
use serde_json::json;
use tokio::task::JoinSet;

use super::{noop::until_completed, open_project, task, text};
use crate::Scale;
use crate::client::Connection;
use crate::machine::{anonymous, resident};
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms};
use crate::table::Line;

/// Number of concurrent model calls.
const CALLS: usize = 500;
/// Response time of the provider.
const LATENCY: Duration = Duration::from_secs(2);
/// Number of submitting clients, so that all calls are waiting before the first is answered.
const CLIENTS: usize = 16;
/// Number of tasks of the polled project.
const TASKS: usize = 10;
/// Maximum memory of the calls, in MB.
const MEMORY: f64 = 60.0;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "memory while 500 model calls wait, without mapped files",
        unit: Unit::Megabytes,
    },
    Figure { name: "status while 500 model calls wait, p50", unit: Unit::Milliseconds },
];

pub(crate) async fn sample(_: Scale) -> Result<Vec<f64>> {
    let seen = drive(1).await?;
    Ok(vec![mb(seen.anonymous), ms(seen.beside_p50)])
}

/// Result of letting model calls wait.
struct Seen {
    /// Memory of the idle server before, in bytes.
    idle: u64,
    /// Most memory while they waited, in bytes: in all rounds, and in the first.
    most: u64,
    first: u64,
    /// Most memory without mapped files while they waited, in bytes.
    anonymous: u64,
    /// Memory two seconds after the last round, in bytes.
    after: u64,
    /// Status of another project, in the worst round.
    beside_p50: Duration,
    beside_p99: Duration,
    /// Status of the project whose tasks wait, in the worst round.
    own_p99: Duration,
    samples: usize,
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let Seen { idle, most, first, after, beside_p99, own_p99, samples, .. } =
        drive(scale.of(3, 1)).await?;
    let grown = mb(most.saturating_sub(idle));
    let memory = Line {
        what: format!("{CALLS} model calls waiting, memory"),
        measured: format!("{grown:.1} MB more"),
        limit: format!("idle {:.1} MB", mb(idle)),
        ratio: format!("{:.2}", grown / MEMORY),
        goal: format!("<= {MEMORY:.0} MB more"),
        met: grown <= MEMORY,
        notes: vec![format!(
            "resident, the most of a sample every 20 ms while they wait; the first time {:.1} MB \
             more, two seconds after the last {:.1} MB more; {:.0} KB for a call",
            mb(first.saturating_sub(idle)),
            mb(after.saturating_sub(idle)),
            grown * 1000.0 / CALLS as f64
        )],
    };
    let goal = [("p99", beside_p99, Duration::from_millis(25))];
    let answers = Line::times(&format!("status while {CALLS} model calls wait"), &goal);
    Ok(vec![
        memory,
        answers.note(format!(
            "{samples} samples of 4 clients, the status of a project of {TASKS} tasks beside them; \
             the worst round. The status of the project whose {CALLS} tasks wait: p99 {:.1} ms",
            ms(own_p99)
        )),
    ])
}

/// Runs this many rounds of waiting model calls in a project.
async fn drive(rounds: usize) -> Result<Seen> {
    let document =
        json!({"title": "T", "summary": "A summary.", "markdown": "Words. ".repeat(200)});
    let document = document.to_string();
    let reply = move |_: &_| Reply::After(LATENCY, Box::new(Reply::Say(document.clone())));
    let double = Double::start(reply).await;
    let data = data_dir()?;
    let (url, slots) = (double.url(Protocol::OpenAi), CALLS.to_string());
    let server = Server::start(data.path(), &setting::model_coder(&url, &slots)).await?;
    let mut connection = Connection::open(server.address).await?;
    let beside = beside(&mut connection).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle =
        resident(server.pid()).context("this system does not report the memory of a process")?;

    let (mut beside_p50, mut beside_p99) = (Duration::ZERO, Duration::ZERO);
    let mut own_p99 = Duration::ZERO;
    let (mut most, mut anonymous, mut samples, mut first) = (idle, 0, 0, 0);
    for round in 0..rounds {
        let project = open_project(&mut connection).await?;
        submit(&server, &project).await?;
        let waited = wait(&server, &double, &beside, &project).await?;
        until_completed(&mut connection, &project, CALLS as u64).await?;
        check(&mut connection, &project).await?;
        beside_p50 = beside_p50.max(waited.beside.p50());
        beside_p99 = beside_p99.max(waited.beside.p99());
        own_p99 = own_p99.max(waited.own.p99());
        samples += waited.beside.len();
        most = most.max(waited.most);
        anonymous = anonymous.max(waited.anonymous);
        if round == 0 {
            first = waited.most;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = resident(server.pid()).unwrap_or_default();
    server.stop().await?;
    Ok(Seen { idle, most, first, anonymous, after, beside_p50, beside_p99, own_p99, samples })
}

/// Creates a project with tasks that no worker takes.
async fn beside(connection: &mut Connection) -> Result<String> {
    let project = super::project(connection).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    for _ in 0..TASKS {
        let body = json!({"agent_type": "tester", "instructions": "measure"});
        connection.create(&path, &body).await?;
    }
    Ok(project)
}

async fn submit(server: &Server, project: &str) -> Result<()> {
    let path: Arc<str> = format!("/api/v1/projects/{project}/tasks").into();
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let (mut connection, path) = (Connection::open(server.address).await?, Arc::clone(&path));
        clients.spawn(async move {
            for _ in (n..CALLS).step_by(CLIENTS) {
                connection.create(&path, &task(64)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}

/// Measurements while the calls waited.
#[derive(Default)]
struct Waited {
    beside: Samples,
    own: Samples,
    most: u64,
    anonymous: u64,
}

/// Waits until all calls are open at the same time, then polls statuses until the first call is
/// answered.
async fn wait(server: &Server, double: &Double, beside: &str, own: &str) -> Result<Waited> {
    let began = Instant::now();
    while double.open() < CALLS {
        if began.elapsed() > LATENCY {
            bail!("only {} calls wait at once", double.open());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut clients = JoinSet::new();
    let paths = [beside, beside, beside, beside, own];
    let end = Instant::now() + Duration::from_millis(500);
    for (n, project) in paths.into_iter().enumerate() {
        let mut connection = Connection::open(server.address).await?;
        let path = format!("/api/v1/projects/{project}/status");
        clients.spawn(async move {
            let mut samples = Samples::default();
            while Instant::now() < end {
                let asked = Instant::now();
                let answer = connection.get(&path).await?;
                if answer.status != 200 {
                    bail!("a status was answered {}", answer.status);
                }
                samples.push(asked.elapsed());
                // A person's browser, not a load.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok((n, samples))
        });
    }
    let mut waited = Waited::default();
    while double.open() >= CALLS {
        waited.most = waited.most.max(resident(server.pid()).unwrap_or_default());
        waited.anonymous = waited.anonymous.max(anonymous(server.pid()).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if Instant::now() < end {
        bail!("the calls ended before all statuses were polled");
    }
    while let Some(client) = clients.join_next().await {
        let (n, samples) = client??;
        if n + 1 < paths.len() { waited.beside.extend(samples) } else { waited.own = samples }
    }
    Ok(waited)
}

/// Checks that a model did the work, by its token usage.
async fn check(connection: &mut Connection, project: &str) -> Result<()> {
    let path = format!("/api/v1/projects/{project}/status");
    let id = text(&connection.get(&path).await?.json()?["tasks"][0], "task_id")?;
    let task = connection.get(&format!("/api/v1/tasks/{id}")).await?.json()?;
    if task["usage"]["input_tokens"] != TOKENS.0 || task["attempt"] != 1 {
        bail!("the model did not do the task: {task}");
    }
    Ok(())
}
