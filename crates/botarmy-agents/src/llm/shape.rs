//! The form a document must have, by its type: what later steps read and the package shows. The
//! same description makes the schema a provider is given and the check of what comes back.

use botarmy_domain::words::ArtifactType;
use serde_json::{Map, Value, json};

/// How many levels a check goes down before it says that this is too deep.
const DEEPEST: usize = 16;

/// What a value must look like.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Text,
    Number,
    Flag,
    List(Box<Self>),
    /// Keys with what they hold; those that are not in here are kept and not looked at.
    Object(Vec<(&'static str, Self, Need)>),
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Must,
    May,
}

use Need::{May, Must};
use Shape::{Flag, Number, Text};

fn list(of: Shape) -> Shape {
    Shape::List(Box::new(of))
}

fn texts(keys: &[&'static str]) -> Shape {
    Shape::Object(keys.iter().map(|key| (*key, Text, Must)).collect())
}

impl Shape {
    /// The form of an artifact.
    pub(super) fn of(artifact_type: ArtifactType) -> Self {
        let mut keys = vec![("title", Text, May), ("summary", Text, Must)];
        match artifact_type {
            ArtifactType::ProjectPlan => keys.extend([
                ("goals", list(Text), Must),
                (
                    "scope",
                    Self::Object(vec![("in", list(Text), Must), ("out", list(Text), Must)]),
                    Must,
                ),
                ("milestones", list(texts(&["id", "name", "done_when"])), Must),
                ("risks", list(texts(&["risk", "likelihood", "mitigation"])), May),
                ("questions", list(Text), May),
            ]),
            ArtifactType::SoftwareSpecification => keys.extend([
                (
                    "user_stories",
                    list(Self::Object(vec![
                        ("id", Text, Must),
                        ("as_a", Text, Must),
                        ("i_want", Text, Must),
                        ("so_that", Text, Must),
                        ("acceptance", list(texts(&["id", "text"])), Must),
                    ])),
                    Must,
                ),
                ("quality", list(Text), May),
            ]),
            ArtifactType::SystemArchitecture => keys.extend([
                ("components", list(texts(&["file", "responsibility"])), Must),
                ("flow", list(Text), May),
                ("decisions", list(texts(&["decision", "reason", "alternative"])), Must),
            ]),
            ArtifactType::ImplementationPlan => keys.extend([
                ("tasks", list(texts(&["id", "title", "file", "done_when"])), Must),
                ("tests", list(Text), May),
                ("not_covered", list(Text), May),
            ]),
            ArtifactType::SourceCode => keys.extend([
                ("entry", Text, May),
                ("files", list(texts(&["path", "content"])), Must),
                ("deleted", list(Text), May),
            ]),
            ArtifactType::TestResults => keys.extend([
                ("passed", Flag, Must),
                (
                    "checks",
                    list(Self::Object(vec![
                        ("name", Text, Must),
                        ("passed", Flag, Must),
                        ("detail", Text, Must),
                    ])),
                    Must,
                ),
                ("failures", list(texts(&["check", "file", "detail"])), Must),
            ]),
            _ => keys.push(("markdown", Text, Must)),
        }
        keys.push(("confidence", Number, May));
        Self::Object(keys)
    }

    /// As JSON Schema. Every key is asked for, also those we can do without: constrained decoding
    /// wants it so at OpenAI, and a model that leaves one out is not sent back for it.
    pub(super) fn to_schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Number => json!({"type": "number"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::List(of) => json!({"type": "array", "items": of.to_schema()}),
            Self::Object(keys) => {
                let properties: Map<String, Value> =
                    keys.iter().map(|(key, of, _)| ((*key).to_owned(), of.to_schema())).collect();
                let required: Vec<&str> = keys.iter().map(|(key, ..)| *key).collect();
                json!({
                    "type": "object", "properties": properties, "required": required,
                    "additionalProperties": false,
                })
            }
        }
    }

    /// Looks whether a document has this form.
    ///
    /// # Errors
    /// A sentence for the model, about the first thing that is wrong.
    pub(super) fn check(&self, document: &Map<String, Value>) -> Result<(), String> {
        let Self::Object(keys) = self else { return Err("a document is an object".to_owned()) };
        check_keys(keys, document, "", 0)
    }

    fn check_value(&self, value: &Value, at: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("\"{at}\" is too deep"));
        }
        let wrong = |what: &str| Err(format!("\"{at}\" must be {what}"));
        match (self, value) {
            (Self::Text, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Flag, Value::Bool(_)) => Ok(()),
            (Self::List(of), Value::Array(items)) => items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| of.check_value(item, &format!("{at}[{n}]"), depth + 1)),
            (Self::Object(keys), Value::Object(map)) => check_keys(keys, map, at, depth + 1),
            (Self::Text, _) => wrong("a text"),
            (Self::Number, _) => wrong("a number"),
            (Self::Flag, _) => wrong("true or false"),
            (Self::List(_), _) => wrong("a list"),
            (Self::Object(_), _) => wrong("an object"),
        }
    }
}

fn check_keys(
    keys: &[(&'static str, Shape, Need)],
    map: &Map<String, Value>,
    at: &str,
    depth: usize,
) -> Result<(), String> {
    for (key, of, need) in keys {
        let path = if at.is_empty() { (*key).to_owned() } else { format!("{at}.{key}") };
        match map.get(*key) {
            None | Some(Value::Null) if *need == May => {}
            None => return Err(format!("\"{path}\" is missing")),
            Some(value) => of.check_value(value, &path, depth)?,
        }
    }
    Ok(())
}
