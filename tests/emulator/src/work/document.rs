//! A document that was read: pages of typed blocks, each with its position on the page.

use serde_json::{Value, json};

/// A document that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Document {
    /// The blocks of each page in reading order. A page may have none.
    pub(crate) pages: Vec<Vec<Block>>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// The text of the block; a table as Markdown.
    pub(crate) text: String,
    pub(crate) rect: Rect,
}

/// The kinds of block, with the data that only this kind has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Title,
    SectionHeader,
    Text,
    ListItem,
    /// A label without its colon, and its value.
    KeyValue(String, Cell),
    /// Rows of equal width; the first is the header.
    Table(Vec<Vec<Cell>>),
    Figure,
}

/// A text and its position.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) rect: Rect,
}

/// A rectangle on a page, in fractions of its width and height from the top left corner.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rect {
    /// A rectangle, clipped to the page.
    pub(crate) fn new(left: f64, top: f64, right: f64, bottom: f64) -> Rect {
        let clip = |x: f64| if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
        Rect { left: clip(left), top: clip(top), right: clip(right), bottom: clip(bottom) }
    }

    /// The smallest rectangle around all.
    pub(crate) fn around(rects: impl IntoIterator<Item = Rect>) -> Rect {
        let both = |a: Rect, b: Rect| {
            Rect::new(a.left.min(b.left), a.top.min(b.top), a.right.max(b.right), a.bottom.max(b.bottom))
        };
        rects.into_iter().reduce(both).unwrap_or_default()
    }

    /// The part of the page that it covers, 0 to 1.
    pub(crate) fn area(self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// The `bbox` of a block or a citation, with four decimals.
    pub(crate) fn json(self, page: usize) -> Value {
        let span = |from: f64, to: f64| {
            let start = (from * 1e4).floor().min(9_999.0);
            (start / 1e4, ((to * 1e4).ceil() - start).clamp(1.0, 1e4 - start) / 1e4)
        };
        let ((left, width), (top, height)) = (span(self.left, self.right), span(self.top, self.bottom));
        json!({ "left": left, "top": top, "width": width, "height": height, "page": page })
    }
}

impl Block {
    pub(crate) fn pair(label: &str, value: Cell, rect: Rect) -> Block {
        let label = label.trim().trim_end_matches(':').trim_end().to_owned();
        Block { text: format!("{label}: {}", value.text), kind: Kind::KeyValue(label, value), rect }
    }

    pub(crate) fn table(rows: Vec<Vec<Cell>>) -> Block {
        let line = |row: &Vec<Cell>| {
            let cells: Vec<String> = row.iter().map(|cell| cell.text.replace('|', "\\|")).collect();
            format!("| {} |", cells.join(" | "))
        };
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.insert(1.min(lines.len()), format!("|{}", " --- |".repeat(rows.first().map_or(0, Vec::len))));
        let filled = rows.iter().flatten().filter(|cell| !cell.text.is_empty());
        let rect = Rect::around(filled.map(|cell| cell.rect));
        Block { text: lines.join("\n"), kind: Kind::Table(rows), rect }
    }

    /// The `type` in a parse result.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Title => "Title",
            Kind::SectionHeader => "Section Header",
            Kind::Text => "Text",
            Kind::ListItem => "List Item",
            Kind::KeyValue(..) => "Key Value",
            Kind::Table(_) => "Table",
            Kind::Figure => "Figure",
        }
    }

    pub(crate) fn is_heading(&self) -> bool {
        matches!(self.kind, Kind::Title | Kind::SectionHeader)
    }
}

impl Document {
    /// All blocks in reading order, each with its page number.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        let pages = self.pages.iter().enumerate();
        pages.flat_map(|(index, blocks)| blocks.iter().map(move |block| (index + 1, block)))
    }
}

/// Joins the lines of a paragraph, and a word that a hyphen splits between two lines.
pub(crate) fn join<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut end = text.chars().rev();
        let is_split = end.next() == Some('-') && end.next().is_some_and(char::is_alphabetic);
        let is_joined = is_split && line.starts_with(char::is_lowercase);
        if !(text.is_empty() || line.is_empty() || is_joined) {
            text.push(' ');
        }
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rect_stays_within_the_page_even_as_json() {
        for (from, to) in
            [(-3.0, 9.0), (0.3, 0.30004), (0.99999, 1.0), (1.0, 1.0), (f64::NAN, 0.7), (0.1, f64::INFINITY)]
        {
            let bbox = Rect::new(from, from, to, to).json(3);
            let number = |key: &str| bbox[key].as_f64().unwrap();
            assert!(number("left") >= 0.0 && number("left") + number("width") <= 1.0, "{bbox}");
            assert!(number("top") >= 0.0 && number("top") + number("height") <= 1.0, "{bbox}");
            assert!(number("width") > 0.0 && bbox["page"] == 3, "{bbox}");
        }
    }

    #[test]
    fn a_bar_in_a_cell_does_not_make_a_column() {
        let cell = |text: &str| Cell { text: text.into(), rect: Rect::default() };
        let table = Block::table(vec![vec![cell("A"), cell("B")], vec![cell("x|y"), cell("")]]);
        assert_eq!(table.text, "| A | B |\n| --- | --- |\n| x\\|y |  |");
    }

    #[test]
    fn a_paragraph_keeps_its_own_hyphens() {
        assert_eq!(
            join(["a high-", "rise of", " steel -", "and glass, two- and", ""]),
            "a high-rise of steel - and glass, two- and"
        );
    }
}
