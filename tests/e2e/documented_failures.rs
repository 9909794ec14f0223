//! The tests that `docs/failures.md` names exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Returns the names of tests on the page, each with its paragraph.
fn named(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for paragraph in page.lines().filter(|line| line.starts_with("**")) {
        let (_, tests) = paragraph.rsplit_once(" Test").unwrap_or_default();
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test shows this: {paragraph}");
        found.extend(names.into_iter().map(|name| (name, paragraph)));
    }
    found
}

/// Returns the file in which a test is, and its name there.
fn place(name: &str) -> Option<(PathBuf, &str)> {
    let (module, test) = name.rsplit_once("::")?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    Some((tests.join(module.replace("::", "/")).with_extension("rs"), test))
}

/// Whether the source has this test, with the attribute of one.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    lines.iter().enumerate().any(|(n, line)| {
        let is_named = [format!("async fn {test}("), format!("fn {test}(")]
            .iter()
            .any(|begin| line.trim_start().starts_with(begin.as_str()));
        let before = lines[..n].iter().rev().take_while(|line| !line.is_empty());
        let mut attributes = before.filter(|line| line.trim_start().starts_with("#["));
        is_named && attributes.any(|line| line.contains("test]") || line.contains("::test("))
    })
}

#[test]
fn a_test_is_told_from_another_function() {
    let source = "#[tokio::test]\nasync fn one() {}\n\nfn two() {}\n\n#[test]\nfn three() {}\n";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "thre") && !has_test(source, "four"));
}

#[test]
fn every_failure_in_the_documentation_names_tests_that_exist() {
    let page = include_str!("../../docs/failures.md");
    let named = named(page);
    let names: BTreeSet<_> = named.iter().map(|(name, _)| name).collect();
    assert!(names.len() > 40, "{}", names.len());
    for (name, paragraph) in named {
        let (file, test) = place(name).unwrap_or_else(|| panic!("{name} is no test: {paragraph}"));
        let source = std::fs::read_to_string(&file);
        let source = source.unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
        assert!(has_test(&source, test), "{} has no test {test}", file.display());
    }
}
