//! Finding the JSON objects in a model's answer, apart from its reasoning.

use botarmy_domain::json;
use botarmy_domain::text::clean_json;
use serde_json::{Map, Value};

/// Marks around the reasoning of models, in lower case.
const REASONING: [(&str, &str); 8] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
];
/// Mark between reasoning and answer in the format of gpt-oss.
const FINAL: &str = "<|channel|>final<|message|>";
/// Most objects without an end that are passed over. Each is searched for its end in all of the rest.
const MAX_INCOMPLETE: usize = 16;
/// First characters of everything that is looked for.
const STARTS: [char; 5] = ['{', '<', '[', '◁', '`'];

/// The objects in an answer.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Objects in their order, without those within others.
    pub(crate) objects: Vec<Object>,
    /// Texts in their order that begin like an object and are none.
    pub(crate) broken: Vec<Broken>,
}

/// An object in an answer.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) content: Map<String, Value>,
    /// `true` within a code fence.
    pub(crate) is_fenced: bool,
    /// Position after its last byte.
    pub(crate) end: usize,
}

/// A text that begins like an object.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Reason, as a clause for the model.
    pub(crate) problem: String,
    /// `true` within a code fence.
    pub(crate) is_fenced: bool,
    /// Position of its first byte.
    pub(crate) start: usize,
}

/// Finds the objects outside of the reasoning. Reasoning that has an end and no beginning is all of
/// the text before that end: some servers send the first mark in the prompt.
pub(crate) fn find(text: &str) -> Found {
    let mut found = Found::default();
    let mut is_fenced = false;
    let mut incomplete = 0;
    let mut at = 0;
    while let Some(offset) = text[at..].find(STARTS) {
        at += offset;
        let rest = &text[at..];
        if let Some((open, close)) = REASONING.iter().find(|(open, _)| begins_with(rest, open)) {
            at = end_of_reasoning(text, at + open.len(), open, close);
        } else if let Some(length) = end_mark(rest) {
            (found, is_fenced) = (Found::default(), false);
            at += length;
        } else if rest.starts_with("```") {
            is_fenced = !is_fenced;
            at += 3;
        } else if begins_like_an_object(rest) {
            let Some(length) = length_of_object(rest) else {
                let problem = "the JSON object is not complete".to_owned();
                found.broken.push(Broken { problem, is_fenced, start: at });
                incomplete += 1;
                // Only reasoning can have an end after that.
                match next_end_mark(text, at) {
                    Some(end) if incomplete < MAX_INCOMPLETE => {
                        (found, is_fenced, at) = (Found::default(), false, end);
                    }
                    _ => break,
                }
                continue;
            };
            match object(&rest[..length]) {
                Ok(content) => {
                    found.objects.push(Object { content, is_fenced, end: at + length });
                }
                Err(problem) => {
                    found.broken.push(Broken { problem, is_fenced, start: at });
                }
            }
            at += length;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Reads an object, unless a key or a digit of it would be lost.
fn object(text: &str) -> Result<Map<String, Value>, String> {
    let cleaned = clean_json(text.as_bytes());
    let content = serde_json::from_slice(&cleaned)
        .map_err(|error| format!("it is not valid JSON ({error})"))?;
    json::check(&String::from_utf8_lossy(&cleaned), json::MAX_DEPTH)
        .map_err(|error| format!("it cannot be taken as it is ({error})"))?;
    Ok(content)
}

fn begins_with(text: &str, mark: &str) -> bool {
    text.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
}

/// Returns the length of the mark that ends reasoning at the beginning of a text.
fn end_mark(text: &str) -> Option<usize> {
    let marks = REASONING.iter().map(|(_, close)| *close).chain([FINAL]);
    marks.into_iter().find(|mark| begins_with(text, mark)).map(str::len)
}

/// Returns the position after the next mark that ends reasoning.
fn next_end_mark(text: &str, from: usize) -> Option<usize> {
    let starts = text[from..].match_indices(['<', '[', '◁']).map(|(start, _)| from + start);
    starts.into_iter().find_map(|start| Some(start + end_mark(&text[start..])?))
}

/// Returns the position after reasoning that begins at `at`; the end of the text if it has no end.
fn end_of_reasoning(text: &str, mut at: usize, open: &str, close: &str) -> usize {
    let first = close.chars().next().unwrap_or('<');
    let mut depth = 1;
    while let Some(offset) = text[at..].find(first) {
        at += offset;
        let rest = &text[at..];
        if begins_with(rest, close) {
            depth -= 1;
            at += close.len();
        } else if begins_with(rest, open) {
            depth += 1;
            at += open.len();
        } else {
            at += first.len_utf8();
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Returns `true` for a brace with the quotation mark of a key. Other braces are prose, code, or an
/// empty object, which is no document.
fn begins_like_an_object(text: &str) -> bool {
    text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

/// Returns the length of the object at the beginning of a text, by its braces.
fn length_of_object(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{') => depth += 1,
            (false, b'}') if depth == 1 => return Some(index + 1),
            (false, b'}') => depth -= 1,
            _ => {}
        }
    }
    None
}
