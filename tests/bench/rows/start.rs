//! From a submission to the start of an agent, on an idle server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{open_project, task, text};
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms};
use crate::subscribers::{Subscriber, logged_at};
use crate::table::Line;
use crate::{Scale, commits};

pub(crate) const FIGURES: &[Figure] = &[
    Figure { name: "submit to agent started, by the log, p50", unit: Unit::Milliseconds },
    Figure { name: "submit to task_started frame, p50", unit: Unit::Milliseconds },
];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let times = drive(data.path(), scale.of(80, 40)).await?;
    Ok(vec![ms(times.logged.p50()), ms(times.seen.p50())])
}

/// Durations of the same submissions.
#[derive(Default)]
struct Times {
    /// From task_created to task_started, by the log.
    logged: Samples,
    /// From writing the request to its answer.
    answered: Samples,
    /// From writing the request to reading the task_created frame.
    announced: Samples,
    /// From writing the request to reading the task_started frame.
    seen: Samples,
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let data = data_dir()?;
    let commit = commits::after_a_pause(data.path()).await?;
    let times = drive(data.path(), scale.of(200, 40)).await?;
    let goals = [("p50", times.logged.p50(), 2), ("p99", times.logged.p99(), 10)];
    let goals = goals.map(|(name, time, goal)| (name, time, Duration::from_millis(goal)));
    let mut line = Line::times("submit to agent started", &goals);
    line.limit = format!("one commit {:.2} ms", ms(commit));
    Ok(vec![line.note(format!(
        "{} samples on an idle server, between task_created and task_started in the log, so with \
         one durable commit; the limit is one commit of one row alone, after a pause (p50). From \
         writing the request, p50: answered {:.2} ms, task_created frame read from a WebSocket \
         {:.2} ms, task_started frame {:.2} ms (p99 {:.2} ms), which is after a second commit",
        times.logged.len(),
        ms(times.answered.p50()),
        ms(times.announced.p50()),
        ms(times.seen.p50()),
        ms(times.seen.p99())
    ))])
}

/// Submits this many tasks, one after another, to a server on this folder.
async fn drive(data: &Path, count: usize) -> Result<Times> {
    let server = Server::start(data, &[setting::NOOP_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = open_project(&mut connection).await?;
    let mut subscriber = Subscriber::open(server.address, &format!("project_id={project}")).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    let body = task(64).to_string();
    let mut times = Times::default();
    for n in 0..count + 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = Instant::now();
        let answer = connection.post(&path, body.as_bytes()).await?.json()?;
        let answer_took = asked.elapsed();
        let id = text(&answer, "task_id")?;
        let (created_came, created) =
            subscriber.next("task_created", |frame| frame["task_id"] == id).await?;
        let (came, started) =
            subscriber.next("task_started", |frame| frame["task_id"] == id).await?;
        subscriber.next("task_completed", |frame| frame["task_id"] == id).await?;
        // The first few are a warm-up.
        if n >= 5 {
            times.answered.push(answer_took);
            times.announced.push(created_came - asked);
            times.seen.push(came - asked);
            times.logged.push(logged_at(&started)?.since(logged_at(&created)?));
        }
    }
    server.stop().await?;
    Ok(times)
}
