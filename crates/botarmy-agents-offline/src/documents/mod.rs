//! The documents. Each is a JSON object with a Markdown text and the same facts as fields.

pub(super) mod architecture;
pub(super) mod coordination;
pub(super) mod implementation;
pub(super) mod plan;
pub(super) mod specification;

use botarmy_domain::source_code::SourceCode;
use serde_json::{Map, Value, json};

use crate::not_built;
use crate::product::Product;
use crate::statement::{ENGINE, STATEMENT};
use crate::step::Step;
use crate::template::{Values, markdown, quotation, render};

/// Returns the description of the author: a template engine and not a language model.
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

/// Creates a document from its Markdown template and its fields.
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
        .set("changes", changes(product))
        .set(
            "language",
            product.language_note().map_or_else(String::new, |note| format!("\n{note}\n")),
        );
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
    if let Some(language) = product.foreign_language() {
        document.insert("idea_language".to_owned(), language.name.into());
    }
    document.insert(
        "changes_requested".to_owned(),
        product
            .changes
            .iter()
            .map(|change| json!({"text": change.text, "story": change.story, "effect": change.effect()}))
            .collect(),
    );
    document.into()
}

/// Returns the section with the reviewers' requests; empty if there are none.
fn changes(product: &Product) -> String {
    let mut text = String::new();
    for change in &product.changes {
        if text.is_empty() {
            text.push_str("\n## Changes requested by a reviewer\n");
        }
        let story = markdown(&change.story);
        text.push_str(&format!("\n{}\n\n{story}: {}\n", quotation(&change.text), change.effect()));
    }
    text
}

/// Returns the content of a `source_code` artifact.
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
        content["not_built"] = not_built::of(product).requirements.into();
    }
    content
}

/// Returns a Markdown table. The cells are Markdown already.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("\n| {} |", row.join(" | ")));
    }
    text
}
