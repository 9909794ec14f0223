//! Lines that fit a width, text that is safe to print, durations, tokens and costs.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a tabulator is replaced by.
const TAB: &str = "    ";

/// Returns text without the characters that could move the cursor, clear the screen or turn the
/// direction of writing.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            '\t' => out.push_str(TAB),
            c if is_unsafe(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Returns whether a character does something else than be seen: a control character, a mark that
/// turns the direction (Unicode Standard Annex 9), or a separator of lines.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'
                ..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Returns text in one line, at most `limit` columns wide.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let line = printable(text).split_whitespace().collect::<Vec<_>>().join(" ");
    fit(&line, limit)
}

/// Returns the number of columns that a text takes, without its colours.
#[must_use]
pub fn width(text: &str) -> usize {
    if !text.contains('\u{1b}') {
        return text.width();
    }
    let mut width = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        width += before.width();
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    width + rest.width()
}

/// Returns the beginning of a line that fits the width, with an ellipsis if it was longer. The line
/// has no colours.
#[must_use]
pub fn fit(line: &str, limit: usize) -> String {
    if line.width() <= limit {
        return line.to_owned();
    }
    let (head, _) = split_at_width(line, limit.saturating_sub(1));
    if limit == 0 { String::new() } else { format!("{}…", head.trim_end()) }
}

/// Splits a text at the last character that fits the width.
fn split_at_width(text: &str, limit: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > limit {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Returns a line that is filled up with spaces to the width.
#[must_use]
pub fn padded(line: &str, width: usize) -> String {
    format!("{line}{}", " ".repeat(width.saturating_sub(self::width(line))))
}

/// Breaks the lines of a text between words, so that they fit the width. The parts of a line that
/// follow its first are indented like its text. Lines of a code block stay whole.
#[must_use]
pub fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::new();
    let mut is_code = false;
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        is_code ^= line.trim_start().starts_with("```");
        if is_code || self::width(line) <= width {
            out.push_str(line);
        } else {
            wrap_line(&mut out, line, width, false);
        }
    }
    out
}

/// Breaks the lines of a text so that they fit the width, also within a word that is too long.
#[must_use]
pub fn wrap_hard(text: &str, width: usize) -> String {
    let mut out = String::new();
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        wrap_line(&mut out, line, width, true);
    }
    out
}

fn wrap_line(out: &mut String, line: &str, width: usize, breaks_words: bool) {
    const LEAD: [char; 12] = [' ', '-', '>', '·', '▸', '✓', '✗', '↻', '●', '|', '│', '•'];
    let lead = line.len() - line.trim_start_matches(LEAD).len();
    let indent = self::width(&line[..lead]).min(width / 2);
    let mut column = self::width(&line[..lead]);
    out.push_str(&line[..lead]);
    for (n, word) in line[lead..].split(' ').enumerate() {
        let length = self::width(word);
        if n > 0 && column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if n > 0 {
            out.push(' ');
            column += 1;
        }
        if breaks_words && column + length > width && !word.contains('\u{1b}') {
            column = break_word(out, word, column, indent, width);
        } else {
            out.push_str(word);
            column += length;
        }
    }
}

/// Writes a word that does not fit in as many lines as it takes. Returns the column it ends in.
fn break_word(out: &mut String, word: &str, from: usize, indent: usize, width: usize) -> usize {
    let mut column = from;
    let mut rest = word;
    loop {
        let (head, tail) = split_at_width(rest, width.saturating_sub(column));
        // A character that is wider than the line is written all the same.
        let (head, tail) = match (head, rest.chars().next()) {
            ("", Some(c)) if column <= indent => rest.split_at(c.len_utf8()),
            parts => (parts.0, tail),
        };
        out.push_str(head);
        column += self::width(head);
        rest = tail;
        if rest.is_empty() {
            return column;
        }
        out.push('\n');
        out.push_str(&" ".repeat(indent));
        column = indent;
    }
}

/// Returns a duration: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 0 min`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns the time that has passed since something, in one unit: `5 s`, `3 min`, `2 h`, `4 d`.
#[must_use]
pub fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns tokens and cost as far as there are any: `1,234 tokens in, 56 out, $0.0123`.
#[must_use]
pub fn usage(input: u64, output: u64, cost_micro_usd: Option<u64>) -> Option<String> {
    let mut parts = Vec::new();
    if input > 0 || output > 0 {
        parts.push(format!("{} tokens in, {} out", grouped(input), grouped(output)));
    }
    if let Some(cost) = cost_micro_usd.filter(|cost| *cost > 0) {
        parts.push(format!("${}.{:04}", cost / 1_000_000, cost % 1_000_000 / 100));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Returns a number with commas between its thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        let text = "- one two three four five six\n| a row | of a table |\nshort";
        assert_eq!(
            wrap(text, Some(20)),
            "- one two three four\n  five six\n| a row | of a table\n  |\nshort"
        );
        assert_eq!(wrap(text, None), text);
        assert_eq!(wrap(&"x".repeat(50), Some(20)), "x".repeat(50));
    }

    #[test]
    fn long_words_and_wide_characters_fit_the_width() {
        let text = format!("- {} and 漢字漢字漢字漢字漢字漢字 end", "x".repeat(30));
        for limit in [3, 10, 20, 60] {
            let wrapped = wrap_hard(&text, limit);
            let widest = wrapped.lines().map(width).max();
            assert!(widest <= Some(limit), "{limit}: {wrapped}");
            let letters = |text: &str| text.replace([' ', '\n'], "");
            assert_eq!(letters(&wrapped), letters(&text));
        }
        assert_eq!(wrap_hard("漢", 1), "漢");
        assert_eq!(width("\u{1b}[1mbold\u{1b}[0m 漢"), 7);
    }

    #[test]
    fn text_is_cut_by_its_width() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("漢字漢字", 4), "漢…");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(padded("漢", 4), "漢  ");
    }

    #[test]
    fn what_could_move_the_cursor_is_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
        assert_eq!(
            printable("\u{9b}2J\u{7f}\u{202e}\u{2066}"),
            "\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("שלום 👩‍🚀"), "שלום 👩‍🚀");
        assert_eq!(one_line("a\n b\tc", 4), "a b…");
    }

    #[test]
    fn durations_tokens_and_costs_are_short() {
        assert_eq!(duration(Duration::from_millis(430)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(age(Duration::from_secs(185)), "3 min");
        assert_eq!(usage(0, 0, None), None);
        assert_eq!(
            usage(1_234_567, 89, Some(12_345)).unwrap(),
            "1,234,567 tokens in, 89 out, $0.0123"
        );
    }
}
