//! The structure of the document that a model has to write: the schema of the step, or else the
//! least that its artifact type needs.
//!
//! The orchestrator validates the output of every runner against the schema of the step. Here the
//! schema is part of the prompt, the provider constrains the answer to it, and it tells the document
//! in an answer from drafts and examples.

use botarmy_domain::Assignment;
use botarmy_domain::vocabulary::ArtifactType;
use jsonschema::Draft;
use serde_json::{Map, Value, json};

/// JSON Schema of a document.
#[derive(Debug, Clone)]
pub(crate) struct OutputSchema {
    schema: Map<String, Value>,
    /// `true` if the step declares the schema.
    declared: bool,
}

impl OutputSchema {
    /// Returns the schema for an assignment.
    pub(crate) fn of(job: &Assignment) -> Self {
        match &job.output_schema {
            Some(schema) => Self { schema: schema.clone(), declared: true },
            None => Self { schema: default_schema(job.output_type), declared: false },
        }
    }

    /// Returns the schema for the model and the provider, with `confidence`, which the runner removes
    /// from the answer. Every key is required and no other is allowed, as OpenAI's constrained decoding
    /// demands (<https://platform.openai.com/docs/guides/structured-outputs>). An answer without an
    /// optional key is accepted all the same.
    pub(crate) fn to_json(&self) -> Value {
        let mut schema = self.schema.clone();
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let number = || json!({"type": "number"});
            properties.entry("confidence").or_insert_with(number);
        }
        let mut schema = Value::Object(schema);
        tighten(&mut schema);
        schema
    }

    /// Checks that a document has the keys that its type needs, if the step declares no schema.
    ///
    /// # Errors
    /// A sentence for the model about the first key that is missing.
    pub(crate) fn check(&self, document: &Map<String, Value>) -> Result<(), String> {
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

impl OutputSchema {
    /// Returns `true` if a finished document satisfies the schema. It distinguishes the document from
    /// drafts and examples; the orchestrator validates what was chosen, and says what is wrong.
    pub(crate) fn fits(&self, document: &Map<String, Value>) -> bool {
        if !self.declared {
            return self.check(document).is_ok();
        }
        let schema = Value::Object(self.schema.clone());
        let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&schema);
        let mut document = document.clone();
        document.remove("confidence");
        validator.is_ok_and(|validator| validator.is_valid(&Value::Object(document)))
    }
}

/// Returns the least that later steps and the package need of an artifact type.
fn default_schema(output_type: Option<ArtifactType>) -> Map<String, Value> {
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

/// Requires every key of every object, and allows no other.
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
