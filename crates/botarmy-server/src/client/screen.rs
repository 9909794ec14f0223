//! Output of a command: JSON, or text in the width and the colours of the terminal.

use std::io::{IsTerminal, Write};

use botarmy_terminal::table::{Cell, Column, table};
use botarmy_terminal::text::{fit, is_unsafe, wrap_hard};
use botarmy_terminal::{Look, Style};
use serde::Serialize;

use super::options::{Color, OutputOptions};
use super::pager;
use crate::output::{self, say, say_error};

/// Columns where the output is no terminal.
const USUAL_WIDTH: usize = 80;

/// Form of a command's output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Width and colours.
    pub(super) look: Look,
    /// Whether the output is JSON.
    pub(super) is_json: bool,
    is_terminal: bool,
}

impl Screen {
    /// Returns the output that the options, the terminal and the variables `COLUMNS` and `NO_COLOR`
    /// ask for.
    pub(super) fn new(options: OutputOptions) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let named = named.filter(|columns| (20..=500).contains(columns));
        let width = named.or_else(output::columns).unwrap_or(USUAL_WIDTH);
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let has_colour = match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !no_colour,
        };
        Self { look: Look { width, has_colour }, is_json: options.json, is_terminal }
    }

    /// Prints a value as one JSON document. What could move the cursor is escaped.
    pub(super) fn json(&self, value: &impl Serialize) {
        say!("{}", escaped(&serde_json::to_string_pretty(value).expect("it was JSON")));
    }

    /// Prints a value as one line of JSON.
    pub(super) fn json_line(&self, value: &impl Serialize) {
        say!("{}", escaped(&serde_json::to_string(value).expect("it was JSON")));
    }

    /// Prints text in lines that fit.
    pub(super) fn print(&self, text: &str) {
        say!("{}", wrap_hard(text, self.look.width));
    }

    /// Returns text in a style, in lines that fit.
    pub(super) fn title(&self, text: &str) -> String {
        self.look.paint(Style::Strong, &wrap_hard(text, self.look.width))
    }

    /// Prints a table, or a sentence in place of an empty one.
    pub(super) fn table(&self, columns: &[Column], rows: &[Vec<Cell>], empty: &str) {
        if rows.is_empty() {
            self.print(empty);
        } else {
            say!("{}", table(columns, rows, self.look));
        }
    }

    /// Prints a note for the person at the terminal on standard error, beside the output.
    pub(super) fn note(&self, text: &str) {
        say_error!("{}", wrap_hard(text, self.look.width));
    }

    /// Returns text in a style.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        self.look.paint(style, text)
    }

    /// Shows long text in the pager, where the output is a terminal.
    pub(super) async fn page(&self, text: &str) -> anyhow::Result<()> {
        if self.is_terminal {
            pager::show(text).await
        } else {
            say!("{text}");
            Ok(())
        }
    }

    /// Shows a line that is replaced by what is printed next, where the output is a terminal.
    pub(super) fn status(&self, text: &str) {
        if self.is_terminal && !self.is_json {
            let line = fit(text, self.look.width.saturating_sub(1));
            output::write(format_args!("\r\u{1b}[2K{}", self.paint(Style::Dim, &line)));
        }
    }

    /// Takes the line of [`Screen::status`] away.
    pub(super) fn clear_status(&self) {
        if self.is_terminal && !self.is_json {
            output::write(format_args!("\r\u{1b}[2K"));
        }
    }

    /// Returns whether there is a person who sees the status.
    pub(super) const fn has_status(&self) -> bool {
        self.is_terminal && !self.is_json
    }

    /// Asks for a line on standard error, so that the output stays what it is.
    pub(super) fn ask(&self, question: &str) {
        let mut out = std::io::stderr().lock();
        // Without a terminal there is no one to ask, which reading the answer finds out.
        drop(write!(out, "{question} ").and_then(|()| out.flush()));
    }
}

/// Escapes what is allowed in JSON and dangerous in a terminal. It is only found inside of strings.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_document_without_what_is_dangerous() {
        let value = serde_json::json!({"a": "\u{9b}2J\u{202e}\u{7f}é", "b": ["\n\u{1b}"]});
        let text = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
