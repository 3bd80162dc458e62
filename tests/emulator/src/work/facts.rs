//! The blocks of documents with their words and headings.

use std::sync::Arc;

use super::document::{Block, Document, Kind};
use super::words::{self, Words};

/// A file version id, a file name and the document.
pub(crate) type Source = (String, String, Arc<Document>);

/// A block and what is known of it.
#[derive(Debug)]
pub(super) struct Fact<'a> {
    pub(super) source: &'a Source,
    pub(super) page: usize,
    pub(super) block: &'a Block,
    /// The heading above the block.
    pub(super) title: &'a str,
    pub(super) heading: Words,
    /// The words of the label, or of the header of a table.
    pub(super) label: Words,
}

pub(super) fn facts(sources: &[Source]) -> Vec<Fact<'_>> {
    let mut facts = Vec::new();
    for source in sources {
        let mut title = "";
        for (page, block) in source.2.blocks() {
            if block.is_heading() {
                title = &block.text;
            }
            let label = match &block.kind {
                Kind::KeyValue(label, _) => words::set(label),
                Kind::Table(rows) => rows[0].iter().flat_map(|cell| words::set(&cell.text)).collect(),
                _ => Words::new(),
            };
            facts.push(Fact { source, page, block, title, heading: words::set(title), label });
        }
    }
    facts
}
