//! The document `botarmy.command/1` against its golden file.

use botarmy_domain::{Assignment, WorkerDocument};
use serde_json::{Value, json};

use crate::sample_assignment::{GOLDEN, golden, sample_assignment};

#[test]
fn the_document_is_the_golden_file() {
    let job = sample_assignment(Some("s1".to_owned()));
    let document = serde_json::to_value(WorkerDocument::of(&job)).unwrap();
    assert_eq!(document, golden(), "{document:#}");
    let text = serde_json::to_string_pretty(&WorkerDocument::of(&job)).unwrap();
    assert_eq!(text.trim(), GOLDEN.trim(), "the order of the keys");
}

#[test]
fn every_key_is_present_where_there_is_no_value() {
    let job = Assignment {
        handoff: None,
        context: Vec::new(),
        output_type: None,
        output_schema: None,
        resume: None,
        ..sample_assignment(None)
    };
    let mut expected = golden();
    expected["task"]["step"] = Value::Null;
    expected["task"]["output_type"] = Value::Null;
    expected["context"] = json!([]);
    expected["output_schema"] = Value::Null;
    expected["resume"] = Value::Null;
    assert_eq!(serde_json::to_value(WorkerDocument::of(&job)).unwrap(), expected);
}
