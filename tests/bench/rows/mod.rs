//! What is measured.

pub(crate) mod audit;
pub(crate) mod boot;
pub(crate) mod fanout;
pub(crate) mod full;
pub(crate) mod gate;
pub(crate) mod noop;
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
use crate::table::Line;

type Measuring = Pin<Box<dyn Future<Output = Result<Vec<Line>>>>>;

/// Something to be measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Scale) -> Measuring,
}

/// All of it, in the order of the table.
pub(crate) const ALL: &[Row] = &[
    Row { name: "submit", measure: |scale| Box::pin(submit::measure(scale)) },
    Row { name: "start", measure: |scale| Box::pin(start::measure(scale)) },
    Row { name: "gate", measure: |scale| Box::pin(gate::measure(scale)) },
    Row { name: "noop", measure: |scale| Box::pin(noop::measure(scale)) },
    Row { name: "step", measure: |scale| Box::pin(step::measure(scale)) },
    Row { name: "waiting", measure: |scale| Box::pin(waiting::measure(scale)) },
    Row { name: "status", measure: |scale| Box::pin(status::measure(scale)) },
    Row { name: "audit", measure: |scale| Box::pin(audit::measure(scale)) },
    Row { name: "fanout", measure: |scale| Box::pin(fanout::measure(scale)) },
    Row { name: "boot", measure: |scale| Box::pin(boot::measure(scale)) },
    Row { name: "full-submit", measure: |scale| Box::pin(full::submit::measure(scale)) },
    Row { name: "full-start", measure: |scale| Box::pin(full::start::measure(scale)) },
    Row { name: "full-noop", measure: |scale| Box::pin(full::noop::measure(scale)) },
    Row { name: "full-hear", measure: |scale| Box::pin(full::hear::measure(scale)) },
    Row { name: "full-size", measure: |scale| Box::pin(full::size::measure(scale)) },
];

/// Makes a project that is driven by hand; answers its id.
async fn project(connection: &mut Connection) -> Result<String> {
    let made = connection.create("/api/v1/projects", &json!({"name": "Bench"})).await?;
    text(&made, "id")
}

/// Makes a project that a question to people keeps open, whatever its tasks do.
async fn open_project(connection: &mut Connection) -> Result<String> {
    let id = project(connection).await?;
    let question = json!({"project_id": id, "question": "Is the measurement over?"});
    connection.create("/api/v1/hitl", &question).await?;
    Ok(id)
}

/// A coder's task with instructions of this length.
fn task(length: usize) -> Value {
    json!({"agent_type": "coder", "instructions": "measure ".repeat(length.div_ceil(8))})
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().with_context(|| format!("the answer has no {key}"))?;
    Ok(text.to_owned())
}
