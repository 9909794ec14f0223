//! A scrape of the metrics of a server with a thousand projects.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{open_project, task};
use crate::Scale;
use crate::client::Connection;
use crate::pairs::Figure;
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms};
use crate::table::Line;

/// Earlier binaries have no metrics.
pub(crate) const NOT_COMPARED: &[&str] = &["scrape of 1,000 projects"];
pub(crate) const FIGURES: &[Figure] = &[];

const PROJECTS: usize = 1000;

pub(crate) async fn sample(_: Scale) -> Result<Vec<f64>> {
    Ok(Vec::new())
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let data = data_dir()?;
    // Every scrape reads the database.
    let fresh = ("BOTARMY_METRICS__REFRESH_S", "0");
    let server = Server::start(data.path(), &[setting::NO_CODER, fresh]).await?;
    let mut connection = Connection::open(server.address).await?;
    for _ in 0..PROJECTS {
        let project = open_project(&mut connection).await?;
        connection.create(&format!("/api/v1/projects/{project}/tasks"), &task(64)).await?;
    }
    let (mut samples, mut size) = (Samples::default(), 0);
    for _ in 0..scale.of(400, 100) {
        let began = Instant::now();
        let answer = connection.get("/metrics").await?;
        samples.push(began.elapsed());
        ensure!(answer.status == 200, "answered {}", answer.status);
        size = answer.body.len();
    }
    server.stop().await?;
    let goal = Duration::from_millis(10);
    let times = [("p50", samples.p50(), goal), ("p99", samples.p99(), goal)];
    Ok(vec![Line::times("scrape of 1,000 projects", &times).note(format!(
        "{size} bytes, one pending task and one open request for each project, read from the database \
         every time; slowest {:.1} ms",
        ms(samples.at(1.0))
    ))])
}
