//! From a submission to an agent that has started, when nothing else goes on.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{open_project, task, text};
use crate::Scale;
use crate::client::Connection;
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms};
use crate::subscribers::{Subscriber, logged_at};
use crate::table::Line;

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let data = data_dir()?;
    let server = Server::start(data.path(), &[setting::CODING_IS_NOTHING]).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = open_project(&mut connection).await?;
    let mut subscriber = Subscriber::open(server.address, &format!("project_id={project}")).await?;
    let path = format!("/api/v1/projects/{project}/tasks");
    let body = task(64).to_string();
    let (mut seen, mut logged) = (Samples::default(), Samples::default());
    for n in 0..scale.of(200, 40) + 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = Instant::now();
        let answer = connection.post(&path, body.as_bytes()).await?.json()?;
        let id = text(&answer, "task_id")?;
        let (_, created) = subscriber.next("task_created", |frame| frame["task_id"] == id).await?;
        let (came, started) =
            subscriber.next("task_started", |frame| frame["task_id"] == id).await?;
        subscriber.next("task_completed", |frame| frame["task_id"] == id).await?;
        // The first few warm up.
        if n >= 5 {
            seen.push(came - asked);
            logged.push(logged_at(&started)?.since(logged_at(&created)?));
        }
    }
    server.stop().await?;
    let goals = [("p50", seen.p50(), 2), ("p99", seen.p99(), 10)];
    let goals = goals.map(|(name, time, goal)| (name, time, Duration::from_millis(goal)));
    Ok(vec![Line::times("submit to agent started", &goals).note(format!(
        "{} samples on an idle server, from writing the request to reading the task_started frame \
         on a WebSocket, so with two durable commits and the way back; between the two times in \
         the log p50 {:.2} ms, p99 {:.2} ms",
        seen.len(),
        ms(logged.p50()),
        ms(logged.p99())
    ))])
}
