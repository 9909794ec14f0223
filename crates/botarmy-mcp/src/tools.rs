//! Actions of the tools, in a file for each noun.

pub(crate) mod documents;
pub(crate) mod gates;
pub(crate) mod projects;

use serde_json::Value;

use crate::parameter::Arguments;

/// Returns the parameters of a page.
fn page(arguments: &Arguments) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", arguments.whole("limit").to_string())];
    if arguments.text("cursor").is_some() {
        query.push(("cursor", arguments.id("cursor").to_string()));
    }
    query
}

/// Returns a word or an id in a response, for a summary. Anything else, which could be a text of others,
/// is left out.
fn member<'a>(object: &'a Value, name: &str) -> &'a str {
    let word = object.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_word =
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_word && word.len() <= 64 { word } else { "unknown" }
}
