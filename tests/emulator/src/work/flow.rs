//! Sets blocks that know no pages (Markdown, HTML) onto pages, as a typewriter would.

use super::document::{Block, Document, Kind, Line, Page, Rect, Table, join};
use super::layout::label_and_value;
use super::text::{CHARS_PER_LINE, LINES_PER_PAGE, MAX_PAGES, place};

/// A block before it has a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// The first is the title.
    Heading(String),
    Text(String),
    ListItem(String),
    Pair(String, String),
    Table(Vec<String>, Vec<Vec<String>>),
    /// A picture, by its alternative text.
    Figure(String),
}

/// The blocks of a text between two breaks: lines of labels and values, a list item, or a paragraph.
/// The marker is there for list items only, and empty for those without a number.
pub(super) fn pieces(marker: Option<&str>, text: &str) -> Vec<Piece> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let short = lines.iter().all(|line| line.chars().count() <= CHARS_PER_LINE);
    let pairs: Option<Vec<_>> = lines.iter().map(|line| label_and_value(line)).collect();
    match (marker, pairs) {
        // A numbered item is one of a list, whatever stands in it.
        (Some(number), _) if !number.is_empty() => vec![Piece::ListItem(format!("{number}{}", join(lines)))],
        (_, Some(pairs)) if short => {
            let pair = |(label, value): (&str, &str)| Piece::Pair(label.to_owned(), value.to_owned());
            pairs.into_iter().map(pair).collect()
        }
        (Some(_), _) => vec![Piece::ListItem(join(lines))],
        (None, _) => vec![Piece::Text(join(lines))],
    }
}

/// A picture is set this high.
const FIGURE_LINES: usize = 8;

/// Sets the pieces one under the other, with an empty line between them.
pub(super) fn set(pieces: Vec<Piece>) -> Document {
    let mut flow = Flow { document: Document { pages: vec![Page::default()] }, line: 0, titled: false };
    for piece in pieces {
        if flow.document.pages.len() >= MAX_PAGES {
            break;
        }
        flow.piece(piece);
    }
    flow.document
}

struct Flow {
    document: Document,
    /// The next free line of the last page.
    line: usize,
    titled: bool,
}

impl Flow {
    fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Heading(text) => {
                let kind = if self.titled { Kind::SectionHeader } else { Kind::Title };
                self.titled = true;
                // A heading at the foot of a page would head nothing there.
                self.make_room(3);
                self.prose(kind, &text, 0);
            }
            Piece::Text(text) => self.prose(Kind::Text, &text, 0),
            Piece::ListItem(text) => self.prose(Kind::ListItem, &text, 2),
            Piece::Pair(label, value) => self.pair(label, value),
            Piece::Table(columns, rows) => self.table(&columns, &rows),
            Piece::Figure(text) => self.figure(&text),
        }
        self.line += 1;
    }

    fn push(&mut self, block: Block) {
        if let Some(page) = self.document.pages.last_mut() {
            page.blocks.push(block);
        }
    }

    /// Goes on to the next page unless so many lines are free on this one.
    fn make_room(&mut self, lines: usize) {
        if self.line > 0 && self.line + lines.min(LINES_PER_PAGE) > LINES_PER_PAGE {
            self.document.pages.push(Page::default());
            self.line = 0;
        }
    }

    /// A text of any length; what does not fit goes on in a block on the next page.
    fn prose(&mut self, kind: Kind, text: &str, indent: usize) {
        let wrapped = wrap(text, CHARS_PER_LINE - indent);
        let mut rest = wrapped.as_slice();
        while !rest.is_empty() {
            self.make_room(1);
            let (now, later) = rest.split_at(rest.len().min(LINES_PER_PAGE - self.line));
            let lines = now.iter().enumerate().map(|(at, text)| Line {
                text: text.clone(),
                rect: place(self.line + at, indent, indent + text.chars().count(), CHARS_PER_LINE),
            });
            let block = Block { kind: kind.clone(), lines: lines.collect() };
            self.line += now.len();
            self.push(block);
            rest = later;
        }
    }

    fn pair(&mut self, label: String, value: String) {
        let indent = label.chars().count() + 2;
        let lines = wrap(&format!("{label}: {value}"), CHARS_PER_LINE);
        self.make_room(lines.len());
        let rects: Vec<Rect> = lines
            .iter()
            .enumerate()
            .map(|(at, text)| place(self.line + at, 0, text.chars().count(), CHARS_PER_LINE))
            .collect();
        let below = Rect::around_all(rects.iter().skip(1).copied());
        let beside = place(self.line, indent, lines.first().map_or(0, |text| text.chars().count()), CHARS_PER_LINE);
        let rect = below.map_or(beside, |below| below.around(beside));
        self.line += lines.len();
        let lines = lines.into_iter().zip(rects).map(|(text, rect)| Line { text, rect }).collect();
        self.push(Block { kind: Kind::KeyValue { label, value: Line { text: value, rect } }, lines });
    }

    /// A table; what does not fit goes on under the same header on the next page.
    fn table(&mut self, columns: &[String], rows: &[Vec<String>]) {
        let count = columns.len().max(1);
        let edge = |column: usize| CHARS_PER_LINE * column / count;
        let mut rest = rows;
        loop {
            self.make_room(3);
            let room = LINES_PER_PAGE - self.line - 1;
            let (now, later) = rest.split_at(rest.len().min(room));
            let first = self.line;
            let set = |cells: &[String], at: usize| -> Vec<Line> {
                let cell = |column: usize| {
                    let text = cells.get(column).map_or_else(String::new, |text| join(text.split_whitespace()));
                    let end = edge(column) + text.chars().count().clamp(1, (edge(column + 1) - edge(column)).max(1));
                    Line { text, rect: place(first + at, edge(column), end, CHARS_PER_LINE) }
                };
                (0..columns.len()).map(cell).collect()
            };
            let table = Table {
                columns: set(columns, 0),
                rows: now.iter().enumerate().map(|(at, cells)| set(cells, at + 1)).collect(),
            };
            self.push(Block { kind: Kind::Table(table), lines: Vec::new() });
            self.line += now.len() + 1;
            rest = later;
            if rest.is_empty() || self.document.pages.len() >= MAX_PAGES {
                break;
            }
        }
    }

    fn figure(&mut self, text: &str) {
        self.make_room(FIGURE_LINES);
        let whole = place(self.line, 0, CHARS_PER_LINE, CHARS_PER_LINE);
        let foot = place(self.line + FIGURE_LINES - 1, 0, CHARS_PER_LINE, CHARS_PER_LINE);
        let rect = whole.around(foot);
        let lines = Some(text.trim()).filter(|text| !text.is_empty());
        let lines = lines.map(|text| Line { text: text.to_owned(), rect: foot }).into_iter().collect();
        self.push(Block { kind: Kind::Figure(rect), lines });
        self.line += FIGURE_LINES;
    }
}

/// Breaks a text at white space; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let chars = word.chars().count();
        match lines.last_mut() {
            Some(line) if length + 1 + chars <= width => {
                line.push(' ');
                line.push_str(word);
                length += 1 + chars;
            }
            _ => {
                lines.push(word.to_owned());
                length = chars;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_paragraph_goes_on_on_the_next_page() {
        let document = set(vec![Piece::Text("word ".repeat(3_000))]);
        assert_eq!(document.pages.len(), 4);
        let words: usize = document.blocks().map(|(_, block)| block.content().matches("word").count()).sum();
        assert_eq!(words, 3_000);
    }

    #[test]
    fn a_long_table_goes_on_under_its_header() {
        let rows: Vec<Vec<String>> = (0..120).map(|row| vec![format!("D{row}"), "36".into()]).collect();
        let document =
            set(vec![Piece::Text("Before.".into()), Piece::Table(vec!["Door".into(), "Width".into()], rows)]);
        assert_eq!(document.pages.len(), 3);
        let mut doors = Vec::new();
        for (_, block) in document.blocks() {
            let Kind::Table(table) = &block.kind else { continue };
            assert_eq!(table.columns[0].text, "Door");
            doors.extend(table.rows.iter().map(|row| row[0].text.clone()));
        }
        assert_eq!(doors, (0..120).map(|row| format!("D{row}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_heading_does_not_end_a_page() {
        let mut pieces = vec![Piece::Heading("Title".into())];
        pieces.extend((0..25).map(|_| Piece::Text("x".into())));
        pieces.extend([Piece::Heading("Next".into()), Piece::Text("y".into())]);
        let document = set(pieces);
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.pages[1].blocks[0].content(), "Next");
    }

    #[test]
    fn lines_become_pairs_only_if_all_are() {
        assert_eq!(pieces(None, "a: 1\nb: 2").len(), 2);
        assert_eq!(pieces(None, "a: 1\nand more"), [Piece::Text("a: 1 and more".into())]);
        assert_eq!(pieces(Some("1. "), "a: 1"), [Piece::ListItem("1. a: 1".into())]);
        assert_eq!(pieces(Some(""), "a: 1"), [Piece::Pair("a".into(), "1".into())]);
    }
}
