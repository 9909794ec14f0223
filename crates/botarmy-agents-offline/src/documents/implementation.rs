//! The implementation plan: what is built in which order, and which criteria each task satisfies.

use serde_json::{Value, json};

use super::{document, table};
use crate::application::not_built_markdown;
use crate::domain::domain;
use crate::english::with_article;
use crate::extras::EXTRAS;
use crate::not_built;
use crate::product::Product;
use crate::step::Step;
use crate::template::{Values, bullets, markdown};

struct Task {
    id: String,
    title: String,
    file: &'static str,
    satisfies: Vec<String>,
    done_when: String,
}

/// Drafts the implementation plan.
pub(crate) fn draft(product: &Product) -> Value {
    let tasks = tasks(product);
    let tests = tests();
    let not_built = not_built::of(product).requirements;
    let mut values = Values::default();
    values
        .set(
            "tasks",
            table(
                &["", "Task", "File", "Satisfies", "Done when"],
                tasks.iter().map(|task| {
                    vec![
                        task.id.clone(),
                        markdown(&task.title),
                        format!("`{}`", task.file),
                        markdown(&task.satisfies.join(", ")),
                        markdown(&task.done_when),
                    ]
                }),
            ),
        )
        .set("tests", bullets(tests))
        .set("not_built", not_built_markdown(product));
    let fields = json!({
        "tasks": tasks.iter().map(|task| json!({
            "id": task.id, "title": task.title, "file": task.file,
            "satisfies": task.satisfies, "done_when": task.done_when,
        })).collect::<Vec<_>>(),
        "tests": tests,
        "not_covered": not_built,
    });
    let template = include_str!("../templates/implementation.md");
    let title = "Implementation plan";
    document(Step::ImplementationPlanning, product, title, template, &mut values, fields)
}

fn tasks(product: &Product) -> Vec<Task> {
    let many = &product.plural;
    let a = with_article(&product.singular);
    let criteria = |features: &[&str]| -> Vec<String> {
        features.iter().flat_map(|f| product.criteria_of(f)).map(str::to_owned).collect()
    };
    let extras: Vec<&str> = EXTRAS.iter().map(|extra| extra.feature).collect();
    let domain = domain(&product.domain);
    let mut tasks: Vec<(String, &'static str, Vec<String>, String)> = vec![
        (
            "Write down names, fields and samples".to_owned(),
            "data.js",
            Vec::new(),
            "the script sets one object that the application reads".to_owned(),
        ),
        (
            format!("Show the {many} as cards, and say so when there are none"),
            "index.html",
            criteria(&["list"]),
            "the samples appear on first opening".to_owned(),
        ),
        (
            format!("Add and edit {a} in a labelled form"),
            "app.js",
            criteria(&["add", "edit"]),
            "a saved form changes the list; an incomplete one explains itself".to_owned(),
        ),
        (
            format!("Delete {a} after asking"),
            "app.js",
            criteria(&["delete"]),
            "the dialog names what would be deleted".to_owned(),
        ),
        (
            format!("Search, filter and order the {many}"),
            "app.js",
            criteria(&["search"]),
            "the list follows every keystroke and the count is announced".to_owned(),
        ),
        (
            "Keep, export and import the data".to_owned(),
            "app.js",
            criteria(&["keep"]),
            "a reload shows the same list, and an export can be imported".to_owned(),
        ),
        (
            "Light, dark, narrow, wide, keyboard".to_owned(),
            "styles.css",
            criteria(&["accessible"]),
            "everything can be reached and read".to_owned(),
        ),
    ];
    if let Some(panel) = domain.panel() {
        tasks.push((
            format!("Build {}: {}", domain.kind.name(), panel.purpose),
            "panel.js",
            criteria(domain.features()),
            "the panel above the list does what its criteria say".to_owned(),
        ));
    }
    if extras.iter().any(|extra| product.has(extra)) {
        tasks.push((
            "Build the parts that were asked for in particular".to_owned(),
            "index.html",
            criteria(&extras),
            "each of them can be seen in the list or at a card".to_owned(),
        ));
    }
    if !product.changes.is_empty() {
        tasks.push((
            "Record the reviewers' requests and what became of them".to_owned(),
            "about.html",
            criteria(&["request"]),
            "every request stands on the page in the reviewer's words".to_owned(),
        ));
    }
    tasks.push((
        "Explain what it is and how to use it".to_owned(),
        "README.md",
        Vec::new(),
        "a reader knows which file to open".to_owned(),
    ));
    tasks
        .into_iter()
        .enumerate()
        .map(|(n, (title, file, satisfies, done_when))| Task {
            id: format!("T{}", n + 1),
            title,
            file,
            satisfies,
            done_when,
        })
        .collect()
}

const fn tests() -> [&'static str; 6] {
    [
        "Every file that a page refers to exists, and no path leaves the folder.",
        "Every page is well-formed HTML without duplicate ids.",
        "Every control of a form has a name.",
        "Every JSON file parses; style sheets and scripts are balanced.",
        "Every acceptance criterion is marked where it is implemented.",
        "After deployment, the files in place have the digests of the ones that were tested.",
    ]
}
