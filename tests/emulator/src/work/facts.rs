//! The blocks of documents with their headings, and the words of both.

use std::sync::Arc;

use super::document::{Block, Document, Kind};
use crate::words::{self, Words};

/// A file version id, a file name and the document.
pub(crate) type Source = (String, String, Arc<Document>);

#[derive(Debug)]
pub(super) struct Fact<'a> {
    pub(super) source: &'a Source,
    pub(super) page: usize,
    pub(super) block: &'a Block,
    /// The heading above the block.
    pub(super) title: &'a str,
    pub(super) heading: Words,
    /// The words of the label, if it has one.
    pub(super) label: Words,
}

pub(super) fn facts(sources: &[Source]) -> Vec<Fact<'_>> {
    let mut facts = Vec::new();
    for source in sources {
        let mut title = "";
        for (page, block) in source.2.blocks() {
            title = if block.is_heading() { &block.text } else { title };
            let label = if let Kind::KeyValue(label, _) = &block.kind { words::set(label) } else { Words::new() };
            facts.push(Fact { source, page, block, title, heading: words::set(title), label });
        }
    }
    facts
}
