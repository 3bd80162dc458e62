//! HTML, and Markdown as the HTML that pulldown-cmark makes of it.

use html5gum::{DefaultEmitter, EndTag, HtmlString, StartTag, Token, Tokenizer};
use pulldown_cmark::{Options, Parser};

use super::document::{Document, Kind, join};
use super::flow::Flow;
use super::lines::label_and_value;

/// Reads Markdown without the metadata between two lines of `---` at its start.
pub(super) fn read_markdown(text: &str) -> Document {
    let metadata = text.strip_prefix("---").and_then(|rest| rest.split_once("\n---").map(|(head, _)| head));
    let is_metadata = |head: &&str| head.starts_with(['\n', '\r']) && !head.trim_end().contains("\n\n");
    let skipped = metadata.filter(is_metadata).map_or(0, |head| 3 + head.len() + 4);
    let mut html = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(&text[skipped..], options));
    read(&html)
}

pub(super) fn read(text: &str) -> Document {
    let mut emitter = DefaultEmitter::<()>::default();
    // Otherwise the text of scripts and styles is read as markup.
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for token in Tokenizer::new_with_emitter(text, emitter).flatten() {
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&tag),
            Token::String(text) if reader.hidden == 0 => reader.text.push_str(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    reader.finish();
    reader.finish_table();
    reader.flow.document
}

#[derive(Default)]
struct Reader {
    flow: Flow,
    /// The text since the last block.
    text: String,
    /// The number of open elements without visible text.
    hidden: usize,
    is_heading: bool,
    /// The next number of each open list, or `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The marker of the open list item.
    item: Option<String>,
    is_term: bool,
    /// The term that the next definition explains.
    term: Option<String>,
    /// The number of open tables. A table in a cell is read as text.
    tables: usize,
    /// The cells of the open table, each with whether it is a header.
    rows: Vec<Vec<(bool, String)>>,
}

fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"script" | b"style" | b"title" | b"template" | b"noscript" | b"svg" | b"select" | b"iframe")
}

fn is_inline(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 21] = [
        b"a", b"abbr", b"b", b"big", b"cite", b"code", b"del", b"em", b"font", b"i", b"ins", b"kbd", b"label", b"mark",
        b"q", b"s", b"small", b"span", b"strong", b"sub", b"sup",
    ];
    NAMES.contains(&name)
}

impl Reader {
    fn start(&mut self, tag: &StartTag<()>) {
        let attribute = |name: &[u8]| tag.attributes.get(&HtmlString(name.to_vec()));
        let attribute = |name| attribute(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let name: &[u8] = &tag.name;
        if is_hidden(name) {
            self.hidden += usize::from(!tag.self_closing);
        } else if name == b"br" {
            self.text.push('\n');
        } else if self.hidden == 0 && !is_inline(name) {
            match name {
                b"td" | b"th" if self.tables == 1 => {
                    self.finish_cell();
                    if self.rows.is_empty() {
                        self.rows.push(Vec::new());
                    }
                    self.rows.iter_mut().last().into_iter().for_each(|row| row.push((name == b"th", String::new())));
                }
                b"tr" if self.tables == 1 => {
                    self.finish_cell();
                    self.rows.push(Vec::new());
                }
                _ if self.tables > 0 => self.text.push(' '),
                _ => self.finish(),
            }
            match name {
                b"table" => self.tables += 1,
                b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.is_heading = true,
                b"ol" => self.lists.push(Some(attribute(b"start").and_then(|start| start.parse().ok()).unwrap_or(1))),
                b"ul" => self.lists.push(None),
                b"dt" => self.is_term = true,
                b"li" => {
                    let number = self.lists.last_mut().and_then(Option::as_mut);
                    self.item = Some(number.as_ref().map_or_else(String::new, |number| format!("{number}. ")));
                    number.into_iter().for_each(|number| *number = number.saturating_add(1));
                }
                b"img" => self.flow.figure(&attribute(b"alt").unwrap_or_default()),
                _ => {}
            }
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let name: &[u8] = &tag.name;
        if is_hidden(name) {
            self.hidden = self.hidden.saturating_sub(1);
        } else if self.hidden == 0 && !is_inline(name) {
            match name {
                b"table" => {
                    self.tables = self.tables.saturating_sub(1);
                    if self.tables == 0 {
                        self.finish_table();
                    }
                }
                _ if self.tables > 0 => self.text.push(' '),
                _ => self.finish(),
            }
            if matches!(name, b"ol" | b"ul") {
                self.lists.pop();
            }
        }
    }

    /// Adds the block with the text that was read.
    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        let lines: Vec<String> = text.lines().map(|line| join([line])).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        let text = join(lines.iter().map(String::as_str));
        if std::mem::take(&mut self.is_term) {
            self.term = Some(text);
            return;
        }
        let pairs: Option<Vec<_>> = lines.iter().map(|line| label_and_value(line)).collect();
        match (std::mem::take(&mut self.is_heading), self.term.take(), self.item.take(), pairs) {
            (true, ..) => self.flow.heading(&text),
            (_, Some(term), ..) => self.flow.pair(&term, &text),
            (.., Some(number), _) if !number.is_empty() => self.flow.text(Kind::ListItem, &format!("{number}{text}")),
            (.., Some(pairs)) => pairs.iter().for_each(|(label, value)| self.flow.pair(label, value)),
            (.., Some(_), None) => self.flow.text(Kind::ListItem, &text),
            _ => self.flow.text(Kind::Text, &text),
        }
    }

    fn finish_cell(&mut self) {
        let text = join(std::mem::take(&mut self.text).lines());
        match self.rows.last_mut().and_then(|row| row.last_mut()) {
            Some((_, cell)) if cell.is_empty() => *cell = text,
            // Text before the first cell is the caption.
            None if !text.is_empty() => self.flow.text(Kind::Text, &text),
            _ => {}
        }
    }

    /// Adds the table, or the form if it has two columns and the left one is a header.
    fn finish_table(&mut self) {
        self.finish_cell();
        let mut rows = std::mem::take(&mut self.rows);
        rows.retain(|row| row.iter().any(|(_, cell)| !cell.is_empty()));
        if rows.iter().all(|row| matches!(row.as_slice(), [(true, _), (false, _)])) {
            rows.iter().for_each(|row| self.flow.pair(&row[0].1, &row[1].1));
        } else {
            self.flow.table(rows.into_iter().map(|row| row.into_iter().map(|(_, cell)| cell).collect()).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&'static str, String)> {
        read(text).blocks().map(|(_, block)| (block.type_name(), block.text.clone())).collect()
    }

    fn markdown(text: &str) -> Vec<(&'static str, String)> {
        read_markdown(text).blocks().map(|(_, block)| (block.type_name(), block.text.clone())).collect()
    }

    #[test]
    fn html_becomes_typed_blocks_and_nothing_hidden_is_read() {
        let found = shown(
            "<!doctype html><title>Tab</title><style>p{}</style><script>if (a<b) x('<p>no')</script>\
             <h1>The <em>title</em></h1><p>Fish &amp; chips,<br>caf&eacute;</p><h2>Part</h2>\
             <dl><dt>Permit number:<dd>PH-1</dl><ol start=3><li>three<li>four</ol><ul><li>dash</ul>\
             <table><caption>Doors</caption><thead><tr><th>Door<th>Width</tr></thead><tr><td>D1<td><b>36</b></table>\
             <table><tr><th>Owner:<td>Inez</tr></table><img src=p alt='The plan'><pre>a: 1\nb: 2</pre>",
        );
        let expected = [
            ("Title", "The title"),
            ("Text", "Fish & chips, café"),
            ("Section Header", "Part"),
            ("Key Value", "Permit number: PH-1"),
            ("List Item", "3. three"),
            ("List Item", "4. four"),
            ("List Item", "dash"),
            ("Text", "Doors"),
            ("Table", "| Door | Width |\n| --- | --- |\n| D1 | 36 |"),
            ("Key Value", "Owner: Inez"),
            ("Figure", "The plan"),
            ("Key Value", "a: 1"),
            ("Key Value", "b: 2"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_table_within_a_cell_is_text_of_the_cell() {
        let found = shown("<table><tr><th>A<th>B<tr><td>1<td><table><tr><td>x<td>y</table></table>");
        assert_eq!(found, [("Table", "| A | B |\n| --- | --- |\n| 1 | x y |".to_owned())]);
    }

    #[test]
    fn tags_that_are_never_closed_lose_no_text() {
        let found = shown("<div><p>one<p>two<table><tr><td>three<td>four<tr><td>five<td>six");
        let all: Vec<String> = found.into_iter().map(|(_, text)| text).collect();
        let all = all.join(" ");
        for word in ["one", "two", "three", "four", "five", "six"] {
            assert!(all.contains(word), "{all}");
        }
    }

    #[test]
    fn markdown_becomes_typed_blocks() {
        let found = markdown(
            "---\ntitle: hidden\n---\n# The *title*\n\nPermit number: **PH-1**\nOwner: Inez\n\n## Part `A`\n\nA [link](x) and\nmore.\n\n3. three\n4. four\n\n- dash\n\n| A | B |\n|---|---|\n| 1 | x<br>y |\n\n![The plan](p.png)\n",
        );
        let expected = [
            ("Title", "The title"),
            ("Key Value", "Permit number: PH-1"),
            ("Key Value", "Owner: Inez"),
            ("Section Header", "Part A"),
            ("Text", "A link and more."),
            ("List Item", "3. three"),
            ("List Item", "4. four"),
            ("List Item", "dash"),
            ("Table", "| A | B |\n| --- | --- |\n| 1 | x y |"),
            ("Figure", "The plan"),
        ];
        let found: Vec<(&str, &str)> = found.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rule_at_the_top_is_not_metadata() {
        assert_eq!(
            markdown("---\n\nText.\n\n---\n\nMore."),
            [("Text", "Text.".to_owned()), ("Text", "More.".to_owned())]
        );
    }

    #[test]
    fn nested_lists_keep_their_items_apart() {
        let found = markdown("1. one\n   - inner\n2. two\n\n   with a paragraph\n");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["1. one", "inner", "2. two", "with a paragraph"]);
    }
}
