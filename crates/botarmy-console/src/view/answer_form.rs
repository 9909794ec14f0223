//! The form of an answer with a JSON Schema: a flat object of texts, numbers, choices and yes or no has a
//! field for each member. Any other schema has one field for JSON. The server validates what comes of it.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::typed_json;

/// Beginning of the names of fields; the number of the member follows.
pub(crate) const PREFIX: &str = "f.";
/// Name of the field for JSON.
pub(crate) const JSON: &str = "response";
/// Most members of an object with fields.
const MAX_FIELDS: usize = 50;
/// Most letters of a text that is written on one line.
const ONE_LINE: u64 = 200;
/// Keywords that say nothing about the form.
const NOTES: [&str; 8] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "type"];

/// Texts that a person has typed, by the names of the fields.
pub(crate) type Typed = BTreeMap<String, String>;

/// Errors by the names of the fields.
pub(crate) type Errors = BTreeMap<String, String>;

/// Form of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AnswerForm {
    /// One field for each member.
    Fields(Vec<Field>),
    /// JSON of any form.
    Json,
}

/// Member of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Name in the answer.
    pub(crate) member: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) is_required: bool,
    pub(crate) kind: Kind,
    /// Limits in words.
    pub(crate) limits: Option<String>,
    /// Text with which it begins.
    default: String,
}

/// Kind of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Line,
    Text,
    Number,
    Integer,
    /// Values, each with its words.
    Choice(Vec<(Value, String)>),
}

/// Field, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldView {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) is_required: bool,
    pub(crate) is_text: bool,
    /// Keyboard of a phone.
    pub(crate) mode: &'static str,
    /// Words of the choices, and whether they are chosen; empty for a text.
    pub(crate) choices: Vec<(String, bool)>,
    pub(crate) limits: Option<String>,
    pub(crate) value: String,
    pub(crate) error: Option<String>,
}

/// Returns the form of an answer with this schema.
pub(crate) fn of(schema: &Map<String, Value>) -> AnswerForm {
    fields(schema).map_or(AnswerForm::Json, AnswerForm::Fields)
}

fn fields(schema: &Map<String, Value>) -> Option<Vec<Field>> {
    let known = ["properties", "required", "additionalProperties"];
    let is_known = |name: &String| known.contains(&name.as_str()) || NOTES.contains(&name.as_str());
    if schema.get("type")? != "object" || !schema.keys().all(is_known) {
        return None;
    }
    let members = schema.get("properties")?.as_object()?;
    if members.is_empty() || members.len() > MAX_FIELDS {
        return None;
    }
    let required: Vec<&str> = match schema.get("required") {
        None => Vec::new(),
        Some(names) => names.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?,
    };
    if required.iter().any(|name| !members.contains_key(*name)) {
        return None;
    }
    let field = |(member, schema): (&String, &Value)| {
        field(member, schema.as_object()?, required.contains(&member.as_str()))
    };
    members.iter().map(field).collect()
}

fn field(member: &str, schema: &Map<String, Value>, is_required: bool) -> Option<Field> {
    let has_only = |known: &[&str]| {
        let mut names = schema.keys().map(String::as_str);
        names.all(|name| known.contains(&name) || NOTES.contains(&name))
    };
    let number = |name: &str| schema.get(name).and_then(Value::as_number).map(Number::to_string);
    let length = |name: &str| schema.get(name).and_then(Value::as_u64);
    let text = |name: &str| schema.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = schema.get("type").and_then(Value::as_str);
    let (kind, limits) = match (schema.get("enum"), kind) {
        (Some(values), kind) if has_only(&["enum"]) => {
            let values = values.as_array()?;
            let is_of_kind = |value: &Value| matches_kind(value, kind);
            if values.is_empty() || !values.iter().all(is_of_kind) {
                return None;
            }
            let choices = values.iter().map(|value| (value.clone(), words(value)));
            (Kind::Choice(choices.collect()), None)
        }
        (None, Some("boolean")) if has_only(&[]) => {
            let choices = [(true, "Yes"), (false, "No")];
            let choices = choices.map(|(value, words)| (Value::Bool(value), words.to_owned()));
            (Kind::Choice(choices.into()), None)
        }
        (None, Some(kind @ ("number" | "integer")))
            if has_only(&[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ]) =>
        {
            let limits = range(number("minimum"), number("maximum"), "");
            let kind = if kind == "integer" { Kind::Integer } else { Kind::Number };
            (kind, limits)
        }
        (None, Some("string")) if has_only(&["minLength", "maxLength", "pattern", "format"]) => {
            let (least, most) = (length("minLength"), length("maxLength"));
            let is_line =
                most.is_some_and(|most| most <= ONE_LINE) || schema.contains_key("format");
            let limits = range(
                least.filter(|least| *least > 1).map(|least| least.to_string()),
                most.map(|most| most.to_string()),
                " letters",
            );
            (if is_line { Kind::Line } else { Kind::Text }, limits)
        }
        _ => return None,
    };
    let default = schema.get("default").filter(|default| !default.is_null());
    let default = match (&kind, default) {
        (_, None) => String::new(),
        (Kind::Choice(choices), Some(default)) => {
            let index = choices.iter().position(|(value, _)| value == default);
            index.map_or_else(String::new, |index| index.to_string())
        }
        (_, Some(default)) => words(default),
    };
    Some(Field {
        member: member.to_owned(),
        title: text("title").unwrap_or_else(|| member.to_owned()),
        description: text("description"),
        is_required,
        kind,
        limits,
        default,
    })
}

fn matches_kind(value: &Value, kind: Option<&str>) -> bool {
    match (value, kind) {
        (Value::String(_), None | Some("string"))
        | (Value::Number(_), None | Some("number"))
        | (Value::Bool(_), None | Some("boolean")) => true,
        (Value::Number(number), Some("integer")) => number.is_i64() || number.is_u64(),
        _ => false,
    }
}

/// Returns a value as a person reads it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is_so) => if *is_so { "Yes" } else { "No" }.to_owned(),
        other => other.to_string(),
    }
}

fn range(least: Option<String>, most: Option<String>, unit: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("At least {least}{unit}")),
        (None, Some(most)) => Some(format!("At most {most}{unit}")),
        (None, None) => None,
    }
}

impl AnswerForm {
    /// Returns the fields as a page shows them. `typed` are the texts of a person who has filled them in
    /// before; a form that is shown first has the defaults.
    pub(crate) fn views(&self, typed: &Typed, errors: &Errors) -> Vec<FieldView> {
        let Self::Fields(fields) = self else { return Vec::new() };
        let is_first = typed.is_empty();
        let view = |(index, field): (usize, &Field)| {
            let name = format!("{PREFIX}{index}");
            let typed = typed.get(&name).cloned();
            let value = typed
                .unwrap_or_else(|| if is_first { field.default.clone() } else { String::new() });
            let choices = match &field.kind {
                Kind::Choice(choices) => choices.as_slice(),
                _ => &[],
            };
            let is_chosen = |index: usize| value == index.to_string();
            FieldView {
                title: field.title.clone(),
                description: field.description.clone(),
                is_required: field.is_required,
                is_text: field.kind == Kind::Text,
                mode: match field.kind {
                    Kind::Number => "decimal",
                    Kind::Integer => "numeric",
                    _ => "text",
                },
                choices: choices
                    .iter()
                    .enumerate()
                    .map(|(index, (_, words))| (words.clone(), is_chosen(index)))
                    .collect(),
                limits: field.limits.clone(),
                error: errors.get(&name).cloned(),
                name,
                value,
            }
        };
        fields.iter().enumerate().map(view).collect()
    }

    /// Returns the answer that was typed. Members of which nothing was typed are left out.
    ///
    /// # Errors
    /// Errors by the names of the fields.
    pub(crate) fn read(&self, typed: &Typed) -> Result<Value, Errors> {
        let Self::Fields(fields) = self else {
            let text = typed.get(JSON).map_or("", String::as_str);
            return typed_json::read(text, "Your answer")
                .map_err(|message| Errors::from([(JSON.to_owned(), message)]));
        };
        let (mut answer, mut errors) = (Map::new(), Errors::new());
        for (index, field) in fields.iter().enumerate() {
            let name = format!("{PREFIX}{index}");
            let text = typed.get(&name).map_or("", String::as_str);
            match field.read(text) {
                Ok(Some(value)) => drop(answer.insert(field.member.clone(), value)),
                Ok(None) if field.is_required => {
                    errors.insert(name, "is required".to_owned());
                }
                Ok(None) => {}
                Err(message) => drop(errors.insert(name, message.to_owned())),
            }
        }
        if errors.is_empty() { Ok(Value::Object(answer)) } else { Err(errors) }
    }

    /// Returns the name of the field that a JSON Pointer into the answer is about.
    pub(crate) fn field_of(&self, pointer: &str) -> Option<String> {
        let rest = pointer.strip_prefix("/response")?;
        let Self::Fields(fields) = self else { return Some(JSON.to_owned()) };
        let member = rest.strip_prefix('/')?.replace("~1", "/").replace("~0", "~");
        let index = fields.iter().position(|field| field.member == member)?;
        Some(format!("{PREFIX}{index}"))
    }

    /// Returns an answer in words, with the titles of its members.
    pub(crate) fn said(&self, answer: &Value) -> Vec<(String, String)> {
        match (self, answer) {
            (Self::Fields(fields), Value::Object(members)) => {
                let said =
                    |field: &Field| Some((field.title.clone(), words(members.get(&field.member)?)));
                fields.iter().filter_map(said).collect()
            }
            _ => vec![("Your answer".to_owned(), format!("{answer:#}"))],
        }
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<Option<Value>, &'static str> {
        let trimmed = text.trim();
        match &self.kind {
            _ if trimmed.is_empty() => Ok(None),
            Kind::Line => Ok(Some(trimmed.into())),
            Kind::Text => Ok(Some(text.replace("\r\n", "\n").into())),
            Kind::Integer => {
                let number = trimmed.parse::<i64>().map(Number::from);
                let number = number.or_else(|_| trimmed.parse::<u64>().map(Number::from));
                number.map(|number| Some(number.into())).map_err(|_| "must be a whole number")
            }
            Kind::Number => {
                let number = serde_json::from_str::<Number>(trimmed);
                number
                    .map(|number| Some(number.into()))
                    .map_err(|_| "must be a number, such as 2.5")
            }
            Kind::Choice(choices) => {
                let choice = trimmed.parse::<usize>().ok().and_then(|index| choices.get(index));
                choice.map(|(value, _)| Some(value.clone())).ok_or("must be one of the choices")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(schema: Value) -> AnswerForm {
        let Value::Object(schema) = schema else { panic!("an object") };
        of(&schema)
    }

    fn flat() -> AnswerForm {
        form(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "colour": {"enum": ["red", "blue"], "default": "blue"},
                "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
                "loud": {"type": "boolean", "default": false},
                "share": {"type": "number"},
                "when": {"type": "string", "title": "Day", "format": "date"},
                "why": {"type": "string", "description": "A reason", "minLength": 5},
            },
            "required": ["when", "loud"],
            "additionalProperties": false,
        }))
    }

    fn typed(fields: &[(&str, &str)]) -> Typed {
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_flat_object_has_a_field_for_each_member() {
        let views = flat().views(&Typed::new(), &Errors::new());
        let shown: Vec<_> = views
            .iter()
            .map(|view| (view.title.as_str(), view.value.as_str(), view.is_required, view.mode))
            .collect();
        assert_eq!(
            shown,
            [
                ("colour", "1", false, "text"),
                ("count", "3", false, "numeric"),
                ("loud", "1", true, "text"),
                ("share", "", false, "decimal"),
                ("Day", "", true, "text"),
                ("why", "", false, "text"),
            ]
        );
        assert_eq!(views[0].choices, [("red".to_owned(), false), ("blue".to_owned(), true)]);
        assert_eq!(views[1].limits.as_deref(), Some("1 to 9"));
        assert_eq!(views[5].limits.as_deref(), Some("At least 5 letters"));
        assert!(views[5].is_text && !views[4].is_text);
    }

    #[test]
    fn what_is_typed_becomes_the_answer_and_the_rest_is_left_out() {
        let given = typed(&[
            ("f.0", "0"),
            ("f.1", " 7 "),
            ("f.2", "1"),
            ("f.3", "0.5"),
            ("f.4", "2026-12-01"),
            ("f.5", ""),
        ]);
        let answer = flat().read(&given).unwrap();
        let expected = json!({
            "colour": "red", "count": 7, "loud": false, "share": 0.5, "when": "2026-12-01",
        });
        assert_eq!(answer, expected);
        let said = flat().said(&answer);
        assert!(said.contains(&("loud".to_owned(), "No".to_owned())), "{said:?}");
        let wrong = typed(&[("f.0", "9"), ("f.1", "7.5"), ("f.2", "0"), ("f.3", "NaN")]);
        let errors = flat().read(&wrong).unwrap_err();
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["f.0", "f.1", "f.3", "f.4"]);
        assert_eq!(errors["f.4"], "is required");
    }

    #[test]
    fn errors_of_the_server_find_their_fields() {
        let form = flat();
        assert_eq!(form.field_of("/response/count").as_deref(), Some("f.1"));
        assert_eq!(form.field_of("/response"), None);
        assert_eq!(form.field_of("/amended_content/count"), None);
        assert_eq!(AnswerForm::Json.field_of("/response/a/0").as_deref(), Some("response"));
    }

    #[test]
    fn any_other_schema_has_one_field_for_json() {
        for schema in [
            json!({}),
            json!({"type": "array"}),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}}),
            json!({"type": "object", "properties": {"a": true}}),
            json!({"type": "object", "properties": {"a": {"type": "object"}}}),
            json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
            json!({"type": "object", "properties": {"a": {"enum": [null]}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "minProperties": 1}),
            json!({"type": "object", "properties": {"a": {"type": "string", "not": {}}}}),
        ] {
            assert_eq!(form(schema.clone()), AnswerForm::Json, "{schema}");
        }
        let read = |text: &str| AnswerForm::Json.read(&typed(&[(JSON, text)]));
        assert_eq!(read("[1, \"a\"]").unwrap(), json!([1, "a"]));
        for wrong in ["", "{", "{\"a\": 1, \"a\": 2}", "\"\\u0000\""] {
            assert!(read(wrong).unwrap_err().contains_key(JSON), "{wrong}");
        }
    }
}
