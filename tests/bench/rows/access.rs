//! Costs of access control: durable submissions with keys next to those of an open server of the same
//! run, and the processor time that a key adds to a cheap request.
//!
//! Both servers run at the same time and have the same work, block by block in alternation, so that what
//! the machine does otherwise reaches both alike. The one with keys authenticates each request, counts
//! it against the limits of its caller (the defaults of users), checks its rights, and writes the headers
//! about the limits. The open one does everything else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use botarmy_tests::access;
use tempfile::TempDir;

use super::{project, task};
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::table::Line;
use crate::{Scale, load, machine};

/// Number of clients that submit.
const CLIENTS: usize = 64;
/// Number of projects that they submit to.
const PROJECTS: usize = 16;
/// Number of clients that send cheap requests.
const READERS: usize = 8;
/// Least share of the rate of the open server.
const SHARE: f64 = 0.97;
/// Largest processor time that may be added to a request, in microseconds.
const ADDED_MICROS: f64 = 3.0;

const READ: &str = "a cheap request with a key, processor time";

pub(crate) const FIGURES: &[Figure] = &[Figure { name: READ, unit: Unit::Milliseconds }];

/// Parts that compare two modes of one server, so that another binary has nothing to compare.
pub(crate) const IN_PROCESS: &[&str] = &["keys next to open mode"];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let one = Side::start(Mode::Keys).await?;
    let requests = scale.of(40_000, 10_000);
    one.read(requests / 4).await?;
    Ok(vec![one.read(requests).await? / 1000.0])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    Ok(vec![submissions(scale).await?, processor_time(scale).await?])
}

/// Compares durable submissions.
async fn submissions(scale: Scale) -> Result<Line> {
    let time = Duration::from_millis(scale.of(3000, 1000) as u64);
    let (keys, open) = (Side::start(Mode::Keys).await?, Side::start(Mode::Open).await?);
    let mut pairs = Vec::new();
    for n in 0..scale.of(9, 3) {
        let (mut with, mut without) = (0.0, 0.0);
        // Neither is always the first.
        for has_keys in [n % 2 == 0, n % 2 != 0] {
            if has_keys {
                with = keys.submit(time).await?;
            } else {
                without = open.submit(time).await?;
            }
        }
        pairs.push((with, without));
    }
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (with, without) = pairs[pairs.len() / 2];
    let ratios: Vec<_> = pairs.iter().map(|(a, b)| format!("{:.3}", a / b)).collect();
    let mut line = Line::share("durable submissions with keys, 64 clients", with, without, SHARE);
    line.ratio = format!("{:.3}", with / without);
    line.goal = format!(">= {SHARE} x limit");
    Ok(line.note(format!(
        "the limit is an open server of the same run, which both alternate with; the median of these \
         ratios: {}",
        ratios.join(", ")
    )))
}

/// Compares the processor time of a cheap request.
async fn processor_time(scale: Scale) -> Result<Line> {
    let requests = scale.of(20_000, 3_000);
    let (keys, open) = (Side::start(Mode::Keys).await?, Side::start(Mode::Open).await?);
    for side in [&keys, &open] {
        side.read(requests).await?;
    }
    let mut pairs = Vec::new();
    for n in 0..scale.of(25, 5) {
        let (mut with, mut without) = (0.0, 0.0);
        // Neither is always the first.
        for has_keys in [n % 2 == 0, n % 2 != 0] {
            if has_keys {
                with = keys.read(requests).await?;
            } else {
                without = open.read(requests).await?;
            }
        }
        pairs.push((with, without));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        (values[values.len() / 2], values[values.len() / 4], values[values.len() * 3 / 4])
    };
    // The difference of two blocks that ran one after the other, and not that of the medians.
    let (added, lower, upper) =
        median(pairs.iter().map(|(with, without)| with - without).collect());
    let (with, ..) = median(pairs.iter().map(|pair| pair.0).collect());
    let (without, ..) = median(pairs.iter().map(|pair| pair.1).collect());
    Ok(Line {
        what: "processor time that a key adds to a request".to_owned(),
        measured: format!("{added:.2} us"),
        limit: "-".to_owned(),
        ratio: format!("{:.2}", added / ADDED_MICROS),
        goal: format!("<= {ADDED_MICROS:.0} us"),
        met: added <= ADDED_MICROS,
        notes: vec![format!(
            "{with:.1} us with a key and {without:.1} us in open mode, the status of an empty \
             project; median of {} pairs of {requests} requests, half of them between {lower:.2} and \
             {upper:.2}. It is the processor time of all threads of the server, with its kernel part",
            pairs.len()
        )],
    })
}

/// Access mode of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Keys,
    Open,
}

/// A server in one of the modes, with projects.
struct Side {
    server: Server,
    mode: Mode,
    projects: Vec<String>,
    /// Removed after the server.
    _data: TempDir,
}

impl Side {
    async fn start(mode: Mode) -> Result<Self> {
        let data = data_dir()?;
        let server = Self::server(data.path(), mode).await?;
        let mut connection = Self::connection(server.address, mode).await?;
        let mut projects = Vec::new();
        for _ in 0..PROJECTS {
            projects.push(project(&mut connection).await?);
        }
        Ok(Self { server, mode, projects, _data: data })
    }

    async fn server(data: &Path, mode: Mode) -> Result<Server> {
        if mode == Mode::Open {
            return Server::start(data, &[setting::NO_CODER, (access::MODE, "open")]).await;
        }
        // Limits of users, raised so far that none is reached: each request is counted.
        let limits = access::default_limits();
        let limits = limits.iter().map(|(name, value)| {
            let is_rate = name.ends_with("_UNITS_PER_S") || name.ends_with("_BURST");
            (name.as_str(), if is_rate { "1000000" } else { value.as_str() })
        });
        let settings: Vec<_> = limits.chain([setting::NO_CODER]).collect();
        Server::start(data, &settings).await
    }

    async fn connection(address: SocketAddr, mode: Mode) -> Result<Connection> {
        let connection = Connection::open(address).await?;
        Ok(if mode == Mode::Open { connection.without_key() } else { connection })
    }

    /// Submits tasks for this long; returns the rate.
    async fn submit(&self, time: Duration) -> Result<f64> {
        let paths = self.projects.iter().map(|id| format!("/api/v1/projects/{id}/tasks"));
        let paths: Arc<[String]> = paths.collect();
        let (body, mode) = (Arc::new(task(64).to_string()), self.mode);
        let outcome = load::drive(self.server.address, CLIENTS, time, move |n, connection| {
            let (paths, body) = (Arc::clone(&paths), Arc::clone(&body));
            let mut connection =
                if mode == Mode::Open { connection.without_key() } else { connection };
            async move {
                let answer = connection.post(&paths[n % paths.len()], body.as_bytes()).await?;
                if answer.status != 201 {
                    bail!("a task was answered {}", answer.status);
                }
                Ok(connection)
            }
        });
        Ok(outcome.await?.rate)
    }

    /// Sends this many cheap requests; returns the processor time of one, in microseconds.
    async fn read(&self, requests: usize) -> Result<f64> {
        let path = format!("/api/v1/projects/{}/status", self.projects[0]);
        let mut connections = Vec::new();
        for _ in 0..READERS {
            connections.push(Self::connection(self.server.address, self.mode).await?);
        }
        let before = machine::processor_time(self.server.pid()).context(NO_TIME)?;
        let mut readers = tokio::task::JoinSet::new();
        for mut connection in connections {
            let path = path.clone();
            readers.spawn(async move {
                for _ in 0..requests / READERS {
                    let answer = connection.get(&path).await?;
                    if answer.status != 200 {
                        bail!("the status was answered {}", answer.status);
                    }
                }
                anyhow::Ok(())
            });
        }
        while let Some(reader) = readers.join_next().await {
            reader??;
        }
        let after = machine::processor_time(self.server.pid()).context(NO_TIME)?;
        let sent = requests / READERS * READERS;
        Ok((after.saturating_sub(before)).as_secs_f64() * 1e6 / sent as f64)
    }
}

const NO_TIME: &str = "this system does not report the processor time of a process";
