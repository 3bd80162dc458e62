//! HTML, as the text that a reader sees, and Markdown as HTML.

use html5gum::{DefaultEmitter, EndTag, HtmlString, StartTag, Token, Tokenizer};
use pulldown_cmark::{Options, Parser};

use super::document::{Document, join};
use super::lines::label_and_value;
use super::text;

pub(crate) fn read_markdown(text: &str) -> Document {
    let mut html = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(text, options));
    read(&html)
}

pub(super) fn read(html: &str) -> Document {
    let mut emitter = DefaultEmitter::<()>::default();
    // Otherwise the text of scripts and styles is read as markup.
    emitter.naively_switch_states(true);
    let mut reader = Reader::default();
    for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
        match token {
            Token::StartTag(tag) if is_hidden(&tag.name) => reader.hidden += usize::from(!tag.self_closing),
            Token::EndTag(tag) if is_hidden(&tag.name) => reader.hidden = reader.hidden.saturating_sub(1),
            _ if reader.hidden > 0 => {}
            Token::StartTag(tag) if !is_inline(&tag.name) => reader.start(&tag),
            Token::EndTag(tag) if !is_inline(&tag.name) => reader.end(&tag),
            Token::String(text) => reader.text(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    reader.finish();
    text::read(&reader.output, true)
}

#[derive(Default)]
struct Reader {
    /// The blocks, each with an empty line after it.
    output: String,
    /// The text since the last block, and what to write before it.
    text: String,
    marker: String,
    /// The number of open elements without visible text.
    hidden: usize,
    /// The next number of each open list, or `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The number of open tables. A table in a cell is read as text.
    tables: usize,
}

fn is_hidden(name: &[u8]) -> bool {
    matches!(name, b"script" | b"style" | b"title" | b"template" | b"noscript" | b"svg" | b"select" | b"iframe")
}

fn is_inline(name: &[u8]) -> bool {
    let names = " a abbr b big cite code del em font i ins kbd label mark q s small span strong sub sup ";
    names.contains(&format!(" {} ", String::from_utf8_lossy(name)))
}

impl Reader {
    fn text(&mut self, text: &str) {
        // In a table, a line is a row and a bar starts a cell.
        let text = if self.tables > 0 { text.replace('\n', " ").replace('|', "│") } else { text.to_owned() };
        self.text.push_str(&text);
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let attribute = |name: &[u8]| tag.attributes.get(&HtmlString(name.to_vec()));
        let attribute = |name| attribute(name).map(|value| String::from_utf8_lossy(value).into_owned());
        match (tag.name.as_slice(), self.tables) {
            (b"br", 0) => self.text.push('\n'),
            (b"tr", 1) => self.text.push('\n'),
            (b"td" | b"th", 1) => self.text.push('|'),
            (_, 0) => self.finish(),
            _ => self.text.push(' '),
        }
        match tag.name.as_slice() {
            b"table" => self.tables += 1,
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.marker = "# ".to_owned(),
            b"ol" => self.lists.push(attribute(b"start").map_or(Some(1), |start| start.parse().ok())),
            b"ul" => self.lists.push(None),
            b"li" => {
                self.marker = "- ".to_owned();
                if let Some(Some(number)) = self.lists.last_mut() {
                    self.marker = format!("{number}. ");
                    *number = number.saturating_add(1);
                }
            }
            b"dt" => self.marker = "\n".to_owned(),
            b"img" => self.output.push_str(&format!("![{}]\n\n", join(attribute(b"alt").iter().map(String::as_str)))),
            _ => {}
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        if tag.name.as_slice() == b"table" {
            self.tables = self.tables.saturating_sub(1);
        }
        if self.tables == 0 {
            self.finish();
        } else {
            self.text.push(' ');
        }
        if matches!(tag.name.as_slice(), b"ol" | b"ul") {
            self.lists.pop();
        }
    }

    /// Writes the text as a block, or as a table if it has rows.
    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        let lines: Vec<String> = text.lines().map(|line| join([line])).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        let width = lines.iter().map(|line| line.matches('|').count()).max().unwrap_or(0);
        let is_form = lines.iter().all(|line| label_and_value(line).is_some());
        let text = join(lines.iter().map(String::as_str));
        match std::mem::take(&mut self.marker).as_str() {
            // The definition of this term follows.
            "\n" => self.marker = format!("{}: ", text.trim_end_matches(':')),
            "" if width > 0 => {
                for line in lines {
                    let missing = width - line.matches('|').count();
                    let end = if missing < width { "|".repeat(missing + 1) } else { "\n".to_owned() };
                    self.output.push_str(&format!("{line}{end}\n"));
                }
                self.output.push('\n');
            }
            "" | "- " if is_form => self.output.push_str(&format!("{}\n\n", lines.join("\n"))),
            marker => self.output.push_str(&format!("{marker}{text}\n\n")),
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
    fn brackets_in_a_heading_and_in_an_alternative_text_are_kept() {
        let found = markdown("# [Draft] Plan!\n\n![A [new] plan](p.png)\n");
        assert_eq!(found, [("Title", "[Draft] Plan!".to_owned()), ("Figure", "A [new] plan".to_owned())]);
    }

    #[test]
    fn a_table_of_two_columns_is_not_a_form() {
        let found = markdown("| Name | Role |\n|-|-|\n| Inez | Owner |\n");
        assert_eq!(found, [("Table", "| Name | Role |\n| --- | --- |\n| Inez | Owner |".to_owned())]);
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
