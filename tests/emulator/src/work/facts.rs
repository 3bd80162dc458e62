//! What documents state: labels with their values, rows of tables, items of lists, sentences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::{Document, Kind, Line, Rect, Table};
use super::layout::marker_length;
use super::words;

/// The cells of a larger table are not facts of their own.
const MAX_TABLE_ROWS: usize = 1_000;

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place<'a> {
    pub(super) file_version_id: &'a str,
    pub(super) page: usize,
    pub(super) rect: Rect,
}

impl Place<'_> {
    pub(super) fn citation(&self) -> Value {
        json!({ "fileVersionId": self.file_version_id, "page": self.page, "bbox": self.rect.json(self.page) })
    }
}

/// How a value goes with its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A form says so.
    Pair,
    /// It stands under its label in the only row of a table, that of this number.
    Column(usize),
    /// It stands beside its label in a table of two columns, that of this number.
    Row(usize),
    /// It is the cell at this row and column.
    Cell,
}

/// A value with its label.
#[derive(Debug, Clone)]
pub(super) struct Fact<'a> {
    pub(super) label: String,
    pub(super) label_words: BTreeSet<String>,
    /// The words of the heading above it.
    pub(super) heading: BTreeSet<String>,
    pub(super) value: &'a str,
    pub(super) place: Place<'a>,
    pub(super) source: Source,
}

/// A table; the parts of one that goes over pages are put together.
#[derive(Debug, Clone)]
pub(super) struct Grid<'a> {
    pub(super) heading: BTreeSet<String>,
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(&'a [Line], &'a str, usize)>,
}

/// A paragraph or an item of a list, as one text.
#[derive(Debug, Clone)]
pub(super) struct Passage<'a> {
    pub(super) heading: BTreeSet<String>,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) item: bool,
    pub(super) place: Place<'a>,
}

/// All that the documents state, in their order.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// The words of the documents' titles and file names.
    pub(super) titles: BTreeSet<String>,
    pub(super) facts: Vec<Fact<'a>>,
    pub(super) grids: Vec<Grid<'a>>,
    pub(super) passages: Vec<Passage<'a>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(documents: &'a [(String, String, Arc<Document>)]) -> Facts<'a> {
        let mut facts = Facts::default();
        for (file_version_id, file_name, document) in documents {
            let stem = file_name.rsplit_once('.').map_or(file_name.as_str(), |(stem, _)| stem);
            facts.titles.extend(words::set(stem));
            facts.gather(file_version_id, document);
        }
        facts
    }

    fn gather(&mut self, file_version_id: &'a str, document: &'a Document) {
        let mut title = String::new();
        let mut heading = BTreeSet::new();
        let first_grid = self.grids.len();
        let running = running_lines(document);
        let mut follows_table = false;
        for (page, block) in document.blocks() {
            let place = |rect| Place { file_version_id, page, rect };
            let mut is_table = false;
            match &block.kind {
                Kind::Title | Kind::SectionHeader => {
                    title = block.content();
                    heading = words::set(&title);
                    if block.kind == Kind::Title {
                        self.titles.extend(heading.iter().cloned());
                    }
                }
                Kind::KeyValue { label, value } => self.facts.push(Fact {
                    label: label.clone(),
                    label_words: words::set(label),
                    heading: heading.clone(),
                    value: &value.text,
                    place: place(value.rect),
                    source: Source::Pair,
                }),
                Kind::Table(table) => {
                    is_table = true;
                    let columns: Vec<String> = table.columns.iter().map(|cell| cell.text.clone()).collect();
                    let rows = table.rows.iter().map(|row| (row.as_slice(), file_version_id, page));
                    let goes_on = follows_table && self.grids.len() > first_grid;
                    match self.grids.last_mut().filter(|grid| goes_on && grid.columns == columns) {
                        Some(grid) => grid.rows.extend(rows),
                        None => self.grids.push(Grid {
                            heading: heading.clone(),
                            title: title.clone(),
                            columns,
                            rows: rows.collect(),
                        }),
                    }
                    self.cells(table, self.grids.len() - 1, &heading, place(Rect::default()));
                }
                Kind::Text if running.contains(&without_digits(&block.content())) => {}
                Kind::Text | Kind::ListItem => self.passages.push(Passage {
                    heading: heading.clone(),
                    title: title.clone(),
                    text: block.content(),
                    item: block.kind == Kind::ListItem,
                    place: place(block.rect()),
                }),
                Kind::Figure(_) => {}
            }
            follows_table = is_table;
        }
    }

    /// A cell is what its row's first cell and its column's head say together.
    fn cells(&mut self, table: &'a Table, grid: usize, heading: &BTreeSet<String>, at: Place<'a>) {
        let two_columns = table.columns.len() == 2;
        let one_row = self.grids[grid].rows.len() == 1;
        for row in table.rows.iter().take(MAX_TABLE_ROWS) {
            let Some(name) = row.first() else { continue };
            for (column, cell) in table.columns.iter().zip(row) {
                let mut push = |label: String, source| {
                    self.facts.push(Fact {
                        label_words: words::set(&label),
                        label,
                        heading: heading.clone(),
                        value: &cell.text,
                        place: Place { rect: cell.rect, ..at },
                        source,
                    });
                };
                if cell.text.is_empty() {
                    continue;
                }
                if one_row {
                    push(column.text.clone(), Source::Column(grid));
                }
                if std::ptr::eq(cell, name) {
                    continue;
                }
                if two_columns {
                    push(name.text.clone(), Source::Row(grid));
                }
                push(format!("{} {}", name.text, column.text), Source::Cell);
            }
        }
    }
}

/// Text that stands on several pages, but for the number of the page: heads and feet, which state nothing.
fn running_lines(document: &Document) -> BTreeSet<String> {
    let mut pages: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (page, block) in document.blocks().filter(|(_, block)| block.kind == Kind::Text && block.lines.len() == 1) {
        pages.entry(without_digits(&block.content())).or_default().insert(page);
    }
    pages.retain(|_, on| on.len() > 1 && on.len() * 2 >= document.pages.len());
    pages.into_keys().collect()
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl Passage<'_> {
    /// The text without the number of a list's item.
    pub(super) fn plain(&self) -> String {
        let marker = if self.item { marker_length(&self.text).unwrap_or(0) } else { 0 };
        self.text.chars().skip(marker).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    fn gathered(text: &str, check: impl Fn(&Facts<'_>)) {
        let documents = [("version".to_owned(), "a.txt".to_owned(), Arc::new(text::read(text)))];
        check(&Facts::of(&documents));
    }

    #[test]
    fn heads_and_feet_of_pages_state_nothing() {
        let page = |number: usize| {
            format!(
                "On page {number} stands {}something else.\n\n\nHarbor Works, sheet {number} of 3.\n",
                "really ".repeat(number)
            )
        };
        let text = [page(1), page(2), page(3)].join("\u{c}");
        gathered(&text, |facts| {
            let texts: Vec<&str> = facts.passages.iter().map(|passage| passage.text.as_str()).collect();
            assert_eq!(texts.len(), 3, "{texts:?}");
            assert!(texts.iter().all(|text| text.starts_with("On page")));
        });
    }

    #[test]
    fn a_table_that_goes_over_a_page_is_one() {
        gathered(
            "Door   Width\nD1     30\nD2     36\nD3     42\n\u{c}Door   Width\nD4     30\nD5     36\nD6     48\n",
            |facts| {
                assert_eq!(facts.grids.len(), 1);
                let rows: Vec<(&str, usize)> =
                    facts.grids[0].rows.iter().map(|(row, _, page)| (row[0].text.as_str(), *page)).collect();
                assert_eq!(rows, [("D1", 1), ("D2", 1), ("D3", 1), ("D4", 2), ("D5", 2), ("D6", 2)]);
            },
        );
    }

    #[test]
    fn a_pair_knows_the_heading_it_stands_under() {
        gathered("SITE\n\nAddress: 18 Breakwater Lane\n", |facts| {
            let fact = &facts.facts[0];
            assert_eq!((fact.label.as_str(), fact.value), ("Address", "18 Breakwater Lane"));
            assert!(fact.heading.contains("site"));
        });
    }
}
