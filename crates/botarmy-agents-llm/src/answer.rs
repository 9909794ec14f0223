//! Conversion of a model's answer to a document: tolerant of text around the JSON, strict about
//! everything that later steps rely on.

use std::sync::Arc;

use botarmy_domain::artifact::Artifact;
use botarmy_domain::source_code::SourceCode;
use botarmy_domain::text::strip_controls;
use botarmy_domain::vocabulary::ArtifactType;
use serde_json::{Map, Value};

use crate::objects::{self, Found};

/// The document in an answer.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) content: Map<String, Value>,
    /// `true` if nothing but the end of a code fence follows it.
    pub(crate) is_last: bool,
}

/// Reads the JSON object in an answer: alone, in a code fence, or with text around it. Of several, it
/// is the one in a fence, or else the last that `fits`.
///
/// # Errors
/// The reason why it is not clear which object is the document, as a clause for the model.
pub(crate) fn read(
    text: &str,
    fits: &dyn Fn(&Map<String, Value>) -> bool,
) -> Result<Document, String> {
    let found = objects::find(text);
    let index = choose(&found, fits)?;
    let mut objects = found.objects;
    let chosen = objects.swap_remove(index);
    let is_last =
        text[chosen.end..].trim_matches(|c: char| c.is_whitespace() || c == '`').is_empty();
    let mut content = chosen.content;
    strip_controls(&mut content);
    Ok(Document { content, is_last })
}

/// Returns the index of the object that is the document.
fn choose(found: &Found, fits: &dyn Fn(&Map<String, Value>) -> bool) -> Result<usize, String> {
    let objects = &found.objects;
    let is_fenced = objects.iter().any(|object| object.is_fenced);
    let broken = found.broken.iter().rfind(|broken| broken.is_fenced || !is_fenced);
    if objects.is_empty() {
        let why = broken.map_or("there is no JSON object in it", |broken| broken.problem.as_str());
        return Err(why.to_owned());
    }
    let (pool, others): (Vec<_>, Vec<_>) =
        (0..objects.len()).partition(|index| objects[*index].is_fenced == is_fenced);
    if pool.len() == 1 && others.is_empty() && broken.is_none() {
        return Ok(pool[0]);
    }
    let fitting = |among: &[usize]| -> Vec<usize> {
        among.iter().copied().filter(|index| fits(&objects[*index].content)).collect()
    };
    let fit = fitting(&pool);
    let chosen = match (fit.as_slice(), is_fenced) {
        ([], false) if pool.len() == 1 => pool[0],
        ([], true) if pool.len() == 1 && fitting(&others).is_empty() => pool[0],
        ([], _) => {
            return Err(format!(
                "there are {} JSON objects in it, and it is not clear which one is the document",
                objects.len()
            ));
        }
        ([.., last], false) => *last,
        ([first, rest @ ..], true) => {
            if rest.iter().any(|index| objects[*index].content != objects[*first].content) {
                return Err(format!(
                    "{} JSON objects in code fences could be the document",
                    fit.len()
                ));
            }
            *first
        }
    };
    // A draft before a final version that cannot be read is not the document.
    match broken.filter(|broken| is_fenced || broken.start > objects[chosen].end) {
        Some(broken) => Err(broken.problem.clone()),
        None => Ok(chosen),
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
    use serde_json::json;

    use super::*;

    /// Reads an answer whose document has to have the key `markdown`.
    fn markdown(text: &str) -> Result<String, String> {
        let document = read(text, &|content| content.contains_key("markdown"))?;
        Ok(document.content.get("markdown").unwrap_or(&Value::Null).to_string())
    }

    const REAL: &str = r#"{"markdown": "real"}"#;
    const DRAFT: &str = r#"{"markdown": "draft"}"#;

    #[test]
    fn an_object_that_would_lose_a_key_or_a_digit_is_not_taken() {
        for (text, reason) in [
            ("Here: {\"markdown\": 1, \"markdown\": 2}", "markdown: occurs twice"),
            ("{\"markdown\": {\"n\": 12345678901234567890123}} done", "markdown.n: the number"),
        ] {
            let error = markdown(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let taken = markdown("{\"markdown\": 18446744073709551615}");
        assert_eq!(taken, Ok(u64::MAX.to_string()));
    }

    #[test]
    fn reasoning_is_not_the_document_however_it_is_marked() {
        for text in [
            format!("<think>Maybe {DRAFT}? No.</think>{REAL}"),
            format!("<Thinking>\n```json\n{DRAFT}\n```\n</Thinking>\n```json\n{REAL}\n```"),
            format!("Maybe {DRAFT}? No.\n</think>\n{REAL}"),
            format!("<think>a <think>b</think> {DRAFT}</think>{REAL}"),
            format!("[THINK]{DRAFT}[/THINK]{REAL}"),
            format!("◁think▷{DRAFT}◁/think▷ {REAL}"),
            format!(
                "<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final<|message|>{REAL}"
            ),
            format!("<think>Maybe {{\"markdown\": \"never closed</think>{REAL}"),
            format!("{REAL}\n<think>Was {DRAFT} better?"),
        ] {
            assert_eq!(markdown(&text).as_deref(), Ok("\"real\""), "{text}");
        }
        let text = format!("<think>Maybe {DRAFT}");
        assert!(markdown(&text).unwrap_err().contains("no JSON object"));
    }

    #[test]
    fn a_document_may_contain_the_marks_of_reasoning_and_of_fences() {
        let content = json!({"markdown": "a </think> b <think> ```json {\"markdown\": 1} ``` c"});
        for text in [content.to_string(), format!("<think>x</think>\n```\n{content}\n```")] {
            assert_eq!(markdown(&text), Ok(content["markdown"].to_string()), "{text}");
        }
    }

    #[test]
    fn of_several_objects_the_fenced_one_is_the_document_or_else_the_last_that_fits() {
        for text in [
            format!("The form is {DRAFT}.\n```json\n{REAL}\n```\nDone {{}}"),
            format!("First {DRAFT}, then {REAL}"),
            format!("{REAL}\n\nThanks for {{\"note\": 1}}"),
            format!("function f() {{ return {{}} }} {REAL} {{"),
            format!("```js\nlet a = {{b: 1}}\n```\n{REAL}"),
            format!("```\n{REAL}\n```\nagain\n```\n{REAL}\n```"),
        ] {
            assert_eq!(markdown(&text).as_deref(), Ok("\"real\""), "{text}");
        }
    }

    #[test]
    fn an_answer_with_several_possible_documents_is_refused() {
        let other = r#"{"text": 1}"#;
        for (text, why) in [
            (format!("```\n{DRAFT}\n```\nor\n```\n{REAL}\n```"), "in code fences could be"),
            (format!("```\n{other}\n```\n{REAL}"), "not clear which"),
            (format!("{other} {other}"), "not clear which"),
            (format!("{DRAFT} and finally {{\"markdown\": \"real\",}}"), "not valid JSON"),
            (format!("{DRAFT} and finally {{\"markdown\": \"re"), "not complete"),
            (format!("```\n{DRAFT}\n```\n```\n{{\"markdown\": \"re"), "not complete"),
            ("{\"markdown\": {\"markdown\": \"inner\"},}".to_owned(), "not valid JSON"),
            ("{\"files\": [{\"markdown\": \"inner\"}, ".to_owned(), "not complete"),
        ] {
            let problem = markdown(&text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
        // A single object is for the validator to judge.
        assert_eq!(markdown(other).as_deref(), Ok("null"));
    }

    #[test]
    fn a_long_answer_full_of_braces_is_read_in_one_pass() {
        let started = std::time::Instant::now();
        for piece in ["{", "{\"a\":", "<think>", "{\"a\"} ", "`", "[", "</think>", "{\"</think>"] {
            drop(markdown(&piece.repeat((1 << 20) / piece.len())));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn text_after_the_document_is_noticed() {
        let is_last = |text: &str| read(text, &|_| true).unwrap().is_last;
        assert!(is_last(REAL) && is_last(&format!("```json\n{REAL}\n```\n  ")));
        assert!(!is_last(&format!("{REAL} Any")));
    }
}
