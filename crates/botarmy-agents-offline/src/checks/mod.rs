//! The tester: checks the files of an application. It has no information about how they were made.

mod html;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::source_code::SourceCode;
use serde_json::{Value, json};

use crate::brief::Brief;
use crate::documents::generated_by;
use crate::english::count;
use crate::error::DraftError;
use crate::product::{Criterion, Product, kept};
use crate::statement::STATEMENT;
use crate::template::{bullets, clip, markdown, quotation};

/// Most failures that the results list. The fix of so many is followed by another test.
const MAX_FAILURES: usize = 200;

/// Tests the source code.
pub(super) fn draft(brief: &Brief) -> Result<Value, DraftError> {
    let source = SourceCode::read(brief.needed("source_code")?)?;
    let checks = run(&source, criteria(brief).as_deref());
    let remarks: Vec<String> = brief.feedback.iter().map(|text| kept(text)).collect();
    let passed = checks.iter().all(|check| check.failures.is_empty());
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.failures.is_empty()).collect();
    let files = count(source.files.len(), "file");
    let summary = match failed.first() {
        None => format!("All {} checks passed on {files}.", checks.len()),
        Some(check) => format!(
            "{} of {} checks failed. {}: {}",
            failed.len(),
            checks.len(),
            check.name,
            check.failures[0].sentence()
        ),
    };
    Ok(json!({
        "title": "Test results",
        "generated_by": generated_by(brief.step),
        "summary": summary,
        "passed": passed,
        "checks": checks.iter().map(Check::to_json).collect::<Vec<_>>(),
        "failures": checks.iter().flat_map(Check::failures_json).take(MAX_FAILURES).collect::<Vec<_>>(),
        "remarks": remarks,
        "markdown": report(&summary, &checks, &remarks),
    }))
}

/// Returns the criteria for the application: those of the specification, if there is one.
fn criteria(brief: &Brief) -> Option<Vec<Criterion>> {
    let specification = brief.input("software_specification");
    let specified = specification.and_then(|document| {
        Product::from_document(document).or_else(|| Product::of_stories(document))
    });
    let agreed = || Brief { feedback: Vec::new(), ..brief.clone() }.product().ok();
    let product = specified.or_else(agreed)?;
    Some(product.criteria().map(|(_, criterion)| criterion.clone()).collect())
}

/// The result of one check.
#[derive(Debug)]
pub(super) struct Check {
    name: &'static str,
    /// Summary for a check without failures.
    detail: String,
    pub(super) failures: Vec<Failure>,
}

/// One problem in the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Code for programs.
    code: &'static str,
    /// Path of the file.
    file: Option<String>,
    /// Line in the file, from 1.
    line: Option<usize>,
    /// Reference, id or criterion that it concerns.
    subject: Option<String>,
    /// Sentence for people.
    detail: String,
}

impl Check {
    fn to_json(&self) -> Value {
        let detail = if self.failures.is_empty() {
            self.detail.clone()
        } else {
            first_sentences(&self.failures)
        };
        json!({"name": self.name, "passed": self.failures.is_empty(), "detail": detail})
    }

    fn failures_json(&self) -> impl Iterator<Item = Value> {
        self.failures.iter().map(|failure| {
            json!({
                "check": self.name,
                "code": failure.code,
                "file": failure.file,
                "line": failure.line,
                "subject": failure.subject,
                "detail": failure.sentence(),
            })
        })
    }
}

impl Failure {
    fn new(code: &'static str, file: &str, line: usize, detail: String) -> Self {
        Self { code, file: Some(file.to_owned()), line: Some(line), subject: None, detail }
    }

    fn about(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }

    fn sentence(&self) -> String {
        let place = match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}, line {line}: "),
            (Some(file), None) => format!("{file}: "),
            (None, _) => String::new(),
        };
        format!("{place}{}.", self.detail.trim_end_matches('.'))
    }
}

fn first_sentences(failures: &[Failure]) -> String {
    let mut sentences: Vec<String> = failures.iter().take(20).map(Failure::sentence).collect();
    if failures.len() > sentences.len() {
        sentences.push(format!("And {} more.", failures.len() - sentences.len()));
    }
    sentences.join(" ")
}

/// Runs every check.
pub(super) fn run(source: &SourceCode, criteria: Option<&[Criterion]>) -> Vec<Check> {
    let parsed = ParsedFiles::of(source);
    vec![
        paths(source),
        entry(source, &parsed),
        references(source, &parsed),
        well_formed(&parsed),
        unique_ids(&parsed),
        names(&parsed),
        json_files(source),
        style_sheets(&parsed),
        scripts(&parsed),
        coverage(&parsed, criteria),
    ]
}

/// Everything that the checks need from the files, parsed once.
#[derive(Default)]
struct ParsedFiles {
    pages: BTreeMap<String, html::Page>,
    drawings: BTreeMap<String, html::Page>,
    styles: BTreeMap<String, Result<script::Balanced, script::Unbalanced>>,
    scripts: BTreeMap<String, Result<script::Balanced, script::Unbalanced>>,
}

impl ParsedFiles {
    fn of(source: &SourceCode) -> Self {
        let mut parsed = Self::default();
        for file in &source.files {
            let (path, text) = (file.path.clone(), file.content.as_str());
            match file.extension().as_str() {
                "html" | "htm" => {
                    let page = html::read(text, html::Kind::Html);
                    for found in &page.scripts {
                        let place = format!("{path} (script at line {})", found.line);
                        parsed.scripts.insert(place, script::javascript(&found.text));
                    }
                    for found in &page.styles {
                        let place = format!("{path} (style at line {})", found.line);
                        parsed.styles.insert(place, script::css(&found.text));
                    }
                    parsed.pages.insert(path, page);
                }
                "svg" => {
                    parsed.drawings.insert(path, html::read(text, html::Kind::Svg));
                }
                "css" => {
                    parsed.styles.insert(path, script::css(text));
                }
                "js" | "mjs" => {
                    parsed.scripts.insert(path, script::javascript(text));
                }
                _ => {}
            }
        }
        parsed
    }
}

fn paths(source: &SourceCode) -> Check {
    let failures = source
        .path_problems()
        .into_iter()
        .map(|(path, detail)| {
            let shown = clip(path, 100);
            Failure {
                code: "bad_path",
                file: None,
                line: None,
                subject: Some(path.to_owned()),
                detail: format!("{shown:?}: {detail}"),
            }
        })
        .collect();
    Check {
        name: "Paths stay inside of the folder",
        detail: format!(
            "{} paths are relative, distinct and valid everywhere.",
            source.files.len()
        ),
        failures,
    }
}

fn entry(source: &SourceCode, parsed: &ParsedFiles) -> Check {
    let mut failures = Vec::new();
    let missing = |detail: String| Failure {
        code: "entry_missing",
        file: None,
        line: None,
        subject: Some(source.entry.clone()),
        detail,
    };
    match source.file(&source.entry) {
        None => failures
            .push(missing(format!("the file to open first, \"{}\", is not there", source.entry))),
        Some(file) if file.content.trim().is_empty() => {
            failures
                .push(missing(format!("the file to open first, \"{}\", is empty", source.entry)));
        }
        Some(_) if !parsed.pages.contains_key(&source.entry) => {
            failures.push(missing(format!(
                "the file to open first, \"{}\", is not a page",
                source.entry
            )));
        }
        Some(_) => {}
    }
    let detail = format!("\"{}\" is there.", source.entry);
    Check { name: "There is a page to open", detail, failures }
}

fn references(source: &SourceCode, parsed: &ParsedFiles) -> Check {
    let mut all: Vec<(&str, usize, &str)> = Vec::new();
    for (path, page) in parsed.pages.iter().chain(&parsed.drawings) {
        all.extend(
            page.references.iter().map(|found| (path.as_str(), found.line, found.text.as_str())),
        );
    }
    for (path, style) in &parsed.styles {
        let references = style.iter().flat_map(|style| &style.references);
        all.extend(references.map(|(line, text)| (path.as_str(), *line, text.as_str())));
    }
    let mut count = 0;
    let mut failures = Vec::new();
    for (place, line, reference) in all {
        let from = place.split(" (").next().unwrap_or(place);
        let fail =
            |detail: String| Failure::new("missing_reference", from, line, detail).about(reference);
        match Target::of(from, reference) {
            Target::Elsewhere => {}
            Target::Outside => {
                failures.push(fail(format!("\"{reference}\" leads out of the folder")));
            }
            Target::Absolute => failures.push(fail(format!(
                "\"{reference}\" begins at the root of a host and leads nowhere from a folder"
            ))),
            Target::File { path, fragment } => {
                count += 1;
                if source.file(&path).is_none() {
                    failures.push(fail(format!(
                        "\"{reference}\" leads to the file \"{path}\", which does not exist"
                    )));
                } else if let (Some(fragment), Some(page)) = (fragment, parsed.pages.get(&path))
                    && !page.ids.iter().any(|id| id.text == fragment)
                {
                    let detail = format!(
                        "\"{reference}\" leads to the id \"{fragment}\", which \"{path}\" does not have"
                    );
                    failures.push(
                        Failure::new("missing_fragment", from, line, detail).about(reference),
                    );
                }
            }
        }
    }
    Check {
        name: "Every reference leads somewhere",
        detail: format!("{count} references to files lead to files that exist."),
        failures,
    }
}

/// Target of a reference.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    File {
        path: String,
        fragment: Option<String>,
    },
    /// To another host, or to no document at all.
    Elsewhere,
    /// Above the folder.
    Outside,
    /// To the root of the host.
    Absolute,
}

impl Target {
    fn of(from: &str, reference: &str) -> Self {
        let reference = reference.trim();
        let scheme = reference.split(['/', '?', '#']).next().unwrap_or_default();
        if reference.starts_with("//") || scheme.contains(':') {
            return Self::Elsewhere;
        }
        if reference.starts_with('/') {
            return Self::Absolute;
        }
        let (address, fragment) = match reference.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (reference, None),
        };
        let address = address.split('?').next().unwrap_or_default();
        let fragment = fragment.filter(|f| !f.is_empty() && *f != "top").map(decoded);
        if address.is_empty() {
            return Self::File { path: from.to_owned(), fragment };
        }
        let mut parts: Vec<String> = from
            .rsplit_once('/')
            .map_or_else(Vec::new, |(folder, _)| folder.split('/').map(str::to_owned).collect());
        for part in decoded(address).split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Self::Outside;
                    }
                }
                part => parts.push(part.to_owned()),
            }
        }
        if address.ends_with('/') {
            parts.push("index.html".to_owned());
        }
        Self::File { path: parts.join("/"), fragment }
    }
}

/// Returns a text with its percent-encoded bytes decoded (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn well_formed(parsed: &ParsedFiles) -> Check {
    let mut failures = Vec::new();
    for (path, page) in parsed.pages.iter().chain(&parsed.drawings) {
        for problem in &page.problems {
            failures.push(Failure::new("html_malformed", path, problem.line, problem.text.clone()));
        }
    }
    Check {
        name: "Pages are well-formed",
        detail: format!(
            "{} pages and drawings: every tag matches.",
            parsed.pages.len() + parsed.drawings.len()
        ),
        failures,
    }
}

fn unique_ids(parsed: &ParsedFiles) -> Check {
    let mut failures = Vec::new();
    let mut count = 0;
    for (path, page) in &parsed.pages {
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &page.ids {
            count += 1;
            if let Some(first) = lines.insert(&id.text, id.line) {
                let detail = format!("the id \"{}\" is already on line {first}", id.text);
                failures.push(Failure::new("duplicate_id", path, id.line, detail).about(&id.text));
            }
        }
    }
    Check {
        name: "Ids are unique",
        detail: format!("{count} ids, none twice on a page."),
        failures,
    }
}

fn names(parsed: &ParsedFiles) -> Check {
    let mut failures = Vec::new();
    for (path, page) in &parsed.pages {
        for found in &page.nameless {
            let detail = format!("{} has no name that a screen reader could say", found.text);
            failures.push(Failure::new("nameless_control", path, found.line, detail));
        }
    }
    Check {
        name: "Every control has a name",
        detail: "Inputs have labels, buttons have a text.".to_owned(),
        failures,
    }
}

fn json_files(source: &SourceCode) -> Check {
    let files: Vec<_> = source.files.iter().filter(|file| file.extension() == "json").collect();
    let failures = files
        .iter()
        .filter_map(|file| {
            let error = serde_json::from_str::<serde::de::IgnoredAny>(&file.content).err()?;
            Some(Failure::new("json_invalid", &file.path, error.line(), error.to_string()))
        })
        .collect();
    Check {
        name: "JSON files parse",
        detail: format!("{} parsed.", count(files.len(), "file")),
        failures,
    }
}

fn unbalanced(
    code: &'static str,
    files: &BTreeMap<String, Result<script::Balanced, script::Unbalanced>>,
) -> Vec<Failure> {
    files
        .iter()
        .filter_map(|(path, result)| {
            let error = result.as_ref().err()?;
            Some(Failure::new(code, path, error.line, error.text.clone()))
        })
        .collect()
}

fn style_sheets(parsed: &ParsedFiles) -> Check {
    Check {
        name: "Style sheets are balanced",
        detail: format!(
            "{}: brackets, texts and comments.",
            count(parsed.styles.len(), "style sheet")
        ),
        failures: unbalanced("css_unbalanced", &parsed.styles),
    }
}

fn scripts(parsed: &ParsedFiles) -> Check {
    Check {
        name: "Scripts are balanced",
        detail: format!(
            "{}: brackets, texts, templates and comments. Nothing was run.",
            count(parsed.scripts.len(), "script")
        ),
        failures: unbalanced("js_unbalanced", &parsed.scripts),
    }
}

fn coverage(parsed: &ParsedFiles, criteria: Option<&[Criterion]>) -> Check {
    let name = "Acceptance criteria are covered";
    let Some(criteria) = criteria.filter(|criteria| !criteria.is_empty()) else {
        let detail = "No list of criteria was given, so nothing was compared.".to_owned();
        return Check { name, detail, failures: Vec::new() };
    };
    let mut marked: BTreeSet<&str> = BTreeSet::new();
    for page in parsed.pages.values() {
        marked.extend(page.acceptance.iter().map(String::as_str));
    }
    for script in parsed.scripts.values().flatten() {
        marked.extend(script.strings.iter().flat_map(|text| text.split_whitespace()));
    }
    let failures = criteria
        .iter()
        .filter(|criterion| !marked.contains(criterion.id.as_str()))
        .map(|criterion| Failure {
            code: "criterion_uncovered",
            file: None,
            line: None,
            subject: Some(criterion.id.clone()),
            detail: format!(
                "nothing in the application is marked as implementing {}: {}",
                criterion.id,
                clip(&criterion.text, 200)
            ),
        })
        .collect();
    let detail = format!(
        "{} of the specification: each is marked in a page, at the part that stands for it. Whether \
         the part does what the criterion says was not tried in a browser.",
        count(criteria.len(), "criterion")
    );
    Check { name, detail, failures }
}

fn report(summary: &str, checks: &[Check], remarks: &[String]) -> String {
    let lines = checks.iter().map(|check| {
        let result = if check.failures.is_empty() { "passed" } else { "**failed**" };
        let detail = if check.failures.is_empty() {
            markdown(&check.detail)
        } else {
            markdown(&first_sentences(&check.failures))
        };
        format!("{}: {result}. {detail}", check.name)
    });
    let mut text = format!("# Test results\n\n*{STATEMENT}.*\n\n{summary}\n\n{}\n", bullets(lines));
    if !remarks.is_empty() {
        text.push_str("\n## Changes requested by a reviewer\n");
        for remark in remarks {
            text.push_str(&format!("\n{}\n", quotation(remark)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::application;
    use botarmy_domain::source_code::SourceFile;

    use super::*;

    fn sound() -> (SourceCode, Vec<Criterion>) {
        let mut product = Product::from_idea("A shop with photos, ratings, sharing and printing");
        product.request("Please add tags");
        let criteria = product.criteria().map(|(_, criterion)| criterion.clone()).collect();
        (application::build(&product), criteria)
    }

    fn codes(source: &SourceCode, criteria: &[Criterion]) -> Vec<&'static str> {
        let checks = run(source, Some(criteria));
        checks.iter().flat_map(|check| check.failures.iter().map(|failure| failure.code)).collect()
    }

    fn mutated(path: &str, from: &str, to: &str) -> Vec<&'static str> {
        let (mut source, criteria) = sound();
        let file = source.file_mut(path).unwrap();
        assert!(file.content.contains(from), "{path} does not contain {from}");
        file.content = file.content.replacen(from, to, 1);
        codes(&source, &criteria)
    }

    #[test]
    fn a_sound_application_passes_every_check() {
        let (source, criteria) = sound();
        for check in run(&source, Some(&criteria)) {
            assert_eq!(check.failures, [], "{}", check.name);
        }
    }

    #[test]
    fn the_defect_of_a_first_build_is_found_and_nothing_else() {
        let product = Product::from_idea("A recipe-sharing site for small families");
        let criteria: Vec<_> = product.criteria().map(|(_, c)| c.clone()).collect();
        assert_eq!(codes(&application::first_build(&product), &criteria), ["missing_reference"]);
    }

    #[test]
    fn a_reference_to_nothing_is_found() {
        assert_eq!(mutated("about.html", "theme.js", "them.js"), ["missing_reference"]);
        assert_eq!(
            mutated("about.html", "href=\"styles.css\"", "href=\"/styles.css\""),
            ["missing_reference"]
        );
        assert_eq!(
            mutated("about.html", "href=\"icon.svg\"", "href=\"../icon.svg\""),
            ["missing_reference"]
        );
        assert_eq!(
            mutated("styles.css", "body {", "body { background: url(x.png);"),
            ["missing_reference"]
        );
    }

    #[test]
    fn a_link_to_an_id_that_is_not_there_is_found() {
        assert_eq!(mutated("index.html", "href=\"#list\"", "href=\"#lost\""), ["missing_fragment"]);
    }

    #[test]
    fn mismatched_and_unclosed_tags_are_found() {
        assert!(mutated("index.html", "</dialog>", "").contains(&"html_malformed"));
        assert!(mutated("index.html", "</main>", "</section>").contains(&"html_malformed"));
        assert_eq!(mutated("icon.svg", "</text>", ""), ["html_malformed"]);
    }

    #[test]
    fn a_duplicate_id_is_found() {
        assert_eq!(mutated("index.html", "id=\"new\"", "id=\"theme\""), ["duplicate_id"]);
    }

    #[test]
    fn a_control_without_a_name_is_found() {
        assert_eq!(
            mutated("index.html", "<label for=\"search\">Search</label>", ""),
            ["nameless_control"]
        );
    }

    #[test]
    fn json_that_does_not_parse_is_found() {
        assert_eq!(mutated("data.json", "{", "{,"), ["json_invalid"]);
    }

    #[test]
    fn unbalanced_style_sheets_and_scripts_are_found() {
        assert_eq!(mutated("styles.css", "}", ""), ["css_unbalanced"]);
        assert_eq!(mutated("app.js", "function load() {", "function load() "), ["js_unbalanced"]);
        assert_eq!(mutated("data.js", "window.APP = {", "window.APP = "), ["js_unbalanced"]);
        let script = "<script>f(</script></main>";
        assert_eq!(mutated("about.html", "</main>", script), ["js_unbalanced"]);
    }

    #[test]
    fn an_acceptance_criterion_without_a_mark_is_found() {
        let (source, criteria) = sound();
        for criterion in &criteria {
            let mut source = source.clone();
            for file in &mut source.files {
                if file.extension() == "html" {
                    file.content = file.content.replace(&format!("\"{}\"", criterion.id), "\"\"");
                    file.content = file.content.replace(&format!("{} ", criterion.id), "");
                    file.content = file.content.replace(&format!(" {}\"", criterion.id), "\"");
                }
            }
            assert_eq!(codes(&source, &criteria), ["criterion_uncovered"], "{}", criterion.id);
        }
    }

    #[test]
    fn hostile_paths_are_found() {
        for path in ["../../etc/cron.d/x", "/abs.txt", "a\\b", "nul"] {
            let (mut source, criteria) = sound();
            source.files.push(SourceFile::new(path, ""));
            assert_eq!(codes(&source, &criteria), ["bad_path"], "{path}");
        }
    }

    #[test]
    fn an_application_without_a_page_to_open_fails() {
        let (mut source, criteria) = sound();
        source.entry = "home.html".to_owned();
        assert_eq!(codes(&source, &criteria), ["entry_missing"]);
    }

    #[test]
    fn references_are_resolved_as_a_browser_does() {
        let file = |path: &str, fragment: Option<&str>| Target::File {
            path: path.to_owned(),
            fragment: fragment.map(str::to_owned),
        };
        for (from, reference, target) in [
            ("index.html", "a%20b.css?v=1", file("a b.css", None)),
            ("pages/a.html", "../x.js", file("x.js", None)),
            ("pages/a.html", "b/", file("pages/b/index.html", None)),
            ("index.html", "#a", file("index.html", Some("a"))),
            ("index.html", "../x", Target::Outside),
            ("index.html", "/x", Target::Absolute),
            ("index.html", "//host/x", Target::Elsewhere),
            ("index.html", "mailto:a@example.org", Target::Elsewhere),
            ("index.html", "https://example.org/", Target::Elsewhere),
            ("index.html", "100%.css", file("100%.css", None)),
        ] {
            assert_eq!(Target::of(from, reference), target, "{reference}");
        }
    }
}
