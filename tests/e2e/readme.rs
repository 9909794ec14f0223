//! The documentation is true: the tour of the README is run word for word, and the settings, paths
//! and files that it and the map of the code name are there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use botarmy_domain::Workflow;
use botarmy_tests::server::{TestServer, binary};
use botarmy_tests::unzip;
use serde_json::Value;

/// How the README names the server, and the binary beside it.
pub(crate) const BASE: &str = "http://127.0.0.1:8080";
const BINARY: &str = "target/release/botarmy-server";

/// How long the whole tour may take.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The fenced blocks that begin with these words, in order.
pub(crate) fn blocks(text: &str, fence: &str) -> Vec<String> {
    let opening = format!("```{fence}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The tour as one script for this server.
fn tour(base: &str) -> String {
    let script = blocks(&readme(), "sh tour").join("\n");
    assert!(script.contains(&format!("B={BASE}\n")), "the tour says where the server is");
    assert!(script.contains(&format!("\n{BINARY} audit verify")), "the tour checks an export");
    let quoted = format!("'{}'", binary().display());
    format!("set -euo pipefail\n{}", script.replace(BASE, base).replace(BINARY, &quoted))
}

#[tokio::test]
async fn the_tour_of_the_readme_works_word_for_word() {
    let server = TestServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let tour = tokio::process::Command::new("bash")
        .args(["-c", &tour(&server.base)])
        .current_dir(dir.path())
        .env("TMPDIR", dir.path())
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, tour).await.expect("the tour ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tour broke off:\n{all}");
    for expected in [
        // A plan is under review, as text.
        "\n## Milestones\n",
        // It is amended; a second answer is refused and names the first.
        r#""status":"amended""#,
        "was amended by grandma",
        "\nGrandparents must be able to print a recipe\n",
        r#""status":"approved""#,
        // It ends, and the package holds the application.
        r#""is_complete":true"#,
        r#""name":"source/index.html""#,
        // The rejection halts the other project.
        r#""workflow_resumed":false"#,
        r#""status":"halted""#,
        // The log holds, said by the server and by the command.
        r#"{"valid":true,"#,
        r#""actor":"grandma""#,
        "\"valid\": true",
        // The project driven by hand waits for its request, and then is complete.
        "One request waits for a person.",
        r#""status":"completed""#,
    ] {
        assert!(said.contains(expected), "{expected:?} is not in what the tour said:\n{all}");
    }

    let folder = std::fs::read_dir(dir.path()).unwrap().next().expect("the tour's folder").unwrap();
    let package = unzip(Cursor::new(std::fs::read(folder.path().join("recipes.zip")).unwrap()));
    let file = |name: &str| {
        let found = package.iter().find(|(known, _)| known == name);
        String::from_utf8(found.unwrap_or_else(|| panic!("{name} is missing")).1.clone()).unwrap()
    };
    assert!(file("source/index.html").contains("<html"));
    assert!(file("documents/project_plan.md").contains("Grandparents must be able to print"));
    let specification = file("documents/software_specification.md");
    assert!(specification.contains("searched, shared and printed"), "{specification}");
}

/// `section.key` and the default as it stands in `config/default.toml`.
pub(crate) fn defaults() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("config/default.toml")).unwrap();
    let mut section = "";
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once(" = ") {
            found.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    found
}

/// What stands in backticks, without the fenced blocks.
fn quoted(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_setting_in_the_readme_exists_and_has_that_default() {
    let (text, defaults) = (readme(), defaults());
    let sections: BTreeSet<_> = defaults.keys().filter_map(|key| key.split('.').next()).collect();
    let word = |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut named = 0;
    for name in quoted(&text) {
        // `store.synchronous = "full"` counts as well.
        let key = name.split(" = ").next().unwrap_or_default();
        let parts: Vec<_> = key.split('.').collect();
        let is_file = matches!(parts.last(), Some(&("db" | "lock" | "toml" | "html" | "zip")));
        if parts.len() < 2 || is_file || !sections.contains(parts[0]) {
            continue;
        }
        if parts.iter().all(|part| word(part)) {
            assert!(defaults.contains_key(key), "there is no setting `{key}`");
            named += 1;
        }
    }
    assert!(named >= 10, "only {named} settings were found in the README");

    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split(" | ").collect();
        let code = |cell: &str| Some(cell.trim_start_matches("| ").strip_prefix('`')?.to_owned());
        let (key, value) = (code(cells.first()?)?, code(cells.get(1)?)?);
        Some((key.trim_end_matches('`').to_owned(), value.trim_end_matches('`').to_owned()))
    });
    let rows: Vec<_> = rows.filter(|(key, _)| key.contains('.')).collect();
    assert!(rows.len() >= 10, "the table of settings was not found");
    for (key, value) in rows {
        assert_eq!(defaults.get(&key), Some(&value), "the default of `{key}`");
    }

    let upper: BTreeSet<_> =
        defaults.keys().map(|key| key.to_uppercase().replace('.', "__")).collect();
    for rest in text.split("BOTARMY_").skip(1) {
        let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
        if !name.is_empty() && name != "CONFIG" {
            assert!(upper.contains(name), "there is no setting BOTARMY_{name}");
        }
    }
}

/// The path with `{}` for everything that stands for an id.
fn shape(path: &str) -> String {
    let stands_in = |part: &&str| part.starts_with(['{', '$']);
    let parts = path.split('/').map(|part| if stands_in(&part) { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_path_in_the_readme_is_one_of_the_api() {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let known: BTreeSet<_> =
        document["paths"].as_object().unwrap().keys().map(|path| shape(path)).collect();
    let text = readme().replace("$(gate $Q)", "$G");
    let part_of = |c: char| c.is_ascii_alphanumeric() || "/_-{}$".contains(c);
    let mut named = BTreeSet::new();
    for (at, _) in text.match_indices("/api/") {
        named.insert(text[at..].split(|c| !part_of(c)).next().unwrap().to_owned());
    }
    for health in quoted(&text).iter().filter(|name| name.starts_with('/')) {
        named.insert(health.clone());
    }
    assert!(named.len() >= 10, "{named:?}");
    for path in named {
        assert!(known.contains(&shape(&path)), "the API has no {path}");
    }
}

#[test]
fn the_workflow_in_the_readme_is_sound() {
    let text = readme();
    let workflows = blocks(&text, "toml");
    assert_eq!(workflows.len(), 1);
    let workflow = Workflow::from_toml(&workflows[0]).unwrap();
    assert!(text.contains(&format!("config/workflows/{}.toml", workflow.name)));
}

#[test]
fn every_file_the_documents_name_is_there() {
    for document in ["README.md", "crates/ARCHITECTURE.md", "docs/backup.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in links {
            let file = link.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "{document} links to {link}");
        }
        let tops = ["crates/", "tests/", "config/", "migrations/", "botarmy-", ".ci/"];
        for name in quoted(&text) {
            let path = name.trim_start_matches("./");
            let is_path = path.contains('/') && tops.iter().any(|top| path.starts_with(top));
            let stands_in = path.contains(['<', '…', '*', ' ', '{']) || path.contains("sketch");
            if is_path && !stands_in {
                let there = root().join(path).exists() || root().join("crates").join(path).exists();
                assert!(there, "{document} names {name}, which is not there");
            }
        }
    }
}

/// Every Rust file of the crates and the tests, by its name alone.
fn rust_files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn a_file_that_the_map_names_without_its_folder_is_there_as_well() {
    let mut files = BTreeSet::new();
    for folder in ["crates", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let text = std::fs::read_to_string(root().join("crates/ARCHITECTURE.md")).unwrap();
    for name in quoted(&text).iter().filter(|name| name.ends_with(".rs")) {
        let file = name.rsplit('/').next().unwrap();
        assert!(files.contains(file), "there is no {name}");
    }
}

#[test]
fn the_map_shows_every_crate() {
    let text = std::fs::read_to_string(root().join("crates/ARCHITECTURE.md")).unwrap();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(text.contains(&format!("`{name}")), "{name} is not on the map");
        }
    }
}
