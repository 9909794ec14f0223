//! Markdown in a terminal: headings, lists, tables and code that fit its width.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::style::{Look, Style};
use crate::text::{padded, printable, width, wrap_hard};

/// Least width that is left for text in deep lists.
const MIN_TEXT: usize = 16;
/// Least width of a column of a table.
const MIN_COLUMN: usize = 6;

/// Returns a Markdown document as text. HTML and images are shown as they are written.
#[must_use]
pub fn render(markdown: &str, look: Look) -> String {
    let safe = printable(markdown);
    let mut writer = Writer::new(look);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    for event in Parser::new_ext(&safe, options) {
        writer.write(event);
    }
    writer.out.trim_end().to_owned()
}

/// Block that encloses others.
enum Block {
    Quote,
    /// List with the number of its next item, unless it has none.
    List(Option<u64>),
    Item,
}

struct Writer {
    look: Look,
    out: String,
    blocks: Vec<Block>,
    /// Text of the paragraph, heading, item or cell that is being read.
    inline: String,
    styles: Vec<Style>,
    /// Mark of the item whose text has not begun.
    bullet: Option<String>,
    heading: Option<HeadingLevel>,
    code: Option<String>,
    links: Vec<String>,
    table: Option<Vec<Vec<String>>>,
    /// Whether the next block is separated from the one before by an empty line.
    is_loose: bool,
}

impl Writer {
    const fn new(look: Look) -> Self {
        Self {
            look,
            out: String::new(),
            blocks: Vec::new(),
            inline: String::new(),
            styles: Vec::new(),
            bullet: None,
            heading: None,
            code: None,
            links: Vec::new(),
            table: None,
            is_loose: false,
        }
    }

    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.inline.push_str(&text),
            },
            Event::Code(code) | Event::InlineMath(code) | Event::DisplayMath(code) => {
                self.styled(Style::Code, &code);
            }
            Event::Html(html) | Event::InlineHtml(html) => self.inline.push_str(&html),
            Event::SoftBreak => self.inline.push(' '),
            Event::HardBreak => self.inline.push('\n'),
            Event::Rule => {
                self.separate();
                let line = "─".repeat(self.space().min(40));
                self.line(&line);
            }
            Event::TaskListMarker(is_done) => {
                self.inline.push_str(if is_done { "[x] " } else { "[ ] " });
            }
            Event::FootnoteReference(name) => self.inline.push_str(&format!("[{name}]")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                self.heading = Some(level);
                self.begin(Style::Strong);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.separate();
                self.is_loose = false;
                self.blocks.push(Block::Quote);
            }
            Tag::List(first) => {
                self.flush();
                // A list in an item follows its text at once.
                self.is_loose &= self.blocks.is_empty();
                self.blocks.push(Block::List(first));
            }
            Tag::Item => {
                self.flush();
                let bullet = match self.blocks.last_mut() {
                    Some(Block::List(Some(number))) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "- ".to_owned(),
                };
                self.bullet = Some(bullet);
                self.blocks.push(Block::Item);
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                self.code = Some(String::new());
                if let CodeBlockKind::Fenced(language) = kind
                    && !language.is_empty()
                {
                    self.separate();
                    let language = self.look.paint(Style::Dim, &format!("  {language}:"));
                    self.line(&language);
                    self.is_loose = false;
                }
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.push(Vec::new());
                }
            }
            Tag::Emphasis => self.begin(Style::Slanted),
            Tag::Strong => self.begin(Style::Strong),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push(dest_url.to_string());
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.flush(),
            TagEnd::HtmlBlock => self.flush(),
            TagEnd::Heading(_) => {
                self.finish();
                self.flush();
                self.heading = None;
            }
            TagEnd::BlockQuote(_) | TagEnd::List(_) => {
                self.flush();
                self.blocks.pop();
                self.is_loose = self.blocks.is_empty();
            }
            TagEnd::Item => {
                self.flush();
                // An item without text has its mark all the same.
                if self.bullet.is_some() {
                    self.line("");
                }
                self.blocks.pop();
                self.is_loose = false;
            }
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(row) = self.table.as_mut().and_then(|table| table.last_mut()) {
                    row.push(cell.trim().to_owned());
                }
            }
            TagEnd::Table => self.table(),
            TagEnd::Emphasis | TagEnd::Strong => self.finish(),
            TagEnd::Link | TagEnd::Image => {
                if let Some(link) = self.links.pop()
                    && !link.is_empty()
                    && !self.inline.ends_with(&link)
                {
                    self.inline.push_str(&format!(" <{link}>"));
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, style: Style) {
        self.styles.push(style);
        self.inline.push_str(&self.look.begin(style));
    }

    /// Ends the last style, and begins those around it again.
    fn finish(&mut self) {
        self.styles.pop();
        self.inline.push_str(self.look.end());
        for style in &self.styles {
            self.inline.push_str(&self.look.begin(*style));
        }
    }

    fn styled(&mut self, style: Style, text: &str) {
        self.begin(style);
        // Without colours the mark of Markdown shows where code begins and ends.
        let mark = if self.look.has_colour { "" } else { "`" };
        self.inline.push_str(&format!("{mark}{text}{mark}"));
        self.finish();
    }

    /// Writes the text that was read as a block.
    fn flush(&mut self) {
        let text = std::mem::take(&mut self.inline);
        if text.trim().is_empty() {
            return;
        }
        self.separate();
        match self.heading {
            Some(level) => {
                let mark = if self.look.has_colour {
                    String::new()
                } else {
                    format!("{} ", "#".repeat(level as usize))
                };
                self.line(&format!("{mark}{}", text.trim()));
            }
            None => self.line(text.trim_end()),
        }
    }

    fn code_block(&mut self) {
        let code = self.code.take().unwrap_or_default();
        self.separate();
        for line in code.lines() {
            let line = self.look.paint(Style::Code, line);
            self.whole_line(&format!("    {line}"));
        }
        self.is_loose = true;
    }

    fn table(&mut self) {
        let Some(rows) = self.table.take() else { return };
        self.separate();
        for line in table_lines(&rows, self.space(), self.look) {
            self.whole_line(&line);
        }
        self.is_loose = true;
    }

    /// Leaves an empty line between two blocks.
    fn separate(&mut self) {
        if std::mem::replace(&mut self.is_loose, true) && !self.out.is_empty() {
            let prefix = self.prefix();
            self.out.push_str(prefix.trim_end());
            self.out.push('\n');
        }
    }

    /// Returns the beginning of each line in the blocks around it.
    fn prefix(&self) -> String {
        let mut prefix = String::new();
        for block in &self.blocks {
            match block {
                Block::Quote => prefix.push_str("│ "),
                Block::List(_) => {}
                Block::Item => prefix.push_str("  "),
            }
        }
        // Deep lists would leave no space for their text.
        while width(&prefix) + MIN_TEXT > self.look.width && prefix.pop().is_some() {}
        prefix
    }

    fn space(&self) -> usize {
        self.look.width.saturating_sub(width(&self.prefix())).max(MIN_TEXT.min(self.look.width))
    }

    /// Writes text in lines that fit, after the mark of its item.
    fn line(&mut self, text: &str) {
        let prefix = self.prefix();
        let bullet = self.bullet.take();
        let hang = bullet.as_ref().map_or(0, |bullet| bullet.len().saturating_sub(2));
        let wrapped = wrap_hard(text, self.space().saturating_sub(hang).max(1));
        let lines: Vec<&str> =
            if wrapped.is_empty() { vec![""] } else { wrapped.lines().collect() };
        for (n, line) in lines.into_iter().enumerate() {
            let begin = match (&bullet, n) {
                (Some(bullet), 0) => {
                    let outer = &prefix[..prefix.len().saturating_sub(2)];
                    format!("{outer}{bullet}")
                }
                _ => format!("{prefix}{}", " ".repeat(hang)),
            };
            self.out.push_str(format!("{begin}{line}").trim_end());
            self.out.push('\n');
        }
    }

    /// Writes a line that is not broken.
    fn whole_line(&mut self, line: &str) {
        let prefix = self.prefix();
        let begin = match self.bullet.take() {
            Some(bullet) => format!("{}{bullet}", &prefix[..prefix.len().saturating_sub(2)]),
            None => prefix,
        };
        self.out.push_str(format!("{begin}{line}").trim_end());
        self.out.push('\n');
    }
}

/// Returns the lines of a table, or of a list if its columns have no space.
fn table_lines(rows: &[Vec<String>], space: usize, look: Look) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let gaps = 3 * columns.saturating_sub(1);
    if columns == 0 {
        return Vec::new();
    }
    if columns * MIN_COLUMN + gaps > space {
        return records(rows, space, look);
    }
    let natural = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| width(cell)).max();
    let mut widths: Vec<usize> = (0..columns).map(|n| natural(n).unwrap_or(0).max(1)).collect();
    while widths.iter().sum::<usize>() + gaps > space {
        let Some(widest) = (0..columns).max_by_key(|n| widths[*n]) else { break };
        widths[widest] -= 1;
    }
    let mut lines = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<String>> = (0..columns)
            .map(|n| {
                let cell = row.get(n).map_or("", String::as_str);
                wrap_hard(cell, widths[n]).lines().map(str::to_owned).collect()
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for line in 0..height {
            let parts = (0..columns).map(|n| {
                let text = cells[n].get(line).map_or("", String::as_str);
                padded(text, widths[n])
            });
            let text = parts.collect::<Vec<_>>().join(" │ ");
            lines.push(if n == 0 { look.paint(Style::Strong, text.trim_end()) } else { text });
        }
        if n == 0 {
            let rule = widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>();
            lines.push(rule.join("─┼─"));
        }
    }
    lines
}

fn records(rows: &[Vec<String>], space: usize, look: Look) -> Vec<String> {
    let Some((head, rows)) = rows.split_first() else { return Vec::new() };
    let mut lines = Vec::new();
    for row in rows {
        for (title, cell) in head.iter().zip(row) {
            let text = format!("{}: {cell}", look.paint(Style::Strong, title));
            lines.extend(wrap_hard(&text, space).lines().map(str::to_owned));
        }
        lines.push(String::new());
    }
    lines.pop();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# Plan for *recipes*\n\nA site with `code` and a [link](https://example.org) in a \
        paragraph that is long enough to be broken.\n\n- one\n- two with a text that is too long for \
        one line of sixty columns\n  1. first\n  2. second\n\n> quoted text\n\n```sh\necho hi\n```\n\n\
        | Id | What it is |\n|---|---|\n| US-1 | A story that is long and has to be broken in its cell |\n\
        | US-2 | Short |\n\n---\n\nEnd.";

    #[test]
    fn a_document_has_its_form_in_sixty_columns() {
        let text = render(DOCUMENT, Look { width: 60, has_colour: false });
        let expected = "\
# Plan for recipes

A site with `code` and a link <https://example.org> in a
paragraph that is long enough to be broken.

- one
- two with a text that is too long for one line of sixty
  columns
  1. first
  2. second

│ quoted text

  sh:
    echo hi

Id   │ What it is
─────┼──────────────────────────────────────────────────────
US-1 │ A story that is long and has to be broken in its cell
US-2 │ Short

────────────────────────────────────────

End.";
        let trimmed = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed, expected, "\n{text}");
    }

    #[test]
    fn every_line_fits_narrow_terminals() {
        let deep = format!("{}x", "> - ".repeat(40));
        let wide = "| a | b | c | d | e | f | g |\n|---|---|---|---|---|---|---|\n| 1 | 2 | 3 | 4 | 5 | 6 | 漢字漢字 |";
        for width in [20, 40, 60, 120] {
            for document in [DOCUMENT, &deep, wide] {
                let look = Look { width, has_colour: true };
                let text = render(document, look);
                for line in text.lines().filter(|line| !line.starts_with("    ")) {
                    assert!(crate::text::width(line) <= width, "{width}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn hostile_documents_do_not_reach_the_terminal() {
        let text = render(
            "# a\u{1b}[2J\n\n`\u{9b}1m` <b>\u{202e}</b> ![x](\u{7})",
            Look { width: 60, has_colour: false },
        );
        assert!(!text.chars().any(|c| c != '\n' && crate::text::is_unsafe(c)), "{text:?}");
    }
}
