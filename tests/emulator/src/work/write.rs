//! The work of an agent: a report that quotes its files.

use serde_json::Value;

use super::document::{Cell, Kind};
use super::facts::{Fact, Source, facts};
use super::values;
use super::words::{self, Words};

/// The values, and the quotes, of all files in the report.
const MAX_LINES: usize = 12;
const MAX_ROWS: usize = 500;

/// The output of an agent for one prompt.
#[derive(Debug)]
pub(crate) struct Written {
    /// The message to the user.
    pub(crate) answer: String,
    pub(crate) summary: String,
    /// The title and the text of the Markdown artifact.
    pub(crate) markdown: (String, String),
    /// The title, the columns and the rows of the table artifact.
    pub(crate) table: (String, Vec<String>, Vec<Vec<Value>>),
}

pub(crate) fn write(prompt: &str, sources: &[Source]) -> Written {
    let facts = facts(sources);
    let names: Vec<&str> = sources.iter().map(|(_, name, _)| name.as_str()).collect();
    let names = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
    let topic = words::set(prompt);
    let mut report = format!("# Report on {names}\n\nRequest: {}\n", prompt.trim());
    let mut heading = "";
    for fact in relevant(&facts, &topic) {
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
    Written {
        answer: format!("{summary}\n{}\nThe report has the rest.", quotes.join("\n")),
        summary,
        table: table(&facts, &topic),
        markdown: (format!("Report on {names}"), report),
    }
}

/// The number of words of the prompt in a block and its heading.
fn relevance(fact: &Fact<'_>, topic: &Words) -> usize {
    words::set(&fact.block.text).union(&fact.heading).filter(|word| topic.contains(*word)).count()
}

/// The tables, and the values and texts with most words of the prompt, in the order of the files.
fn relevant<'f, 'a>(facts: &'f [Fact<'a>], topic: &Words) -> Vec<&'f Fact<'a>> {
    let (mut values, mut quotes) = (MAX_LINES, MAX_LINES);
    let mut order: Vec<usize> = (0..facts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(relevance(&facts[*index], topic)));
    order.retain(|index| {
        let left = match &facts[*index].block.kind {
            Kind::Table(_) => return true,
            Kind::KeyValue(..) => &mut values,
            Kind::Text | Kind::ListItem => &mut quotes,
            _ => return false,
        };
        let is_shown = *left > 0;
        *left -= usize::from(is_shown);
        is_shown
    });
    order.sort_unstable();
    order.into_iter().map(|index| &facts[index]).collect()
}

/// The table with most words of the prompt, or the values if there is no table.
fn table(facts: &[Fact<'_>], topic: &Words) -> (String, Vec<String>, Vec<Vec<Value>>) {
    let tables = facts.iter().filter(|fact| matches!(fact.block.kind, Kind::Table(_)));
    let best = tables.rev().max_by_key(|fact| relevance(fact, topic));
    if let Some((fact, Kind::Table(rows))) = best.map(|fact| (fact, &fact.block.kind)) {
        let value = |cell: &Cell| {
            let is_number = cell.text.chars().all(|c| c.is_ascii_digit() || ".,-".contains(c));
            values::number(&cell.text).filter(|_| is_number).unwrap_or_else(|| cell.text.as_str().into())
        };
        let columns = rows[0].iter().map(|cell| cell.text.clone()).collect();
        let rows = rows[1..].iter().take(MAX_ROWS).map(|row| row.iter().map(value).collect());
        return (fact.title.to_owned(), columns, rows.collect());
    }
    let row = |fact: &Fact<'_>| match &fact.block.kind {
        Kind::KeyValue(label, value) => Some(vec![label.as_str().into(), value.text.as_str().into(), fact.page.into()]),
        _ => None,
    };
    let rows = facts.iter().filter_map(row).take(MAX_ROWS).collect();
    ("Values".to_owned(), ["Label", "Value", "Page"].map(str::to_owned).to_vec(), rows)
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

    #[test]
    fn the_report_has_values_and_quotes_with_their_pages() {
        let (title, report) = write("Summarize the permit.", &documents(&[("permit.md", PERMIT)])).markdown;
        assert_eq!(title, "Report on permit.md");
        for line in [
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
        let permit = format!("{PERMIT}\n{}", "Another paragraph.\n\n".repeat(20));
        let last = format!("{permit}## Asbestos\n\nNone was found.\n");
        let report = write("Is there asbestos?", &documents(&[("last.md", &last)])).markdown.1;
        assert!(report.contains("### Asbestos\n\n> None was found. (last.md, page "), "{report}");
        assert!(report.matches('>').count() <= MAX_LINES, "{report}");
    }

    #[test]
    fn the_table_is_the_one_that_the_prompt_is_about() {
        let documents =
            documents(&[("permit.md", PERMIT), ("sets.md", "# Sets\n\n| Set | Lock |\n|-|-|\n| 1 | Panic bar |\n")]);
        let doors = vec![vec![Value::from("D1"), Value::from(36)], vec![Value::from("D2"), Value::from(42)]];
        assert_eq!(
            write("List the doors", &documents).table,
            ("Doors".into(), vec!["Door".into(), "Width".into()], doors)
        );
        assert_eq!(write("List the sets", &documents).table.2, [vec![Value::from(1), Value::from("Panic bar")]]);
    }

    #[test]
    fn without_a_table_the_values_are_one() {
        let (title, columns, rows) = write("List the values", &documents(&[("offer.md", OFFER)])).table;
        assert_eq!((title.as_str(), columns.len()), ("Values", 3));
        assert_eq!(rows[1], [Value::from("Valuation"), Value::from("USD 3,900,000"), Value::from(1)]);
    }

    #[test]
    fn without_files_the_agent_says_so() {
        let written = write("Anything new?", &[]);
        assert_eq!(written.summary, "Read no files for \"Anything new?\".");
        assert!(written.table.2.is_empty() && written.markdown.1.contains("no files"));
    }
}
