//! From the answer to a gate to the start of the next step.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::text;
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir};
use crate::stats::{Samples, ms};
use crate::subscribers::{Subscriber, logged_at};
use crate::table::Line;
use crate::{Scale, commits};

/// Number of gates answered in each project: those of the first steps of `sdlc`.
const GATES: usize = 2;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "gate answered to next step started, by the log, p50",
        unit: Unit::Milliseconds,
    },
    Figure { name: "gate answered to task_started frame, p50", unit: Unit::Milliseconds },
];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let (logged, seen) = drive(data.path(), scale.of(40, 20)).await?;
    Ok(vec![ms(logged.p50()), ms(seen.p50())])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let data = data_dir()?;
    let commit = commits::after_a_pause(data.path()).await?;
    let (logged, seen) = drive(data.path(), scale.of(100, 20)).await?;
    let goal = [("p50", logged.p50(), Duration::from_millis(5))];
    let mut line = Line::times("gate answered to next step started", &goal);
    line.limit = format!("one commit {:.2} ms", ms(commit));
    Ok(vec![line.note(format!(
        "{} samples, between hitl_response and task_started in the log (p99 {:.2} ms), so with one \
         durable commit; the limit is one commit of one row alone, after a pause (p50). From \
         writing the answer to reading the task_started frame p50 {:.2} ms, p99 {:.2} ms",
        logged.len(),
        ms(logged.p99()),
        ms(seen.p50()),
        ms(seen.p99())
    ))])
}

/// Answers the gates of this many projects on a server on this folder. Returns the times between
/// hitl_response and task_started by the log, and from writing the answer to reading the
/// task_started frame.
async fn drive(data: &Path, projects: usize) -> Result<(Samples, Samples)> {
    let server = Server::start(data, &[]).await?;
    let mut connection = Connection::open(server.address).await?;
    let mut subscriber = Subscriber::open(server.address, "project_id=all").await?;
    let (mut logged, mut seen) = (Samples::default(), Samples::default());
    for n in 0..projects + 2 {
        let wish = json!({
            "name": "Bench", "workflow": "sdlc",
            "description": "A recipe-sharing site for small families",
        });
        let made = connection.create("/api/v1/projects", &wish).await?;
        let project = text(&made, "id")?;
        for _ in 0..GATES {
            let ours = |frame: &serde_json::Value| frame["project_id"] == project;
            let (_, gate) = subscriber.next("hitl_request_created", ours).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let path = format!("/api/v1/hitl/{}/respond", text(&gate["data"], "hitl_request_id")?);
            let asked = Instant::now();
            connection.create(&path, &json!({"action": "approve"})).await?;
            let (_, answered) = subscriber.next("hitl_response", ours).await?;
            let (came, started) = subscriber.next("task_started", ours).await?;
            if n >= 2 {
                logged.push(logged_at(&started)?.since(logged_at(&answered)?));
                seen.push(came - asked);
            }
        }
        let path = format!("/api/v1/projects/{project}/cancel");
        connection.create(&path, &json!({})).await?;
    }
    server.stop().await?;
    Ok((logged, seen))
}
