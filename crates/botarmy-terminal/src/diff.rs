//! Differences of two texts in the unified format.

use std::time::Duration;

use similar::{Algorithm, ChangeTag, TextDiff};

use crate::style::{Look, Style};
use crate::text::printable;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Longest time that is spent on a small difference; a larger one is found after it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the difference of two texts in the unified format, or `None` if they are the same.
#[must_use]
pub fn unified(old: (&str, &str), new: (&str, &str), look: Look) -> Option<String> {
    let (old_name, old) = (printable(old.0), printable(old.1));
    let (new_name, new) = (printable(new.0), printable(new.1));
    let diff =
        TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(&old, &new);
    let groups = diff.grouped_ops(CONTEXT);
    if groups.is_empty() {
        return None;
    }
    let mut lines = vec![
        look.paint(Style::Strong, &format!("--- {old_name}")),
        look.paint(Style::Strong, &format!("+++ {new_name}")),
    ];
    for group in &groups {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let old = first.old_range().start..last.old_range().end;
        let new = first.new_range().start..last.new_range().end;
        let range = |range: &std::ops::Range<usize>| match range.len() {
            0 => format!("{},0", range.start),
            1 => (range.start + 1).to_string(),
            length => format!("{},{length}", range.start + 1),
        };
        let head = format!("@@ -{} +{} @@", range(&old), range(&new));
        lines.push(look.paint(Style::Code, &head));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Equal => (' ', Style::Plain),
                ChangeTag::Delete => ('-', Style::Bad),
                ChangeTag::Insert => ('+', Style::Good),
            };
            let text = change.value().trim_end_matches('\n');
            lines.push(look.paint(style, &format!("{sign}{text}")));
            if change.missing_newline() {
                lines.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_the_form_of_diff() {
        let old: String = (1..=9).map(|n| format!("{n}\n")).collect();
        let new = old.replace("5\n", "five\n\u{1b}[2J\n");
        let look = Look { width: 60, has_colour: false };
        assert_eq!(
            unified(("a", &old), ("b", &new), look).unwrap(),
            "--- a\n+++ b\n@@ -2,7 +2,8 @@\n 2\n 3\n 4\n-5\n+five\n+\u{fffd}[2J\n 6\n 7\n 8"
        );
        assert_eq!(unified(("a", &old), ("b", &old), look), None);
        let painted = unified(("a", "x"), ("b", "y\n"), Look { has_colour: true, ..look }).unwrap();
        assert!(painted.contains("\u{1b}[31m-x\u{1b}[0m\n\\ No newline"), "{painted:?}");
    }
}
