//! The documentation agrees with the code: its scripts are run word for word, and the settings, API
//! paths, files, headings and symbols that it names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use botarmy_domain::hitl::Policy;
use botarmy_domain::{Permission, Workflow};
use botarmy_tests::access::MODE;
use botarmy_tests::server::{TestServer, binary};
use botarmy_tests::unzip;
use serde_json::Value;

/// The address and the binary that the documents name.
pub(crate) const BASE: &str = "http://127.0.0.1:8080";
const BINARY: &str = "target/release/botarmy-server";

/// The most words that the README may have.
const MAX_README_WORDS: usize = 1200;

/// Limit for one script of the documents.
const TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the Markdown files at the root, in `docs` and in `crates`, as paths from the root.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/", "crates/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    found
}

/// Returns the documents that explain how BotArmy is used, with their text.
pub(crate) fn guides() -> Vec<(String, String)> {
    let guides = documents().into_iter().filter(|file| !file.starts_with("crates/"));
    guides.map(|file| (file.clone(), read(&file))).collect()
}

/// Returns the fenced blocks with this info string, in order.
pub(crate) fn blocks(text: &str, fence: &str) -> Vec<String> {
    let opening = format!("```{fence}");
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        // The block of an item of a list is indented.
        let Some(indent) = line.strip_suffix(&opening).filter(|indent| indent.trim().is_empty())
        else {
            continue;
        };
        let inside = lines.by_ref().take_while(|line| line.trim_start() != "```");
        let inside: Vec<_> = inside.map(|line| line.strip_prefix(indent).unwrap_or(line)).collect();
        found.push(inside.join("\n"));
    }
    found
}

/// Returns the blocks as one script for this server.
fn script(blocks: &[String], base: &str) -> String {
    let script = blocks.join("\n");
    assert!(script.contains(&format!("B={BASE}\n")), "the script names the server");
    let quoted = format!("'{}'", binary().display());
    format!("set -euo pipefail\n{}", script.replace(BASE, base).replace(BINARY, &quoted))
}

/// Runs a script to its end in this folder and returns its standard output, and both outputs.
async fn run(script: &str, folder: &Path) -> (String, String) {
    let script = tokio::process::Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .env("TMPDIR", folder)
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, script).await.expect("the script ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the script failed:\n{all}");
    (said, all)
}

/// Starts a server as a user does, and returns it with a folder in which `data` is its data folder.
pub(crate) async fn first_start(variables: &[(&str, &str)]) -> (TestServer, tempfile::TempDir) {
    let variables = [&[(MODE, "keys")], variables].concat();
    let server = TestServer::with(&variables).await;
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(server.data_dir(), dir.path().join("data")).unwrap();
    (server, dir)
}

#[tokio::test]
async fn the_first_minute_of_the_readme_works_word_for_word() {
    let (server, dir) = first_start(&[]).await;
    let blocks = blocks(&read("README.md"), "sh minute");
    assert_eq!(blocks.len(), 1);
    let (said, all) = run(&script(&blocks, &server.base), dir.path()).await;
    // A project, the plan under review, and the approval.
    for expected in [r#""status":"active""#, "## Milestones", r#""status":"approved""#] {
        assert!(said.contains(expected), "{expected:?} is not in the output:\n{all}");
    }
}

#[tokio::test]
async fn the_tour_of_the_documentation_works_word_for_word() {
    let (server, dir) = first_start(&[]).await;
    let tour = script(&blocks(&read("docs/tour.md"), "sh tour"), &server.base);
    assert!(tour.contains("' audit verify"), "the tour checks an export");
    let (said, all) = run(&tour, dir.path()).await;
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
        // The log is verified, by the server and by the command.
        r#"{"valid":true,"#,
        r#""actor":"grandma "#,
        "\"valid\": true",
        // The project without a workflow waits for its request, and then is complete.
        "One request waits for a person.",
        r#""status":"completed""#,
    ] {
        assert!(said.contains(expected), "{expected:?} is not in what the tour said:\n{all}");
    }

    let mut folders = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.find(|path| !path.ends_with("data")).expect("the tour's folder");
    let package = unzip(Cursor::new(std::fs::read(folder.join("recipes.zip")).unwrap()));
    let file = |name: &str| {
        let found = package.iter().find(|(known, _)| known == name);
        String::from_utf8(found.unwrap_or_else(|| panic!("{name} is missing")).1.clone()).unwrap()
    };
    assert!(file("source/index.html").contains("<html"));
    assert!(file("documents/project_plan.md").contains("Grandparents must be able to print"));
    let specification = file("documents/software_specification.md");
    assert!(specification.contains("searched, shared and printed"), "{specification}");
}

#[tokio::test]
async fn the_tour_with_the_client_works_word_for_word() {
    let (server, dir) = first_start(&[]).await;
    let tour = script(&blocks(&read("docs/cli.md"), "sh client"), &server.base);
    let (said, all) = run(&tour, dir.path()).await;
    for expected in [
        // The plan under review, as text, and the words in its next version.
        "\n## Milestones\n",
        "+++ now",
        "Grandparents must be able to print a recipe\n",
        // The steps, to the end, and the answers in the log.
        "✓ Final Check",
        "The project is completed.",
        "the project is halted",
        "\"Chess by post\" is active.",
        "hitl_response: Project Planning, rejected, by admin",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in what the tour said:\n{all}");
    }
    let mut folders = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let folder = folders.find(|path| !path.ends_with("data")).expect("the tour's folder");
    let package = unzip(Cursor::new(std::fs::read(folder.join("recipes.zip")).unwrap()));
    assert!(package.iter().any(|(name, _)| name == "source/index.html"));
}

#[tokio::test]
async fn the_walkthrough_of_gates_works_word_for_word() {
    let port = botarmy_tests::services::free_port().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let base = format!("http://127.0.0.1:{port}");
    let steps = script(&blocks(&read("docs/gates.md"), "sh gates"), &base);
    // The server of a script that fails ends with it, and settings of the tests do not reach it.
    let steps = format!(
        "unset ${{!BOTARMY_@}}\nexport BOTARMY_HTTP__PORT={port} BOTARMY_AGENTS__SANDBOX=none\n\
         trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{steps}"
    );
    let (said, all) = run(&steps, dir.path()).await;
    let mut rest = said.as_str();
    for expected in [
        "Missing    2 to approve",
        "exit code 5",
        "Your approval is recorded; 1 more is needed.",
        "Vote       approve by ada",
        "Missing    1 to approve",
        "The request was approved; work goes on.",
        "approved by bob",
        "The project is completed.",
        "hitl_response: Project Planning, approved, by bob",
    ] {
        let Some((_, after)) = rest.split_once(expected) else {
            panic!("{expected:?} is not in what the walk-through said, or too early:\n{all}");
        };
        rest = after;
    }
    assert!(all.contains("because you started the project"), "{all}");
}

/// Returns each `section.key` with its default, as written in `config/default.toml`.
pub(crate) fn defaults() -> BTreeMap<String, String> {
    let text = read("config/default.toml");
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

/// Returns the texts in backticks, without the fenced blocks.
pub(crate) fn quoted(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_setting_in_the_documentation_exists() {
    let defaults = defaults();
    let sections: BTreeSet<_> = defaults.keys().filter_map(|key| key.split('.').next()).collect();
    let word = |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let upper: BTreeSet<_> =
        defaults.keys().map(|key| key.to_uppercase().replace('.', "__")).collect();
    // The path of the settings file, and the variables that clients read and programs are given.
    let others = [
        "CONFIG", "KEY", "KEY_FILE", "SERVER", "PROFILE", "PROFILES", "TASK_ID", "ATTEMPT",
        "DEADLINE",
    ];
    let mut named = 0;
    for (document, text) in guides() {
        for name in quoted(&text) {
            // `store.synchronous = "full"` counts as well.
            let key = name.split(" = ").next().unwrap_or_default();
            let parts: Vec<_> = key.split('.').collect();
            let ending = parts.last().copied().unwrap_or_default();
            let is_file = ["db", "lock", "toml", "html", "zip", "md", "rs"].contains(&ending);
            let is_permission = key.parse::<Permission>().is_ok();
            if parts.len() < 2 || is_file || is_permission || !sections.contains(parts[0]) {
                continue;
            }
            if parts.iter().all(|part| word(part)) {
                assert!(defaults.contains_key(key), "{document}: there is no setting `{key}`");
                named += 1;
            }
        }
        for rest in text.split("BOTARMY_").skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
            // Those of the tests are no settings.
            let is_known = name.is_empty()
                || name.starts_with("TEST_")
                || others.contains(&name)
                || upper.contains(name);
            assert!(is_known, "{document}: there is no setting BOTARMY_{name}");
        }
    }
    assert!(named >= 80, "only {named} settings were found in the documents");
}

#[test]
fn the_table_of_settings_holds_every_setting_with_its_default() {
    let defaults = defaults();
    let text = read("docs/settings.md");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split(" | ").collect();
        let code = |cell: &str| Some(cell.trim_start_matches("| ").strip_prefix('`')?.to_owned());
        let (key, value) = (code(cells.first()?)?, code(cells.get(1)?)?);
        Some((key.trim_end_matches('`').to_owned(), value.trim_end_matches('`').to_owned()))
    });
    let rows: BTreeMap<_, _> = rows.filter(|(key, _)| key.contains('.')).collect();
    for (key, value) in &rows {
        assert_eq!(defaults.get(key), Some(value), "the default of `{key}`");
    }
    // One agent type stands for all, and providers and prices have tables of their own.
    let elsewhere = ["analyst", "architect", "orchestrator", "tester", "deployer"]
        .map(|agent| format!("agents.{agent}."));
    for key in defaults.keys() {
        let is_elsewhere = elsewhere.iter().any(|start| key.starts_with(start))
            || key.starts_with("providers.")
            || key.starts_with("prices.");
        assert!(is_elsewhere || rows.contains_key(key), "docs/settings.md does not have `{key}`");
    }
}

/// Returns the path with `{}` in place of every id.
fn shape(path: &str) -> String {
    let stands_in = |part: &&str| part.starts_with(['{', '$']);
    let parts = path.split('/').map(|part| if stands_in(&part) { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_path_in_the_documentation_is_one_of_the_api() {
    let document: Value = serde_json::from_str(&botarmy_http::openapi()).unwrap();
    let known: BTreeSet<_> =
        document["paths"].as_object().unwrap().keys().map(|path| shape(path)).collect();
    let part_of = |c: char| c.is_ascii_alphanumeric() || "/_-{}$".contains(c);
    let mut named = BTreeSet::new();
    for (_, text) in guides() {
        let text = text.replace("$(gate $Q)", "$G");
        for (at, _) in text.match_indices("/api/") {
            named.insert(text[at..].split(|c| !part_of(c)).next().unwrap().to_owned());
        }
    }
    for health in quoted(&read("docs/operations.md")).iter().filter(|name| name.starts_with('/')) {
        named.insert(health.clone());
    }
    assert!(named.len() >= 20, "{named:?}");
    for path in named {
        assert!(known.contains(&shape(&path)), "the API has no {path}");
    }
}

#[test]
fn the_workflows_in_the_documentation_are_valid() {
    let text = read("docs/workflows.md");
    let blocks = blocks(&text, "toml");
    let workflows: Vec<_> = blocks.iter().map(|one| Workflow::from_toml(one).unwrap()).collect();
    assert_eq!(workflows.len(), 2);
    let workflow = &workflows[0];
    assert!(text.contains(&format!("config/workflows/{}.toml", workflow.name)));
}

#[test]
fn the_policies_in_the_documentation_are_valid_and_its_table_has_every_key() {
    let text = read("docs/gates.md");
    let workflows = blocks(&text, "toml");
    assert!(workflows.len() >= 7, "{}", workflows.len());
    let mut words = BTreeSet::new();
    for block in &workflows {
        let workflow =
            Workflow::from_toml(block).unwrap_or_else(|error| panic!("{error}: {block}"));
        for step in &workflow.steps {
            words.extend(step.policy.clone());
        }
        let policies: BTreeSet<_> = workflow.policies.iter().map(|one| one.name.clone()).collect();
        assert!(policies.is_subset(&words) && !policies.is_empty(), "a step uses each: {block}");
    }
    // The error of an unknown key names those that there are.
    let unknown = serde_json::from_str::<Policy>(r#"{"no_key": 1}"#).unwrap_err().to_string();
    let (_, known) = unknown.split_once("expected one of ").unwrap();
    let known: BTreeSet<_> = known.split('`').skip(1).step_by(2).collect();
    assert!(known.len() >= 19, "{known:?}");
    let (_, table) = text.split_once("\n## Keys of a policy\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), known);
    let header = read("config/workflows/sdlc.toml");
    let (_, header) = header.split_once("# The keys of a [[policy]]").unwrap();
    let (header, _) = header.split_once("\nname = ").unwrap();
    for key in known {
        assert!(header.contains(&format!("#   {key} ")), "sdlc.toml does not explain `{key}`");
    }
}

#[test]
fn the_readme_is_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= MAX_README_WORDS, "the README has {words} words of {MAX_README_WORDS}");
}

/// Returns the anchors of a document's headings, as the hosts of repositories make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose: String = text.split("```").step_by(2).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn an_anchor_is_made_as_the_hosts_of_repositories_make_it() {
    let text = "# TLS to PostgreSQL\n```sh\n# no heading\n```\n### A test run: `plain`\n";
    assert_eq!(anchors(text), ["a-test-run-plain", "tls-to-postgresql"].map(str::to_owned).into());
}

#[test]
fn every_file_and_heading_the_documents_name_is_there() {
    for document in documents() {
        let text = read(&document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&document) } else { folder.join(file) };
            assert!(target.exists(), "{document} links to {link}");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{document} links to {link}: no such heading");
            }
        }
        let tops = ["crates/", "tests/", "config/", "migrations/", "botarmy-", ".ci/", "docs/"];
        let tops = tops.into_iter().chain(["clients/", "examples/"]).collect::<Vec<_>>();
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

#[test]
fn every_document_is_in_the_index() {
    let index = read("docs/README.md");
    for document in documents().iter().filter(|file| *file != "docs/README.md") {
        let link = document.strip_prefix("docs/").map_or(format!("../{document}"), str::to_owned);
        assert!(
            index.contains(&format!("]({link})")),
            "docs/README.md does not link to {document}"
        );
    }
}

/// Words that the documents once had for things with a standard term, and that term.
const TERMS: [(&str, &str); 12] = [
    ("bell", "wake-up"),
    ("desk", "lease dispatcher"),
    ("doubt", "low confidence"),
    ("ears", "wake-up receiver"),
    ("lapse", "expire"),
    ("lapses", "expires"),
    ("nobody", "no, or the passive voice"),
    ("purse", "budget account"),
    ("purses", "budget accounts"),
    ("somebody", "a person, another process"),
    ("standstill", "no progress"),
    ("whoever", "anyone who, or the role"),
];

/// Returns the words of a text that have a standard term, without code.
fn odd_words(text: &str) -> Vec<(String, &'static str)> {
    let prose: String = text.split("```").step_by(2).collect();
    let outside_code = prose.lines().flat_map(|line| line.split('`').step_by(2));
    let words = outside_code.flat_map(|part| part.split(|c: char| !c.is_alphanumeric()));
    let odd = words.filter_map(|word| {
        let word = word.to_lowercase();
        let (_, term) = TERMS.iter().find(|(odd, _)| *odd == word)?;
        Some((word, *term))
    });
    odd.collect()
}

#[test]
fn a_word_with_a_standard_term_is_noticed_outside_of_code() {
    let text =
        "The Purse is empty. `purse` is a column.\n```sh\necho desk\n```\nA purser, undoubted.";
    assert_eq!(odd_words(text), [("purse".to_owned(), "budget account")]);
}

#[test]
fn the_documents_use_standard_terms() {
    for document in documents() {
        let odd = odd_words(&read(&document));
        assert!(odd.is_empty(), "{document} has words with a standard term: {odd:?}");
    }
}
