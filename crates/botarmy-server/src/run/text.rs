//! Texts for a terminal: lines that fit its width, durations, tokens and costs.

use std::time::Duration;

/// Widest line, also on a wider terminal.
const MAX_WIDTH: usize = 100;

/// Returns the number of columns to write in; `None` where the output is no terminal.
pub(super) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let columns = usize::from(size.ws_col);
    (columns > 0).then(|| columns.clamp(20, MAX_WIDTH))
}

/// Breaks the lines of a text between words, so that they fit the width. The parts of a line that
/// follow its first are indented like its text. Lines of a code block stay whole.
pub(super) fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut out = String::new();
    let mut is_code = false;
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        is_code ^= line.trim_start().starts_with("```");
        if is_code || line.chars().count() <= width {
            out.push_str(line);
        } else {
            wrap_line(&mut out, line, width);
        }
    }
    out
}

fn wrap_line(out: &mut String, line: &str, width: usize) {
    let lead = line.len()
        - line.trim_start_matches([' ', '-', '>', '·', '▸', '✓', '✗', '↻', '●', '|']).len();
    let indent = line[..lead].chars().count().min(width / 2);
    let mut column = 0;
    for (n, word) in line[lead..].split(' ').enumerate() {
        let length = word.chars().count();
        if n == 0 {
            out.push_str(&line[..lead]);
            column = indent;
        } else if column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
}

/// Returns text without the control characters that could move the cursor or clear the screen.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Returns the first `limit` characters of a text in one line.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let line = printable(text).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        None => line,
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
    }
}

/// Returns a duration: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 0 min`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Returns tokens and cost as far as there are any: `1,234 tokens in, 56 out, $0.0123`.
pub(super) fn usage(input: u64, output: u64, cost_micro_usd: Option<u64>) -> Option<String> {
    let mut parts = Vec::new();
    if input > 0 || output > 0 {
        parts.push(format!("{} tokens in, {} out", grouped(input), grouped(output)));
    }
    if let Some(cost) = cost_micro_usd.filter(|cost| *cost > 0) {
        parts.push(format!("${}.{:04}", cost / 1_000_000, cost % 1_000_000 / 100));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn grouped(number: u64) -> String {
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
    fn what_could_move_the_cursor_is_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
        assert_eq!(one_line("a\n b\tc", 3), "a b…");
    }

    #[test]
    fn durations_tokens_and_costs_are_short() {
        assert_eq!(duration(Duration::from_millis(430)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(usage(0, 0, None), None);
        assert_eq!(
            usage(1_234_567, 89, Some(12_345)).unwrap(),
            "1,234,567 tokens in, 89 out, $0.0123"
        );
    }
}
