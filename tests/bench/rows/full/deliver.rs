//! An event on one replica, to a subscriber on another.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Scale;
use crate::client::Connection;
use crate::full::Full;
use crate::pairs::{Figure, Unit};
use crate::rows::{project, task, text};
use crate::server::{data_dir, setting};
use crate::stats::{Samples, ms};
use crate::subscribers::Subscriber;
use crate::table::Line;

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "PostgreSQL: event on one replica to subscriber on another, p50",
    unit: Unit::Milliseconds,
}];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let (whole, _) = drive(scale.of(120, 60)).await?;
    Ok(vec![ms(whole.p50())])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let (whole, behind) = drive(scale.of(400, 60)).await?;
    let goals = [("p50", whole.p50(), 5), ("p99", whole.p99(), 25)];
    let goals = goals.map(|(name, time, goal)| (name, time, Duration::from_millis(goal)));
    Ok(vec![Line::times("PostgreSQL: event on one replica to subscriber on another", &goals).note(
        format!(
            "{} samples from writing the request, so with its commit; behind a subscriber of the \
             first replica: p50 {:.2} ms, p99 {:.2} ms",
            whole.len(),
            ms(behind.p50()),
            ms(behind.p99())
        ),
    )])
}

/// Creates this many events on one replica. Returns the times from writing the request to the
/// subscriber on the other replica, and the delay after the subscriber on the first.
async fn drive(events: usize) -> Result<(Samples, Samples)> {
    let full = Full::start().await?;
    let url = full.database("botarmy").await?;
    let (data, other) = (data_dir()?, data_dir()?);
    let one = full.replica(&data, &url, &[setting::NO_CODER]).await?;
    let another = full.replica(&other, &url, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(one.address).await?;
    let project = project(&mut connection).await?;
    let query = format!("project_id={project}");
    let mut here = Subscriber::open(one.address, &query).await?;
    let mut there = Subscriber::open(another.address, &query).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    let body = task(64).to_string();
    let (mut whole, mut behind) = (Samples::default(), Samples::default());
    for n in 0..events + 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let asked = Instant::now();
        let answer = connection.post(&path, body.as_bytes()).await?.json()?;
        let id = text(&answer, "task_id")?;
        let (near, _) = here.next("task_created", |frame| frame["task_id"] == id).await?;
        let (far, _) = there.next("task_created", |frame| frame["task_id"] == id).await?;
        if n >= 5 {
            whole.push(far - asked);
            behind.push(far.saturating_duration_since(near));
        }
    }
    one.stop().await?;
    another.stop().await?;
    Ok((whole, behind))
}
