//! Parsing of a step's JSON Schema from a workflow file: as a table or, since nested structures are
//! awkward in TOML, as a string of JSON.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

/// Parses a schema in either form.
pub(super) fn from_table_or_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::Object(schema)) => Ok(Some(schema)),
        Some(Value::String(text)) => serde_json::from_str(&text).map(Some).map_err(|error| {
            D::Error::custom(format!("output_schema: the text is not a JSON object: {error}"))
        }),
        Some(_) => Err(D::Error::custom("output_schema: must be a table or a string of JSON")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::workflow::Workflow;

    const STEP: &str = "name = \"x\"\n[[step]]\nname = \"A\"\nphase = \"1\"\nagent = \"coder\"\n\
                        output = \"source_code\"\n";

    #[test]
    fn a_table_and_a_text_say_the_same() {
        let table = format!("{STEP}[step.output_schema]\ntype = \"object\"\nrequired = [\"a\"]\n");
        let text = format!(
            "{STEP}output_schema = \'\'\'{{\"required\": [\"a\"], \"type\": \"object\"}}\'\'\'\n"
        );
        let table = Workflow::from_toml(&table).unwrap();
        let text = Workflow::from_toml(&text).unwrap();
        assert_eq!(text.steps[0].output_schema.as_ref().unwrap()["required"], json!(["a"]));
        assert_eq!(table.digest(), text.digest());
    }

    #[test]
    fn neither_is_refused() {
        for (wrong, why) in [("3", "must be a table"), ("\"[]\"", "is not a JSON object")] {
            let error = Workflow::from_toml(&format!("{STEP}output_schema = {wrong}\n"));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
