//! Parse jobs: the blocks of a document, and chunks of the blocks below a heading.

use serde_json::{Value, json};

use crate::api::tasks::{self, readable_version};
use crate::api::{ApiResponse, Call};
use crate::failure::Failure;
use crate::validate::{self, Shape, object, optional, required};
use crate::work::{Block, Document, Kind};

/// A longer chunk is split between two blocks.
const CHUNK_CHARS: usize = 2_000;
/// The words of a chunk that are embedded, after its heading.
const EMBEDDED_WORDS: usize = 40;
/// The contract's default of `summaryWordLimit`.
const SUMMARY_WORDS: u64 = 100;

static ENABLED: &[validate::Field] = &[required("enabled", Shape::Boolean)];
static BODY: Shape = object(&[
    required("fileVersionId", Shape::Uuid),
    optional(
        "options",
        object(&[
            optional("ocrLanguage", Shape::Enum(&["en", "latin", "zh_ja_en"])),
            optional("figureSummary", Shape::Object { fields: ENABLED, open: true }),
            optional("tableSummary", Shape::Object { fields: ENABLED, open: true }),
            optional("summaryWordLimit", Shape::Integer { minimum: 10, maximum: 100 }),
            optional("embedChunks", Shape::Boolean),
        ]),
    ),
]);

pub(crate) fn submit(call: &Call) -> Result<ApiResponse, Failure> {
    let body = validate::parse(&call.body, &BODY)?;
    let version = readable_version(call, body["fileVersionId"].as_str().unwrap_or_default())?;
    let options = body.get("options").cloned().unwrap_or_else(|| json!({}));
    Ok(tasks::submit(call, "parse.submitted", "get_parse", vec![version], move |sources| {
        let result = sources.first().map_or(Value::Null, |(_, _, document)| parse_result(document, &options));
        json!({ "result": result })
    }))
}

/// The `result` of a parse job with the request's `options`.
fn parse_result(document: &Document, options: &Value) -> Value {
    let (mut heading, mut body) = (String::new(), String::new());
    let (mut blocks, mut chunks): (Vec<Value>, Vec<Value>) = Default::default();
    for (page, block) in document.blocks() {
        let content = format!("{}{}", summary(block, page, &heading, options), block.text);
        let json = json!({ "type": block.type_name(), "bbox": block.rect.json(page), "content": content.trim_end() });
        let length = chunks.last().and_then(|chunk| chunk["content"].as_str()).map(str::len);
        let starts_part = block.is_heading() && !body.is_empty();
        if starts_part || length.is_none_or(|length| length + content.len() >= CHUNK_CHARS) {
            chunks.push(json!({ "content": "", "embed": null, "blocks": [] }));
            body.clear();
        }
        if block.is_heading() {
            heading.clone_from(&block.text);
        } else {
            body = first_words(&format!("{body} {content}"), EMBEDDED_WORDS);
        }
        if let Some(chunk) = chunks.last_mut() {
            let before = chunk["content"].as_str().unwrap_or_default();
            chunk["content"] = format!("{before}\n{content}").trim().into();
            if options["embedChunks"] != false {
                chunk["embed"] = format!("{heading}: {body}").trim_matches([':', ' ']).into();
            }
            chunk["blocks"].as_array_mut().into_iter().for_each(|blocks| blocks.push(json.clone()));
        }
        blocks.push(json);
    }
    json!({ "chunks": chunks, "blocks": blocks })
}

/// A sentence about a table or a figure, if the request asks for one.
fn summary(block: &Block, page: usize, heading: &str, options: &Value) -> String {
    let enabled = |key: &str| options[key]["enabled"] == true;
    let place =
        if heading.is_empty() { format!("on page {page}") } else { format!("under \"{heading}\" on page {page}") };
    let sentence = match &block.kind {
        Kind::Table(rows) if enabled("tableSummary") => {
            let columns: Vec<&str> = rows[0].iter().map(|cell| cell.text.as_str()).collect();
            format!("Table {place}: {} rows of {}.", rows.len() - 1, columns.join(", "))
        }
        Kind::Figure if enabled("figureSummary") => {
            format!("Figure {place}, about {:.0} % of the page.", block.rect.area() * 100.0)
        }
        _ => return String::new(),
    };
    let limit = options["summaryWordLimit"].as_u64().unwrap_or(SUMMARY_WORDS);
    format!("{}\n\n", first_words(&sentence, limit as usize))
}

fn first_words(text: &str, limit: usize) -> String {
    let mut words = text.split_whitespace();
    let first: Vec<&str> = words.by_ref().take(limit).collect();
    let rest = if words.next().is_some() { "…" } else { "" };
    format!("{}{rest}", first.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::read_markdown;

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
