//! The commands that the documents name exist, with their options: those of the binary and those of
//! the justfile.

use std::collections::BTreeSet;

use botarmy_tests::server::bare;

use crate::documentation::{guides, quoted, read};

/// A call of the binary: its subcommands, and the options that it is given.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    subcommands: Vec<String>,
    options: BTreeSet<String>,
}

/// Options that may stand before a subcommand. Each takes a value.
const GLOBAL: [&str; 2] = ["--config", "--data-dir"];

impl Call {
    /// Reads the arguments behind the name of the binary.
    fn parse(arguments: &str) -> Self {
        let code = arguments.split(" #").next().unwrap_or_default();
        let mut words = code.split_whitespace();
        let mut call = Self { subcommands: Vec::new(), options: BTreeSet::new() };
        let mut at_subcommands = true;
        while let Some(word) = words.next() {
            if word.starts_with("--") {
                let option = word.split('=').next().unwrap_or_default();
                call.options.insert(option.to_owned());
                if GLOBAL.contains(&option) {
                    words.next();
                } else {
                    at_subcommands = false;
                }
            } else if at_subcommands && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                call.subcommands.push(word.to_owned());
            } else {
                at_subcommands = false;
            }
        }
        call
    }
}

/// Returns the lines of code in a document: what is in backticks, and the fenced blocks.
fn code(text: &str) -> Vec<String> {
    let fenced = text.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::to_owned);
    fenced.chain(quoted(text)).collect()
}

/// Returns the calls of the binary in a document.
fn calls(text: &str) -> BTreeSet<Call> {
    let names = ["botarmy-server ", "cargo run --release -- "];
    let arguments =
        |line: &str| names.iter().find_map(|name| Some(line.rsplit_once(name)?.1.to_owned()));
    code(text).iter().filter_map(|line| Some(Call::parse(&arguments(line)?))).collect()
}

#[test]
fn a_call_is_distinguished_from_its_values() {
    let text = "`botarmy-server migrate --down`\n\
        ```sh\nX=1 target/release/botarmy-server --data-dir data store backup --to a.db  # b c\n\
        cargo run --release -- run \"An idea\" --yes\n```\n";
    let call = |subcommands: &[&str], options: &[&str]| Call {
        subcommands: subcommands.iter().map(|word| (*word).to_owned()).collect(),
        options: options.iter().map(|word| (*word).to_owned()).collect(),
    };
    let expected = [
        call(&["migrate"], &["--down"]),
        call(&["run"], &["--yes"]),
        call(&["store", "backup"], &["--data-dir", "--to"]),
    ];
    assert_eq!(calls(text), expected.into());
}

#[test]
fn every_call_of_the_binary_in_the_documentation_is_understood() {
    let mut found = BTreeSet::new();
    for (document, text) in guides() {
        for call in calls(&text) {
            let output = bare().args(&call.subcommands).arg("--help").output().unwrap();
            let help = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{document}: {call:?} is not a command");
            for option in &call.options {
                assert!(help.contains(option.as_str()), "{document}: {call:?} has no {option}");
            }
            found.insert(call);
        }
    }
    assert!(found.len() >= 12, "only {} calls were found", found.len());
}

#[test]
fn every_option_of_run_is_in_the_tour() {
    let output = bare().args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let tour = read("docs/tour.md");
    let mut options = 0;
    for line in help.lines() {
        let line = line.trim_start();
        let Some(option) = line.strip_prefix("--").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        // Those of every command are explained elsewhere.
        if !["config", "data-dir", "help"].contains(&option) {
            assert!(tour.contains(&format!("`--{option}")), "docs/tour.md lacks --{option}");
            options += 1;
        }
    }
    assert!(options >= 5, "only {options} options were found");
}

#[test]
fn every_recipe_in_the_documentation_is_in_the_justfile() {
    let justfile = read("justfile");
    let recipes: BTreeSet<_> = justfile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.ends_with(':'))
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    let mut named = BTreeSet::new();
    for (document, text) in guides() {
        for line in code(&text) {
            if let Some(recipe) = line.strip_prefix("just ").and_then(|rest| rest.split(' ').next())
            {
                assert!(recipes.contains(recipe), "{document}: the justfile has no {recipe}");
                named.insert(recipe.to_owned());
            }
        }
    }
    assert!(named.len() >= 10, "only {named:?} were found");
}
