//! The rows of the benchmark table.

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod boot;
pub(crate) mod fanout;
pub(crate) mod full;
pub(crate) mod gate;
pub(crate) mod noop;
pub(crate) mod scrape;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod step;
pub(crate) mod submit;
pub(crate) mod waiting;

use std::pin::Pin;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::Scale;
use crate::client::Connection;
use crate::pairs::Figure;
use crate::table::Line;

type Measuring = Pin<Box<dyn Future<Output = Result<Vec<Line>>>>>;
type Sampling = Pin<Box<dyn Future<Output = Result<Vec<f64>>>>>;

/// A benchmark.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Scale) -> Measuring,
    /// Quantities that two server binaries are compared by.
    pub(crate) figures: &'static [Figure],
    /// Drives one server with a short load; returns a value for each of `figures`.
    pub(crate) sample: fn(Scale) -> Sampling,
    /// Parts that are measured in this process, so that they cannot be compared with a binary.
    pub(crate) in_process: &'static [&'static str],
}

macro_rules! row {
    ($name:literal, $($path:ident)::+) => {
        row!($name, $($path)::+, in_process: &[])
    };
    ($name:literal, $($path:ident)::+, in_process: $parts:expr) => {
        Row {
            name: $name,
            measure: |scale| Box::pin($($path)::+::measure(scale)),
            figures: $($path)::+::FIGURES,
            sample: |scale| Box::pin($($path)::+::sample(scale)),
            in_process: $parts,
        }
    };
}

/// All rows, in the order of the table.
pub(crate) const ALL: &[Row] = &[
    row!("submit", submit),
    row!("start", start),
    row!("gate", gate),
    row!("noop", noop),
    row!("step", step, in_process: step::IN_PROCESS),
    row!("waiting", waiting),
    row!("status", status),
    row!("audit", audit),
    row!("fanout", fanout),
    row!("access", access, in_process: access::IN_PROCESS),
    row!("scrape", scrape, in_process: scrape::NOT_COMPARED),
    row!("boot", boot),
    row!("full-submit", full::submit),
    row!("full-start", full::start),
    row!("full-noop", full::noop),
    row!("full-deliver", full::deliver),
    row!("full-size", full::size),
];

/// Creates a project without a workflow and returns its id.
async fn project(connection: &mut Connection) -> Result<String> {
    let made = connection.create("/api/v1/projects", &json!({"name": "Bench"})).await?;
    text(&made, "id")
}

/// Creates a project that an open question keeps from completing, and returns its id.
async fn open_project(connection: &mut Connection) -> Result<String> {
    let id = project(connection).await?;
    let question = json!({"project_id": id, "question": "Is the measurement over?"});
    connection.create("/api/v1/hitl", &question).await?;
    Ok(id)
}

/// Returns a coder's task with instructions of this length.
fn task(length: usize) -> Value {
    json!({"agent_type": "coder", "instructions": "measure ".repeat(length.div_ceil(8))})
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().with_context(|| format!("the answer has no {key}"))?;
    Ok(text.to_owned())
}
