//! The parameters of tools: one table from which their JSON Schemas follow, and by which arguments are
//! checked.

use rmcp::model::JsonObject;
use serde_json::{Value, json};
use uuid::Uuid;

/// Parameter of a tool.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
}

/// Values that a parameter takes.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Id of an object of the server.
    Id,
    /// SHA-256 in hexadecimal.
    Digest,
    /// Text with at most this many characters, not blank.
    Text(usize),
    /// Whole number within these limits, and the one that is used when there is none.
    Whole {
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
        /// Number when there is none.
        default: u64,
    },
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// JSON object.
    Object,
}

impl Parameter {
    /// Creates a parameter that may be left out.
    pub(crate) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, kind, is_required: false }
    }

    /// Creates a parameter that is needed.
    pub(crate) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, kind, is_required: true }
    }

    fn schema(&self) -> Value {
        let mut schema = match &self.kind {
            Kind::Id => json!({"type": "string", "format": "uuid"}),
            Kind::Digest => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            Kind::Text(max) => json!({"type": "string", "minLength": 1, "maxLength": max}),
            Kind::Whole { min, max, default } => {
                json!({"type": "integer", "minimum": min, "maximum": max, "default": default})
            }
            Kind::Word(words) => json!({"type": "string", "enum": words()}),
            Kind::Object => json!({"type": "object"}),
        };
        schema["description"] = self.about.into();
        schema
    }

    /// Returns the rule that the value breaks, or `None`.
    fn broken_rule(&self, value: &Value) -> Option<String> {
        let is_kept = match &self.kind {
            Kind::Id => value.as_str().is_some_and(|text| text.parse::<Uuid>().is_ok()),
            Kind::Digest => value.as_str().is_some_and(is_digest),
            Kind::Text(max) => value
                .as_str()
                .is_some_and(|text| !text.trim().is_empty() && text.chars().nth(*max).is_none()),
            Kind::Whole { min, max, .. } => {
                value.as_u64().is_some_and(|number| (*min..=*max).contains(&number))
            }
            Kind::Word(words) => value.as_str().is_some_and(|word| words().contains(&word)),
            Kind::Object => value.is_object(),
        };
        if is_kept {
            return None;
        }
        let rule = match &self.kind {
            Kind::Id => "must be a UUID".to_owned(),
            Kind::Digest => "must be 64 hexadecimal digits in lower case".to_owned(),
            Kind::Text(max) => format!("must be a text of 1 to {max} characters, not blank"),
            Kind::Whole { min, max, .. } => format!("must be a whole number from {min} to {max}"),
            Kind::Word(words) => format!("must be one of: {}", words().join(", ")),
            Kind::Object => "must be a JSON object".to_owned(),
        };
        Some(format!("`{}` {rule}.", self.name))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the JSON Schema of these parameters.
pub(crate) fn schema_of(parameters: &[Parameter]) -> JsonObject {
    let properties: JsonObject =
        parameters.iter().map(|one| (one.name.to_owned(), one.schema())).collect();
    let required: Vec<_> =
        parameters.iter().filter(|one| one.is_required).map(|one| one.name).collect();
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("required".to_owned(), required.into());
    schema.insert("additionalProperties".to_owned(), false.into());
    schema
}

/// Arguments that keep the rules of their parameters.
#[derive(Debug)]
pub(crate) struct Arguments {
    parameters: &'static [Parameter],
    values: JsonObject,
}

impl Arguments {
    /// Checks arguments. A null counts as an argument that was left out.
    ///
    /// # Errors
    /// The first rule that an argument breaks, as a sentence.
    pub(crate) fn read(
        parameters: &'static [Parameter],
        arguments: Option<JsonObject>,
    ) -> Result<Self, String> {
        let mut values = arguments.unwrap_or_default();
        values.retain(|_, value| !value.is_null());
        for (name, value) in &values {
            let Some(parameter) = parameters.iter().find(|one| one.name == name) else {
                let known: Vec<_> = parameters.iter().map(|one| one.name).collect();
                let name: String = name.chars().take(64).collect();
                return Err(format!(
                    "There is no parameter {name:?}; the tool takes: {}.",
                    known.join(", ")
                ));
            };
            if let Some(rule) = parameter.broken_rule(value) {
                return Err(rule);
            }
        }
        match parameters.iter().find(|one| one.is_required && !values.contains_key(one.name)) {
            Some(missing) => Err(format!("`{}` is needed: {}", missing.name, missing.about)),
            None => Ok(Self { parameters, values }),
        }
    }

    /// Returns a text, a word, an id or a digest, if it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.parameters.iter().any(|one| one.name == name), "{name}");
        self.values.get(name).and_then(Value::as_str)
    }

    /// Returns a text, a word, an id or a digest that is required.
    pub(crate) fn needed(&self, name: &str) -> &str {
        self.text(name).expect("a required argument was checked when the arguments were read")
    }

    /// Returns an id that is required, in the form of the server, which is safe in a path.
    pub(crate) fn id(&self, name: &str) -> Uuid {
        self.needed(name).parse().expect("an id was checked when the arguments were read")
    }

    /// Returns a whole number, or its default.
    pub(crate) fn whole(&self, name: &str) -> u64 {
        self.values.get(name).and_then(Value::as_u64).unwrap_or_else(|| {
            let parameter = self.parameters.iter().find(|one| one.name == name);
            match parameter.map(|one| &one.kind) {
                Some(Kind::Whole { default, .. }) => *default,
                _ => unreachable!("{name} is no whole number of this tool"),
            }
        })
    }

    /// Returns a JSON object, if it was given.
    pub(crate) fn object(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter::required("id", Kind::Id, "An id."),
        Parameter::optional("digest", Kind::Digest, "A digest."),
        Parameter::optional("text", Kind::Text(3), "A text."),
        Parameter::optional("limit", Kind::Whole { min: 1, max: 5, default: 2 }, "A limit."),
        Parameter::optional("word", Kind::Word(|| vec!["a", "b"]), "A word."),
        Parameter::optional("object", Kind::Object, "An object."),
    ];
    const ID: &str = "0190c0de-0000-7000-8000-000000000001";

    fn read(arguments: &Value) -> Result<Arguments, String> {
        Arguments::read(PARAMETERS, arguments.as_object().cloned())
    }

    #[test]
    fn arguments_are_read_with_their_defaults() {
        let found = read(&json!({"id": ID, "text": null, "word": "b"})).unwrap();
        assert_eq!((found.id("id").to_string().as_str(), found.text("text")), (ID, None));
        assert_eq!((found.whole("limit"), found.text("word")), (2, Some("b")));
        assert_eq!(read(&json!({"id": ID, "limit": 5})).unwrap().whole("limit"), 5);
    }

    #[test]
    fn an_argument_that_breaks_a_rule_is_named() {
        for (name, value) in [
            ("id", json!("../../secrets")),
            ("id", json!(7)),
            ("digest", json!("AB".repeat(32))),
            ("digest", json!("ab")),
            ("text", json!("four")),
            ("text", json!(" ")),
            ("limit", json!(0)),
            ("limit", json!(6)),
            ("limit", json!(1.5)),
            ("limit", json!("2")),
            ("word", json!("c")),
            ("object", json!([])),
            ("unknown", json!(1)),
        ] {
            let mut arguments = json!({"id": ID});
            arguments[name] = value;
            let error = read(&arguments).unwrap_err();
            assert!(error.contains(name), "{arguments}: {error}");
        }
        assert!(Arguments::read(PARAMETERS, None).unwrap_err().starts_with("`id` is needed"));
    }

    #[test]
    fn the_schema_has_every_limit() {
        let schema = Value::Object(schema_of(PARAMETERS));
        assert_eq!(schema["required"], json!(["id"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["text"]["maxLength"], 3);
        let limit = &schema["properties"]["limit"];
        assert_eq!((&limit["minimum"], &limit["maximum"]), (&json!(1), &json!(5)));
        assert_eq!(schema["properties"]["word"]["enum"], json!(["a", "b"]));
    }
}
