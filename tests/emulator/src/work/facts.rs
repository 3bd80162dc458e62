//! The content of documents by label: values, tables, and texts with their headings.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::document::{Block, Cell, Document, Kind, Rect};
use super::words;

/// The cells of later rows are values of their column only.
const MAX_ROWS: usize = 1_000;

/// A file version id, a file name and the document.
pub(crate) type Source = (String, String, Arc<Document>);

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position<'a> {
    pub(super) source: &'a Source,
    pub(super) page: usize,
    pub(super) rect: Rect,
}

impl Position<'_> {
    pub(super) fn citation(&self) -> Value {
        json!({ "fileVersionId": self.source.0, "page": self.page, "bbox": self.rect.json(self.page) })
    }
}

/// A value with its label.
#[derive(Debug)]
pub(super) struct Fact<'a> {
    pub(super) label: String,
    pub(super) words: BTreeSet<String>,
    /// The words of the heading above it.
    pub(super) heading: BTreeSet<String>,
    pub(super) value: &'a str,
    pub(super) position: Position<'a>,
    pub(super) origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Pair,
    /// A table of two columns or of one row.
    Table,
    /// A cell with the names of its row and its column.
    Cell,
}

/// A table. One that continues on the next page is one table.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) title: &'a str,
    pub(super) heading: BTreeSet<String>,
    pub(super) columns: &'a [Cell],
    pub(super) rows: Vec<(&'a [Cell], Position<'a>)>,
}

/// A paragraph or a list item.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    pub(super) title: &'a str,
    pub(super) heading: BTreeSet<String>,
    pub(super) block: &'a Block,
    pub(super) position: Position<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// The words of the titles and file names.
    pub(super) titles: BTreeSet<String>,
    pub(super) facts: Vec<Fact<'a>>,
    pub(super) tables: Vec<Table<'a>>,
    pub(super) passages: Vec<Passage<'a>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(sources: &'a [Source]) -> Facts<'a> {
        let mut facts = Facts::default();
        for source in sources {
            facts.titles.extend(words::set(source.1.rsplit_once('.').map_or(source.1.as_str(), |(stem, _)| stem)));
            let mut title = "";
            let mut heading = BTreeSet::new();
            let mut follows_table = false;
            for (page, block) in source.2.blocks() {
                let position = Position { source, page, rect: block.rect };
                let is_continued = std::mem::replace(&mut follows_table, matches!(block.kind, Kind::Table(_)));
                match &block.kind {
                    Kind::Title | Kind::SectionHeader => {
                        title = &block.text;
                        heading = words::set(title);
                        if block.kind == Kind::Title {
                            facts.titles.extend(heading.iter().cloned());
                        }
                    }
                    Kind::KeyValue(label, value) => {
                        facts.push(label.clone(), &heading, value, position, Origin::Pair);
                    }
                    Kind::Table(rows) => {
                        let Some((columns, rows)) = rows.split_first() else { continue };
                        facts.cells(columns, &rows[..rows.len().min(MAX_ROWS)], &heading, position);
                        let rows = rows.iter().map(|row| (row.as_slice(), position));
                        let same = |table: &&mut Table<'_>| {
                            is_continued
                                && table.columns.iter().map(|cell| &cell.text).eq(columns.iter().map(|cell| &cell.text))
                        };
                        match facts.tables.last_mut().filter(same) {
                            Some(table) => table.rows.extend(rows),
                            None => {
                                let (heading, rows) = (heading.clone(), rows.collect());
                                facts.tables.push(Table { title, heading, columns, rows });
                            }
                        }
                    }
                    Kind::Text | Kind::ListItem => {
                        facts.passages.push(Passage { title, heading: heading.clone(), block, position });
                    }
                    Kind::Figure => {}
                }
            }
        }
        facts
    }

    fn push(&mut self, label: String, heading: &BTreeSet<String>, value: &'a Cell, at: Position<'a>, origin: Origin) {
        let (words, position) = (words::set(&label), Position { rect: value.rect, ..at });
        self.facts.push(Fact { label, words, heading: heading.clone(), value: &value.text, position, origin });
    }

    fn cells(&mut self, columns: &[Cell], rows: &'a [Vec<Cell>], heading: &BTreeSet<String>, at: Position<'a>) {
        for row in rows {
            for (index, (column, cell)) in
                columns.iter().zip(row).enumerate().filter(|(_, (_, cell))| !cell.text.is_empty())
            {
                if rows.len() == 1 {
                    self.push(column.text.clone(), heading, cell, at, Origin::Table);
                }
                if index > 0 {
                    let (name, is_form) = (&row[0].text, columns.len() == 2);
                    let label = if is_form { name.clone() } else { format!("{name} {}", column.text) };
                    self.push(label, heading, cell, at, if is_form { Origin::Table } else { Origin::Cell });
                }
            }
        }
    }
}

impl Passage<'_> {
    /// The text without the number of a list item.
    pub(super) fn text(&self) -> &str {
        let length = super::lines::marker_length(&self.block.text).filter(|_| self.block.kind == Kind::ListItem);
        self.block.text.get(length.unwrap_or(0)..).unwrap_or_default()
    }
}
