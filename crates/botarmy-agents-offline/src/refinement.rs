//! Refinement of source code: small improvements that fit any static site. References and markup
//! are not changed, so a defect stays until the tests have found it.

use botarmy_domain::source_code::{SourceCode, SourceFile};
use serde_json::Value;

use crate::brief::Brief;
use crate::documents;
use crate::english::count;
use crate::error::DraftError;
use crate::product::{Product, kept};
use crate::statement::STATEMENT;
use crate::step::Step;
use crate::template::{bullets, markdown, quotation};

/// Refines the source code.
pub(crate) fn draft(brief: &Brief) -> Result<Value, DraftError> {
    let content = brief.needed("source_code")?;
    let (mut source, product) = with_feedback(brief, SourceCode::read(content)?, &brief.feedback)?;
    let notes = refine(&mut source);
    let summary = match notes.len() {
        0 => "Nothing was left to refine.".to_owned(),
        n => format!("{} in {}.", count(n, "refinement"), count(source.files.len(), "file")),
    };
    Ok(documents::source_code(&source, product.as_ref(), brief.step, &summary, &notes))
}

/// Applies the requests that reviewers made after the source code was written: an application from
/// the templates is built again, any other one gets a file with the requests.
pub(crate) fn with_feedback(
    brief: &Brief,
    mut source: SourceCode,
    feedback: &[String],
) -> Result<(SourceCode, Option<Product>), DraftError> {
    let product = Product::from_document(brief.needed("source_code")?);
    let Some(mut product) = product else {
        if !feedback.is_empty() {
            source.put(SourceFile::new("CHANGES_REQUESTED.md", requests(feedback)));
        }
        return Ok((source, None));
    };
    let before = product.changes.len();
    for text in feedback {
        product.request(text);
    }
    if product.changes.len() > before {
        source = brief.build(&product);
        if brief.step == Step::BugFix {
            refine(&mut source);
        }
    }
    Ok((source, Some(product)))
}

fn requests(feedback: &[String]) -> String {
    let quotations: Vec<String> = feedback.iter().map(|text| quotation(&kept(text))).collect();
    format!(
        "# Changes requested by a reviewer\n\n*{STATEMENT}. It did not make these files and cannot \
         change what they do.*\n\n{}\n",
        quotations.join("\n\n---\n\n")
    )
}

const PRINT: &str = include_str!("templates/refinements/print.css");
const MOTION: &str = include_str!("templates/refinements/motion.css");
const SHORTCUTS: &str = include_str!("templates/refinements/shortcuts.js");

/// Makes every improvement that applies and returns a note about each. A second call changes nothing.
pub(crate) fn refine(source: &mut SourceCode) -> Vec<String> {
    let mut notes = Vec::new();
    let mut tidied = 0;
    for file in &mut source.files {
        let text = tidy(&file.content, file.extension() == "md");
        if text != file.content {
            file.content = text;
            tidied += 1;
        }
    }
    if tidied > 0 {
        notes.push(format!(
            "Line ends and trailing white space tidied in {}.",
            count(tidied, "file")
        ));
    }
    let sheet = source.files.iter_mut().find(|file| file.extension() == "css");
    if let Some(sheet) = sheet {
        for (feature, addition, what) in [
            ("@media print", PRINT, "prints without controls and backgrounds"),
            ("prefers-reduced-motion", MOTION, "keeps still for people who ask for less motion"),
        ] {
            if !sheet.content.contains(feature) {
                sheet.content.push('\n');
                sheet.content.push_str(addition);
                notes.push(format!("`{}` {what}.", sheet.path));
            }
        }
    }
    let script = source.files.iter_mut().find(|file| {
        file.path == "app.js"
            && ["\"search\"", "\"new\""].iter().all(|id| file.content.contains(id))
            && !file.content.contains("keydown")
    });
    if let Some(script) = script {
        script.content.push('\n');
        script.content.push_str(SHORTCUTS);
        notes.push("`app.js` has shortcuts: `/` searches, `n` adds.".to_owned());
    }
    if !notes.is_empty() {
        record(source, &notes);
    }
    notes
}

/// Adds an entry to the change log.
pub(crate) fn record(source: &mut SourceCode, notes: &[String]) {
    const HEAD: &str = "# Changes\n";
    let before = source.file("CHANGELOG.md").map_or(HEAD, |file| file.content.as_str());
    let number = before.matches("\n## Build ").count() + 2;
    let text = format!("{}\n## Build {number}\n\n{}\n", before, bullets(notes));
    source.put(SourceFile::new("CHANGELOG.md", text));
}

/// Returns a text from outside as Markdown for the change log.
pub(crate) fn noted(text: &str) -> String {
    markdown(text)
}

fn tidy(text: &str, keep_double_space: bool) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        // In Markdown two spaces at the end of a line break it.
        let trimmed = line.trim_end_matches([' ', '\t']);
        out.push_str(trimmed);
        if keep_double_space && !trimmed.is_empty() && line.ends_with("  ") {
            out.push_str("  ");
        }
        out.push('\n');
    }
    let end = out.trim_end_matches('\n').len();
    out.truncate(end);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application;

    fn first_build() -> SourceCode {
        application::first_build(&Product::from_idea("recipes"))
    }

    #[test]
    fn a_second_refinement_changes_nothing() {
        let mut source = first_build();
        assert_eq!(refine(&mut source).len(), 3);
        let once = source.clone();
        assert_eq!(refine(&mut source), Vec::<String>::new());
        assert_eq!(source, once);
    }

    #[test]
    fn refining_does_not_hide_a_defect() {
        let mut source = first_build();
        refine(&mut source);
        let page = source.file("index.html").unwrap();
        assert_eq!(Some(page), first_build().file("index.html"));
        assert!(source.file("style.css").is_none());
    }

    #[test]
    fn white_space_is_tidied_but_line_breaks_of_markdown_stay() {
        assert_eq!(tidy("a \r\nb\t\n\n\n", false), "a\nb\n");
        assert_eq!(tidy("a  \nb", true), "a  \nb\n");
        assert_eq!(tidy("\n\n", false), "");
    }

    #[test]
    fn the_additions_are_balanced() {
        let mut source = first_build();
        refine(&mut source);
        let checks = crate::checks::run(&source, None);
        let failures: Vec<_> = checks.iter().flat_map(|check| &check.failures).collect();
        assert_eq!(failures.len(), 1, "{failures:?}");
    }
}
