//! Building the application: a few static files that work from a folder, without a server.
//!
//! The first build has one deliberate defect: the main page refers to a style sheet by a name that
//! no file has. A template engine makes no mistakes of its own, and a workflow whose tests can
//! never fail would prove nothing. So the tests have a real defect to find, and the fix works from
//! real test results.

use std::fmt::Write as _;

use botarmy_domain::source_code::{SourceCode, SourceFile};
use serde_json::json;

use crate::field::{Field, FieldKind};
use crate::idea::{self, capitalised};
use crate::product::Product;
use crate::statement::STATEMENT;
use crate::template::{Values, bullets, clip, html, markdown, quotation, render, script_json};

/// Path of the page to open first.
pub(crate) const ENTRY: &str = "index.html";

/// Name by which the first build refers to its style sheet.
const WRONG_STYLESHEET: &str = "style.css";
/// Name of the style sheet.
const STYLESHEET: &str = "styles.css";

/// Builds the application without the defect of the first build.
pub(crate) fn build(product: &Product) -> SourceCode {
    let values = values(product);
    let page = |template| render(template, &values, html);
    let data = json!({
        "name": product.name,
        "singular": product.singular,
        "plural": product.plural,
        "storage_key": storage_key(product),
        "file_name": product.slug(),
        "fields": product.fields,
        "samples": product.samples(),
    });
    let export = json!({ "name": product.name, "items": product.samples() });
    let files = vec![
        SourceFile::new("README.md", readme(product)),
        SourceFile::new("about.html", page(include_str!("templates/app/about.html"))),
        SourceFile::new("app.js", include_str!("templates/app/app.js")),
        SourceFile::new("data.js", format!("window.APP = {};\n", script_json(&data))),
        SourceFile::new("data.json", format!("{export:#}\n")),
        SourceFile::new("icon.svg", page(include_str!("templates/app/icon.svg"))),
        SourceFile::new(ENTRY, page(include_str!("templates/app/index.html"))),
        SourceFile::new(STYLESHEET, page(include_str!("templates/app/styles.css"))),
        SourceFile::new("theme.js", include_str!("templates/app/theme.js")),
    ];
    SourceCode { files, entry: ENTRY.to_owned() }
}

/// Builds the application with the one defect of the first build.
pub(crate) fn first_build(product: &Product) -> SourceCode {
    let mut source = build(product);
    let right = format!("href=\"{STYLESHEET}\"");
    let wrong = format!("href=\"{WRONG_STYLESHEET}\"");
    if let Some(page) = source.files.iter_mut().find(|file| file.path == ENTRY) {
        page.content = page.content.replacen(&right, &wrong, 1);
    }
    source
}

/// Returns the requirements that the application does not implement, as sentences.
pub(crate) fn gaps(product: &Product) -> Vec<String> {
    let built: Vec<&str> = PLACES.iter().map(|(feature, _)| *feature).chain(["request"]).collect();
    product
        .stories
        .iter()
        .filter(|story| !story.feature.as_deref().is_some_and(|feature| built.contains(&feature)))
        .map(|story| format!("{}: {}", story.id, clip(&story.i_want, 200)))
        .collect()
}

/// Number of places in the application where the criteria of a feature are marked. The last place
/// gets the remaining criteria.
const PLACES: &[(&str, usize)] = &[
    ("list", 2),
    ("add", 2),
    ("edit", 1),
    ("delete", 2),
    ("search", 3),
    ("keep", 3),
    ("accessible", 2),
    ("share", 1),
    ("print", 1),
    ("rating", 1),
    ("photo", 1),
    ("due", 1),
    ("price", 1),
    ("done", 1),
    ("person", 1),
    ("tags", 1),
    ("notes", 1),
];

/// Returns the attribute that marks a place with its criteria; empty without criteria.
fn mark(ids: &[&str]) -> String {
    if ids.is_empty() {
        String::new()
    } else {
        format!(" data-acceptance=\"{}\"", html(&ids.join(" ")))
    }
}

fn values(product: &Product) -> Values {
    let domain = idea::domain(&product.domain);
    let mut values = Values::default();
    values
        .set("name", &product.name)
        .set("summary", product.summary())
        .set("lead", lead(product))
        .set("idea", &product.idea)
        .set("statement", STATEMENT)
        .set("icon", &domain.icon)
        .set("hue", domain.hue.to_string())
        .set("comment_name", product.name.replace("*/", "* /"))
        .set("singular", &product.singular)
        .set("plural", &product.plural)
        .set("Plural", capitalised(&product.plural))
        .set("first_label", &product.fields[0].label)
        .set("filter", filter(product))
        .set("sort_options", sort_options(product))
        .set("form_fields", product.fields.iter().map(|f| control(product, f)).collect::<String>())
        .set(
            "share_button",
            button(product, "share", "type=\"button\" data-action=\"share\"", "Share"),
        )
        .set("print_button", button(product, "print", "type=\"button\" id=\"print\"", "Print"))
        .set("stories", stories(product))
        .set("changes", changes(product))
        .set("gaps", gaps_section(product));
    for (feature, places) in PLACES {
        let ids = product.criteria_of(feature);
        for place in 0..*places {
            let here: &[&str] = if place + 1 == *places {
                ids.get(place..).unwrap_or_default()
            } else {
                ids.get(place..=place).unwrap_or_default()
            };
            values.set(&format!("ac_{feature}_{place}"), mark(here));
        }
    }
    values
}

fn lead(product: &Product) -> String {
    let purpose = capitalised(&idea::domain(&product.domain).purpose);
    match &product.audience {
        Some(audience) => format!("{purpose}. Made for {audience}."),
        None => format!("{purpose}."),
    }
}

fn storage_key(product: &Product) -> String {
    let digest = botarmy_domain::artifact::digest_bytes(product.idea.as_bytes());
    format!("{}-{}", product.slug(), &digest[..8])
}

/// Returns a labelled form control for a field.
fn control(product: &Product, field: &Field) -> String {
    let id = format!("field-{}", field.name);
    let required = if field.required { " required" } else { "" };
    let common = format!("id=\"{id}\" name=\"{}\"{required}", field.name);
    let control = match field.kind {
        FieldKind::Text => format!("<input {common} type=\"text\" maxlength=\"200\">"),
        FieldKind::Photo => {
            format!("<input {common} type=\"url\" maxlength=\"2000\" placeholder=\"https://…\">")
        }
        FieldKind::Long => format!("<textarea {common} maxlength=\"10000\"></textarea>"),
        FieldKind::Number => format!("<input {common} type=\"number\" step=\"any\">"),
        FieldKind::Money => format!("<input {common} type=\"number\" step=\"0.01\" min=\"0\">"),
        FieldKind::Date => format!("<input {common} type=\"date\">"),
        FieldKind::Check => format!("<input {common} type=\"checkbox\">"),
        FieldKind::Choice => {
            let options = field.options.iter().map(|option| (option.clone(), option.clone()));
            select(&common, options.collect())
        }
        FieldKind::Rating => {
            select(&common, (1..=5).rev().map(|n: usize| (n.to_string(), "★".repeat(n))).collect())
        }
    };
    // Optional features are marked at their field.
    let ids: Vec<&str> = PLACES
        .iter()
        .filter(|(feature, _)| product.field_for(feature) == Some(field))
        .flat_map(|(feature, _)| product.criteria_of(feature))
        .collect();
    let here = mark(&ids);
    let hint = if field.required { " <span class=\"hint\">(needed)</span>" } else { "" };
    format!(
        "      <div class=\"field\"{here}>\n        <label for=\"{id}\">{}{hint}</label>\n        \
         {control}\n      </div>\n",
        html(&field.label)
    )
}

fn select(common: &str, options: Vec<(String, String)>) -> String {
    let mut select = format!("<select {common}>\n          <option value=\"\">–</option>\n");
    for (value, text) in options {
        let _ = writeln!(
            select,
            "          <option value=\"{}\">{}</option>",
            html(&value),
            html(&text)
        );
    }
    select.push_str("        </select>");
    select
}

fn button(product: &Product, feature: &str, attributes: &str, text: &str) -> String {
    if !product.has(feature) {
        return String::new();
    }
    let mark = mark(&product.criteria_of(feature));
    format!("          <button {attributes}{mark}>{text}</button>\n")
}

fn filter(product: &Product) -> String {
    let Some(field) = product.fields.iter().find(|field| field.kind == FieldKind::Choice) else {
        return String::new();
    };
    let mut options = String::new();
    for option in &field.options {
        let option = html(option);
        let _ = writeln!(options, "          <option value=\"{option}\">{option}</option>");
    }
    let label = html(&field.label);
    format!(
        "      <div class=\"field\">\n        <label for=\"filter\">{label}</label>\n        \
         <select id=\"filter\" name=\"filter\" data-field=\"{}\">\n          \
         <option value=\"\">All</option>\n{options}        </select>\n      </div>\n",
        field.name
    )
}

fn sort_options(product: &Product) -> String {
    let sortable = [FieldKind::Date, FieldKind::Number, FieldKind::Money, FieldKind::Rating];
    let mut options = String::new();
    for field in product.fields.iter().filter(|field| sortable.contains(&field.kind)).take(3) {
        let _ = writeln!(
            options,
            "          <option value=\"{}\">{}</option>",
            field.name,
            html(&field.label)
        );
    }
    options
}

fn stories(product: &Product) -> String {
    let mut out = String::new();
    let built = product.stories.iter().filter(|story| {
        story.feature.as_deref().is_some_and(|feature| PLACES.iter().any(|(f, _)| *f == feature))
    });
    for story in built {
        let _ = writeln!(
            out,
            "      <li><strong>{}</strong> {}, so that {}.\n        <ul>",
            html(&story.id),
            html(&capitalised(&story.i_want)),
            html(&story.so_that)
        );
        for criterion in &story.acceptance {
            let (id, text) = (html(&criterion.id), html(&criterion.text));
            let _ = writeln!(out, "          <li>{id}: {text}</li>");
        }
        out.push_str("        </ul>\n      </li>\n");
    }
    out
}

/// Returns the section with the reviewers' requests in their own words.
fn changes(product: &Product) -> String {
    if product.changes.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "    <h2 id=\"changes\">Changes requested by a reviewer</h2>\n    <ul class=\"stories\">\n",
    );
    for change in &product.changes {
        let ids: Vec<&str> = product
            .stories
            .iter()
            .filter(|story| story.id == change.story)
            .flat_map(|story| story.acceptance.iter().map(|criterion| criterion.id.as_str()))
            .collect();
        let _ = writeln!(
            out,
            "      <li{}><blockquote><p>{}</p></blockquote>\n        <p>{}</p>\n      </li>",
            mark(&ids),
            html(&change.text),
            html(&change.effect())
        );
    }
    out.push_str("    </ul>\n");
    out
}

fn gaps_section(product: &Product) -> String {
    let gaps = gaps(product);
    if gaps.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "    <h2>What it cannot do</h2>\n    <p>These requirements have no part in the templates \
         and were not built.</p>\n    <ul>\n",
    );
    for gap in gaps {
        let _ = writeln!(out, "      <li>{}</li>", html(&gap));
    }
    out.push_str("    </ul>\n");
    out
}

fn readme(product: &Product) -> String {
    let changes = if product.changes.is_empty() {
        String::new()
    } else {
        let lines = product
            .changes
            .iter()
            .map(|change| format!("{} ({})", markdown(&change.text), change.effect()));
        format!("\n## Changes requested by a reviewer\n\n{}\n", bullets(lines))
    };
    let fields = product.fields.iter().map(|field| {
        let needed = if field.required { ", needed" } else { "" };
        format!("`{}`: {} ({}{needed})", field.name, markdown(&field.label), field.kind.as_str())
    });
    let mut values = Values::default();
    values
        .set("name", &product.name)
        .set("summary", product.summary())
        .set("statement", STATEMENT)
        .set("plural", &product.plural)
        .set("storage_key", storage_key(product))
        .set("files", bullets(FILES.iter().map(|(path, what)| format!("`{path}`: {what}"))))
        .set("fields", bullets(fields))
        .set("idea", quotation(&product.idea))
        .set("changes", changes);
    let mut text = render(include_str!("templates/app/README.md"), &values, markdown);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Files of the application with their purposes, as the documents list them.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("index.html", "the page with the list, the form and the dialogs"),
    ("styles.css", "the appearance, light and dark, narrow and wide"),
    ("app.js", "the behaviour: show, search, add, edit, delete, keep, export, import"),
    ("data.js", "names, fields and samples, as a script so that it also loads from a folder"),
    ("data.json", "the samples in the form of an export"),
    ("about.html", "what it is, what it can do, and how it was made"),
    ("theme.js", "the chosen appearance on the other pages"),
    ("icon.svg", "the icon"),
    ("README.md", "how to use it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_described_files_are_the_built_files() {
        let mut built: Vec<_> =
            build(&Product::from_idea("x")).files.into_iter().map(|file| file.path).collect();
        let mut described: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        built.sort();
        described.sort();
        assert_eq!(built, described);
    }

    #[test]
    fn the_first_build_differs_in_exactly_one_place() {
        let product = Product::from_idea("A recipe-sharing site for small families");
        let (first, right) = (first_build(&product), build(&product));
        let different: Vec<_> =
            first.files.iter().zip(&right.files).filter(|(a, b)| a != b).collect();
        assert_eq!(different.len(), 1);
        let (wrong, right) = different[0];
        assert_eq!(wrong.content.replacen(WRONG_STYLESHEET, STYLESHEET, 1), right.content);
    }

    #[test]
    fn no_placeholder_is_left_in_a_built_file() {
        for file in build(&Product::from_idea("recipes with photos, ratings, sharing, print")).files
        {
            assert!(!file.content.contains("{{"), "{}", file.path);
        }
    }
}
