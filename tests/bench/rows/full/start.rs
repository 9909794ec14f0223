//! From a submission on one replica to the start of an agent on another.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Scale;
use crate::client::Connection;
use crate::full::Full;
use crate::pairs::{Figure, Unit};
use crate::rows::{open_project, task, text};
use crate::server::{data_dir, setting};
use crate::stats::{Samples, ms};
use crate::subscribers::{Subscriber, logged_at};
use crate::table::Line;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "PostgreSQL: submit to agent started on another replica, by the log, p50",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "PostgreSQL: submit to task_started frame from another replica, p50",
        unit: Unit::Milliseconds,
    },
];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let (logged, seen) = drive(scale.of(80, 40)).await?;
    Ok(vec![ms(logged.p50()), ms(seen.p50())])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let (logged, seen) = drive(scale.of(400, 60)).await?;
    let goals = [("p50", logged.p50(), 5), ("p99", logged.p99(), 20)];
    let goals = goals.map(|(name, time, goal)| (name, time, Duration::from_millis(goal)));
    Ok(vec![Line::times("PostgreSQL: submit to agent started on another replica", &goals).note(
        format!(
            "{} samples, between task_created and task_started in the log; from writing the \
             request to the task_started frame, back on the first replica: p50 {:.2} ms, p99 \
             {:.2} ms",
            logged.len(),
            ms(seen.p50()),
            ms(seen.p99())
        ),
    )])
}

/// Submits this many tasks, one after another. Returns the times between task_created and
/// task_started by the log, and from writing the request to reading the task_started frame.
async fn drive(count: usize) -> Result<(Samples, Samples)> {
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let (data, other) = (data_dir()?, data_dir()?);
    let server = full.replica(&data, &url, &[("BOTARMY_SERVER__ROLE", "api")]).await?;
    let worker = [setting::NOOP_CODER, ("BOTARMY_SERVER__ROLE", "worker")];
    let worker = full.replica(&other, &url, &worker).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = open_project(&mut connection).await?;
    let mut subscriber = Subscriber::open(server.address, &format!("project_id={project}")).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    let body = task(64).to_string();
    let (mut logged, mut seen) = (Samples::default(), Samples::default());
    for n in 0..count + 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = Instant::now();
        let answer = connection.post(&path, body.as_bytes()).await?.json()?;
        let id = text(&answer, "task_id")?;
        let (_, created) = subscriber.next("task_created", |frame| frame["task_id"] == id).await?;
        let (came, started) =
            subscriber.next("task_started", |frame| frame["task_id"] == id).await?;
        subscriber.next("task_completed", |frame| frame["task_id"] == id).await?;
        // The first few are a warm-up.
        if n >= 5 {
            seen.push(came - asked);
            logged.push(logged_at(&started)?.since(logged_at(&created)?));
        }
    }
    worker.stop().await?;
    server.stop().await?;
    Ok((logged, seen))
}
