//! Parsing: getting the text of a file version, in chunks of blocks with their positions on the pages.
//!
//! ```no_run
//! use nomic_client::Nomic;
//!
//! let nomic = Nomic::from_env()?;
//! let file = nomic.upload_file("permit.pdf")?;
//! let job = nomic.parse(&file.file_version_id)?;
//! let parsed = nomic.wait(&job)?;
//! println!("{}", parsed.page_text(1));
//! for table in parsed.tables() {
//!     println!("page {:?}: {}", table.page(), table.content);
//! }
//! # Ok::<(), nomic_client::Error>(())
//! ```

use std::borrow::{Borrow, Cow};
use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bbox::Bbox;
use crate::call::{Call, check_bounds};
use crate::error::{Error, Result};
use crate::ids::{FileVersionId, TaskId};
use crate::job_ref::JobRef;
use crate::json;
use crate::lenient::{self, Found};
use crate::nomic::Nomic;
use crate::open_enum::open_enum;
use crate::operations::{GET_PARSE, SUBMIT_PARSE};
use crate::waiting::task::{Task, is_blank, url_field};
use crate::waiting::{Job, Poll, sealed};

/// Minimum word limit of a summary: 10.
pub const MIN_SUMMARY_WORDS: u32 = 10;
/// Maximum word limit of a summary, and the service's default: 100.
pub const MAX_SUMMARY_WORDS: u32 = 100;

open_enum! {
    /// The script of text in images.
    pub enum OcrLanguage {
        /// English, the service's default.
        English = "en",
        /// Languages in Latin script.
        Latin = "latin",
        /// Chinese, Japanese and English.
        ChineseJapaneseEnglish = "zh_ja_en",
    }
}

open_enum! {
    /// The type of a block (inferred: only `Section Header` and `Figure` are known from the API).
    pub enum BlockKind {
        /// A page header.
        Header = "Header",
        /// A page footer.
        Footer = "Footer",
        /// The document's title.
        Title = "Title",
        /// A heading.
        SectionHeader = "Section Header",
        /// A page number.
        PageNumber = "Page Number",
        /// Body text.
        Text = "Text",
        /// A list item.
        ListItem = "List Item",
        /// A table; its content is the table as text.
        Table = "Table",
        /// A picture or drawing; its content may be empty.
        Figure = "Figure",
        /// A label with its value, as in a form.
        KeyValue = "Key Value",
        /// A comment.
        Comment = "Comment",
        /// A signature.
        Signature = "Signature",
    }
}

/// Options for parsing. The service applies its defaults to options that are not set.
///
/// The API pages do not document where summaries appear in the result: look in the `content` and `extra` of
/// [chunks](Chunk) and [blocks](Block).
///
/// ```
/// use nomic_client::parse::{OcrLanguage, Options};
///
/// let options = Options::default().ocr_language(OcrLanguage::Latin).table_summary(true).summary_word_limit(50);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The script of text in images.
    pub ocr_language: Option<OcrLanguage>,
    /// Whether to summarize figures.
    pub figure_summary: Option<bool>,
    /// Whether to summarize tables.
    pub table_summary: Option<bool>,
    /// The maximum number of words in a summary, 10 ([`MIN_SUMMARY_WORDS`]) to 100 ([`MAX_SUMMARY_WORDS`]).
    pub summary_word_limit: Option<u32>,
    /// Whether chunks get a text for embedding: [`Chunk::embed`].
    pub embed_chunks: Option<bool>,
}

impl Options {
    /// The script of text in images. The service's default is [`OcrLanguage::English`].
    #[must_use]
    pub fn ocr_language(self, language: impl Into<OcrLanguage>) -> Self {
        Self { ocr_language: Some(language.into()), ..self }
    }

    /// Whether to summarize figures. The service's default is not documented.
    #[must_use]
    pub fn figure_summary(self, enabled: bool) -> Self {
        Self { figure_summary: Some(enabled), ..self }
    }

    /// Whether to summarize tables. The service's default is not documented.
    #[must_use]
    pub fn table_summary(self, enabled: bool) -> Self {
        Self { table_summary: Some(enabled), ..self }
    }

    /// The maximum number of words in a summary, 10 ([`MIN_SUMMARY_WORDS`]) to 100 ([`MAX_SUMMARY_WORDS`]). The service's
    /// default is 100.
    #[must_use]
    pub fn summary_word_limit(self, words: u32) -> Self {
        Self { summary_word_limit: Some(words), ..self }
    }

    /// Whether chunks get a text for embedding: [`Chunk::embed`]. The service's default is not documented.
    #[must_use]
    pub fn embed_chunks(self, enabled: bool) -> Self {
        Self { embed_chunks: Some(enabled), ..self }
    }

    /// The options in JSON; `null` if none is set.
    fn body(&self) -> Value {
        let enabled = |enabled: Option<bool>| enabled.map_or(Value::Null, |enabled| json!({ "enabled": enabled }));
        let options = json::object([
            ("ocrLanguage", json!(self.ocr_language)),
            ("figureSummary", enabled(self.figure_summary)),
            ("tableSummary", enabled(self.table_summary)),
            ("summaryWordLimit", json!(self.summary_word_limit)),
            ("embedChunks", json!(self.embed_chunks)),
        ]);
        if options == json!({}) { Value::Null } else { options }
    }
}

/// A parse job. Store it, and wait for it again after a restart. In JSON, it is e.g. `{"taskId":"019abc12"}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ParseJob {
    /// The job's id on the server.
    pub task_id: TaskId,
}

/// A parsed document (inferred from the vendor's v1 API).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Parsed {
    /// The chunks, in reading order.
    #[serde(deserialize_with = "lenient::objects")]
    pub chunks: Vec<Chunk>,
    /// The blocks of the whole document, if the service sends them outside the chunks. [`Parsed::blocks`] finds them in
    /// either place.
    #[serde(rename = "blocks", deserialize_with = "lenient::objects")]
    pub top_level_blocks: Vec<Block>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A coherent part of the text, made of blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Chunk {
    /// The text.
    #[serde(deserialize_with = "lenient::or_default")]
    pub content: String,
    /// A text for embedding in place of `content`, e.g. `Release is embargoed`; see [`Options::embed_chunks`].
    #[serde(deserialize_with = "lenient::or_default")]
    pub embed: Option<String>,
    /// Its blocks.
    #[serde(deserialize_with = "lenient::objects")]
    pub blocks: Vec<Block>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An element of a page: a heading, a paragraph, a table, a figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Block {
    /// Its type, e.g. a table.
    #[serde(rename = "type", deserialize_with = "lenient::or_default")]
    pub kind: Option<BlockKind>,
    /// Its position on a page.
    #[serde(deserialize_with = "lenient::object")]
    pub bbox: Option<Bbox>,
    /// Its text, which may be empty for a figure.
    #[serde(deserialize_with = "lenient::or_default")]
    pub content: String,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Chunk {
    /// The content of the chunk, or of its blocks if it is empty.
    fn text(&self) -> Cow<'_, str> {
        match self.content.as_str() {
            "" => join(self.blocks.iter().map(|block| block.content.as_str()), "\n").into(),
            content => content.into(),
        }
    }
}

impl Block {
    /// Its page number, counted from 1; `None` if the service did not send it.
    pub fn page(&self) -> Option<u32> {
        self.bbox.as_ref().and_then(|bbox| bbox.page)
    }
}

impl Parsed {
    /// All blocks in reading order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        let chunks = if self.top_level_blocks.is_empty() { &self.chunks[..] } else { &[] };
        self.top_level_blocks.iter().chain(chunks.iter().flat_map(|chunk| &chunk.blocks))
    }

    /// The blocks of one kind.
    pub fn blocks_of(&self, kind: &BlockKind) -> impl Iterator<Item = &Block> {
        self.blocks().filter(move |block| block.kind.as_ref() == Some(kind))
    }

    /// The tables.
    pub fn tables(&self) -> impl Iterator<Item = &Block> {
        self.blocks_of(&BlockKind::Table)
    }

    /// The figures.
    pub fn figures(&self) -> impl Iterator<Item = &Block> {
        self.blocks_of(&BlockKind::Figure)
    }

    /// The title and the headings, in reading order.
    pub fn headings(&self) -> impl Iterator<Item = &Block> {
        self.blocks().filter(|block| matches!(block.kind, Some(BlockKind::Title | BlockKind::SectionHeader)))
    }

    /// The numbers of the pages that have blocks, ascending.
    pub fn pages(&self) -> Vec<u32> {
        let pages: BTreeSet<u32> = self.blocks().filter_map(Block::page).collect();
        pages.into_iter().collect()
    }

    /// The whole text: the chunks, or the blocks if the chunks have no text, separated by empty lines.
    pub fn text(&self) -> String {
        let text = join(self.chunks.iter().map(Chunk::text), "\n\n");
        if text.is_empty() { join(self.blocks().map(|block| block.content.as_str()), "\n\n") } else { text }
    }

    /// The text of the blocks of one page, counted from 1, separated by line breaks. Empty if the page has no blocks.
    pub fn page_text(&self, page: u32) -> String {
        let blocks = self.blocks().filter(|block| block.page() == Some(page));
        join(blocks.map(|block| block.content.as_str()), "\n")
    }
}

fn join<T: Borrow<str>>(parts: impl Iterator<Item = T>, separator: &str) -> String {
    parts.filter(|part| !part.borrow().is_empty()).collect::<Vec<_>>().join(separator)
}

impl Nomic {
    /// Starts a parse job for a file version. Only uploaded files can be parsed; for files of an integration the API returns
    /// 400.
    ///
    /// `POST /parse` · scope `developer:parse` · heavy tier
    ///
    /// # Errors
    ///
    /// 404 if the version is unknown, 422 if the file cannot be parsed, 501 if the instance does not support parsing.
    #[doc(alias = "submit_parse")]
    pub fn parse(&self, file_version_id: impl Into<FileVersionId>) -> Result<ParseJob> {
        self.parse_with(file_version_id, &Options::default())
    }

    /// Starts a parse job like [`parse`](Self::parse), with options.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and [`InvalidRequest`](crate::ErrorKind::InvalidRequest) if an option is out of bounds.
    pub fn parse_with(&self, file_version_id: impl Into<FileVersionId>, options: &Options) -> Result<ParseJob> {
        let call = Call::to(&SUBMIT_PARSE, &[])?;
        let (words, bounds) = (options.summary_word_limit, MIN_SUMMARY_WORDS..=MAX_SUMMARY_WORDS);
        check_bounds(&call.operation, "summary_word_limit", words, bounds)?;
        let body = json::object([("fileVersionId", json!(file_version_id.into())), ("options", options.body())]);
        self.fetch_data(&call.json(&body).starts("taskId", |id| JobRef::Parse(id.into())))
    }

    /// Returns a parse job that was started earlier, by this or another program. Sends nothing.
    ///
    /// The request of [`wait`](Self::wait) and [`poll`](Self::poll):
    /// `GET /parse/{taskId}` · scope `developer:parse` · standard tier · inferred
    #[doc(alias = "get_parse")]
    pub fn parse_job(&self, task_id: impl Into<TaskId>) -> ParseJob {
        ParseJob { task_id: task_id.into() }
    }
}

impl Job for ParseJob {
    type Output = Parsed;
}

impl sealed::Pollable<Parsed> for ParseJob {
    fn job(&self) -> JobRef {
        JobRef::Parse(self.task_id.clone())
    }

    fn poll_once(&self, nomic: &Nomic, timeout: Duration) -> Result<Poll<Parsed>> {
        let call = Call::to(&GET_PARSE, &[self.task_id.as_str()])?.within(timeout);
        let task: Task<Found<Parsed>> = nomic.fetch_data(&call)?;
        let is_empty = |result: &Found<Parsed>| match result {
            Found::Object(parsed) => *parsed == Parsed::default(),
            Found::List(chunks) => chunks.is_empty(),
            Found::Other(value) => is_blank(value),
        };
        let url = task.result_url(is_empty, |result| match result {
            Found::Object(parsed) if parsed.chunks.is_empty() && parsed.top_level_blocks.is_empty() => {
                let is_url = parsed.extra.get("type").is_some_and(|kind| kind == "url");
                url_field(&parsed.extra).or_else(|| parsed.extra.get("url").filter(|_| is_url))
            }
            Found::Other(Value::String(text)) if !text.contains("://") => None,
            Found::Other(value) => Some(value),
            Found::Object(_) | Found::List(_) => None,
        });
        if let Some(url) = url {
            return Err(Error::result_at_url(self.job(), nomic.redacted(url)));
        }
        Ok(task.poll(is_empty, |result, mut extra| match result {
            Some(Found::Object(parsed)) => parsed,
            // The field is inferred: keep what came instead.
            Some(Found::Other(other)) => {
                extra.insert("result".to_owned(), other);
                Parsed { extra, ..Parsed::default() }
            }
            Some(Found::List(_)) | None => Parsed { extra, ..Parsed::default() },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: Value) -> Parsed {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_text_of_a_page_and_of_the_whole() {
        let block =
            |kind: &str, page: u32, content: &str| json!({"type": kind, "bbox": {"page": page}, "content": content});
        let parsed = parsed(json!({"chunks": [
            {"content": "A\nB", "blocks": [block("SECTION HEADER", 1, "A"), block("Text", 1, "B")]},
            {"content": "C", "blocks": [block("Table", 2, "C"), block("Figure", 2, ""), block("Hologram", 3, "D")]},
        ]}));
        assert_eq!(parsed.text(), "A\nB\n\nC");
        assert_eq!(parsed.page_text(1), "A\nB");
        assert_eq!(parsed.page_text(9), "");
        assert_eq!(parsed.pages(), [1, 2, 3]);
        assert_eq!((parsed.tables().count(), parsed.figures().count(), parsed.headings().count()), (1, 1, 1));
        assert_eq!(parsed.blocks_of(&BlockKind::Other("Hologram".into())).count(), 1);
    }

    #[test]
    fn a_chunk_without_content_has_the_text_of_its_blocks() {
        let parsed = parsed(json!({"chunks": [
            {"content": "A", "blocks": [{"content": "a"}]},
            {"content": "", "blocks": [{"content": "B"}, {"content": ""}, {"content": "C"}]},
            {"content": null, "blocks": []},
        ]}));
        assert_eq!(parsed.text(), "A\n\nB\nC");
    }

    #[test]
    fn a_position_in_a_spreadsheet_may_exceed_one() {
        let parsed =
            parsed(json!({"blocks": [{"type": "footer", "bbox": {"left": 3, "top": "12", "width": 2, "page": 2}}]}));
        let block = parsed.blocks().next().unwrap();
        assert_eq!(block.kind, Some(BlockKind::Footer));
        assert_eq!(block.bbox.as_ref().map(|bbox| (bbox.left, bbox.top, bbox.page)), Some((3.0, 12.0, Some(2))));
    }

    #[test]
    fn blocks_are_found_beside_the_chunks_too() {
        let parsed = parsed(json!({"blocks": [{"content": "A"}, {"content": "B"}], "chunks": null}));
        assert_eq!(parsed.text(), "A\n\nB");
        assert_eq!(parsed.blocks().count(), 2);
    }

    #[test]
    fn a_stored_job_comes_back() {
        let stored = r#"{"taskId":"019abc12"}"#;
        let job: ParseJob = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&job).unwrap(), stored);
    }

    #[test]
    fn an_option_out_of_bounds_is_refused() {
        let nomic = Nomic::new("http://127.0.0.1:1", "npk_example").unwrap();
        for words in [0, 9, 101] {
            let options = Options::default().summary_word_limit(words);
            let error = nomic.parse_with("v", &options).unwrap_err().to_string();
            assert!(error.contains("it must be 10 to 100"), "{error}");
        }
        let options = Options::default().summary_word_limit(10).table_summary(true);
        assert_eq!(options.body(), json!({"summaryWordLimit": 10, "tableSummary": {"enabled": true}}));
        assert_eq!(Options::default().body(), Value::Null);
    }
}
