//! Conversion of a model's answer to a document: tolerant of text around the JSON, strict about
//! everything that later steps rely on.

use std::sync::Arc;

use botarmy_domain::artifact::Artifact;
use botarmy_domain::json;
use botarmy_domain::source_code::SourceCode;
use botarmy_domain::text::{clean_json, strip_controls};
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Map, Value};

/// Reads the JSON object in an answer: alone, in a code fence, or with text around it.
///
/// # Errors
/// The reason why there is no object, as a clause for the model.
pub(crate) fn read(text: &str) -> Result<Map<String, Value>, String> {
    let start = text.find('{').ok_or("there is no JSON object in it")?;
    let mut found = object_at(&text[start..]);
    // The text before a code fence may contain braces.
    if found.is_err()
        && let Some(fence) = text.find("```")
        && let Some(start) = text[fence..].find('{')
    {
        found = object_at(&text[fence + start..]).or(found);
    }
    let mut document = found?;
    strip_controls(&mut document);
    Ok(document)
}

/// Reads the object at the beginning of a text and ignores the rest.
fn object_at(text: &str) -> Result<Map<String, Value>, String> {
    let cleaned = clean_json(text.as_bytes());
    let mut values = serde_json::Deserializer::from_slice(&cleaned).into_iter();
    match values.next() {
        Some(Ok(Value::Object(document))) => {
            let read = std::str::from_utf8(&cleaned[..values.byte_offset()]).unwrap_or_default();
            json::check(read, json::MAX_DEPTH)
                .map_err(|error| format!("it cannot be taken as it is ({error})"))?;
            Ok(document)
        }
        Some(Err(error)) if error.is_eof() => Err("the JSON object is not complete".to_owned()),
        Some(Err(error)) => Err(format!("it is not valid JSON ({error})")),
        _ => Err("it is not a JSON object".to_owned()),
    }
}

/// Completes the document: source code is merged into the source code of the context, because a model
/// returns only the files that it changes.
///
/// # Errors
/// The first problem, as a clause for the model.
pub(crate) fn finish(
    output_type: ArtifactType,
    mut document: Map<String, Value>,
    context: &[Arc<Artifact>],
) -> Result<Map<String, Value>, String> {
    if output_type != ArtifactType::SourceCode {
        return Ok(document);
    }
    let deleted = document.remove("deleted");
    let written = Value::Object(document.clone());
    let given = context
        .iter()
        .rev()
        .find(|artifact| artifact.meta.artifact_type == ArtifactType::SourceCode)
        .and_then(|artifact| SourceCode::read(&Value::Object(artifact.content.clone())).ok());
    let nothing = written["files"].as_array().is_none_or(Vec::is_empty);
    let mut source = match given {
        Some(given) if nothing => given,
        Some(mut given) => {
            let changed = SourceCode::read(&written).map_err(|error| error.to_string())?;
            changed.files.into_iter().for_each(|file| given.put(file));
            if document.contains_key("entry") {
                given.entry = changed.entry;
            }
            given
        }
        None => {
            let written = SourceCode::read(&written).map_err(|error| error.to_string())?;
            let mut source = SourceCode { files: Vec::new(), entry: written.entry };
            written.files.into_iter().for_each(|file| source.put(file));
            source
        }
    };
    let gone = deleted.as_ref().and_then(Value::as_array).into_iter().flatten();
    let gone: Vec<&str> = gone.filter_map(Value::as_str).collect();
    source.files.retain(|file| !gone.contains(&file.path.as_str()));
    if source.files.is_empty() {
        return Err("no file would be left".to_owned());
    }
    if let Some((path, reason)) = source.path_problems().into_iter().next() {
        let path: String = path.chars().take(300).collect();
        return Err(format!("the file path {path:?} cannot be used: {reason}"));
    }
    if source.file(&source.entry).is_none() {
        return Err(format!("\"entry\" is {:?}, and there is no such file", source.entry));
    }
    document.insert("files".to_owned(), source.to_json());
    document.insert("entry".to_owned(), source.entry.into());
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_would_lose_a_key_or_a_digit_is_not_taken() {
        for (text, reason) in [
            ("Here: {\"a\": 1, \"a\": 2}", "a: occurs twice"),
            ("{\"a\": {\"n\": 12345678901234567890123}} done", "a.n: the number"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let taken = read("{\"n\": 18446744073709551615} {\"a\": 1, \"a\": 2}").unwrap();
        assert_eq!(taken["n"], u64::MAX);
    }
}
