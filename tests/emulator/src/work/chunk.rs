//! The result of a parse job: the blocks of a document, and chunks of the blocks below a heading.

use serde_json::{Value, json};

use super::document::{Block, Document, Kind};

/// A longer chunk is split between two blocks.
const CHUNK_CHARS: usize = 2_000;
/// The words of a chunk that are embedded, after its heading.
const EMBEDDED_WORDS: usize = 40;
/// The contract's default of `summaryWordLimit`.
const SUMMARY_WORDS: u64 = 100;

/// The `result` of a parse job with the request's `options`.
pub(crate) fn parse_result(document: &Document, options: &Value) -> Value {
    let embed = options["embedChunks"] != false;
    let word_limit = options["summaryWordLimit"].as_u64().unwrap_or(SUMMARY_WORDS) as usize;
    let mut heading = "";
    let mut blocks = Vec::new();
    let mut chunks: Vec<Chunk> = Vec::new();
    for (page, block) in document.blocks() {
        if block.is_heading() {
            heading = &block.text;
        }
        let mut content = block.text.clone();
        if let Some(summary) = summary(block, page, heading, options) {
            content = format!("{}\n\n{content}", first_words(&summary, word_limit)).trim_end().to_owned();
        }
        let json = json!({ "type": block.type_name(), "bbox": block.rect.json(page), "content": content });
        let fits = |chunk: &&mut Chunk| {
            let starts_part = block.is_heading() && !chunk.body.is_empty();
            !starts_part && chunk.content.len() + content.len() < CHUNK_CHARS
        };
        if chunks.last_mut().filter(fits).is_none() {
            chunks.push(Chunk::default());
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.heading = heading.to_owned();
            chunk.content.push_str(if chunk.content.is_empty() { "" } else { "\n" });
            chunk.content.push_str(&content);
            if !block.is_heading() {
                chunk.body = format!("{} {content}", chunk.body);
            }
            chunk.blocks.push(json.clone());
        }
        blocks.push(json);
    }
    let chunk = |chunk: Chunk| {
        let text = [chunk.heading, first_words(&chunk.body, EMBEDDED_WORDS)];
        let text: Vec<String> = text.into_iter().filter(|part| !part.is_empty()).collect();
        let embedded = if embed { Value::from(text.join(": ")) } else { Value::Null };
        json!({ "content": chunk.content, "embed": embedded, "blocks": chunk.blocks })
    };
    json!({ "chunks": chunks.into_iter().map(chunk).collect::<Vec<_>>(), "blocks": blocks })
}

#[derive(Default)]
struct Chunk {
    heading: String,
    content: String,
    /// The content without headings.
    body: String,
    blocks: Vec<Value>,
}

/// A sentence about a table or a figure, if the request asks for one.
fn summary(block: &Block, page: usize, heading: &str, options: &Value) -> Option<String> {
    let enabled = |key: &str| options[key]["enabled"] == true;
    let under = if heading.is_empty() { String::new() } else { format!(" under \"{heading}\"") };
    match &block.kind {
        Kind::Table(rows) if enabled("tableSummary") => {
            let columns: Vec<&str> = rows.iter().take(1).flatten().map(|cell| cell.text.as_str()).collect();
            Some(format!(
                "Table{under} on page {page}: {} rows of {}.",
                rows.len().saturating_sub(1),
                columns.join(", ")
            ))
        }
        Kind::Figure if enabled("figureSummary") => {
            Some(format!("Figure{under} on page {page}, about {:.0} % of the page.", block.rect.area() * 100.0))
        }
        _ => None,
    }
}

fn first_words(text: &str, limit: usize) -> String {
    let mut words = text.split_whitespace();
    let first: Vec<&str> = words.by_ref().take(limit).collect();
    let rest = if words.next().is_some() { "…" } else { "" };
    format!("{}{rest}", first.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::html::read_markdown;
    use super::*;

    fn parsed(options: Value) -> Value {
        let text = "# Harbor office\n\nA short note.\n\n## Doors\n\n| Door | Width |\n| --- | --- |\n| D1 | 36 |\n| D2 | 42 |\n\n![A plan](plan.png)\n";
        parse_result(&read_markdown(text), &options)
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
        let sentence = "Table under \"Doors\" on page 1: 2 rows of Door, Width.";
        assert!(whole.starts_with(&format!("{sentence}\n\n| Door | Width |")), "{whole}");
        let short = content(json!({ "tableSummary": { "enabled": true }, "summaryWordLimit": 10 }));
        assert!(short.starts_with("Table under \"Doors\" on page 1: 2 rows of Door,…\n\n|"), "{short}");
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
        let document = read_markdown(&text);
        let result = parse_result(&document, &Value::Null);
        let chunks = result["chunks"].as_array().unwrap();
        assert!(chunks.len() > 4);
        assert!(chunks.iter().all(|chunk| chunk["content"].as_str().unwrap().len() <= CHUNK_CHARS));
        let words: usize = chunks.iter().map(|c| c["content"].as_str().unwrap().matches("word").count()).sum();
        assert_eq!(words, 120 * 20);
        assert!(chunks.iter().all(|chunk| chunk["embed"].as_str().unwrap().starts_with("Part: word")));
    }
}
