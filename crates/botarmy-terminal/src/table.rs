//! Tables that fit the width: columns that matter less are left out, and long texts are cut.

use crate::style::{Look, Style};
use crate::text::{fit, one_line, padded, width};

/// Columns between two columns of a table.
const GAP: usize = 2;
/// Longest text of a cell.
const MAX_CELL: usize = 400;

/// Column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    /// Least width to which it is cut; `None` if it is never cut.
    min: Option<usize>,
    /// Whether it is left out where there is no space.
    is_optional: bool,
}

impl Column {
    /// Creates a column that is shown as a whole, such as an id.
    #[must_use]
    pub const fn whole(title: &'static str) -> Self {
        Self { title, min: None, is_optional: false }
    }

    /// Creates a column whose texts are cut, at least to this width.
    #[must_use]
    pub const fn cut(title: &'static str, min: usize) -> Self {
        Self { title, min: Some(min), is_optional: false }
    }

    /// Makes it a column that is left out where there is no space. The last one goes first.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }
}

/// Cell of a table.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Creates a cell with any text, which becomes one safe line.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: one_line(text, MAX_CELL), style: Style::Plain }
    }

    /// Sets the style.
    #[must_use]
    pub fn with(self, style: Style) -> Self {
        Self { text: self.text, style }
    }

    /// Creates a cell with a status word in its colour.
    #[must_use]
    pub fn status(status: &str) -> Self {
        Self::new(&status.replace('_', " ")).with(Style::of_status(status))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.as_ref())
    }
}

/// Returns the lines of a table. A row has a cell for each column.
#[must_use]
pub fn table(columns: &[Column], rows: &[Vec<Cell>], look: Look) -> String {
    let natural = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(|cell| width(&cell.text));
        cells.chain([width(columns[n].title)]).max().unwrap_or(0)
    };
    let natural: Vec<usize> = (0..columns.len()).map(natural).collect();
    let shown = shown(columns, &natural, look.width);
    let widths = widths(columns, &natural, &shown, look.width);
    let line = |cells: &dyn Fn(usize) -> (String, Style)| {
        let last = shown.last().copied();
        let parts = shown.iter().zip(&widths).map(|(n, width)| {
            let (text, style) = cells(*n);
            let text = fit(&text, *width);
            let painted = look.paint(style, &text);
            if Some(*n) == last { painted } else { padded(&painted, *width) }
        });
        parts.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let mut lines = vec![line(&|n| (columns[n].title.to_owned(), Style::Dim))];
    for row in rows {
        lines.push(line(&|n| {
            row.get(n).map_or_else(Default::default, |cell| (cell.text.clone(), cell.style))
        }));
    }
    lines.join("\n")
}

/// Returns the columns that have space, at least at their least width.
fn shown(columns: &[Column], natural: &[usize], limit: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    loop {
        let least = |n: usize| columns[n].min.map_or(natural[n], |min| min.min(natural[n]));
        let total: usize = shown.iter().map(|n| least(*n) + GAP).sum();
        let optional = shown.iter().rposition(|n| columns[*n].is_optional);
        match optional {
            Some(at) if total > limit + GAP => drop(shown.remove(at)),
            _ => return shown,
        }
    }
}

/// Returns the widths of the columns that are shown: the widest that may be cut is cut first.
fn widths(columns: &[Column], natural: &[usize], shown: &[usize], limit: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = shown.iter().map(|n| natural[*n]).collect();
    let gaps = GAP * shown.len().saturating_sub(1);
    let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(limit);
    while over > 0 {
        let can_be_cut = |at: &usize| columns[shown[*at]].min.is_some_and(|min| widths[*at] > min);
        match (0..shown.len()).filter(can_be_cut).max_by_key(|at| widths[*at]) {
            Some(widest) => widths[widest] -= 1,
            None => break,
        }
        over -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { width: 30, has_colour: false };

    fn columns() -> [Column; 3] {
        [Column::whole("ID"), Column::cut("NAME", 6), Column::whole("CREATED").optional()]
    }

    fn row(cells: &[&str]) -> Vec<Cell> {
        cells.iter().map(Cell::from).collect()
    }

    #[test]
    fn columns_are_aligned_and_the_least_important_one_goes_first() {
        let rows = [row(&["0123456789", "short", "today"]), row(&["1", "漢字", "tomorrow"])];
        assert_eq!(
            table(&columns(), &rows, LOOK),
            "ID          NAME   CREATED\n0123456789  short  today\n1           漢字   tomorrow"
        );
        let long = [row(&["0123456789", "a name that is too long", "yesterday"])];
        assert_eq!(
            table(&columns(), &long, LOOK),
            "ID          NAME     CREATED\n0123456789  a name…  yesterday"
        );
        let narrow = Look { width: 20, ..LOOK };
        assert_eq!(table(&columns(), &long, narrow), "ID          NAME\n0123456789  a name…");
    }

    #[test]
    fn colours_do_not_count_and_hostile_text_is_harmless() {
        let look = Look { has_colour: true, ..LOOK };
        let rows = [vec!["1".into(), Cell::status("waiting_for_hitl"), "\u{1b}[2J\nx".into()]];
        let text = table(&columns(), &rows, look);
        assert!(text.contains("\u{1b}[33mwaiting for hitl\u{1b}[0m"), "{text:?}");
        assert!(!text.contains("\u{1b}[2J") && text.lines().count() == 2, "{text:?}");
        assert!(text.lines().all(|line| width(line) <= 30), "{text:?}");
    }
}
