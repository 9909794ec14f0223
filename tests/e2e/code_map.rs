//! `crates/ARCHITECTURE.md` agrees with the code: the symbols, files and crates that it names exist.

use std::collections::BTreeSet;

use crate::documentation::{quoted, read, root};

/// A Rust source: its path from the root, and the words of its path and of its code.
struct Source {
    path: String,
    words: BTreeSet<String>,
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        // A symbol that only a comment or a string names does not exist.
        let code = |line: &str| match line.trim_start() {
            comment if comment.starts_with("//") => String::new(),
            line => {
                let code = line.split(" //").next().unwrap_or_default();
                code.split('"').step_by(2).collect::<Vec<_>>().join(" ")
            }
        };
        let code: Vec<_> = text.lines().map(code).collect();
        let parts = code.iter().map(String::as_str).chain([path.as_str()]);
        let words = parts.flat_map(|part| part.split(|c| !is_part(c)).map(str::to_owned)).collect();
        Self { path, words }
    }
}

/// Returns every Rust source of the crates and the tests.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = ["crates", "tests"].map(|folder| root().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                // This file invents symbols.
                if name == file!() {
                    continue;
                }
                found.push(Source::new(name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Returns the symbols that a document names in backticks, such as `Batch` and `Engine::commit`,
/// each as its segments. Paths, settings, variables, crates and commands are not symbols.
fn symbols(text: &str) -> BTreeSet<Vec<String>> {
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let names = quoted(text).into_iter().map(|name| {
        let bare = name.trim_end_matches("()").trim_end_matches('!');
        bare.split("::").map(str::to_owned).collect::<Vec<_>>()
    });
    let is_variable = |parts: &[String]| parts[0].starts_with("BOTARMY_");
    let are_symbols =
        |parts: &Vec<String>| parts.iter().all(|part| is_identifier(part)) && !is_variable(parts);
    names.filter(are_symbols).collect()
}

/// Returns the symbols that occur in no source: the last segment, together with the one before it
/// in the same file.
fn unknown(symbols: &BTreeSet<Vec<String>>, sources: &[Source]) -> Vec<String> {
    let is_known = |parts: &[String]| {
        let last_two = &parts[parts.len().saturating_sub(2)..];
        sources.iter().any(|source| last_two.iter().all(|part| source.words.contains(part)))
    };
    symbols.iter().filter(|parts| !is_known(parts)).map(|parts| parts.join("::")).collect()
}

#[test]
fn a_symbol_is_distinguished_from_a_path_a_setting_and_a_command() {
    let text = "`Batch` and `Engine::commit`, `endpoints()`, `vec!`; `botarmy-domain/src/log.rs`, \
        `http.port`, `just up`, `botarmy-http`, `#[utoipa::path]`, `UPDATE_GOLDEN=1`, \
        `BOTARMY_X`, `&mut`, ``\n\
        ```sh\n`Fenced`\n```\n`decide::hitl::respond`";
    let found: Vec<_> = symbols(text).iter().map(|parts| parts.join("::")).collect();
    assert_eq!(found, ["Batch", "Engine::commit", "decide::hitl::respond", "endpoints", "vec"]);
}

#[test]
fn an_invented_symbol_is_noticed() {
    let sources = [
        Source::new(
            "crates/a/src/hitl.rs".into(),
            "fn respond() { say(\"Spectre\") } // Ghost\n/// Wraith",
        ),
        Source::new(
            "crates/a/src/engine.rs".into(),
            "impl Engine { fn commit() { \"http://a\" } }",
        ),
    ];
    let symbols = symbols(
        "`respond` `decide::hitl::respond` `Engine::commit` `Engine::respond` `Engine::evaporate` \
         `Phantom` `Ghost` `Spectre` `Wraith` `respon`",
    );
    let unknown = unknown(&symbols, &sources);
    let expected =
        ["Engine::evaporate", "Engine::respond", "Ghost", "Phantom", "Spectre", "Wraith", "respon"];
    assert_eq!(unknown, expected);
}

#[test]
fn every_symbol_on_the_map_exists() {
    let mut symbols = symbols(&read("crates/ARCHITECTURE.md"));
    // A file without an ending, such as the Dockerfile.
    symbols.retain(|parts| !root().join(&parts[0]).is_file());
    assert!(symbols.len() >= 30, "only {} symbols were found", symbols.len());
    let unknown = unknown(&symbols, &sources());
    assert!(unknown.is_empty(), "crates/ARCHITECTURE.md names what no source has: {unknown:?}");
}

#[test]
fn a_file_that_the_map_names_without_its_folder_is_there_as_well() {
    let sources = sources();
    let files: BTreeSet<_> =
        sources.iter().filter_map(|source| source.path.rsplit('/').next()).collect();
    let text = read("crates/ARCHITECTURE.md");
    for name in quoted(&text).iter().filter(|name| name.ends_with(".rs")) {
        let file = name.rsplit('/').next().unwrap();
        assert!(files.contains(file), "there is no {name}");
    }
}

#[test]
fn the_map_shows_every_crate() {
    let text = read("crates/ARCHITECTURE.md");
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            assert!(text.contains(&format!("`{name}")), "{name} is not on the map");
        }
    }
}
