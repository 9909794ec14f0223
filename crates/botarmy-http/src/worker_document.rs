//! OpenAPI schemas of the document that a worker gets with a lease. The domain serializes the
//! document itself, as [`WorkerDocument`](botarmy_domain::WorkerDocument); a test compares the
//! schemas with its golden file.
#![expect(dead_code, reason = "these types describe the document and are never built")]

use botarmy_domain::{AgentType, ArtifactType, ContextId, HitlAction, HitlRequestId};
use botarmy_domain::{ProjectId, TaskId};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::vocabulary;

/// Assignment: the document that local commands read as well.
#[derive(ToSchema)]
#[schema(as = Assignment)]
pub(crate) struct AssignmentSchema {
    /// `botarmy.command/1`.
    contract: String,
    task: AssignedTask,
    /// Artifacts that the task may read.
    context: Vec<AssignedArtifact>,
    /// JSON Schema of the output, if the step declares one.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Map<String, Value>>,
    /// State to continue with, if a question of an earlier attempt was answered.
    resume: Option<ResumeView>,
}

/// Task of an assignment.
#[derive(ToSchema)]
struct AssignedTask {
    #[schema(value_type = Uuid)]
    id: TaskId,
    #[schema(value_type = Uuid)]
    project_id: ProjectId,
    project_name: String,
    #[schema(value_type = vocabulary::AgentType)]
    agent: AgentType,
    /// Number of the attempt, from 1.
    attempt: u32,
    instructions: String,
    /// Name of the workflow step, if the task belongs to one.
    step: Option<String>,
    /// Artifact type of the expected output. The output becomes an artifact of this type, unless one
    /// of the artifacts is of this type.
    #[schema(value_type = Option<vocabulary::ArtifactType>)]
    output_type: Option<ArtifactType>,
}

/// Artifact of an assignment.
#[derive(ToSchema)]
struct AssignedArtifact {
    #[schema(value_type = Uuid)]
    id: ContextId,
    #[schema(value_type = vocabulary::ArtifactType)]
    r#type: ArtifactType,
    /// Title of the content, or else the name of the type.
    name: String,
    #[schema(value_type = Object)]
    content: Map<String, Value>,
}

/// State that an attempt continues with after a question was answered.
#[derive(ToSchema)]
struct ResumeView {
    /// Text that the earlier attempt gave with its question.
    session: Option<String>,
    /// Answers to all questions of the task, oldest first.
    answers: Vec<AnswerView>,
}

/// A person's answer to a question.
#[derive(ToSchema)]
struct AnswerView {
    #[schema(value_type = Uuid)]
    question_id: HitlRequestId,
    #[schema(value_type = crate::hitl::RespondAction)]
    action: HitlAction,
    comment: Option<String>,
    /// Text or replacement document that the person gave.
    #[schema(value_type = Option<Object>)]
    content: Option<Value>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use crate::testing::sample_assignment::golden;

    /// Compares the keys of a document with those of a schema, in all objects that have one.
    fn compare(document: &Value, schema: &Value, schemas: &Value) {
        let reference = schema["$ref"].as_str().or_else(|| {
            schema["oneOf"].as_array()?.iter().find_map(|schema| schema["$ref"].as_str())
        });
        let schema = match reference {
            Some(reference) => &schemas[reference.rsplit('/').next().unwrap()],
            None => schema,
        };
        match (document, schema["properties"].as_object()) {
            (Value::Object(document), Some(properties)) => {
                let keys: BTreeSet<_> = document.keys().collect();
                assert_eq!(keys, properties.keys().collect(), "{schema:#}");
                for (key, value) in document {
                    compare(value, &properties[key], schemas);
                }
            }
            (Value::Array(items), _) => {
                for item in items {
                    compare(item, &schema["items"], schemas);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_schema_has_the_keys_of_the_golden_document() {
        let openapi: Value = serde_json::from_str(&crate::openapi()).unwrap();
        let schemas = &openapi["components"]["schemas"];
        let mut document = golden();
        compare(&document, &schemas["Assignment"], schemas);
        document["resume"]["answers"][0]["extra"] = Value::Null;
        let differs = std::panic::catch_unwind(|| {
            compare(&document, &schemas["Assignment"], schemas);
        });
        assert!(differs.is_err(), "a key deep in the document is not compared");
    }
}
