//! HTML, read for what a reader sees of it.

use html5gum::{DefaultEmitter, EndTag, HtmlString, StartTag, Token, Tokenizer};

use super::document::{Document, join};
use super::flow::{self, Piece};

pub(super) fn read(text: &str) -> Document {
    let mut emitter = DefaultEmitter::<()>::default();
    // Else the text of scripts and styles would be taken for markup.
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for token in Tokenizer::new_with_emitter(text, emitter).flatten() {
        match token {
            Token::StartTag(tag) => reader.start(&tag),
            Token::EndTag(tag) => reader.end(&tag),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text.value)),
            _ => {}
        }
    }
    reader.finish();
    reader.finish_table();
    flow::set(reader.pieces)
}

#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    text: String,
    /// How many elements are open whose text nobody sees.
    hidden: usize,
    /// Line breaks are kept.
    verbatim: usize,
    heading: bool,
    /// One entry per list that is open: the next number, or none for bullets.
    lists: Vec<Option<u64>>,
    item: Option<String>,
    part: Part,
    term: Option<String>,
    /// How many tables are open; those within another are read as text of its cell.
    tables: usize,
    rows: Vec<Row>,
}

/// Which part of a list of terms the text belongs to, if any.
#[derive(Clone, Copy, Default)]
enum Part {
    #[default]
    None,
    Term,
    Definition,
}

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    /// How many of them are marked as headers.
    headers: usize,
}

fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"script" | b"style" | b"title" | b"template" | b"noscript" | b"svg" | b"select" | b"iframe")
}

/// Elements that stand on lines of their own.
fn is_block(name: &[u8]) -> bool {
    matches!(
        name,
        b"address"
            | b"article"
            | b"aside"
            | b"blockquote"
            | b"body"
            | b"caption"
            | b"dd"
            | b"div"
            | b"dl"
            | b"dt"
            | b"fieldset"
            | b"figcaption"
            | b"figure"
            | b"footer"
            | b"form"
            | b"header"
            | b"hr"
            | b"legend"
            | b"li"
            | b"main"
            | b"nav"
            | b"ol"
            | b"p"
            | b"pre"
            | b"section"
            | b"summary"
            | b"ul"
    )
}

fn is_heading(name: &[u8]) -> bool {
    matches!(name, b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6")
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(&HtmlString(name.as_bytes().to_vec()))?;
    Some(String::from_utf8_lossy(&value.value).into_owned())
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        if self.verbatim > 0 {
            self.text.push_str(text);
            return;
        }
        for c in text.chars() {
            self.text.push(if c.is_whitespace() { ' ' } else { c });
        }
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if is_hidden(name) {
            self.hidden += usize::from(!tag.self_closing);
            return;
        }
        if self.hidden > 0 {
            return;
        }
        match name {
            b"br" => self.text.push('\n'),
            b"table" => {
                if self.tables == 0 {
                    self.finish();
                }
                self.tables += 1;
            }
            b"tr" if self.tables == 1 => {
                self.finish_cell();
                self.rows.push(Row::default());
            }
            b"td" | b"th" if self.tables == 1 => {
                self.finish_cell();
                if self.rows.is_empty() {
                    self.rows.push(Row::default());
                }
                if let Some(row) = self.rows.last_mut() {
                    row.cells.push(String::new());
                    row.headers += usize::from(name == b"th");
                }
            }
            b"img" => {
                let text = attribute(tag, "alt").unwrap_or_default();
                if self.tables > 0 {
                    self.text(&text);
                } else {
                    self.finish();
                    self.pieces.push(Piece::Figure(join(text.lines())));
                }
            }
            _ if self.tables > 0 => self.text.push(' '),
            _ if is_heading(name) => {
                self.finish();
                self.heading = true;
            }
            _ if is_block(name) => {
                self.finish();
                match name {
                    b"ol" => self.lists.push(attribute(tag, "start").and_then(|start| start.parse().ok()).or(Some(1))),
                    b"ul" => self.lists.push(None),
                    b"li" => {
                        self.item = Some(match self.lists.last_mut() {
                            Some(Some(number)) => {
                                let marker = format!("{number}. ");
                                *number = number.saturating_add(1);
                                marker
                            }
                            _ => String::new(),
                        });
                    }
                    b"pre" => self.verbatim += 1,
                    b"dt" => self.part = Part::Term,
                    b"dd" => self.part = Part::Definition,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let name: &[u8] = &tag.name;
        if is_hidden(name) {
            self.hidden = self.hidden.saturating_sub(1);
            return;
        }
        if self.hidden > 0 {
            return;
        }
        match name {
            b"table" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.finish_table();
                }
            }
            b"td" | b"th" | b"tr" if self.tables == 1 => self.finish_cell(),
            _ if self.tables > 0 => self.text.push(' '),
            b"dt" | b"dd" => {
                self.finish();
                self.part = Part::None;
            }
            b"ol" | b"ul" => {
                self.finish();
                self.lists.pop();
            }
            b"pre" => {
                self.finish();
                self.verbatim = self.verbatim.saturating_sub(1);
            }
            _ if is_heading(name) || is_block(name) => self.finish(),
            _ => {}
        }
    }

    /// Ends the block whose text was gathered.
    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        if self.tables > 0 {
            self.text = text;
            return;
        }
        if text.trim().is_empty() {
            return;
        }
        let text: Vec<String> = text.lines().map(|line| join(line.split_whitespace())).collect();
        let text = text.join("\n");
        match (std::mem::take(&mut self.part), self.term.take()) {
            (Part::Term, _) => {
                self.term = Some(join(text.lines()));
                return;
            }
            (Part::Definition, Some(term)) => {
                let label = term.trim_end().trim_end_matches(':').to_owned();
                self.pieces.push(Piece::Pair(label, join(text.lines())));
                return;
            }
            // A term that is not defined is text like any other.
            (_, Some(term)) => self.pieces.push(Piece::Text(term)),
            (_, None) => {}
        }
        if std::mem::take(&mut self.heading) {
            self.pieces.push(Piece::Heading(join(text.lines())));
        } else {
            self.pieces.extend(flow::pieces(self.item.take().as_deref(), &text));
        }
    }

    fn finish_cell(&mut self) {
        let text = join(std::mem::take(&mut self.text).split_whitespace());
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.cells.last_mut()) {
            if cell.is_empty() {
                *cell = text;
            }
        } else if !text.is_empty() {
            // Text of the table before its first row is its caption.
            self.pieces.push(Piece::Text(text));
        }
    }

    fn finish_table(&mut self) {
        self.finish_cell();
        let mut rows: Vec<Row> = std::mem::take(&mut self.rows);
        rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
        let form = rows.iter().all(|row| row.cells.len() == 2 && row.headers == 1);
        if form {
            for row in rows {
                if let [label, value] = row.cells.as_slice() {
                    self.pieces.push(Piece::Pair(label.trim_end_matches(':').to_owned(), value.clone()));
                }
            }
            return;
        }
        let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let mut rows = rows.into_iter().map(|mut row| {
            row.cells.resize(width, String::new());
            row.cells
        });
        let Some(columns) = rows.next() else { return };
        self.pieces.push(Piece::Table(columns, rows.collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&'static str, String)> {
        read(text).blocks().map(|(_, block)| (block.type_name(), block.content())).collect()
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
}
