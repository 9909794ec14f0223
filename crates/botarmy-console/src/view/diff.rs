//! Changes between two texts, and between two sets of files, as rows of a table.
//!
//! Time and size are limited: very long texts are not compared, a comparison that takes too long is
//! coarser, and a page shows a limited number of rows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use similar::{DiffOp, TextDiff};

use super::markup::Markup;

/// Longest text that is compared, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Most lines that are compared for one page.
const MAX_LINES: usize = 100_000;
/// Time after which the comparison of two texts becomes coarser.
const TIMEOUT: Duration = Duration::from_millis(100);
/// Time after which all comparisons for one page become coarser.
const PAGE_TIMEOUT: Duration = Duration::from_millis(300);
/// Unchanged lines that are shown before and after a change.
const CONTEXT: usize = 3;
/// Longest changed part whose words are compared, in bytes.
const MAX_INLINE_BYTES: usize = 8 * 1024;
/// Most bytes whose words are compared for one page.
const MAX_INLINE_TOTAL: usize = 128 * 1024;
/// Words are marked if at least one of so many is the same; otherwise the part is another one.
const MIN_LIKENESS: usize = 4;
/// Most rows on one page.
pub(crate) const MAX_ROWS: usize = 3_000;

/// Changes of one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Number of added lines.
    pub(crate) added: usize,
    /// Number of removed lines.
    pub(crate) removed: usize,
    pub(crate) rows: Vec<Row>,
    /// Number of rows that are not shown, because there are too many.
    pub(crate) omitted: usize,
    /// Whether the texts are too long to be compared.
    pub(crate) is_too_long: bool,
}

/// Row of the table. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// Line that is in both texts.
    Same { old: usize, new: usize, html: Markup },
    /// Line of the old text only.
    Removed { old: usize, html: Markup },
    /// Line of the new text only.
    Added { new: usize, html: Markup },
    /// Unchanged lines that are not shown.
    Fold { lines: usize },
}

/// Change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileChanges {
    pub(crate) path: String,
    pub(crate) kind: FileChange,
    pub(crate) changes: Changes,
}

/// Kind of the change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileChange {
    Added,
    Removed,
    Changed,
}

/// Compares two texts. With `all`, unchanged lines are not folded.
pub(crate) fn texts(old: &str, new: &str, all: bool) -> Changes {
    compare(old, new, all, &mut Room::default())
}

/// Compares two sets of files, of which each has a path and a text. Files that are equal in both are
/// left out.
pub(crate) fn files<'a>(
    old: impl IntoIterator<Item = (&'a str, &'a str)>,
    new: impl IntoIterator<Item = (&'a str, &'a str)>,
    all: bool,
) -> Vec<FileChanges> {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (old.into_iter().collect(), new.into_iter().collect());
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let mut room = Room::default();
    let mut found = Vec::new();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        let kind = match (before, after) {
            (Some(before), Some(after)) if before == after => continue,
            (None, _) => FileChange::Added,
            (_, None) => FileChange::Removed,
            _ => FileChange::Changed,
        };
        let text = |side: Option<&&'a str>| side.map_or("", |text| *text);
        let changes = compare(text(before), text(after), all, &mut room);
        found.push(FileChanges { path: path.to_owned(), kind, changes });
    }
    found
}

/// Returns the numbers of added and removed lines.
pub(crate) fn totals(files: &[FileChanges]) -> (usize, usize) {
    files.iter().fold((0, 0), |(added, removed), file| {
        (added + file.changes.added, removed + file.changes.removed)
    })
}

/// Rest of the limits of one page.
struct Room {
    rows: usize,
    lines: usize,
    inline_bytes: usize,
    until: Instant,
}

impl Room {
    /// Returns the time that one comparison may take.
    fn timeout(&self) -> Duration {
        TIMEOUT.min(self.until.saturating_duration_since(Instant::now()))
    }
}

impl Default for Room {
    fn default() -> Self {
        let until = Instant::now() + PAGE_TIMEOUT;
        Self { rows: MAX_ROWS, lines: MAX_LINES, inline_bytes: MAX_INLINE_TOTAL, until }
    }
}

fn compare(old: &str, new: &str, all: bool, room: &mut Room) -> Changes {
    let (before, after) = (old.lines().count(), new.lines().count());
    if old.len().max(new.len()) > MAX_BYTES || before + after > room.lines {
        return Changes { added: after, removed: before, is_too_long: true, ..Changes::default() };
    }
    room.lines -= before + after;
    let (old, new): (Vec<&str>, Vec<&str>) = (split(old), split(new));
    let mut config = TextDiff::configure();
    let diff = config.timeout(room.timeout()).diff_slices(&old, &new);
    let mut builder = Builder { old: &old, new: &new, changes: Changes::default(), room, all };
    let ops = diff.ops();
    for (n, op) in ops.iter().enumerate() {
        builder.op(op, n == 0, n + 1 == ops.len());
    }
    builder.changes
}

/// Returns the lines of a text, each with its end. A last line without an end counts as one with it.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line)).collect()
}

struct Builder<'a> {
    old: &'a [&'a str],
    new: &'a [&'a str],
    changes: Changes,
    room: &'a mut Room,
    all: bool,
}

impl Builder<'_> {
    fn push(&mut self, row: impl FnOnce() -> Row) {
        if self.room.rows > 0 {
            self.room.rows -= 1;
            self.changes.rows.push(row());
        } else {
            self.changes.omitted += 1;
        }
    }

    fn op(&mut self, op: &DiffOp, is_first: bool, is_last: bool) {
        match *op {
            DiffOp::Equal { old_index, new_index, len } => {
                self.same(old_index, new_index, len, is_first, is_last);
            }
            DiffOp::Delete { old_index, old_len, .. } => self.removed(old_index, old_len),
            DiffOp::Insert { new_index, new_len, .. } => self.added(new_index, new_len),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                self.replaced(old_index, old_len, new_index, new_len);
            }
        }
    }

    fn same(&mut self, old: usize, new: usize, len: usize, is_first: bool, is_last: bool) {
        let (head, tail) = (if is_first { 0 } else { CONTEXT }, if is_last { 0 } else { CONTEXT });
        // A fold takes a row itself.
        let folded = if self.all { 0 } else { len.saturating_sub(head + tail) };
        let folded = if folded > 1 { folded } else { 0 };
        let shown = if folded == 0 { len } else { head };
        let row = |n: usize, line: &str| Row::Same {
            old: old + n + 1,
            new: new + n + 1,
            html: code(line),
        };
        for n in 0..shown {
            let line = self.old[old + n];
            self.push(|| row(n, line));
        }
        if folded > 0 {
            self.push(|| Row::Fold { lines: folded });
            for n in head + folded..len {
                let line = self.old[old + n];
                self.push(|| row(n, line));
            }
        }
    }

    fn removed(&mut self, old: usize, len: usize) {
        self.changes.removed += len;
        for n in old..old + len {
            let line = self.old[n];
            self.push(|| Row::Removed { old: n + 1, html: code(line) });
        }
    }

    fn added(&mut self, new: usize, len: usize) {
        self.changes.added += len;
        for n in new..new + len {
            let line = self.new[n];
            self.push(|| Row::Added { new: n + 1, html: code(line) });
        }
    }

    fn replaced(&mut self, old: usize, old_len: usize, new: usize, new_len: usize) {
        let (before, after) = (&self.old[old..old + old_len], &self.new[new..new + new_len]);
        let marked = words(before, after, self.room);
        let Some((removed, added)) = marked else {
            self.removed(old, old_len);
            self.added(new, new_len);
            return;
        };
        self.changes.removed += old_len;
        self.changes.added += new_len;
        for (n, html) in removed.into_iter().enumerate() {
            self.push(|| Row::Removed { old: old + n + 1, html });
        }
        for (n, html) in added.into_iter().enumerate() {
            self.push(|| Row::Added { new: new + n + 1, html });
        }
    }
}

fn code(line: &str) -> Markup {
    let mut html = Markup::default();
    html.push_code(line);
    html
}

/// Returns the lines of a changed part with marks around the words that differ; `None` if too few are the
/// same, or it is too long.
fn words(old: &[&str], new: &[&str], room: &mut Room) -> Option<(Vec<Markup>, Vec<Markup>)> {
    let length: usize = old.iter().chain(new).map(|line| line.len() + 1).sum();
    if length > MAX_INLINE_BYTES.min(room.inline_bytes) {
        return None;
    }
    room.inline_bytes -= length;
    let (old, new) = (old.join("\n"), new.join("\n"));
    let (old, new) = (divide(&old), divide(&new));
    let mut config = TextDiff::configure();
    let diff = config.timeout(room.timeout()).diff_slices(&old, &new);
    let equal = diff.ops().iter().filter(|op| matches!(op, DiffOp::Equal { .. }));
    let same: usize = equal.map(|op| word_length(&old[op.old_range()])).sum();
    // Equal spaces and marks do not make two texts alike.
    if same * 2 * MIN_LIKENESS < word_length(&old) + word_length(&new) || same == 0 {
        return None;
    }
    let (mut removed, mut added) = (Side::new("<del>", "</del>"), Side::new("<ins>", "</ins>"));
    for op in diff.ops() {
        let is_same = matches!(op, DiffOp::Equal { .. });
        removed.push(&old[op.old_range()].concat(), !is_same);
        added.push(&new[op.new_range()].concat(), !is_same);
    }
    Some((removed.finish(), added.finish()))
}

/// Returns the length of all words among these parts of a text, in bytes.
fn word_length(parts: &[&str]) -> usize {
    let words = parts.iter().filter(|part| part.starts_with(char::is_alphanumeric));
    words.map(|word| word.len()).sum()
}

/// Divides a text into words, runs of spaces, and single other characters.
fn divide(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() => 1,
        ' ' | '\t' => 2,
        _ => 0,
    };
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let now = kind(c);
        if at > 0 && (now == 0 || before != Some(now)) {
            parts.push(&text[begin..at]);
            begin = at;
        }
        before = Some(now);
    }
    if begin < text.len() {
        parts.push(&text[begin..]);
    }
    parts
}

/// Lines of one side of a changed part.
struct Side {
    start: &'static str,
    end: &'static str,
    lines: Vec<Markup>,
    line: Markup,
}

impl Side {
    fn new(start: &'static str, end: &'static str) -> Self {
        Self { start, end, lines: Vec::new(), line: Markup::default() }
    }

    fn push(&mut self, text: &str, is_marked: bool) {
        for (n, part) in text.split('\n').enumerate() {
            if n > 0 {
                self.lines.push(std::mem::take(&mut self.line));
            }
            if part.is_empty() {
                continue;
            }
            if is_marked {
                self.line.push_tags(self.start);
            }
            self.line.push_code(part);
            if is_marked {
                self.line.push_tags(self.end);
            }
        }
    }

    fn finish(mut self) -> Vec<Markup> {
        self.lines.push(self.line);
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::markup::testing::parse;

    fn shown(changes: &Changes) -> Vec<String> {
        let row = |row: &Row| match row {
            Row::Same { old, new, html } => format!("{old} {new}  {html}"),
            Row::Removed { old, html } => format!("{old} - {html}"),
            Row::Added { new, html } => format!("{new} + {html}"),
            Row::Fold { lines } => format!("… {lines}"),
        };
        changes.rows.iter().map(row).collect()
    }

    #[test]
    fn changed_words_are_marked_and_unchanged_lines_folded() {
        let old =
            "1\n2\n3\n4\n5\n6\n7\nA link that works for thirty days.\n9\n10\n11\n12\n13\n14\n";
        let new = old.replace("thirty", "seven").replace("14\n", "14\n<b>\n");
        let changes = texts(old, &new, false);
        assert_eq!(
            shown(&changes),
            [
                "… 4",
                "5 5  5",
                "6 6  6",
                "7 7  7",
                "8 - A link that works for <del>thirty</del> days.",
                "8 + A link that works for <ins>seven</ins> days.",
                "9 9  9",
                "10 10  10",
                "11 11  11",
                "12 12  12",
                "13 13  13",
                "14 14  14",
                "15 + &lt;b&gt;",
            ]
        );
        assert_eq!((changes.added, changes.removed), (2, 1));
        assert_eq!(texts(old, &new, true).rows.len(), 16);
    }

    #[test]
    fn lines_with_nothing_in_common_have_no_marks() {
        let changes = texts("alpha beta gamma\n", "one; two; three; four\n", false);
        assert_eq!(shown(&changes), ["1 - alpha beta gamma", "1 + one; two; three; four"]);
        assert_eq!(texts("a\n", "a", false).rows.len(), 1, "the last line end does not count");
        assert_eq!(texts("", "", false), Changes::default());
    }

    #[test]
    fn files_are_added_removed_and_changed() {
        let found = files(
            [("a", "1\n"), ("b", "2\n"), ("c", "3\n")],
            [("b", "2\n"), ("c", "4\n"), ("d", "")],
            false,
        );
        let kinds: Vec<_> = found.iter().map(|file| (file.path.as_str(), file.kind)).collect();
        assert_eq!(
            kinds,
            [("a", FileChange::Removed), ("c", FileChange::Changed), ("d", FileChange::Added)]
        );
        assert_eq!(totals(&found), (1, 2));
    }

    proptest! {
        #[test]
        fn the_rows_have_all_lines_of_both_texts(
            old in proptest::collection::vec("[ab<&]{0,3}( [ab]{1,2})?", 0..30),
            new in proptest::collection::vec("[ab<&]{0,3}( [ab]{1,2})?", 0..30),
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let changes = texts(&text(&old), &text(&new), true);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for row in &changes.rows {
                let (html, is_old, is_new) = match row {
                    Row::Same { html, .. } => (html, true, true),
                    Row::Removed { html, .. } => (html, true, false),
                    Row::Added { html, .. } => (html, false, true),
                    Row::Fold { .. } => unreachable!("nothing is folded"),
                };
                let parsed = parse(html);
                let marks = ["ins", "del"];
                prop_assert!(parsed.tags.iter().all(|(tag, _)| marks.contains(&tag.as_str())));
                if is_old { before.push(parsed.text.clone()); }
                if is_new { after.push(parsed.text); }
            }
            prop_assert_eq!(before, old);
            prop_assert_eq!(after, new);
        }
    }

    #[test]
    fn the_time_for_many_files_is_that_of_one_page() {
        // Lines in an order that makes a comparison long.
        let text = |seed: usize| -> String {
            (0..700_usize).map(|n| format!("{}\n", n.wrapping_mul(seed) % 97)).collect()
        };
        let (old, new) = (text(31), text(57));
        let time = |count: usize| {
            let paths: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
            let began = Instant::now();
            let of = |text| paths.iter().map(move |path| (path.as_str(), text));
            let found = files(of(old.as_str()), of(new.as_str()), false);
            assert_eq!(found.len(), count);
            began.elapsed()
        };
        let (few, many) = (time(16), time(64));
        assert!(many < few * 2 + PAGE_TIMEOUT, "{few:?}, then {many:?}");
    }

    #[test]
    fn the_work_and_the_rows_are_limited() {
        let began = Instant::now();
        let lines = |seed: usize| -> String {
            (0..40_000_usize).map(|n| format!("{}\n", n.wrapping_mul(seed) % 977)).collect()
        };
        let changes = texts(&lines(31), &lines(57), false);
        assert_eq!(changes.rows.len(), MAX_ROWS);
        assert!(changes.omitted > 0 && !changes.is_too_long);
        let (a, b) = ("a b ".repeat(1_900), "b a c ".repeat(80));
        assert!(!texts(&a, &b, false).rows.is_empty());
        let long = "x\n".repeat(MAX_LINES);
        let changes = texts(&long, "x\n", false);
        assert!(changes.is_too_long && changes.rows.is_empty());
        assert_eq!((changes.removed, changes.added), (MAX_LINES, 1));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

        let many: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
        let text = "new\n".repeat(100);
        let found = files([], many.iter().map(|path| (path.as_str(), text.as_str())), false);
        assert_eq!(found.len(), 200);
        assert_eq!(found.iter().map(|file| file.changes.rows.len()).sum::<usize>(), MAX_ROWS);
        assert_eq!(totals(&found), (20_000, 0));
    }
}
