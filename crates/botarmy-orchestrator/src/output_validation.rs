//! Validation of outputs: the JSON Schema of the step, and the fixed form of source code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use botarmy_domain::artifact::{NewArtifact, digest};
use botarmy_domain::source_code::check_paths;
use botarmy_domain::vocabulary::ArtifactType;
use botarmy_domain::workflow::{Workflow, WorkflowError};
use botarmy_domain::{Assignment, DomainError, InvalidPart};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value};

/// Largest number of errors that are reported at once.
const MAX_VALIDATION_ERRORS: usize = 5;
/// Largest length of an error in characters; it becomes part of the instructions of an agent.
const MAX_VALIDATION_ERROR: usize = 300;
/// Largest number of compiled schemas that are kept.
const MAX_KEPT: usize = 256;

/// Required form of an output.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutputSpec {
    /// Required artifact type; any if `None`.
    pub(crate) output_type: Option<ArtifactType>,
    /// JSON Schema of the document.
    pub(crate) schema: Option<Map<String, Value>>,
}

impl OutputSpec {
    /// Returns the form that an assignment requires.
    pub(crate) fn of(job: &Assignment) -> Self {
        Self { output_type: job.output_type, schema: job.output_schema.clone() }
    }
}

/// Compiled schemas by their text.
#[derive(Debug, Default)]
pub(crate) struct OutputValidator(Mutex<HashMap<String, Arc<Validator>>>);

impl OutputValidator {
    /// Checks that an output has the required form.
    ///
    /// # Errors
    /// Returns the reason, in words for the agent.
    pub(crate) fn check(
        &self,
        output_spec: &OutputSpec,
        output: &Map<String, Value>,
        artifacts: &[NewArtifact],
    ) -> Result<(), String> {
        for new in artifacts.iter().filter(|new| new.artifact_type == ArtifactType::SourceCode) {
            check_files(&new.content)?;
        }
        let made =
            artifacts.iter().filter(|new| Some(new.artifact_type) == output_spec.output_type);
        let mut documents: Vec<_> = made.map(|new| &new.content).collect();
        if documents.is_empty() {
            // The output becomes the document then; with neither there is nothing to look at.
            if output.is_empty() {
                return Ok(());
            }
            if output_spec.output_type == Some(ArtifactType::SourceCode) {
                check_files(output)?;
            }
            documents.push(output);
        }
        let Some(schema) = &output_spec.schema else { return Ok(()) };
        let validator = self.compiled(schema)?;
        for document in documents {
            let document = Value::Object(document.clone());
            let validation_errors: Vec<_> = validator
                .iter_errors(&document)
                .take(MAX_VALIDATION_ERRORS)
                .map(|e| said(&e))
                .collect();
            if !validation_errors.is_empty() {
                return Err(validation_errors.join("; "));
            }
        }
        Ok(())
    }

    /// Returns the errors of a document that a person puts in the place of a result. Their places are
    /// JSON Pointers into the document.
    pub(crate) fn errors(
        &self,
        output_spec: &OutputSpec,
        document: &Map<String, Value>,
    ) -> Vec<InvalidPart> {
        let part = |pointer: &str, message| InvalidPart { pointer: pointer.to_owned(), message };
        if output_spec.output_type == Some(ArtifactType::SourceCode)
            && let Err(message) = check_files(document)
        {
            return vec![part("/files", message)];
        }
        let Some(schema) = &output_spec.schema else { return Vec::new() };
        self.errors_of(schema, &Value::Object(document.clone()))
    }

    /// Returns the errors of a value under a schema. Their places are JSON Pointers into the value.
    pub(crate) fn errors_of(
        &self,
        schema: &Map<String, Value>,
        document: &Value,
    ) -> Vec<InvalidPart> {
        let part = |pointer: &str, message| InvalidPart { pointer: pointer.to_owned(), message };
        let validator = match self.compiled(schema) {
            Ok(validator) => validator,
            Err(message) => return vec![part("", message)],
        };
        let errors = validator.iter_errors(document).take(MAX_VALIDATION_ERRORS);
        errors
            .map(|error| {
                let pointer = error.instance_path().to_string();
                part(&pointer, shortened(&error.masked().to_string()))
            })
            .collect()
    }

    fn compiled(&self, schema: &Map<String, Value>) -> Result<Arc<Validator>, String> {
        let key = digest(schema);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = kept.get(&key) {
            return Ok(Arc::clone(validator));
        }
        let validator = Arc::new(compile(schema)?);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&validator));
        Ok(validator)
    }
}

/// Checks that the schemas of a workflow are valid JSON Schemas.
///
/// # Errors
/// Returns the first that is not.
pub(crate) fn check_schemas(workflow: &Workflow) -> Result<(), WorkflowError> {
    for step in &workflow.steps {
        if let Some(schema) = &step.output_schema {
            check_schema(schema).map_err(|message| WorkflowError {
                key: format!("step \"{}\" output_schema", step.name),
                message,
            })?;
        }
    }
    Ok(())
}

/// Checks the schema that a request sets for its answer.
///
/// # Errors
/// [`DomainError::Invalid`] for what is not a JSON Schema.
pub(crate) fn check_response_schema(
    schema: Option<&Map<String, Value>>,
) -> Result<(), DomainError> {
    let Some(schema) = schema else { return Ok(()) };
    check_schema(schema).map_err(|message| DomainError::invalid("response_schema", message))
}

/// Checks that a schema is valid, and of the draft by which documents are validated. Those that were stored
/// before are applied whatever draft they name.
fn check_schema(schema: &Map<String, Value>) -> Result<(), String> {
    check_drafts(schema, &mut String::new())?;
    compile(schema).map(drop)
}

/// The draft by which documents are validated.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords whose members are schemas under names of the author.
const NAMED_SCHEMAS: [&str; 5] =
    ["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"];
/// Keywords with values that are no schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

/// Checks that a schema, and each that is embedded in it, names no other draft.
fn check_drafts(schema: &Map<String, Value>, at: &mut String) -> Result<(), String> {
    if let Some(Value::String(draft)) = schema.get("$schema")
        && draft.strip_suffix('#').unwrap_or(draft) != DRAFT
    {
        return Err(shortened(&format!(
            "{at}/$schema: must be \"{DRAFT}\", or be left out, because documents are validated by draft \
             2020-12; it is \"{draft}\""
        )));
    }
    let schemas = schema.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str()));
    for (keyword, value) in schemas {
        let length = at.len();
        at.push('/');
        at.push_str(keyword);
        match value {
            Value::Object(named) if NAMED_SCHEMAS.contains(&keyword.as_str()) => {
                for (name, schema) in named {
                    check_below(schema, name, at)?;
                }
            }
            Value::Array(schemas) => {
                for (n, schema) in schemas.iter().enumerate() {
                    check_below(schema, &n.to_string(), at)?;
                }
            }
            Value::Object(schema) => check_drafts(schema, at)?,
            _ => {}
        }
        at.truncate(length);
    }
    Ok(())
}

fn check_below(schema: &Value, name: &str, at: &mut String) -> Result<(), String> {
    let Value::Object(schema) = schema else { return Ok(()) };
    let length = at.len();
    at.push('/');
    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
    check_drafts(schema, at)?;
    at.truncate(length);
    Ok(())
}

fn compile(schema: &Map<String, Value>) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(&Value::Object(schema.clone()))
        .map_err(|error| match error.kind() {
            jsonschema::error::ValidationErrorKind::Referencing(_) => shortened(&format!(
                "refers to a schema that is not in it; only references within it are followed: {}",
                error.instance_path()
            )),
            _ => format!("is not a JSON Schema: {}", said(&error)),
        })
}

/// Describes an error and its place, shortened: the library shows the whole value, which may be large.
fn said(error: &jsonschema::ValidationError<'_>) -> String {
    let at = error.instance_path().to_string();
    let at = if at.is_empty() { "the document".to_owned() } else { at };
    shortened(&format!("{at}: {}", error.masked()))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALIDATION_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Checks that source code is a list of files with distinct paths that can be written.
fn check_files(content: &Map<String, Value>) -> Result<(), String> {
    let files = content.get("files").and_then(Value::as_array);
    let files =
        files.ok_or("source code needs `files`, a list of objects with path and content")?;
    for (n, file) in files.iter().enumerate() {
        let text = |key: &str| file.get(key).and_then(Value::as_str);
        if text("path").is_none() || text("content").is_none() {
            return Err(format!("/files/{n}: a file has a path and a content, both texts"));
        }
    }
    check_paths(content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value) -> Result<(), String> {
        check_schema(schema.as_object().unwrap())
    }

    #[test]
    fn a_schema_of_another_draft_is_refused_with_its_place() {
        for draft in [
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2019-09/schema",
            "http://json-schema.org/draft/2020-12/schema",
            "https://example.com/my-draft",
            "draft-07",
            "",
        ] {
            let schema = json!({"$schema": draft, "type": "object"});
            let error = check(&schema).unwrap_err();
            assert!(error.starts_with("/$schema: must be") && error.contains(DRAFT), "{error}");
        }
        for (schema, at) in [
            (json!({"properties": {"a/b": {"$schema": "x"}}}), "/properties/a~1b/$schema"),
            (json!({"anyOf": [true, {"items": {"$schema": "x"}}]}), "/anyOf/1/items/$schema"),
            (json!({"$defs": {"const": {"$id": "u:a", "$schema": "x"}}}), "/$defs/const/$schema"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.starts_with(at), "{error}");
        }
        assert!(check(&json!({"$schema": 7})).unwrap_err().contains("is not a JSON Schema"));
    }

    #[test]
    fn a_schema_of_the_draft_in_use_or_of_none_is_accepted() {
        for schema in [
            json!({"type": "object"}),
            json!({"$schema": DRAFT, "type": "object"}),
            json!({"$schema": format!("{DRAFT}#"), "type": "object"}),
            json!({"properties": {"$schema": {"type": "string"}}}),
            json!({"default": {"$schema": "x"}, "enum": [{"$schema": "x"}], "const": {"$schema": "x"}}),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn a_stored_schema_of_another_draft_is_applied() {
        let schema =
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"});
        let schema = schema.as_object().unwrap();
        let validator = OutputValidator::default();
        assert!(validator.errors_of(schema, &json!({})).is_empty());
        assert_eq!(validator.errors_of(schema, &json!([])).len(), 1);
    }
}
