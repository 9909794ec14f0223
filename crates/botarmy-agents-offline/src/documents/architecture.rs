//! The system architecture: components, data, decisions and their reasons.

use serde_json::{Value, json};

use super::{document, table};
use crate::application::files;
use crate::domain::domain;
use crate::kind::Kind;
use crate::product::Product;
use crate::step::Step;
use crate::template::{Values, bullets, markdown};

/// Drafts the system architecture.
pub(crate) fn draft(product: &Product) -> Value {
    let decisions = decisions(product);
    let flow = flow(product);
    let files = files(product);
    let fields: Vec<String> = product
        .fields
        .iter()
        .map(|field| {
            let needed = if field.required { ", needed" } else { "" };
            format!(
                "`{}` ({}{needed}): {}",
                field.name,
                field.kind.as_str(),
                markdown(&field.label)
            )
        })
        .collect();
    let mut values = Values::default();
    values
        .set(
            "components",
            table(
                &["File", "Responsible for"],
                files.iter().map(|(path, what)| vec![format!("`{path}`"), (*what).to_owned()]),
            ),
        )
        .set("fields", bullets(&fields))
        .set(
            "panel",
            if domain(&product.domain).panel().is_some() {
                "     │\n  panel.js                           what this kind of application adds\n"
            } else {
                ""
            },
        )
        .set("flow", bullets(flow.iter().map(|line| markdown(line))))
        .set(
            "decisions",
            decisions
                .iter()
                .map(|(what, why, instead)| {
                    format!(
                        "### {}\n\n{} Considered instead: {}",
                        markdown(what),
                        markdown(why),
                        markdown(instead)
                    )
                })
                .collect::<Vec<_>>()
                .join("\n\n"),
        );
    let fields = json!({
        "components": files.iter().map(|(path, what)| json!({
            "file": path, "responsibility": what,
        })).collect::<Vec<_>>(),
        "entities": [{
            "name": product.singular, "plural": product.plural, "fields": product.fields,
        }],
        "flow": flow,
        "decisions": decisions.iter().map(|(what, why, instead)| json!({
            "decision": what, "reason": why, "alternative": instead,
        })).collect::<Vec<_>>(),
    });
    let template = include_str!("../templates/architecture.md");
    let title = "System architecture";
    document(Step::ArchitecturalDesign, product, title, template, &mut values, fields)
}

fn flow(product: &Product) -> Vec<String> {
    let many = &product.plural;
    vec![
        format!(
            "On opening, the page reads the kept {many}; the first time, the samples of data.js."
        ),
        "Every change goes the same way: check the form, change the list, keep it, show it again."
            .to_owned(),
        format!("Search, filter and order are applied to the {many} in memory whenever one types."),
        "An imported file is read completely before anything of it is taken over.".to_owned(),
    ]
}

fn decisions(product: &Product) -> Vec<(String, String, String)> {
    let mut decisions = vec![
        (
            "Static files, no framework and no build step".to_owned(),
            "The product is one list with a form and what is shown of it. Files that a browser reads directly can be \
             opened, inspected and hosted by anybody, and nothing has to be kept up to date."
                .to_owned(),
            "a framework with a bundler, which would cost more than the product itself.".to_owned(),
        ),
        (
            "The data stays in the browser".to_owned(),
            format!(
                "The {} belong to the person who entered them. Export and import carry them \
                 elsewhere.",
                product.plural
            ),
            "a server with accounts, which the idea does not need to be useful.".to_owned(),
        ),
        (
            "Samples come as a script".to_owned(),
            "A page that was opened from a folder may not fetch a JSON file. The same samples are \
             also shipped as JSON, in the form of an export."
                .to_owned(),
            "fetching data.json, which works on a server only.".to_owned(),
        ),
        (
            "Text is shown as text".to_owned(),
            "The script sets textContent and never builds HTML from what a person entered."
                .to_owned(),
            "string templates with escaping, where one forgotten place is enough.".to_owned(),
        ),
    ];
    if domain(&product.domain).kind == Kind::Conversation {
        decisions.push((
            "Answers are chosen by their words".to_owned(),
            "Everybody can see why an answer came, and it works without a network.".to_owned(),
            "a language model, which needs a server and a key, and may invent an answer."
                .to_owned(),
        ));
    }
    if product.has("share") {
        decisions.push((
            "Sharing uses what the device offers".to_owned(),
            "The system's share dialog where there is one, the clipboard otherwise.".to_owned(),
            "links to particular networks, which would age and would be watched.".to_owned(),
        ));
    }
    decisions
}
