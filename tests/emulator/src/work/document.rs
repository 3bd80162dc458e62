//! What reading a document gives: pages of typed blocks, each with its place on the page.

use serde_json::{Value, json};

/// A document that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Document {
    /// The pages in order; the first is page 1.
    pub(crate) pages: Vec<Page>,
}

/// One page; it may be empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Page {
    /// The blocks in reading order.
    pub(crate) blocks: Vec<Block>,
}

/// A piece of a page that belongs together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its lines; a table has none, its text stands in its cells.
    pub(crate) lines: Vec<Line>,
}

/// The kinds of block, with what only that kind has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// The document's title.
    Title,
    /// A heading.
    SectionHeader,
    /// A paragraph.
    Text,
    /// One item of a list.
    ListItem,
    /// A label and its value, as in a form.
    KeyValue {
        /// The label, without its colon.
        label: String,
        /// The value and its own place.
        value: Line,
    },
    /// A table.
    Table(Table),
    /// A picture and its place; its lines are its caption or alternative text.
    Figure(Rect),
}

/// A table whose rows are as wide as its header.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// The header's cells.
    pub(crate) columns: Vec<Line>,
    /// The rows under it.
    pub(crate) rows: Vec<Vec<Line>>,
}

/// Text and its place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Line {
    /// The text, without line breaks.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) rect: Rect,
}

/// A place on a page, in fractions of the page's width and height from its top left corner.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    /// The rectangle, cut to the page; what is not a number becomes 0.
    pub(crate) fn new(left: f64, top: f64, right: f64, bottom: f64) -> Rect {
        let cut = |x: f64| if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
        let (left, top, right, bottom) = (cut(left), cut(top), cut(right), cut(bottom));
        Rect { left: left.min(right), top: top.min(bottom), right: right.max(left), bottom: bottom.max(top) }
    }

    /// The smallest rectangle around both.
    pub(crate) fn around(self, other: Rect) -> Rect {
        Rect {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The smallest rectangle around all; none of none.
    pub(crate) fn around_all(rects: impl IntoIterator<Item = Rect>) -> Option<Rect> {
        rects.into_iter().reduce(Rect::around)
    }

    /// Left, top, right and bottom.
    pub(crate) fn edges(self) -> (f64, f64, f64, f64) {
        (self.left, self.top, self.right, self.bottom)
    }

    /// The distance of its top from the page's top.
    pub(crate) fn top(self) -> f64 {
        self.top
    }

    /// The part of the page that it covers, 0 to 1.
    pub(crate) fn area(self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// As the contract writes it.
    pub(crate) fn json(self, page: usize) -> Value {
        let (left, width) = span(self.left, self.right);
        let (top, height) = span(self.top, self.bottom);
        json!({ "left": left, "top": top, "width": width, "height": height, "page": page })
    }
}

/// Start and length with four decimals, such that their sum, too, stays within the page.
fn span(from: f64, to: f64) -> (f64, f64) {
    const STEPS: f64 = 10_000.0;
    let start = (from * STEPS).floor();
    let end = (to * STEPS).ceil().min(STEPS);
    let mut length = end - start;
    while length > 0.0 && start / STEPS + length / STEPS > 1.0 {
        length -= 1.0;
    }
    (start / STEPS, length / STEPS)
}

impl Block {
    /// The word for its kind in a parse result.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Title => "Title",
            Kind::SectionHeader => "Section Header",
            Kind::Text => "Text",
            Kind::ListItem => "List Item",
            Kind::KeyValue { .. } => "Key Value",
            Kind::Table(_) => "Table",
            Kind::Figure(_) => "Figure",
        }
    }

    /// Whether it opens a new part of the document.
    pub(crate) fn is_heading(&self) -> bool {
        matches!(self.kind, Kind::Title | Kind::SectionHeader)
    }

    /// Its text: lines joined to one paragraph, a table as Markdown.
    pub(crate) fn content(&self) -> String {
        match &self.kind {
            Kind::Table(table) => table.markdown(),
            Kind::KeyValue { label, value } => format!("{label}: {}", value.text),
            _ => join(self.lines.iter().map(|line| line.text.as_str())),
        }
    }

    /// Its place: around all that it holds.
    pub(crate) fn rect(&self) -> Rect {
        let lines = self.lines.iter().map(|line| line.rect);
        let whole = match &self.kind {
            Kind::Table(table) => Rect::around_all(lines.chain(table.cells().map(|cell| cell.rect))),
            Kind::KeyValue { value, .. } => Rect::around_all(lines.chain([value.rect])),
            Kind::Figure(rect) => Some(*rect),
            _ => Rect::around_all(lines),
        };
        whole.unwrap_or_default()
    }
}

impl Table {
    /// All cells that hold something, the header's first.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Line> {
        let rows = self.rows.iter().flatten();
        self.columns.iter().chain(rows).filter(|cell| !cell.text.is_empty())
    }

    /// The table as Markdown; a bar within a cell is escaped.
    pub(crate) fn markdown(&self) -> String {
        let row = |cells: &[Line]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.text.replace('|', "\\|")).collect();
            format!("| {} |", cells.join(" | "))
        };
        let mut text = row(&self.columns);
        text.push_str("\n|");
        text.push_str(&" --- |".repeat(self.columns.len()));
        for cells in &self.rows {
            text.push('\n');
            text.push_str(&row(cells));
        }
        text
    }
}

impl Document {
    /// All blocks in reading order, each with its page, from 1.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        let pages = self.pages.iter().enumerate();
        pages.flat_map(|(index, page)| page.blocks.iter().map(move |block| (index + 1, block)))
    }

    /// Whether there is anything to read in it.
    pub(crate) fn has_text(&self) -> bool {
        self.blocks().any(|(_, block)| match &block.kind {
            Kind::Table(table) => table.cells().next().is_some(),
            _ => block.lines.iter().any(|line| !line.text.trim().is_empty()),
        })
    }
}

/// Joins the lines of a paragraph; a word broken at its own hyphen is put together again.
pub(crate) fn join<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines.into_iter().map(str::trim).filter(|line| !line.is_empty()) {
        let mut end = text.chars().rev();
        let hyphenated = end.next() == Some('-') && end.next().is_some_and(char::is_alphabetic);
        let goes_on = hyphenated && line.starts_with(char::is_lowercase);
        if !text.is_empty() && !goes_on {
            text.push(' ');
        }
        text.push_str(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rect_stays_within_the_page_even_as_json() {
        for (from, to) in [(-3.0, 9.0), (0.3, 0.30004), (0.99999, 1.0), (f64::NAN, 0.7), (0.1, f64::INFINITY)] {
            let bbox = Rect::new(from, from, to, to).json(3);
            let number = |key: &str| bbox[key].as_f64().unwrap();
            assert!(number("left") >= 0.0 && number("left") + number("width") <= 1.0, "{bbox}");
            assert!(number("top") >= 0.0 && number("top") + number("height") <= 1.0, "{bbox}");
            assert_eq!(bbox["page"], 3);
        }
    }

    #[test]
    fn a_bar_in_a_cell_does_not_make_a_column() {
        let cell = |text: &str| Line { text: text.into(), rect: Rect::default() };
        let table = Table { columns: vec![cell("A"), cell("B")], rows: vec![vec![cell("x|y"), cell("")]] };
        assert_eq!(table.markdown(), "| A | B |\n| --- | --- |\n| x\\|y |  |");
    }

    #[test]
    fn a_paragraph_keeps_its_own_hyphens() {
        assert_eq!(join(["a high-", "rise of", " steel -", "and glass"]), "a high-rise of steel - and glass");
    }
}
