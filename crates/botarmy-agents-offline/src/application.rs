//! Building the application: a few static files that work from a folder, without a server.
//!
//! A first build may have one deliberate defect: the main page refers to a style sheet by a name
//! that no file has. A template engine makes no mistakes of its own, and a test that can never fail
//! would prove nothing. So the tests have a real defect to find, and the fix works from real test
//! results. The defect is only made where the workflow has both steps.

mod form;
mod openapi;

use std::fmt::Write as _;

use botarmy_domain::source_code::{SourceCode, SourceFile};
use serde_json::json;

use crate::domain::domain;
use crate::english::{capitalised, with_article};
use crate::field::FieldKind;
use crate::idea;
use crate::kind::{Kind, Panel};
use crate::not_built;
use crate::places::{PANEL_PLACES, PLACES, has_place, mark};
use crate::product::Product;
use crate::statement::STATEMENT;
use crate::stories;
use crate::template::{Values, bullets, html, markdown, quotation, render, script_json};

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
    let domain = domain(&product.domain);
    let data = json!({
        "name": product.name,
        "singular": product.singular,
        "plural": product.plural,
        "with_article": with_article(&product.singular),
        "storage_key": storage_key(product),
        "file_name": product.slug(),
        "fields": product.fields,
        "roles": domain.roles,
        "samples": product.samples(),
    });
    let export = json!({ "name": product.name, "items": product.samples() });
    let mut styles = page(include_str!("templates/app/styles.css"));
    let mut files = vec![
        SourceFile::new("README.md", readme(product)),
        SourceFile::new("about.html", page(include_str!("templates/app/about.html"))),
        SourceFile::new("app.js", include_str!("templates/app/app.js")),
        SourceFile::new("data.js", format!("window.APP = {};\n", script_json(&data))),
        SourceFile::new("data.json", format!("{export:#}\n")),
        SourceFile::new("icon.svg", page(include_str!("templates/app/icon.svg"))),
        SourceFile::new(ENTRY, page(include_str!("templates/app/index.html"))),
        SourceFile::new("theme.js", include_str!("templates/app/theme.js")),
    ];
    if let Some(panel) = panel(product) {
        let _ = write!(styles, "\n{}", panel.css);
        files.push(SourceFile::new("panel.js", panel.script));
    }
    if product.has("api") {
        files.push(SourceFile::new("openapi.json", openapi::document(product)));
    }
    files.push(SourceFile::new(STYLESHEET, styles));
    files.sort_by(|a, b| a.path.cmp(&b.path));
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

/// Returns the panel of the application, if it has one.
fn panel(product: &Product) -> Option<&'static Panel> {
    domain(&product.domain).panel()
}

fn values(product: &Product) -> Values {
    let domain = domain(&product.domain);
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
        .set("a_singular", with_article(&product.singular))
        .set("overlap_note", stories::overlap(&product.about()))
        .set("filter", filter(product))
        .set("sort_options", sort_options(product))
        .set(
            "form_fields",
            product.fields.iter().map(|f| form::control(product, f)).collect::<String>(),
        )
        .set(
            "share_button",
            button(product, "share", "type=\"button\" data-action=\"share\"", "Share"),
        )
        .set(
            "sheet_button",
            button(product, "sheet", "type=\"button\" data-action=\"sheet\"", "Print"),
        )
        .set("print_button", button(product, "print", "type=\"button\" id=\"print\"", "Print"))
        .set("stories", stories(product))
        .set("changes", changes(product))
        .set("not_built", not_built_section(product))
        .set("language", language_note(product))
        .set("idea_lang", idea_lang(product))
        .set("programs", programs(product));
    if let Some(state) = domain.role("state")
        && let Some(field) = product.fields.iter().find(|field| field.name == state)
    {
        values.set("state_label", &field.label);
    }
    for (feature, places) in PLACES.iter().chain(PANEL_PLACES) {
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
    let panel = panel(product);
    let html_of = |panel: &Panel| render(panel.html, &values, html);
    let panel_html = panel.map(html_of).unwrap_or_default();
    let hides_list = domain.kind == Kind::Quiz;
    values
        .set("panel", panel_html)
        .set("panel_script", if panel.is_some() { PANEL_SCRIPT } else { "" })
        .set("list_open", list_opening(product, hides_list, panel.is_some()))
        .set("list_close", if hides_list { "    </details>\n" } else { "" });
    values
}

const PANEL_SCRIPT: &str = "  <script src=\"panel.js\" defer></script>\n";

/// Returns what stands before the list: nothing where it is all there is, else a heading; in a quiz
/// a box to open, because the list holds the answers.
fn list_opening(product: &Product, hides_list: bool, has_panel: bool) -> String {
    let many = html(&product.plural);
    if hides_list {
        format!(
            "    <details class=\"behind\">\n      <summary>All {many}, with their answers</summary>\n"
        )
    } else if has_panel {
        format!("    <h2 class=\"list-title\">All {many}</h2>\n")
    } else {
        String::new()
    }
}

/// Returns the note for programs, if the idea asks for it.
fn programs(product: &Product) -> String {
    if !product.has("api") {
        return String::new();
    }
    let mark = mark(&product.criteria_of("api"));
    format!(
        "      <p{mark}>For programs: <a href=\"data.json\">data.json</a> has the samples, and <a \
         href=\"openapi.json\">openapi.json</a> describes it. Any host of static files serves both; \
         there is no server program.</p>\n"
    )
}

fn language_note(product: &Product) -> String {
    product
        .language_note()
        .map_or_else(String::new, |note| format!("    <p class=\"language\">{}</p>\n", html(&note)))
}

/// Returns the attribute with the language of the idea, where it is not that of the page.
fn idea_lang(product: &Product) -> String {
    product
        .foreign_language()
        .map_or_else(String::new, |language| format!(" lang=\"{}\"", language.tag))
}

fn lead(product: &Product) -> String {
    let purpose = capitalised(&domain(&product.domain).purpose);
    let subject = idea::subject(&product.idea)
        .map_or_else(String::new, |subject| format!(" About {subject}."));
    let audience = product
        .audience
        .as_ref()
        .map_or_else(String::new, |audience| format!(" Made for {audience}."));
    format!("{purpose}.{subject}{audience}")
}

fn storage_key(product: &Product) -> String {
    let digest = botarmy_domain::artifact::digest_bytes(product.idea.as_bytes());
    format!("{}-{}", product.slug(), &digest[..8])
}

fn button(product: &Product, feature: &str, attributes: &str, text: &str) -> String {
    if !product.has(feature) {
        return String::new();
    }
    let mark = mark(&product.criteria_of(feature));
    format!("          <button {attributes}{mark}>{text}</button>\n")
}

fn filter(product: &Product) -> String {
    let state = domain(&product.domain).role("state");
    let choices = || product.fields.iter().filter(|field| field.kind == FieldKind::Choice);
    let of_state = choices().find(|field| Some(field.name.as_str()) == state);
    let Some(field) = of_state.or_else(|| choices().next()) else { return String::new() };
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

/// Returns the orders of the list. The first one holds when the page opens: the one that a kind of
/// application is read in.
fn sort_options(product: &Product) -> String {
    let domain = domain(&product.domain);
    let sortable = [FieldKind::Date, FieldKind::Number, FieldKind::Money, FieldKind::Rating];
    let fields = product.fields.iter().filter(|field| sortable.contains(&field.kind)).take(3);
    let mut orders = vec![
        ("newest".to_owned(), "Newest first".to_owned()),
        ("oldest".to_owned(), "Oldest first".to_owned()),
        ("name".to_owned(), format!("{}, A to Z", product.fields[0].label)),
    ];
    orders.extend(fields.map(|field| (field.name.clone(), field.label.clone())));
    let first = match domain.kind {
        Kind::Records | Kind::Documents => "newest",
        Kind::Planner => domain.role("date").unwrap_or("newest"),
        Kind::Guide => domain.role("order").unwrap_or("oldest"),
        Kind::Converter | Kind::Conversation | Kind::Quiz | Kind::Streaks => "oldest",
    };
    // A stable sort: the others keep their order.
    orders.sort_by_key(|(value, _)| value != first);
    let mut options = String::new();
    for (value, text) in orders {
        let text = html(&text);
        let _ = writeln!(options, "          <option value=\"{}\">{text}</option>", html(&value));
    }
    options
}

fn stories(product: &Product) -> String {
    let mut out = String::new();
    let kind = domain(&product.domain).kind;
    let built = product
        .stories
        .iter()
        .filter(|story| story.feature.as_deref().is_some_and(|feature| has_place(feature, kind)));
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

/// Returns the section with what the templates did not build.
fn not_built_section(product: &Product) -> String {
    let not_built = not_built::of(product);
    let mut out = String::from("    <h2 id=\"not-built\">Not built</h2>\n");
    if not_built.requirements.is_empty() {
        out.push_str(
            "    <p>The templates have a part for everything that they recognised in the idea. What \
             they did not recognise was not built.</p>\n",
        );
    } else {
        out.push_str("    <p>The templates have no part for these requirements.</p>\n    <ul>\n");
        for line in &not_built.requirements {
            let _ = writeln!(out, "      <li>{}</li>", html(line));
        }
        out.push_str("    </ul>\n");
    }
    if !not_built.words.is_empty() {
        let words = html(&not_built.words.join(", "));
        let _ = writeln!(out, "    <p>Words of the idea that changed nothing: {words}.</p>");
    }
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
        .set(
            "files",
            bullets(files(product).iter().map(|(path, what)| format!("`{path}`: {what}"))),
        )
        .set("not_built", not_built_markdown(product))
        .set(
            "language",
            product.language_note().map_or_else(String::new, |note| format!("\n{note}\n")),
        )
        .set("fields", bullets(fields))
        .set("idea", quotation(&product.idea))
        .set("changes", changes);
    let mut text = render(include_str!("templates/app/README.md"), &values, markdown);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Returns the list of what was not built, as Markdown.
pub(crate) fn not_built_markdown(product: &Product) -> String {
    let not_built = not_built::of(product);
    let mut text = if not_built.requirements.is_empty() {
        "Nothing that the templates recognised. What they did not recognise was not built."
            .to_owned()
    } else {
        bullets(not_built.requirements.iter().map(|line| markdown(line)))
    };
    if !not_built.words.is_empty() {
        let _ = write!(
            text,
            "\n\nWords of the idea that changed nothing: {}.",
            markdown(&not_built.words.join(", "))
        );
    }
    text
}

/// Returns the files of the application with their purposes, as the documents list them.
pub(crate) fn files(product: &Product) -> Vec<(&'static str, &'static str)> {
    let mut files = vec![
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
    if let Some(panel) = panel(product) {
        files.insert(3, ("panel.js", panel.purpose));
    }
    if product.has("api") {
        files.push(("openapi.json", "the description of data.json for programs"));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idea for every kind of application, and an optional file.
    const IDEAS: &[&str] = &[
        "x",
        "recipes",
        "A currency API",
        "Invoicing for freelancers",
        "A chatbot",
        "A quiz",
        "Flashcards",
        "A habit tracker",
        "An audio guide",
        "A tool library",
        "A room booking planner",
        "An API for recipes",
    ];

    #[test]
    fn the_described_files_are_the_built_files() {
        for idea in IDEAS {
            let product = Product::from_idea(idea);
            let mut built: Vec<_> =
                build(&product).files.into_iter().map(|file| file.path).collect();
            let mut described: Vec<_> =
                files(&product).iter().map(|(path, _)| (*path).to_owned()).collect();
            built.sort();
            described.sort();
            assert_eq!(built, described, "{idea}");
        }
    }

    #[test]
    fn every_kind_of_application_passes_its_own_tests() {
        for idea in IDEAS {
            let product = Product::from_idea(idea);
            let criteria: Vec<_> = product.criteria().map(|(_, one)| one.clone()).collect();
            for check in crate::checks::run(&build(&product), Some(&criteria)) {
                assert_eq!(check.failures, [], "{idea}");
            }
        }
        let kinds: Vec<_> =
            IDEAS.iter().map(|idea| domain(&Product::from_idea(idea).domain).kind).collect();
        for kind in Kind::ALL {
            assert!(kinds.contains(kind), "{kind:?} is not tested");
        }
    }

    #[test]
    fn every_feature_of_a_panel_has_a_story_and_a_place() {
        for domain in crate::domain::domains() {
            for feature in domain.features() {
                assert!(has_place(feature, domain.kind), "{feature}");
            }
        }
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
        for idea in IDEAS.iter().chain(&["recipes with photos, ratings, sharing, print"]) {
            for file in build(&Product::from_idea(idea)).files {
                assert!(!file.content.contains("{{"), "{idea}: {}", file.path);
            }
        }
    }
}
