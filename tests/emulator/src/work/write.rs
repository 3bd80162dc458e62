//! The work of an agent: a report that quotes its files.

use serde_json::{Value, json};

use super::document::{Cell, Kind};
use super::facts::{Fact, Source, facts};
use super::values;
use crate::words::{self, Words};

/// The number of blocks in the report.
const MAX_BLOCKS: usize = 24;
const MAX_ROWS: usize = 500;

/// The output of an agent for one prompt.
#[derive(Debug)]
pub(crate) struct Written {
    /// The message to the user.
    pub(crate) answer: String,
    pub(crate) summary: String,
    /// The type, title and content of each artifact.
    pub(crate) artifacts: [(&'static str, String, Value); 2],
}

pub(crate) fn write(prompt: &str, sources: &[Source]) -> Written {
    let facts = facts(sources);
    let names: Vec<&str> = sources.iter().map(|(_, name, _)| name.as_str()).collect();
    let names = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
    let topic = words::set(prompt);
    // The blocks with most words of the prompt, in the order of the files.
    let mut blocks: Vec<&Fact<'_>> = facts.iter().filter(|fact| !fact.block.is_heading()).collect();
    blocks.sort_by_key(|fact| std::cmp::Reverse(relevance(fact, &topic)));
    blocks.truncate(MAX_BLOCKS);
    let is_shown = |fact: &&Fact<'_>| blocks.iter().any(|shown| std::ptr::eq(*shown, *fact));
    let mut report = format!("# Report on {names}\n\nRequest: {}\n", prompt.trim());
    let mut heading = "";
    for fact in facts.iter().filter(is_shown) {
        if std::mem::replace(&mut heading, fact.title) != fact.title {
            report.push_str(&format!("\n### {heading}\n"));
        }
        let (text, source) = (&fact.block.text, format!("({}, page {})", fact.source.1, fact.page));
        report.push_str(&match &fact.block.kind {
            Kind::Table(_) => format!("\n{text}\n"),
            Kind::KeyValue(label, value) => format!("\n- **{label}**: {} {source}", value.text),
            _ => format!("\n> {text} {source}\n"),
        });
    }
    let quotes: Vec<&str> = report.lines().filter(|line| line.starts_with(['-', '>'])).take(3).collect();
    let summary = format!("Read {names} for \"{}\".", prompt.trim());
    let answer = format!("{summary}\n{}\nThe report has the rest.", quotes.join("\n"));
    let (title, table) = table(&facts, &topic);
    let artifacts = [("markdown", format!("Report on {names}"), report.into()), ("table", title, table)];
    Written { answer, summary, artifacts }
}

/// The number of words of the prompt in a block and its heading.
fn relevance(fact: &Fact<'_>, topic: &Words) -> usize {
    words::set(&fact.block.text).union(&fact.heading).filter(|word| topic.contains(*word)).count()
}

/// The table with most words of the prompt, or the values if there is no table.
fn table(facts: &[Fact<'_>], topic: &Words) -> (String, Value) {
    let tables = facts.iter().filter(|fact| matches!(fact.block.kind, Kind::Table(_)));
    let best = tables.rev().max_by_key(|fact| relevance(fact, topic));
    if let Some((fact, Kind::Table(rows))) = best.map(|fact| (fact, &fact.block.kind)) {
        let value = |cell: &Cell| {
            let is_number = cell.text.chars().all(|c| c.is_ascii_digit() || ".,-".contains(c));
            values::number(&cell.text).filter(|_| is_number).unwrap_or_else(|| cell.text.as_str().into())
        };
        let columns: Vec<&str> = rows[0].iter().map(|cell| cell.text.as_str()).collect();
        let rows = rows[1..].iter().take(MAX_ROWS).map(|row| row.iter().map(value).collect());
        return (fact.title.to_owned(), json!({ "columns": columns, "rows": rows.collect::<Vec<Value>>() }));
    }
    let row = |fact: &Fact<'_>| match &fact.block.kind {
        Kind::KeyValue(label, value) => Some(json!([label, value.text, fact.page])),
        _ => None,
    };
    let rows: Vec<Value> = facts.iter().filter_map(row).take(MAX_ROWS).collect();
    ("Values".to_owned(), json!({ "columns": ["Label", "Value", "Page"], "rows": rows }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::document::Document;
    use super::super::html::read_markdown;
    use super::*;

    const PERMIT: &str = "\
# Permit

Permit number: PH-7
Valuation: USD 4,250,000
Contact: Inez Callowhill

## Doors

| Door | Width |
| --- | --- |
| D1 | 36 |
| D2 | 42 |

## Fire protection

All floors have sprinklers. The riser stands in stair A. Painters bring their own ladders.
";
    const OFFER: &str = "# Offer\n\nPermit number: PH-7\nValuation: USD 3,900,000\n";

    fn documents(texts: &[(&str, &str)]) -> Vec<(String, String, Arc<Document>)> {
        let read =
            |(name, text): &(&str, &str)| (format!("id of {name}"), (*name).to_owned(), Arc::new(read_markdown(text)));
        texts.iter().map(read).collect()
    }

    fn report(prompt: &str, files: &[(&str, &str)]) -> String {
        write(prompt, &documents(files)).artifacts[0].2.as_str().unwrap().to_owned()
    }

    #[test]
    fn the_report_has_values_and_quotes_with_their_pages() {
        let report = report("Summarize the permit.", &[("permit.md", PERMIT)]);
        for line in [
            "# Report on permit.md",
            "- **Valuation**: USD 4,250,000 (permit.md, page 1)",
            "### Fire protection",
            "> All floors have sprinklers. The riser stands in stair A. Painters bring their own ladders. (permit.md, page 1)",
            "### Doors",
            "| D2 | 42 |",
        ] {
            assert!(report.lines().any(|written| written == line), "{line}: {report}");
        }
    }

    #[test]
    fn the_text_about_the_prompt_is_quoted() {
        let last = format!("{PERMIT}\n{}## Asbestos\n\nNone was found.\n", "Another paragraph.\n\n".repeat(40));
        let report = report("Is there asbestos?", &[("last.md", &last)]);
        assert!(report.contains("### Asbestos\n\n> None was found. (last.md, page "), "{report}");
        assert!(report.matches('>').count() <= MAX_BLOCKS, "{report}");
    }

    #[test]
    fn the_table_is_the_one_that_the_prompt_is_about() {
        let sets = "# Sets\n\n| Set | Lock |\n|-|-|\n| 1 | Panic bar |\n";
        let documents = documents(&[("permit.md", PERMIT), ("sets.md", sets)]);
        let table = |prompt: &str| write(prompt, &documents).artifacts[1].clone();
        let doors = json!({ "columns": ["Door", "Width"], "rows": [["D1", 36], ["D2", 42]] });
        assert_eq!(table("List the doors"), ("table", "Doors".to_owned(), doors));
        assert_eq!(table("List the sets").2["rows"], json!([[1, "Panic bar"]]));
    }

    #[test]
    fn without_a_table_the_values_are_one() {
        let [_, (kind, title, table)] = write("List the values", &documents(&[("offer.md", OFFER)])).artifacts;
        assert_eq!((kind, title.as_str()), ("table", "Values"));
        assert_eq!(table["rows"][1], json!(["Valuation", "USD 3,900,000", 1]));
    }

    #[test]
    fn without_files_the_agent_says_so() {
        let written = write("Anything new?", &[]);
        assert_eq!(written.summary, "Read no files for \"Anything new?\".");
        assert_eq!(written.artifacts[1].2["rows"], json!([]));
    }
}
