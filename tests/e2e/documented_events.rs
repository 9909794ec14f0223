//! docs/events.md lists every log entry with its payload, and the shape of every list of the API.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::EventType;
use serde_json::Value;

use crate::documentation::read;

/// Returns the sections of the page about log entries, by the name of the entry.
fn sections(page: &str) -> BTreeMap<String, String> {
    let sections = page.split("\n#### `").skip(1).map(|rest| {
        let (name, text) = rest.split_once('`').unwrap();
        (name.to_owned(), text.split("\n### ").next().unwrap().to_owned())
    });
    sections.collect()
}

/// Returns the fields of a section's tables, and whether each may be absent.
fn fields(section: &str) -> BTreeMap<String, bool> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        (name.to_owned(), rest.contains("may be absent"))
    })
    .collect()
}

#[test]
fn every_log_entry_is_documented_with_the_fields_of_its_payload() {
    let sections = sections(&read("docs/events.md"));
    let golden = read("crates/botarmy-domain/tests/rules/events.jsonl");
    let mut stored: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in golden.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let keys = entry["event_data"].as_object().unwrap().keys().cloned();
        stored.entry(entry["event_type"].as_str().unwrap().to_owned()).or_default().extend(keys);
    }
    let known: BTreeSet<_> = EventType::ALL.iter().map(|event| event.as_str().to_owned()).collect();
    assert_eq!(sections.keys().cloned().collect::<BTreeSet<_>>(), known);
    let mut compared = 0;
    for (event, section) in &sections {
        if section.contains("The payload is free") {
            continue;
        }
        let documented = fields(section);
        let stored = stored.get(event).unwrap_or_else(|| panic!("{event} has no golden entry"));
        for field in stored {
            assert!(documented.contains_key(field), "{event}: `{field}` is not documented");
        }
        for (field, may_be_absent) in documented {
            assert!(may_be_absent || stored.contains(&field), "{event}: there is no `{field}`");
        }
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} payloads were compared");
}

/// Shape of the answer of a list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Page,
    Array,
}

/// Returns the shape of a schema of the OpenAPI document, if it is that of a list.
fn shape(document: &Value, schema: &Value) -> Option<Shape> {
    if let Some(reference) = schema["$ref"].as_str() {
        return shape(document, document.pointer(reference.trim_start_matches('#'))?);
    }
    let is_page = schema["properties"]["items"].is_object()
        && schema["properties"]["next_cursor"] != Value::Null;
    if is_page {
        return Some(Shape::Page);
    }
    (schema["type"] == "array").then_some(Shape::Array)
}

#[test]
fn the_shape_of_every_list_is_documented() {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let mut lists = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let content = &item["get"]["responses"]["200"]["content"]["application/json"];
        if let Some(shape) = shape(&document, &content["schema"]) {
            lists.insert(path.clone(), shape);
        }
    }
    assert!(lists.len() >= 8, "{lists:?}");
    let page = read("docs/events.md");
    let row = |start: &str| page.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    let (pages, arrays) = (row("| An object `{\"items\""), row("| An array"));
    for (path, shape) in lists {
        let (right, other) = match shape {
            Shape::Page => (&pages, &arrays),
            Shape::Array => (&arrays, &pages),
        };
        let named = format!("`GET {path}`");
        assert!(right.contains(&named), "{path} is not among the lists that are a {shape:?}");
        assert!(!other.contains(&named), "{path} is not a {shape:?}");
    }
}
