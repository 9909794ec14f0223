//! Views of whole documents and workflows, compared with files. `UPDATE_GOLDEN=1` writes the files.

use std::fmt::Write as _;
use std::path::Path;

use botarmy_domain::ArtifactType;
use serde_json::{Value, json};

use super::samples::{NOW, project_at};
use super::{diff, document, project, source};

/// Compares a text with a file.
fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{}: UPDATE_GOLDEN=1 writes it anew", path.display());
}

fn html(kind: ArtifactType, content: &Value) -> String {
    let view = document::view(kind, content.as_object().unwrap());
    // One block on a line, so that a change is seen.
    let lines = view.html.as_str().replace("><", ">\n<");
    format!("{} words\n{lines}\n", view.words)
}

fn plan() -> Value {
    json!({
        "title": "Recipes for two", "summary": "A small site for the recipes of a family.",
        "goals": ["Find a recipe by its ingredients", "Print it in large type"],
        "scope": {"in": ["search", "print"], "out": ["comments"]},
        "milestones": [
            {"id": "M1", "name": "Write", "done_when": "A recipe is saved"},
            {"id": "M2", "name": "Find", "done_when": "It is found by each ingredient"},
        ],
        "risks": [
            {"risk": "Photos take much room", "likelihood": "high", "mitigation": "None at first"},
            {"risk": "The password is shared | lost", "mitigation": "Ask again"},
        ],
        "questions": ["One password for all?"],
    })
}

fn specification() -> Value {
    json!({
        "title": "Recipes for two: software specification",
        "summary": "Members of **one family** keep recipes.\n\n- on phones\n- on paper",
        "user_stories": [
            {"id": "S1", "as_a": "cook", "i_want": "to write down a recipe", "so_that": "I find it",
             "acceptance": [{"id": "A1", "text": "The title is required"}]},
            {"id": "S2", "as_a": "child", "i_want": "to share", "so_that": "friends can cook",
             "acceptance": [{"id": "A2", "text": "A link ends after `7` days"}]},
        ],
        "quality": ["Searching takes at most 100 ms"],
    })
}

fn results() -> Value {
    json!({
        "summary": "2 of 3 checks passed.", "passed": false,
        "checks": [
            {"name": "title", "passed": true, "detail": ""},
            {"name": "search", "passed": true, "detail": "100 recipes"},
            {"name": "share", "passed": false, "detail": "The link does not end"},
        ],
        "failures": [{"check": "share", "file": null, "detail": "The link does not end"}],
    })
}

fn unknown() -> Value {
    json!({
        "anything": [[1, 2, [3]], {"deep": {"er": {"est": [true, null, "<b>"]}}}],
        "code": "```js\nlet a = 1;\n```\n\nand more", "n": 1.5,
    })
}

#[test]
fn documents_look_as_before() {
    let mut all = String::new();
    for (kind, content) in [
        (ArtifactType::ProjectPlan, plan()),
        (ArtifactType::SoftwareSpecification, specification()),
        (ArtifactType::TestResults, results()),
        (ArtifactType::AgentOutput, unknown()),
    ] {
        let _ = writeln!(all, "=== {kind}\n{}", html(kind, &content));
    }
    check("documents.html", &all);
}

#[test]
fn the_graph_and_the_steps_of_a_workflow_look_as_before() {
    let plan = project_at("Code Refinement").plan.unwrap();
    let view = project::workflow(&plan, None, NOW);
    let graph = view.graph.unwrap();
    let mut all = format!("{} x {}\n", graph.width, graph.height);
    for phase in &graph.phases {
        let _ = writeln!(all, "phase {} {}", phase.x, phase.name);
    }
    for edge in &graph.edges {
        let _ = writeln!(all, "{} {}", edge.class, edge.path);
    }
    for node in &graph.nodes {
        let lines: Vec<_> = node.lines.iter().map(|line| line.text.as_str()).collect();
        let _ = writeln!(
            all,
            "{} {} {} {} | {} | {} | {}",
            node.class,
            node.x,
            node.y,
            node.href,
            lines.join(" / "),
            node.sub.text,
            node.title
        );
    }
    for step in &view.steps {
        let _ = writeln!(all, "{} {} {} {}", step.anchor, step.name, step.agent, step.state.label);
    }
    check("workflow.txt", &all);
}

#[test]
fn changes_and_source_code_look_as_before() {
    let text = |value: Value| document::text(ArtifactType::ProjectPlan, value.as_object().unwrap());
    let mut later = plan();
    later["goals"][1] = "Print it in large type, on one page".into();
    later["questions"] = json!([]);
    let changes = diff::texts(&text(plan()), &text(later), false);
    let mut all = format!("+{} -{}\n", changes.added, changes.removed);
    for row in &changes.rows {
        let _ = match row {
            diff::Row::Same { old, new, html } => writeln!(all, "{old} {new}   {html}"),
            diff::Row::Removed { old, html } => writeln!(all, "{old} - {html}"),
            diff::Row::Added { new, html } => writeln!(all, "{new} + {html}"),
            diff::Row::Fold { lines } => writeln!(all, "({lines} lines)"),
        };
    }
    for (path, code) in [
        ("a.js", "// Finds.\nconst LIMIT = 500;\nexport function find(all) { return `${all}`; }\n"),
        ("a.html", "<!-- x -->\n<p class=\"a\">b</p>\n<style>p { margin: 0 }</style>\n"),
        ("a.py", "def f(x):\n    \"\"\"Doc.\"\"\"\n    return x + 1  # one\n"),
    ] {
        let _ = writeln!(all, "=== {path}");
        for line in source::lines(path, code) {
            let _ = writeln!(all, "{line}");
        }
    }
    check("changes.html", &all);
}
