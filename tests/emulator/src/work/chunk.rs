//! A document as the result of a parse: its blocks, and chunks of them, one per part under a heading.

use serde_json::{Value, json};

use super::document::{Block, Document, Kind, Line};

/// A longer part is cut between two blocks.
const CHUNK_CHARS: usize = 2_000;
/// The text for embedding has at most so many words besides the heading.
const EMBED_WORDS: usize = 40;
/// The contract's default of `summaryWordLimit`.
const SUMMARY_WORDS: usize = 100;

/// What the caller asked for.
struct Options {
    figure_summary: bool,
    table_summary: bool,
    word_limit: usize,
    embed: bool,
}

impl Options {
    fn of(options: &Value) -> Options {
        let enabled = |key: &str| options[key]["enabled"].as_bool().unwrap_or(false);
        let limit = options["summaryWordLimit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
        Options {
            figure_summary: enabled("figureSummary"),
            table_summary: enabled("tableSummary"),
            word_limit: limit.unwrap_or(SUMMARY_WORDS),
            embed: options["embedChunks"].as_bool().unwrap_or(true),
        }
    }
}

/// The `result` of a parse task; the options are those of the request, or null.
pub(crate) fn parse_result(document: &Document, options: &Value) -> Value {
    let options = Options::of(options);
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut blocks: Vec<Value> = Vec::new();
    let mut heading = String::new();
    let in_order: Vec<(usize, &Block)> = document.blocks().collect();
    for (at, (page, block)) in in_order.iter().enumerate() {
        let mut content = block.content();
        if block.is_heading() {
            heading.clone_from(&content);
        }
        let next = in_order.get(at + 1).map(|(_, next)| *next);
        if let Some(summary) = summary(block, *page, &heading, next, &options) {
            // The text of a block stays as it is; a summary stands above it.
            content = if content.is_empty() { summary } else { format!("{summary}\n\n{content}") };
        }
        let json = json!({ "type": block.type_name(), "bbox": block.rect().json(*page), "content": content });
        let open = chunks.last_mut().filter(|chunk| chunk.takes(block, content.len()));
        match open {
            Some(chunk) => chunk.push(block, &content, json.clone()),
            None => {
                let mut chunk = Chunk { heading: heading.clone(), ..Chunk::default() };
                chunk.push(block, &content, json.clone());
                chunks.push(chunk);
            }
        }
        blocks.push(json);
    }
    let chunks: Vec<Value> = chunks.into_iter().map(|chunk| chunk.json(options.embed)).collect();
    json!({ "chunks": chunks, "blocks": blocks })
}

/// Blocks under one heading.
#[derive(Default)]
struct Chunk {
    /// The heading it stands under, also when that is in the chunk before.
    heading: String,
    content: String,
    /// The same without headings.
    body: String,
    blocks: Vec<Value>,
}

impl Chunk {
    fn takes(&self, block: &Block, length: usize) -> bool {
        // Headings that follow one another head the same part.
        let begins = block.is_heading() && !self.body.is_empty();
        !begins && self.content.len() + length <= CHUNK_CHARS
    }

    fn push(&mut self, block: &Block, content: &str, json: Value) {
        let add = |text: &mut String| {
            if !content.is_empty() {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(content);
            }
        };
        add(&mut self.content);
        if block.is_heading() {
            self.heading = content.to_owned();
        } else {
            add(&mut self.body);
        }
        self.blocks.push(json);
    }

    fn json(self, embed: bool) -> Value {
        let body = first_words(&self.body, EMBED_WORDS);
        let text = match (self.heading.is_empty(), body.is_empty()) {
            (false, false) => format!("{}: {body}", self.heading),
            (false, true) => self.heading,
            (true, _) => body,
        };
        let embed = if embed { Value::from(text) } else { Value::Null };
        json!({ "content": self.content, "embed": embed, "blocks": self.blocks })
    }
}

/// One sentence about a table or a figure, when it is asked for.
fn summary(block: &Block, page: usize, heading: &str, next: Option<&Block>, options: &Options) -> Option<String> {
    let under = if heading.is_empty() { String::new() } else { format!(" under \"{heading}\"") };
    let sentence = match &block.kind {
        Kind::Table(table) if options.table_summary => {
            let names: Vec<&str> = table.columns.iter().map(|column| column.text.as_str()).collect();
            let rows = table.rows.len();
            let plural = if rows == 1 { "" } else { "s" };
            let span = match (first_cell(table.rows.first()), first_cell(table.rows.last())) {
                (Some(first), Some(last)) if rows > 1 => format!(", from {first} to {last}"),
                _ => String::new(),
            };
            format!("Table{under} on page {page}: {rows} row{plural} of {}{span}.", names.join(", "))
        }
        Kind::Figure(rect) if options.figure_summary => {
            let share = (rect.area() * 100.0).round();
            let caption = next.map(Block::content).filter(|text| text.to_lowercase().starts_with("fig"));
            let caption = caption.map(|text| format!(": {text}")).unwrap_or_else(|| ".".to_owned());
            format!("Figure{under} on page {page}, about {share} % of the page{caption}")
        }
        _ => return None,
    };
    Some(first_words(&sentence, options.word_limit))
}

fn first_cell(row: Option<&Vec<Line>>) -> Option<&str> {
    row?.first().map(|cell| cell.text.as_str()).filter(|text| !text.is_empty())
}

/// At most so many words; dots where more would follow.
fn first_words(text: &str, limit: usize) -> String {
    let mut words = text.split_whitespace();
    let mut short: Vec<&str> = words.by_ref().take(limit).collect();
    if words.next().is_none() {
        return short.join(" ");
    }
    let last = short.pop().unwrap_or_default();
    short.push(last.trim_end_matches(['.', ',', ';', ':']));
    format!("{}…", short.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::markdown;
    use super::*;

    fn parsed(options: Value) -> Value {
        let text = "# Harbor office\n\nA short note.\n\n## Doors\n\n| Door | Width |\n| --- | --- |\n| D1 | 36 |\n| D2 | 42 |\n\n![A plan](plan.png)\n";
        parse_result(&markdown::read(text), &options)
    }

    #[test]
    fn a_chunk_is_what_stands_under_a_heading() {
        let result = parsed(Value::Null);
        let contents: Vec<&str> =
            result["chunks"].as_array().unwrap().iter().map(|c| c["content"].as_str().unwrap()).collect();
        assert_eq!(contents.len(), 2);
        assert_eq!(contents[0], "Harbor office\nA short note.");
        assert!(contents[1].starts_with("Doors\n| Door | Width |"));
        assert_eq!(result["chunks"][0]["embed"], "Harbor office: A short note.");
    }

    #[test]
    fn the_blocks_of_the_chunks_are_the_blocks_of_the_document() {
        let result = parsed(Value::Null);
        let of_chunks: Vec<&Value> =
            result["chunks"].as_array().unwrap().iter().flat_map(|c| c["blocks"].as_array().unwrap()).collect();
        assert_eq!(of_chunks, result["blocks"].as_array().unwrap().iter().collect::<Vec<_>>());
        let types: Vec<&str> = of_chunks.iter().map(|block| block["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["Title", "Text", "Section Header", "Table", "Figure"]);
    }

    #[test]
    fn a_table_summary_has_no_more_words_than_allowed() {
        let content = |options| parsed(options)["blocks"][3]["content"].as_str().unwrap().to_owned();
        let whole = content(json!({ "tableSummary": { "enabled": true } }));
        let sentence = "Table under \"Doors\" on page 1: 2 rows of Door, Width, from D1 to D2.";
        assert!(whole.starts_with(&format!("{sentence}\n\n| Door | Width |")), "{whole}");
        let short = content(json!({ "tableSummary": { "enabled": true }, "summaryWordLimit": 10 }));
        assert!(short.starts_with("Table under \"Doors\" on page 1: 2 rows of Door…\n\n|"), "{short}");
        assert!(content(json!({ "figureSummary": { "enabled": true } })).starts_with("| Door"));
    }

    #[test]
    fn a_figure_is_summed_up_when_asked_for() {
        let figure = |options| parsed(options)["blocks"][4]["content"].as_str().unwrap().to_owned();
        assert_eq!(figure(Value::Null), "A plan");
        assert!(
            figure(json!({ "figureSummary": { "enabled": true } })).starts_with("Figure under \"Doors\" on page 1")
        );
    }

    #[test]
    fn chunks_are_embedded_unless_the_caller_says_no() {
        assert!(parsed(json!({ "embedChunks": true }))["chunks"][0]["embed"].is_string());
        assert!(parsed(json!({ "embedChunks": false }))["chunks"][0]["embed"].is_null());
    }

    #[test]
    fn a_long_part_is_cut_between_blocks_and_loses_nothing() {
        let paragraph = "word ".repeat(120);
        let text = format!("# Part\n\n{}", format!("{paragraph}\n\n").repeat(20));
        let document = markdown::read(&text);
        let result = parse_result(&document, &Value::Null);
        let chunks = result["chunks"].as_array().unwrap();
        assert!(chunks.len() > 4);
        assert!(chunks.iter().all(|chunk| chunk["content"].as_str().unwrap().len() <= CHUNK_CHARS));
        let words: usize = chunks.iter().map(|c| c["content"].as_str().unwrap().matches("word").count()).sum();
        assert_eq!(words, 120 * 20);
        assert!(chunks.iter().all(|chunk| chunk["embed"].as_str().unwrap().starts_with("Part: word")));
    }
}
