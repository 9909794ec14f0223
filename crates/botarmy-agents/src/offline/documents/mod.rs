//! The documents: what is common to all of them. Each is a JSON object with a readable Markdown
//! text and the same facts as structure.

pub(super) mod architecture;
pub(super) mod implementation;
pub(super) mod plan;
pub(super) mod specification;

use serde_json::{Map, Value, json};

use super::brief::Step;
use super::files::SourceCode;
use super::product::{ChangeRequest, Product};
use super::template::{Values, markdown, quotation, render};
use super::{ENGINE, STATEMENT};

/// Who wrote something, in words that leave no doubt.
pub(super) fn generated_by(step: Step) -> Value {
    json!({
        "engine": ENGINE,
        "kind": "deterministic template engine",
        "language_model": false,
        "statement": STATEMENT,
        "version": env!("CARGO_PKG_VERSION"),
        "step": step.name(),
    })
}

/// Puts a document together from its Markdown template and its structured fields.
fn document(
    step: Step,
    product: &Product,
    title: &str,
    template: &str,
    values: &mut Values,
    fields: Value,
) -> Value {
    let summary = product.summary();
    values
        .set("name", &product.name)
        .set("statement", STATEMENT)
        .set("summary", &summary)
        .set("idea", quotation(&product.idea))
        .set("singular", &product.singular)
        .set("plural", &product.plural)
        .set("changes", changes(product));
    let mut text = render(template, values, markdown);
    text.truncate(text.trim_end().len());
    text.push('\n');

    let mut document = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    document.insert("title".to_owned(), format!("{title}: {}", product.name).into());
    document.insert("generated_by".to_owned(), generated_by(step));
    document.insert("summary".to_owned(), summary.into());
    document.insert("markdown".to_owned(), text.into());
    document.insert("product".to_owned(), json!(product));
    document.insert(
        "changes_requested".to_owned(),
        product
            .changes
            .iter()
            .map(|change| json!({"text": change.text, "story": change.story, "effect": effect(change)}))
            .collect(),
    );
    document.into()
}

/// The section with the reviewers' requests; nothing when there are none.
fn changes(product: &Product) -> String {
    let mut text = String::new();
    for change in &product.changes {
        if text.is_empty() {
            text.push_str("\n## Changes requested by a reviewer\n");
        }
        let story = markdown(&change.story);
        text.push_str(&format!("\n{}\n\n{story}: {}\n", quotation(&change.text), effect(change)));
    }
    text
}

/// What a request did to the product.
pub(super) fn effect(change: &ChangeRequest) -> String {
    let mut sentences = Vec::new();
    if !change.added.is_empty() {
        sentences.push(format!("Taken up in the application: {}.", names(&change.added)));
    }
    if !change.removed.is_empty() {
        sentences.push(format!("Left out of the application: {}.", names(&change.removed)));
    }
    if sentences.is_empty() {
        return "Recorded. The templates found no part to add or to leave out because of it; a \
                person has to build it."
            .to_owned();
    }
    sentences
        .push("What it asks for beyond that is recorded here and left to a person.".to_owned());
    sentences.join(" ")
}

fn names(features: &[String]) -> String {
    let names: Vec<&str> = features
        .iter()
        .map(|feature| match feature.as_str() {
            "rating" => "ratings",
            "share" => "sharing",
            "photo" => "pictures",
            "due" => "dates",
            "price" => "prices",
            "done" => "ticking off",
            "person" => "a responsible person",
            "print" => "printing",
            other => other,
        })
        .collect();
    names.join(", ")
}

/// The content of a `source_code` artifact.
pub(super) fn source_code(
    source: &SourceCode,
    product: Option<&Product>,
    step: Step,
    summary: &str,
    notes: &[String],
) -> Value {
    let mut content = json!({
        "files": source.to_json(),
        "entry": source.entry,
        "generated_by": generated_by(step),
        "summary": summary,
        "notes": notes,
    });
    if let Some(product) = product {
        content["product"] = json!(product);
    }
    content
}

/// A Markdown table. The cells are Markdown already.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("\n| {} |", row.join(" | ")));
    }
    text
}
