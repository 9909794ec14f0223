//! The software specification: user stories with acceptance criteria, data and pages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{document, table};
use crate::application::not_built_markdown;
use crate::english::with_article;
use crate::not_built;
use crate::product::Product;
use crate::step::Step;
use crate::template::{Values, bullets, markdown, quotation};

/// Drafts the software specification.
pub(crate) fn draft(product: &Product) -> Value {
    let quality = quality();
    let pages = pages(product);
    let not_built = not_built::of(product);
    let mut values = Values::default();
    values
        .set("stories", stories(product))
        .set(
            "fields",
            table(
                &["Field", "Name in the data", "Kind", "Needed", "Choices"],
                product.fields.iter().map(|field| {
                    vec![
                        markdown(&field.label),
                        format!("`{}`", field.name),
                        field.kind.as_str().to_owned(),
                        if field.required { "yes" } else { "no" }.to_owned(),
                        markdown(&field.options.join(", ")),
                    ]
                }),
            ),
        )
        .set(
            "pages",
            bullets(pages.iter().map(|(path, what)| format!("`{path}`: {}", markdown(what)))),
        )
        .set("not_built", not_built_markdown(product))
        .set("quality", bullets(quality));

    let fields = json!({
        "user_stories": product.stories,
        "acceptance": product.criteria().map(|(story, criterion)| json!({
            "id": criterion.id, "text": criterion.text, "story": story.id,
        })).collect::<Vec<_>>(),
        "entities": [{
            "name": product.singular, "plural": product.plural, "fields": product.fields,
        }],
        "pages": pages.iter().map(|(path, what)| json!({"path": path, "purpose": what}))
            .collect::<Vec<_>>(),
        "quality": quality,
        "not_built": not_built.requirements,
        "unused_words": not_built.words,
    });
    let template = include_str!("../templates/specification.md");
    let title = "Software specification";
    document(Step::RequirementsAnalysis, product, title, template, &mut values, fields)
}

fn stories(product: &Product) -> String {
    let mut text = String::new();
    for story in &product.stories {
        let _ = write!(text, "### {}\n\n", markdown(&story.id));
        if story.feature.as_deref() == Some("request") {
            let _ = write!(text, "A reviewer asked:\n\n{}\n\n", quotation(&story.i_want));
        } else {
            let _ = write!(
                text,
                "As {}, I want to {}, so that {}.\n\n",
                markdown(&with_article(&story.as_a)),
                markdown(story.i_want.trim_start_matches("to ")),
                markdown(&story.so_that)
            );
        }
        for criterion in &story.acceptance {
            let (id, words) = (markdown(&criterion.id), markdown(&criterion.text));
            let _ = writeln!(text, "- **{id}** {words}");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

fn pages(product: &Product) -> Vec<(&'static str, String)> {
    vec![
        (
            "index.html",
            format!("the list of {}, the form, search, export and import", product.plural),
        ),
        ("about.html", "what it is, what it can do, and how it was made".to_owned()),
    ]
}

const fn quality() -> [&'static str; 5] {
    [
        "It opens from a folder in any current browser, without a server.",
        "It asks no other server for anything except pictures and recordings whose addresses a person \
         entered.",
        "What a person enters is shown as text and never runs as a program.",
        "Every control has a name, and everything works with the keyboard.",
        "It stays usable on a screen that is 320 pixels wide.",
    ]
}
