//! A runner that does no work: for measurements of everything around a runner.

use async_trait::async_trait;
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::{Assignment, Outcome, Probe, RunContext, RunError, Usage};
use serde_json::{Map, Value};

/// An [`AgentRunner`] that completes every assignment at once and keeps nothing, so it can run for
/// hours.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopRunner;

#[async_trait]
impl AgentRunner for NoopRunner {
    fn kind(&self) -> &'static str {
        "noop"
    }

    async fn probe(&self) -> Probe {
        Probe { ready: true, message: "Ready: completes everything without any work.".to_owned() }
    }

    async fn run(&self, job: Assignment, _context: RunContext) -> Result<Outcome, RunError> {
        Ok(least_outcome(&job, Map::new()))
    }
}

/// Completes an assignment with the output `{}` and, if an artifact is expected, with one that has
/// this content and the least value for every other key that the schema requires.
#[must_use]
pub fn least_outcome(job: &Assignment, mut content: Map<String, Value>) -> Outcome {
    if let Some(schema) = &job.output_schema {
        fill(&mut content, schema);
    }
    let artifacts = job.output_type.map(|kind| NewArtifact::new(kind, content));
    Outcome::Completed {
        output: Map::new(),
        artifacts: artifacts.into_iter().collect(),
        confidence: None,
        usage: Usage::default(),
    }
}

/// Adds a value for every key that is required and missing.
fn fill(content: &mut Map<String, Value>, schema: &Map<String, Value>) {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        let property = schema.get("properties").and_then(|properties| properties.get(key));
        content.entry(key.to_owned()).or_insert_with(|| property.map_or(Value::Null, least_value));
    }
}

/// Returns the least value that a schema accepts, for schemas with a single `type` and lower limits.
fn least_value(schema: &Value) -> Value {
    let at_least = |key: &str| schema[key].as_u64().unwrap_or(0) as usize;
    match schema["type"].as_str() {
        Some("string") => "x".repeat(at_least("minLength")).into(),
        Some("boolean") => false.into(),
        Some("number" | "integer") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("array") => vec![least_value(&schema["items"]); at_least("minItems")].into(),
        Some("object") => {
            let mut content = Map::new();
            fill(&mut content, schema.as_object().expect("it was found by a key"));
            content.into()
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::timestamp::Timestamp;
    use botarmy_domain::vocabulary::{AgentType, ArtifactType};
    use serde_json::json;

    use super::*;

    fn job(output_type: Option<ArtifactType>, schema: Option<Value>) -> Assignment {
        Assignment {
            project_id: "0190a0b0-0000-7000-8000-00000000000a".parse().unwrap(),
            project_name: "Project".to_owned(),
            task_id: "0190a0b0-0000-7000-8000-00000000000b".parse().unwrap(),
            agent: AgentType::Analyst,
            attempt: 1,
            instructions: "Do it.".to_owned(),
            handoff: None,
            context: Vec::new(),
            output_type,
            output_schema: schema.map(|schema| schema.as_object().unwrap().clone()),
            resume: None,
            workflow: None,
        }
    }

    async fn completed(job: Assignment) -> Vec<NewArtifact> {
        let deadline = Timestamp::from_micros(0);
        let context = RunContext { deadline, fence: 1, trace: None, progress: Box::new(|_, _| ()) };
        match NoopRunner.run(job, context).await.unwrap() {
            Outcome::Completed { output, artifacts, .. } if output.is_empty() => artifacts,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_noop_runner_completes_with_nothing_where_nothing_is_expected() {
        assert!(completed(job(None, None)).await.is_empty());
    }

    #[tokio::test]
    async fn the_noop_runner_makes_the_least_document_that_the_schema_accepts() {
        let schema = json!({
            "required": ["title", "goals", "passed", "count", "note"],
            "properties": {
                "title": {"type": "string", "minLength": 2},
                "goals": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 3}},
                }},
                "passed": {"type": "boolean"},
                "count": {"type": "number"},
            },
        });
        let artifacts = completed(job(Some(ArtifactType::ProjectPlan), Some(schema))).await;
        assert_eq!(artifacts[0].artifact_type, ArtifactType::ProjectPlan);
        let expected =
            json!({"title": "xx", "goals": [{"n": 3}], "passed": false, "count": 0, "note": null});
        assert_eq!(Value::Object(artifacts[0].content.clone()), expected);
    }
}
