//! The work of an agent: a report that quotes its files.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::document::Block;
use super::facts::{Fact, Facts, Origin, Position, Source, Table};
use super::{values, words};

/// The values and quotes of one file in the report.
const MAX_VALUES: usize = 12;
const MAX_QUOTES: usize = 8;
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
    let facts = Facts::of(sources);
    let topic = words::set(prompt);
    let names: Vec<&str> = sources.iter().map(|(_, name, _)| name.as_str()).collect();
    let names = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
    let mut report = format!("# Report on {names}\n\nRequest: {}\n", prompt.trim());
    for source in sources {
        let pages = source.2.pages.len();
        let _ = write!(report, "\n## {}\n\n{pages} {}.\n", source.1, if pages == 1 { "page" } else { "pages" });
        values_and_quotes(&mut report, &facts, source, &topic);
        let of_source =
            |table: &&Table<'_>| table.rows.first().is_some_and(|(_, position)| position.source.0 == source.0);
        for table in facts.tables.iter().filter(of_source) {
            let rows = table.rows.iter().take(MAX_ROWS).map(|(row, _)| row.to_vec());
            let rows = std::iter::once(table.columns.to_vec()).chain(rows).collect();
            let _ = write!(report, "\n### {}\n\n{}\n", title(table), Block::table(rows).text);
        }
    }
    let quotes: Vec<&str> = report.lines().filter(|line| line.starts_with(['-', '>'])).take(3).collect();
    let summary = format!("Read {names} for \"{}\".", prompt.trim());
    Written {
        answer: format!("{summary}\n{}\nThe report has the rest.", quotes.join("\n")),
        summary,
        markdown: (format!("Report on {names}"), report),
        table: table(&facts, &topic),
    }
}

/// Adds the values and sentences about the topic, or the first ones if none is about it.
fn values_and_quotes(report: &mut String, facts: &Facts<'_>, source: &Source, topic: &BTreeSet<String>) {
    let of_source = |position: &Position<'_>| position.source.0 == source.0;
    let relevance = |text: &str, heading: &BTreeSet<String>| {
        words::set(text).union(heading).filter(|word| topic.contains(*word)).count()
    };
    let pairs = facts.facts.iter().filter(|fact| fact.origin == Origin::Pair);
    let values = pairs.filter(|fact| of_source(&fact.position)).map(|fact| {
        let line = format!("- **{}**: {} (page {})\n", fact.label, fact.value, fact.position.page);
        (relevance(&line, &fact.heading), "", line)
    });
    let passages = facts.passages.iter().filter(|passage| of_source(&passage.position)).map(|passage| {
        let line = format!("> {} (page {})\n", passage.block.text, passage.position.page);
        (relevance(&line, &passage.heading), passage.title, line)
    });
    for (title, max, lines) in
        [("Values", MAX_VALUES, values.collect::<Vec<_>>()), ("", MAX_QUOTES, passages.collect())]
    {
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(lines[*index].0));
        let mut shown: Vec<usize> = order.into_iter().take(max).collect();
        shown.sort_unstable();
        let mut heading = None;
        for (_, under, line) in shown.into_iter().map(|index| &lines[index]) {
            let under = if title.is_empty() { under } else { title };
            if heading.replace(under) != Some(under) {
                let _ = write!(report, "\n### {}\n\n", if under.is_empty() { source.1.as_str() } else { under });
            }
            report.push_str(line);
            report.push_str(if title.is_empty() { "\n" } else { "" });
        }
    }
}

fn title<'a>(table: &Table<'a>) -> &'a str {
    if table.title.is_empty() { "Table" } else { table.title }
}

/// The table that the prompt is about, or the first one, or the values if there is no table.
fn table(facts: &Facts<'_>, topic: &BTreeSet<String>) -> (String, Vec<String>, Vec<Vec<Value>>) {
    let relevance = |table: &Table<'_>| {
        let columns = table.columns.iter().flat_map(|cell| words::set(&cell.text));
        table.heading.iter().cloned().chain(columns).filter(|word| topic.contains(word)).count()
    };
    let Some(table) = facts.tables.iter().rev().max_by_key(|table| relevance(table)) else {
        let row = |fact: &Fact<'_>| vec![fact.label.as_str().into(), fact.value.into(), fact.position.page.into()];
        let columns = ["Label", "Value", "Page"].map(str::to_owned).to_vec();
        return ("Values".to_owned(), columns, facts.facts.iter().take(MAX_ROWS).map(row).collect());
    };
    let value = |text: &str| {
        let is_number = text.chars().all(|c| c.is_ascii_digit() || ".,-".contains(c));
        values::number(text).filter(|_| is_number).unwrap_or_else(|| Value::from(text))
    };
    let rows = table.rows.iter().take(MAX_ROWS).map(|(row, _)| row.iter().map(|cell| value(&cell.text)).collect());
    let columns = table.columns.iter().map(|cell| cell.text.clone()).collect();
    (title(table).to_owned(), columns, rows.collect())
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
            "## permit.md",
            "- **Valuation**: USD 4,250,000 (page 1)",
            "### Fire protection",
            "> All floors have sprinklers. The riser stands in stair A. Painters bring their own ladders. (page 1)",
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
        let report = write("Is there asbestos?", &documents(&[("permit.md", &last)])).markdown.1;
        assert!(report.contains("### Asbestos\n\n> None was found. (page "), "{report}");
        assert!(report.matches('>').count() <= MAX_QUOTES, "{report}");
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
