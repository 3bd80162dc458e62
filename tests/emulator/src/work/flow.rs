//! Places blocks without positions on pages, one below the other.

use super::document::{Block, Cell, Document, Kind, Rect};

/// A page has this many lines of this many characters.
pub(super) const LINES: usize = 54;
pub(super) const COLUMNS: usize = 90;
/// More pages are not written.
pub(super) const MAX_PAGES: usize = 2_000;
const MARGIN: f64 = 0.08;
const FIGURE_LINES: usize = 8;

#[derive(Default)]
pub(super) struct Flow {
    pub(super) document: Document,
    /// The next free line of the last page.
    line: usize,
    has_title: bool,
}

/// The rectangle of a part of a line.
pub(super) fn rect(line: usize, height: usize, from: usize, to: usize, columns: usize) -> Rect {
    let x = |column: usize| MARGIN + (1.0 - 2.0 * MARGIN) * column.min(columns) as f64 / columns as f64;
    let y = |line: f64| MARGIN + (1.0 - 2.0 * MARGIN) * line / LINES as f64;
    Rect::new(x(from), y(line as f64), x(to), y((line + height) as f64 - 0.2))
}

impl Flow {
    /// The first of this many free lines. An empty line follows them.
    fn take(&mut self, lines: usize) -> usize {
        if (self.document.pages.is_empty() || self.line + lines > LINES) && self.document.pages.len() < MAX_PAGES {
            self.document.pages.push(Vec::new());
            self.line = 0;
        }
        let first = self.line.min(LINES - 1);
        self.line += lines + 1;
        first
    }

    fn push(&mut self, block: Block) {
        self.document.pages.last_mut().into_iter().for_each(|page| page.push(block.clone()));
    }

    pub(super) fn heading(&mut self, text: &str) {
        let is_title = !std::mem::replace(&mut self.has_title, true);
        self.text(if is_title { Kind::Title } else { Kind::SectionHeader }, text);
    }

    /// A text. The part that does not fit on a page continues on the next one.
    pub(super) fn text(&mut self, kind: Kind, text: &str) {
        let mut part = String::new();
        for word in text.split_whitespace() {
            if part.len() + word.len() > LINES * COLUMNS {
                self.text_part(kind.clone(), std::mem::take(&mut part));
            }
            part.push_str(if part.is_empty() { "" } else { " " });
            part.push_str(word);
        }
        self.text_part(kind, part);
    }

    fn text_part(&mut self, kind: Kind, text: String) {
        let chars = text.chars().count();
        let height = chars.div_ceil(COLUMNS).clamp(1, LINES);
        let rect = rect(self.take(height), height, 0, chars, COLUMNS);
        self.push(Block { kind, text, rect });
    }

    pub(super) fn pair(&mut self, label: &str, value: &str) {
        let (start, chars) = (label.chars().count() + 2, value.chars().count());
        let height = (start + chars).div_ceil(COLUMNS).clamp(1, LINES);
        let line = self.take(height);
        let value = Cell { text: value.to_owned(), rect: rect(line, height, start, start + chars, COLUMNS) };
        self.push(Block::pair(label, value, rect(line, height, 0, start + chars, COLUMNS)));
    }

    /// A table with one row per line. The rows that do not fit continue on the next page, with the header.
    pub(super) fn table(&mut self, rows: Vec<Vec<String>>) {
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let Some((header, rows)) = rows.split_first() else { return };
        let mut pages: Vec<&[Vec<String>]> = rows.chunks(LINES - 2).collect();
        if pages.is_empty() {
            pages.push(&[]);
        }
        for rows in pages {
            let first = self.take(rows.len() + 1);
            let cell = |line: usize, column: usize, row: &[String]| {
                let text = row.get(column).cloned().unwrap_or_default();
                let from = COLUMNS * column / width;
                Cell {
                    rect: rect(line, 1, from, from + text.chars().count().clamp(1, COLUMNS / width + 1), COLUMNS),
                    text,
                }
            };
            let lines = std::iter::once(header).chain(rows).enumerate();
            let row = |(line, row): (usize, &Vec<String>)| (0..width).map(|at| cell(first + line, at, row)).collect();
            self.push(Block::table(lines.map(row).collect()));
        }
    }

    pub(super) fn figure(&mut self, text: &str) {
        let rect = rect(self.take(FIGURE_LINES), FIGURE_LINES, 0, COLUMNS, COLUMNS);
        self.push(Block { kind: Kind::Figure, text: text.trim().to_owned(), rect });
    }
}
