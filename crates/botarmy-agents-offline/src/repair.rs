//! Bug fixes: repairs the failures that the test results name. It has no other information about
//! the defects.

use botarmy_domain::source_code::SourceCode;
use serde_json::Value;

use crate::application;
use crate::brief::Brief;
use crate::documents;
use crate::english::count;
use crate::error::DraftError;
use crate::product::Product;
use crate::refinement::{noted, record, refine, with_feedback};
use crate::template::clip;

/// Repairs the source code by the test results.
pub(crate) fn draft(brief: &Brief) -> Result<Value, DraftError> {
    let results = brief.needed("test_results")?;
    let content = brief.needed("source_code")?;
    let passed = results.get("passed").and_then(Value::as_bool).ok_or_else(|| {
        malformed("it needs \"passed\" with true or false as its value".to_owned())
    })?;
    let failures = failures(results)?;
    if !passed && failures.is_empty() {
        return Err(malformed("it says that tests failed, but lists no failures".to_owned()));
    }

    let remarks = results.get("remarks").and_then(Value::as_array);
    let remarks = remarks.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let feedback: Vec<String> = remarks.chain(brief.feedback.iter().cloned()).collect();
    let source = SourceCode::read(content)?;
    let (mut source, product) = with_feedback(brief, source, &feedback)?;

    let (mut fixed, mut open) = (Vec::new(), Vec::new());
    let should_be = reference(brief, product.as_ref());
    for failure in &failures {
        match repair(&mut source, failure, should_be.as_ref()) {
            Some(note) => fixed.push(note),
            None => open.push(noted(&clip(&failure.detail, 300))),
        }
    }
    fixed.dedup();
    if !fixed.is_empty() {
        record(&mut source, &fixed);
    }
    let summary = match (fixed.len(), open.len()) {
        (0, 0) => "Every test had passed; nothing was changed.".to_owned(),
        (fixed, 0) => format!("{} fixed, none left.", count(fixed, "problem")),
        (fixed, open) => {
            format!("{} fixed, {open} left for a person.", count(fixed, "problem"))
        }
    };
    let mut notes = fixed;
    notes.extend(open.iter().map(|detail| format!("Not fixed: {detail}")));
    let product = product.as_ref();
    let mut content = documents::source_code(&source, product, brief.step, &summary, &notes);
    content["unresolved"] = open.into();
    Ok(content)
}

const fn malformed(detail: String) -> DraftError {
    DraftError::Malformed { artifact: "test_results", detail }
}

/// A failure as the test results carry it.
#[derive(Debug)]
struct Reported {
    code: String,
    file: Option<String>,
    subject: Option<String>,
    detail: String,
}

fn failures(results: &Value) -> Result<Vec<Reported>, DraftError> {
    let list = match results.get("failures") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(malformed("its \"failures\" are not a list".to_owned())),
    };
    Ok(list
        .iter()
        .map(|failure| {
            let text = |key: &str| failure.get(key).and_then(Value::as_str).map(str::to_owned);
            Reported {
                code: text("code").unwrap_or_default(),
                // A style or script inside of a page is named together with its line.
                file: text("file").map(|f| f.split(" (").next().unwrap_or_default().to_owned()),
                subject: text("subject"),
                detail: text("detail")
                    .or_else(|| failure.as_str().map(str::to_owned))
                    .unwrap_or_else(|| "a failure without a description".to_owned()),
            }
        })
        .collect())
}

/// Returns the application as the templates build it, refined: the source of files that replace
/// broken ones. `None` for an application that was not built from the templates.
fn reference(brief: &Brief, built: Option<&Product>) -> Option<SourceCode> {
    let mut product = built?.clone();
    if let Ok(agreed) = brief.product() {
        // The documents include every agreed story; the build may be older.
        if agreed.stories.len() >= product.stories.len() {
            product = agreed;
        }
    }
    let mut source = application::build(&product);
    refine(&mut source);
    Some(source)
}

/// Repairs one failure and returns a note about it; `None` if a template engine cannot repair it.
fn repair(
    source: &mut SourceCode,
    failure: &Reported,
    should_be: Option<&SourceCode>,
) -> Option<String> {
    match failure.code.as_str() {
        "missing_reference" => {
            let (file, wrong) = (failure.file.as_deref()?, failure.subject.as_deref()?);
            if !source.file(file)?.content.contains(wrong) {
                // Repaired together with an earlier failure.
                return Some(format!("`{}` no longer asks for `{}`.", noted(file), noted(wrong)));
            }
            redirect(source, file, wrong).or_else(|| restore(source, file, should_be))
        }
        "entry_missing" => {
            let page = source.files.iter().find(|file| file.path == application::ENTRY);
            let page =
                page.or_else(|| source.files.iter().find(|file| file.extension() == "html"))?;
            if page.path == source.entry || page.content.trim().is_empty() {
                let entry = source.entry.clone();
                return restore(source, &entry, should_be);
            }
            source.entry.clone_from(&page.path);
            Some(format!("The file to open first is `{}`.", noted(&source.entry)))
        }
        "bad_path" => {
            let wrong = failure.subject.as_deref()?;
            let at = source.files.iter().rposition(|file| file.path == wrong)?;
            source.files.remove(at);
            Some(format!(
                "A file with an impossible path was taken out: {}.",
                noted(&clip(wrong, 100))
            ))
        }
        "criterion_uncovered" => {
            let id = failure.subject.as_deref()?;
            let marked = should_be?.files.iter().find(|file| marks(&file.content, id))?;
            let path = marked.path.clone();
            restore(source, &path, should_be)?;
            Some(format!("`{path}` implements {} again.", noted(id)))
        }
        "html_malformed" | "missing_fragment" | "duplicate_id" | "nameless_control"
        | "json_invalid" | "css_unbalanced" | "js_unbalanced" => {
            restore(source, failure.file.as_deref()?, should_be)
        }
        _ => None,
    }
}

/// Replaces a reference by one to the existing file with the most similar name.
fn redirect(source: &mut SourceCode, file: &str, wrong: &str) -> Option<String> {
    let kind = |path: &str| path.rsplit_once('.').map(|(_, kind)| kind.to_owned());
    let name = wrong.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let right = source
        .files
        .iter()
        .map(|candidate| candidate.path.as_str())
        .filter(|path| kind(path) == kind(name))
        .map(|path| (distance(path, name), path))
        .filter(|(distance, _)| *distance <= 3)
        .min()?
        .1
        .to_owned();
    // References are relative to the folder that the file is in.
    let up = "../".repeat(file.matches('/').count());
    let page = source.file_mut(file)?;
    let before = page.content.clone();
    for (open, close) in [("\"", "\""), ("'", "'"), ("(", ")")] {
        let old = format!("{open}{wrong}{close}");
        let new = format!("{open}{up}{right}{close}");
        page.content = page.content.replace(&old, &new);
    }
    (page.content != before).then(|| {
        format!("`{}` asks for `{}` instead of `{}`.", noted(file), noted(&right), noted(wrong))
    })
}

/// Replaces a file by the one that the templates build, if they build it.
fn restore(source: &mut SourceCode, path: &str, should_be: Option<&SourceCode>) -> Option<String> {
    let right = should_be?.file(path)?;
    source.put(right.clone());
    Some(format!("`{}` was made anew from its template.", noted(path)))
}

/// Returns `true` if a page has a mark for a criterion.
fn marks(page: &str, id: &str) -> bool {
    let mut rest = page;
    while let Some(at) = rest.find("data-acceptance=\"") {
        rest = &rest[at + "data-acceptance=\"".len()..];
        let end = rest.find('"').unwrap_or(rest.len());
        if rest[..end].split_whitespace().any(|marked| marked == id) {
            return true;
        }
    }
    false
}

/// Returns the number of letters to insert, remove or replace between two words (Levenshtein, 1965).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(200).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(200).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks;
    use crate::step::Step;

    fn brief(inputs: &Value) -> Brief {
        let inputs = inputs.as_object().unwrap().clone().into_iter().collect();
        Brief {
            step: Step::BugFix,
            idea: String::new(),
            feedback: Vec::new(),
            inputs,
            is_repaired: true,
        }
    }

    fn tested(source: &Value) -> Value {
        let mut brief = brief(&json!({"source_code": source}));
        brief.step = Step::CodeTesting;
        checks::draft(&brief).unwrap()
    }

    fn built() -> Value {
        let mut brief = brief(&json!({}));
        brief.step = Step::CodeGeneration;
        brief.idea = "A recipe-sharing site for small families".to_owned();
        let product = brief.product().unwrap();
        documents::source_code(&brief.build(&product), Some(&product), brief.step, "Built.", &[])
    }

    fn fixed(source: &Value) -> Value {
        let results = tested(source);
        assert_eq!(results["passed"], false, "there was nothing to fix");
        draft(&brief(&json!({"source_code": source, "test_results": results}))).unwrap()
    }

    #[test]
    fn a_fix_by_the_test_results_makes_the_tests_pass() {
        let fixed = fixed(&built());
        assert_eq!(tested(&fixed)["passed"], true);
        assert_eq!(fixed["notes"][0], "`index.html` asks for `styles.css` instead of `style.css`.");
    }

    #[test]
    fn a_defect_that_was_not_planted_is_fixed_as_well() {
        for (path, from, to) in [
            ("about.html", "</main>", ""),
            ("app.js", "function load() {", "function load() "),
            ("data.json", "{", "["),
            ("styles.css", "}", ""),
            ("index.html", "data-acceptance=\"AC-1.1\"", ""),
            ("index.html", "id=\"new\"", "id=\"theme\""),
            ("about.html", "theme.js", "themes.js"),
        ] {
            let mut source = built();
            let files = source["files"].as_array_mut().unwrap();
            let file = files.iter_mut().find(|file| file["path"] == path).unwrap();
            let text = file["content"].as_str().unwrap();
            assert!(text.contains(from), "{path} has no {from}");
            file["content"] = text.replacen(from, to, 1).into();
            let fixed = fixed(&source);
            assert_eq!(tested(&fixed)["passed"], true, "{path}: {}", tested(&fixed)["failures"]);
        }
    }

    #[test]
    fn a_failure_that_cannot_be_fixed_is_named() {
        let source = json!({
            "files": [{"path": "index.html", "content": "<!doctype html><div>"}],
        });
        let fixed = fixed(&source);
        assert_eq!(fixed["unresolved"].as_array().unwrap().len(), 1);
        assert_eq!(tested(&fixed)["passed"], false);
    }

    #[test]
    fn without_failures_nothing_is_changed() {
        let source = built();
        let results = json!({"passed": true, "failures": []});
        let same = draft(&brief(&json!({"source_code": source, "test_results": results}))).unwrap();
        assert_eq!(same["files"], source["files"]);
    }

    #[test]
    fn malformed_results_are_a_clear_error() {
        for results in [
            json!({}),
            json!({"passed": "yes"}),
            json!({"passed": false}),
            json!({"passed": false, "failures": "many"}),
        ] {
            let error = draft(&brief(&json!({"source_code": built(), "test_results": results})))
                .unwrap_err();
            assert!(error.to_string().contains("test_results"), "{error}");
        }
        let odd = json!({"passed": false, "failures": [null, 7, "it does not work", {}]});
        let fixed = draft(&brief(&json!({"source_code": built(), "test_results": odd}))).unwrap();
        assert_eq!(fixed["unresolved"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn distances_count_letters() {
        assert_eq!(distance("styles.css", "style.css"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
