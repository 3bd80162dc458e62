//! What an agent writes about its files: only what stands in them, and what it did not find there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::document::Document;
use super::facts::{Fact, Facts, Grid, Source};
use super::values;
use super::words;

/// Words of a request that say what to do and not what about.
const REQUEST_WORDS: [&str; 107] = [
    "build",
    "built",
    "against",
    "summarize",
    "summarise",
    "summary",
    "sum",
    "list",
    "give",
    "show",
    "please",
    "tell",
    "find",
    "write",
    "report",
    "document",
    "documents",
    "file",
    "files",
    "page",
    "pages",
    "me",
    "i",
    "you",
    "we",
    "does",
    "do",
    "did",
    "how",
    "many",
    "much",
    "there",
    "their",
    "they",
    "them",
    "about",
    "check",
    "review",
    "compare",
    "explain",
    "describe",
    "extract",
    "key",
    "main",
    "important",
    "also",
    "now",
    "then",
    "same",
    "again",
    "more",
    "table",
    "tables",
    "row",
    "rows",
    "fact",
    "facts",
    "short",
    "brief",
    "can",
    "could",
    "should",
    "would",
    "have",
    "has",
    "had",
    "must",
    "not",
    "my",
    "our",
    "your",
    "when",
    "where",
    "why",
    "make",
    "create",
    "need",
    "follow",
    "up",
    "agent",
    "conversation",
    "artifact",
    "markdown",
    "quote",
    "say",
    "says",
    "said",
    "these",
    "those",
    "will",
    "one",
    "every",
    "each",
    "let",
    "near",
    "between",
    "under",
    "over",
    "into",
    "than",
    "new",
    "other",
    "only",
    "its",
    "whether",
    "detail",
    "details",
];
/// Facts in the conversation.
const SHORT_FACTS: usize = 3;
/// Facts in the report.
const REPORT_FACTS: usize = 12;
/// Sentences quoted from one file.
const QUOTES: usize = 6;
/// Facts that are held against each other.
const MAX_COMPARED: usize = 2_000;
/// Rows of a file's table within the report.
const REPORT_ROWS: usize = 12;
/// Rows of the table artifact.
const TABLE_ROWS: usize = 500;

/// An agent's work on one request.
#[derive(Debug)]
pub(crate) struct Written {
    /// What it says in the conversation.
    pub(crate) answer: String,
    /// One or two sentences.
    pub(crate) summary: String,
    /// The title of the Markdown artifact.
    pub(crate) markdown_title: String,
    /// The Markdown artifact.
    pub(crate) markdown: String,
    /// The title of the table artifact.
    pub(crate) table_title: String,
    /// The columns of the table artifact.
    pub(crate) columns: Vec<String>,
    /// The rows of the table artifact, each as wide as the columns.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Works on a request over documents of (file version id, file name, document). `earlier` is the conversation before
/// the request as (type, text).
pub(crate) fn write(
    prompt: &str,
    documents: &[(String, String, Arc<Document>)],
    earlier: &[(&str, String)],
) -> Written {
    let work = Work::new(prompt.trim(), documents, earlier);
    let summary = work.summary();
    let table = work.table();
    Written {
        answer: work.answer(&summary, &table.title),
        summary,
        markdown_title: format!("Report on {}", work.names()),
        markdown: work.report(),
        table_title: table.title,
        columns: table.columns,
        rows: table.rows,
    }
}

struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// A sentence of a file and where it stands.
struct Quote {
    score: usize,
    sentence: String,
    title: String,
    page: usize,
}

struct Work<'a> {
    prompt: &'a str,
    documents: &'a [(String, String, Arc<Document>)],
    facts: Facts<'a>,
    /// What the request is about; of what was asked before, when it names nothing itself.
    /// A word counts for less when much of the text has it.
    terms: BTreeMap<String, usize>,
    /// The assistant's messages so far.
    said: Vec<&'a str>,
    /// The request before this one.
    asked_before: Option<&'a str>,
}

fn terms(text: &str) -> BTreeSet<String> {
    let words = words::split(text).into_iter();
    let telling = words.filter(|word| !words::is_filler(word) && !REQUEST_WORDS.contains(&word.as_str()));
    telling.map(|word| words::canonical(&word)).filter(|term| term.chars().count() > 1).collect()
}

/// Common words weigh 1, others 3.
fn weigh(terms: BTreeSet<String>, facts: &Facts<'_>) -> BTreeMap<String, usize> {
    let labels = facts.facts.iter().map(|fact| fact.label_words.clone());
    let texts: Vec<BTreeSet<String>> =
        labels.chain(facts.passages.iter().map(|passage| words::set(&passage.text))).collect();
    let weight = |term: &String| {
        let having = texts.iter().filter(|text| text.iter().any(|word| same_term(term, word))).count();
        if having > 3 && having * 10 > texts.len() { 1 } else { 3 }
    };
    terms.into_iter().map(|term| (term.clone(), weight(&term))).collect()
}

fn same_term(a: &str, b: &str) -> bool {
    let longer = |a: &str, b: &str| b.chars().count() >= 5 && a.starts_with(b);
    a == b || longer(a, b) || longer(b, a)
}

impl<'a> Work<'a> {
    fn new(
        prompt: &'a str,
        documents: &'a [(String, String, Arc<Document>)],
        earlier: &'a [(&str, String)],
    ) -> Work<'a> {
        let of_type =
            |kind: &'static str| earlier.iter().filter(move |(of, _)| *of == kind).map(|(_, text)| text.as_str());
        let facts = Facts::of(documents);
        let mut found = terms(prompt);
        if found.is_empty() {
            // "And in more detail?" goes on about what was asked before.
            found = of_type("user_message").next_back().map(terms).unwrap_or_default();
        }
        Work {
            prompt,
            documents,
            terms: weigh(found, &facts),
            facts,
            said: of_type("assistant_message").collect(),
            asked_before: of_type("user_message").next_back(),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.documents.iter().map(|(_, name, _)| name.as_str()).collect();
        match names.as_slice() {
            [] => "no files".to_owned(),
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            _ => names.concat(),
        }
    }

    fn file_name(&self, file_version_id: &str) -> &'a str {
        self.documents.iter().find(|(id, _, _)| id == file_version_id).map_or("", |(_, name, _)| name.as_str())
    }

    /// How much of what the request is about is among these words.
    fn relevance(&self, words: &BTreeSet<String>) -> usize {
        let hit = self.terms.iter().filter(|(term, _)| words.iter().any(|word| same_term(term, word)));
        hit.map(|(_, weight)| weight).sum()
    }

    fn fact_relevance(&self, fact: &Fact<'a>) -> usize {
        let value = words::set(fact.value);
        self.relevance(&fact.label_words) * 4 + self.relevance(&value) * 2 + self.relevance(&fact.heading)
    }

    /// The labelled values, each as it is best told.
    fn labelled(&self) -> impl Iterator<Item = &Fact<'a>> {
        self.facts.facts.iter().filter(|fact| match fact.source {
            Source::Pair | Source::Row(_) => true,
            // Of two columns, what stands beside the value tells more than what stands above it.
            Source::Column(grid) => self.facts.grids[grid].columns.len() != 2,
            Source::Cell => false,
        })
    }

    /// The labelled values, those that the request is about first; all of them when it is about none.
    fn ranked(&self) -> Vec<&Fact<'a>> {
        let mut scored: Vec<(usize, &Fact<'a>)> =
            self.labelled().map(|fact| (self.fact_relevance(fact), fact)).collect();
        if scored.iter().any(|(score, _)| *score > 0) {
            scored.retain(|(score, _)| *score > 0);
        }
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        scored.into_iter().map(|(_, fact)| fact).collect()
    }

    /// The sentences of one file that the request is about, in their order.
    fn quotes(&self, file_version_id: &str) -> Vec<Quote> {
        let mut found = Vec::new();
        for passage in self.facts.passages.iter().filter(|passage| passage.place.file_version_id == file_version_id) {
            let plain = passage.plain();
            for sentence in sentences(&plain) {
                let score = self.relevance(&words::set(sentence)) * 2 + self.relevance(&passage.heading);
                let (title, page) = (passage.title.clone(), passage.place.page);
                found.push(Quote { score, sentence: sentence.to_owned(), title, page });
            }
        }
        if found.iter().any(|quote| quote.score > 0) {
            found.retain(|quote| quote.score > 0);
        }
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(found[*at].score));
        let mut chosen: Vec<bool> = vec![false; found.len()];
        order.into_iter().take(QUOTES).for_each(|at| chosen[at] = true);
        let mut chosen = chosen.into_iter();
        found.retain(|_| chosen.next() == Some(true));
        found
    }

    /// The sentence of one file that is most to the point, and was not quoted before.
    fn best_quote(&self, file_version_id: &str) -> Option<Quote> {
        let mut quotes = self.quotes(file_version_id);
        quotes.retain(|quote| !self.said.iter().any(|said| said.contains(&quote.sentence)));
        // Of equals the first; a line that is no sentence says less than one that is.
        let worth = |quote: &Quote| (quote.score, quote.sentence.ends_with('.'));
        quotes.into_iter().reduce(|best, next| if worth(&next) > worth(&best) { next } else { best })
    }

    fn grid_relevance(&self, grid: &Grid<'a>) -> usize {
        let columns = words::set(&grid.columns.join(" "));
        self.relevance(&grid.heading) * 4 + self.relevance(&columns) * 2
    }

    /// Whether the report shows a table.
    fn shows(&self, grid: &Grid<'a>) -> bool {
        self.grid_relevance(grid) > 0 || self.terms.is_empty()
    }

    /// The table that the request asks for, if it asks for one.
    fn wanted_grid(&self) -> Option<&Grid<'a>> {
        let asks = words::split(self.prompt);
        let asks = asks.iter().any(|word| {
            ["table", "tables", "schedule", "rows", "row", "columns", "csv", "list"].contains(&word.as_str())
        });
        let mut best: Option<(usize, &Grid<'a>)> = None;
        for grid in self.facts.grids.iter().filter(|_| asks) {
            let score = self.grid_relevance(grid);
            if best.is_none_or(|(best, _)| score > best) {
                best = Some((score, grid));
            }
        }
        // A request for "a table" without more means the only one there is.
        best.filter(|(score, _)| *score > 0 || self.facts.grids.len() == 1).map(|(_, grid)| grid)
    }

    /// Words of the request that stand nowhere in the files.
    fn missing(&self) -> Vec<String> {
        let mut there = BTreeSet::new();
        for (_, name, document) in self.documents {
            there.extend(words::set(name));
            there.extend(document.blocks().flat_map(|(_, block)| words::set(&block.content())));
        }
        let mut missing = Vec::new();
        for word in words::split(self.prompt) {
            let term = words::canonical(&word);
            let known = !self.terms.contains_key(&term) || there.iter().any(|there| same_term(&term, there));
            if !known && !missing.contains(&word) {
                missing.push(word);
            }
        }
        missing
    }

    fn cited(&self, fact: &Fact<'a>) -> String {
        format!(
            "{}: {} ({}, page {})",
            fact.label,
            fact.value,
            self.file_name(fact.place.file_version_id),
            fact.place.page
        )
    }

    fn summary(&self) -> String {
        if self.documents.is_empty() {
            return format!("There were no files to read for \"{}\".", self.prompt);
        }
        let pages: usize = self.documents.iter().map(|(_, _, document)| document.pages.len()).sum();
        let mut summary = format!("Read {} ({}).", self.names(), count(pages, "page"));
        let ranked = self.ranked();
        if let Some(first) = ranked.first() {
            let _ = write!(summary, " {}.", self.cited(first));
        } else if let Some(quote) = self.documents.iter().find_map(|(id, ..)| self.best_quote(id)) {
            let _ = write!(summary, " Page {} says: \"{}\"", quote.page, quote.sentence);
        }
        summary
    }

    /// The assistant's message.
    fn answer(&self, summary: &str, table: &str) -> String {
        if self.documents.is_empty() {
            return format!("{summary} Give me files to work on.");
        }
        let mut answer = match self.asked_before {
            Some(before) => {
                format!("You asked before: \"{before}\". On \"{}\" now, from {}:", self.prompt, self.names())
            }
            None => format!("I read {} for \"{}\":", self.names(), self.prompt),
        };
        // What was said before is not said again while there is something new.
        let mut ranked = self.ranked();
        let is_new = |fact: &&Fact<'a>| !self.said.iter().any(|said| said.contains(&self.cited(fact)));
        if ranked.iter().any(&is_new) {
            ranked.retain(is_new);
        }
        let about = |fact: &&&Fact<'a>| self.terms.is_empty() || self.fact_relevance(fact) > 0;
        let related: Vec<&&Fact<'a>> = ranked.iter().filter(about).take(SHORT_FACTS).collect();
        for fact in &related {
            let _ = write!(answer, "\n- {}", self.cited(fact));
        }
        for (id, name, _) in self.documents {
            if let Some(quote) = self.best_quote(id) {
                let _ = write!(answer, "\n- {name}, page {}: \"{}\"", quote.page, quote.sentence);
            }
        }
        let missing = self.missing();
        if !missing.is_empty() {
            let _ = write!(answer, "\nThe files do not speak of: {}.", missing.join(", "));
        }
        let _ = write!(answer, "\nThe report and the table \"{table}\" hold the rest.");
        answer
    }

    fn report(&self) -> String {
        let mut text = format!("# Report on {}\n\nRequest: {}\n", self.names(), self.prompt);
        if let Some(before) = self.asked_before {
            let _ = write!(text, "\nIt follows: {before}\n");
        }
        if self.documents.is_empty() {
            text.push_str("\nThere were no files to read.\n");
            return text;
        }
        let mut ranked = self.ranked();
        // A table that is shown says it itself.
        ranked.retain(|fact| match fact.source {
            Source::Column(grid) | Source::Row(grid) => !self.shows(&self.facts.grids[grid]),
            _ => true,
        });
        if !ranked.is_empty() {
            text.push_str("\n## Facts\n\n");
            for fact in ranked.iter().take(REPORT_FACTS) {
                let file = self.file_name(fact.place.file_version_id);
                let _ = writeln!(text, "- **{}**: {} ({file}, page {})", fact.label, fact.value, fact.place.page);
            }
        }
        self.compare(&mut text);
        for (id, name, document) in self.documents {
            self.file(&mut text, id, name, document);
        }
        let missing = self.missing();
        if !missing.is_empty() {
            let _ = write!(text, "\n## Not found\n\nThe files do not speak of: {}.\n", missing.join(", "));
        }
        text
    }

    /// What two files both state.
    fn compare(&self, text: &mut String) {
        let pairs: Vec<&Fact<'a>> = self.labelled().take(MAX_COMPARED).collect();
        let mut lines = Vec::new();
        for (at, fact) in pairs.iter().enumerate() {
            let same = |other: &&&Fact<'a>| {
                other.label_words == fact.label_words && other.place.file_version_id != fact.place.file_version_id
            };
            let Some(other) = pairs[at + 1..].iter().find(same) else { continue };
            let (here, there) =
                (self.file_name(fact.place.file_version_id), self.file_name(other.place.file_version_id));
            lines.push(if fact.value == other.value {
                format!("- {}: {here} and {there} agree on {}", fact.label, fact.value)
            } else {
                format!("- {}: {} in {here}, but {} in {there}", fact.label, fact.value, other.value)
            });
        }
        if !lines.is_empty() {
            let _ = write!(text, "\n## Stated in more than one file\n\n{}\n", lines.join("\n"));
        }
    }

    fn file(&self, text: &mut String, id: &str, name: &str, document: &Document) {
        let _ = write!(text, "\n## {name}\n\n{}", count(document.pages.len(), "page"));
        let parts: Vec<String> =
            document.blocks().filter(|(_, block)| block.is_heading()).map(|(_, block)| block.content()).collect();
        if parts.is_empty() {
            text.push_str(".\n");
        } else {
            let _ = writeln!(text, ". Its parts: {}.", parts.join("; "));
        }
        let mut under = None;
        for Quote { sentence, title, page, .. } in self.quotes(id) {
            if under.as_ref() != Some(&title) {
                let shown = if title.is_empty() { name } else { &title };
                let _ = write!(text, "\n### {shown}\n");
                under = Some(title);
            }
            let _ = write!(text, "\n> {sentence} (page {page})\n");
        }
        for grid in self.facts.grids.iter().filter(|grid| grid.rows.first().is_some_and(|(_, of, _)| *of == id)) {
            if self.shows(grid) {
                grid_as_markdown(text, grid);
            }
        }
    }

    fn table(&self) -> Table {
        if let Some(grid) = self.wanted_grid() {
            let cell = |text: &str| {
                let digits = text.chars().all(|c| c.is_ascii_digit() || ".,-".contains(c));
                values::number(text).filter(|_| digits).unwrap_or_else(|| Value::from(text))
            };
            let rows = grid.rows.iter().take(TABLE_ROWS);
            let title = if grid.title.is_empty() { "Table".to_owned() } else { grid.title.clone() };
            let rows = rows.map(|(cells, ..)| cells.iter().map(|line| cell(&line.text)).collect()).collect();
            return Table { title, columns: grid.columns.clone(), rows };
        }
        let several = self.documents.len() > 1;
        let row = |fact: &&Fact<'a>| {
            let mut row = vec![Value::from(fact.label.as_str()), Value::from(fact.value)];
            if several {
                row.push(Value::from(self.file_name(fact.place.file_version_id)));
            }
            row.push(Value::from(fact.place.page));
            row
        };
        let mut columns = vec!["Item", "Value", "Page"];
        if several {
            columns.insert(2, "File");
        }
        Table {
            title: format!("Facts in {}", self.names()),
            columns: columns.into_iter().map(str::to_owned).collect(),
            rows: self.ranked().iter().take(TABLE_ROWS).map(row).collect(),
        }
    }
}

fn grid_as_markdown(text: &mut String, grid: &Grid<'_>) {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let escaped = |text: &str| text.replace('|', "\\|");
    let title = if grid.title.is_empty() { "Table" } else { &grid.title };
    let _ = write!(text, "\n### {title}\n\n");
    text.push_str(&row(grid.columns.iter().map(|name| escaped(name)).collect()));
    let _ = writeln!(text, "|{}", " --- |".repeat(grid.columns.len()));
    for (cells, ..) in grid.rows.iter().take(REPORT_ROWS) {
        text.push_str(&row(cells.iter().map(|cell| escaped(&cell.text)).collect()));
    }
    if let Some(more) = grid.rows.len().checked_sub(REPORT_ROWS).filter(|more| *more > 0) {
        let _ = write!(text, "\n{} more.\n", count(more, "row"));
    }
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// The sentences of a paragraph; "No. 7" does not end one.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(". ") {
        let word = text[start..at].rsplit(' ').next().unwrap_or_default();
        if word.chars().count() > 2 {
            found.push(text[start..=at].trim());
            start = at + 2;
        }
    }
    found.push(text[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::super::markdown;
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
            |(name, text): &(&str, &str)| (format!("id of {name}"), (*name).to_owned(), Arc::new(markdown::read(text)));
        texts.iter().map(read).collect()
    }

    #[test]
    fn the_work_is_about_the_request_and_quotes_the_file() {
        let documents = documents(&[("permit.md", PERMIT)]);
        let written = write("Summarize the fire protection with sprinklers", &documents, &[]);
        assert!(written.answer.contains("\"All floors have sprinklers.\""), "{}", written.answer);
        assert!(written.markdown.contains("> All floors have sprinklers. (page 1)"), "{}", written.markdown);
        assert!(!written.markdown.contains("### Doors"), "{}", written.markdown);
        assert_eq!(written.columns, ["Item", "Value", "Page"]);
    }

    #[test]
    fn the_facts_asked_for_come_first_and_the_others_stay_out() {
        let documents = documents(&[("permit.md", PERMIT)]);
        let written = write("What is the valuation?", &documents, &[]);
        let expected = vec![Value::from("Valuation"), Value::from("USD 4,250,000"), Value::from(1)];
        assert_eq!(written.rows, [expected]);
        assert!(written.summary.ends_with("Valuation: USD 4,250,000 (permit.md, page 1)."), "{}", written.summary);
    }

    #[test]
    fn a_table_asked_for_is_the_documents_own() {
        let documents = documents(&[("permit.md", PERMIT)]);
        let written = write("List the doors as a table", &documents, &[]);
        assert_eq!(written.table_title, "Doors");
        assert_eq!(written.columns, ["Door", "Width"]);
        assert_eq!(written.rows, [vec![Value::from("D1"), Value::from(36)], vec![Value::from("D2"), Value::from(42)]]);
    }

    #[test]
    fn a_follow_up_knows_what_was_said_and_adds_to_it() {
        let documents = documents(&[("permit.md", PERMIT)]);
        let request = "Which permit number and which contact?";
        let first = write(request, &documents, &[]).answer;
        let earlier = [("user_message", request.to_owned()), ("assistant_message", first)];
        let answer = write("And the valuation?", &documents, &earlier).answer;
        assert!(answer.contains("You asked before: \"Which permit number and which contact?\""), "{answer}");
        assert!(answer.contains("Valuation: USD 4,250,000") && !answer.contains("PH-7"), "{answer}");
    }

    #[test]
    fn a_row_of_a_table_is_shown_once() {
        let one = "# Permit\n\nOwner: Inez\n\n## Doors\n\n| Place | Width |\n| --- | --- |\n| Lobby | 36 |\n";
        let two = format!("{one}| Stair | 42 |\n");
        for (text, request) in [one, &two].into_iter().flat_map(|text| [(text, "Report"), (text, "What of the lobby?")])
        {
            let report = write(request, &documents(&[("permit.md", text)]), &[]).markdown;
            assert_eq!(report.matches("36").count(), 1, "{report}");
        }
    }

    #[test]
    fn two_files_are_compared() {
        let documents = documents(&[("permit.md", PERMIT), ("offer.md", OFFER)]);
        let written = write("Compare the files", &documents, &[]);
        assert!(
            written.markdown.contains("- Permit number: permit.md and offer.md agree on PH-7"),
            "{}",
            written.markdown
        );
        assert!(written.markdown.contains("- Valuation: USD 4,250,000 in permit.md, but USD 3,900,000 in offer.md"));
        assert_eq!(written.columns, ["Item", "Value", "File", "Page"]);
        assert!(written.rows.iter().all(|row| row.len() == 4));
    }

    #[test]
    fn what_the_files_do_not_say_is_named() {
        let documents = documents(&[("permit.md", PERMIT)]);
        let written = write("Is there asbestos near the riser?", &documents, &[]);
        assert!(written.markdown.contains("The files do not speak of: asbestos."), "{}", written.markdown);
    }

    #[test]
    fn without_files_the_agent_says_so() {
        let written = write("Anything new?", &[], &[]);
        assert_eq!(written.summary, "There were no files to read for \"Anything new?\".");
        assert!(written.rows.is_empty() && written.markdown.contains("no files"));
    }

    #[test]
    fn the_same_request_gives_the_same_work() {
        let documents = documents(&[("permit.md", PERMIT), ("offer.md", OFFER)]);
        let [one, two] = [(); 2].map(|()| format!("{:?}", write("Sum up the permit", &documents, &[])));
        assert_eq!(one, two);
    }
}
