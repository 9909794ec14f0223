//! The form a document must have: what the step says of it, or what its type needs where the step
//! says nothing.
//!
//! Whether a document has the form a step asks for is looked at by the orchestrator, whoever made
//! it. Here it is what the model is told, and what the provider constrains it to.

use botarmy_domain::ports::Assignment;
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Map, Value, json};

/// What a document must look like, as JSON Schema.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    schema: Map<String, Value>,
    declared: bool,
}

impl Shape {
    /// The form an assignment asks for.
    pub(super) fn of(job: &Assignment) -> Self {
        match &job.output_schema {
            Some(schema) => Self { schema: schema.clone(), declared: true },
            None => Self { schema: usual(job.output_type), declared: false },
        }
    }

    /// As a provider and the model are told it, with `confidence`, which the runner takes out again.
    /// Every key is asked for, also those we can do without, and no other: constrained decoding
    /// wants it so at OpenAI (<https://platform.openai.com/docs/guides/structured-outputs>), and a
    /// model that leaves one out is not sent back for it.
    pub(super) fn to_schema(&self) -> Value {
        let mut schema = self.schema.clone();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let number = || json!({"type": "number"});
            properties.entry("confidence").or_insert_with(number);
        }
        let mut schema = Value::Object(schema);
        tighten(&mut schema);
        schema
    }

    /// Looks whether a document has what its type needs, where the step does not say.
    ///
    /// # Errors
    /// A sentence for the model, about the first thing that is missing.
    pub(super) fn check(&self, document: &Map<String, Value>) -> Result<(), String> {
        let required = self.schema.get("required").and_then(Value::as_array);
        let keys = required.into_iter().flatten().filter_map(Value::as_str);
        for key in keys.filter(|_| !self.declared) {
            let expected = &self.schema["properties"][key]["type"];
            let found = match document.get(key) {
                None => return Err(format!("\"{key}\" is missing")),
                Some(Value::String(_)) => "string",
                Some(Value::Bool(_)) => "boolean",
                Some(Value::Array(_)) => "array",
                Some(_) => "something else",
            };
            if expected != found {
                let expected = expected.as_str().unwrap_or_default();
                return Err(format!("\"{key}\" must be of the type {expected}"));
            }
        }
        Ok(())
    }
}

/// What later steps and the package need of a type, and nothing else.
fn usual(output_type: Option<ArtifactType>) -> Map<String, Value> {
    let text = json!({"type": "string"});
    let list = |items: Value| json!({"type": "array", "items": items});
    let texts = |keys: &[&str]| {
        let properties: Map<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
        json!({"type": "object", "properties": properties, "required": keys})
    };
    let schema = match output_type {
        Some(ArtifactType::SourceCode) => json!({
            "type": "object",
            "properties": {
                "summary": text, "entry": text, "files": list(texts(&["path", "content"])),
                "deleted": list(text.clone()),
            },
            "required": ["summary", "files"],
        }),
        Some(ArtifactType::TestResults) => json!({
            "type": "object",
            "properties": {
                "summary": text, "passed": {"type": "boolean"},
                "failures": list(texts(&["check", "file", "detail"])),
            },
            "required": ["summary", "passed", "failures"],
        }),
        _ => texts(&["summary", "markdown"]),
    };
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("written as an object"),
    }
}

/// Asks for every key that an object can have, and for no other.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(tighten),
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                let keys: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
                map.insert("required".to_owned(), keys.into());
                map.insert("additionalProperties".to_owned(), false.into());
            }
            map.values_mut().for_each(tighten);
        }
        _ => {}
    }
}
