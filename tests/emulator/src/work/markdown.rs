//! Markdown, with tables and task lists.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::document::{Document, join};
use super::flow::{self, Piece};

/// What the text that comes next belongs to.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    text: String,
    /// One entry per list that is open: the next number, or none for bullets.
    lists: Vec<Option<u64>>,
    /// The marker of the item whose text comes next.
    item: Option<String>,
    heading: bool,
    image: Option<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    cells: Vec<String>,
}

pub(super) fn read(text: &str) -> Document {
    let text = without_front_matter(text);
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let mut reader = Reader::default();
    for event in Parser::new_ext(text, options) {
        reader.event(event);
    }
    reader.finish();
    flow::set(reader.pieces)
}

/// Metadata between two lines of `---` at the top are not part of the text.
fn without_front_matter(text: &str) -> &str {
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"));
    let Some(rest) = rest else { return text };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        at += line.len();
        if line.trim_end() == "---" {
            return &rest[at..];
        }
        if line.trim().is_empty() {
            break;
        }
    }
    text
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) => match &mut self.image {
                Some(image) => image.push_str(&text),
                None => self.text.push_str(&text),
            },
            Event::InlineHtml(html) if html.starts_with("<br") => self.text.push('\n'),
            Event::SoftBreak => self.text.push('\n'),
            Event::HardBreak => self.text.push('\n'),
            Event::TaskListMarker(done) => self.text.push_str(if done { "☑ " } else { "☐ " }),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::CodeBlock(_) | Tag::BlockQuote(_) | Tag::Table(_) => self.finish(),
            Tag::Heading { .. } => {
                self.finish();
                self.heading = true;
            }
            Tag::List(start) => {
                self.finish();
                self.lists.push(start);
            }
            Tag::Item => {
                self.finish();
                self.item = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => String::new(),
                });
            }
            Tag::Image { .. } => self.image = Some(String::new()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::Heading(_) | TagEnd::Item => self.finish(),
            TagEnd::List(_) => {
                self.lists.pop();
            }
            TagEnd::Image => {
                let image = self.image.take().unwrap_or_default();
                self.pieces.push(Piece::Figure(image));
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.cells.push(join(cell.lines()));
            }
            TagEnd::TableHead => self.columns = std::mem::take(&mut self.cells),
            TagEnd::TableRow => {
                let cells = std::mem::take(&mut self.cells);
                self.rows.push(cells);
            }
            TagEnd::Table => {
                let (columns, rows) = (std::mem::take(&mut self.columns), std::mem::take(&mut self.rows));
                self.pieces.push(Piece::Table(columns, rows));
            }
            _ => {}
        }
    }

    /// Ends the block whose text was gathered.
    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        let heading = std::mem::take(&mut self.heading);
        if text.trim().is_empty() {
            return;
        }
        if heading {
            self.pieces.push(Piece::Heading(join(text.lines())));
            return;
        }
        self.pieces.extend(flow::pieces(self.item.take().as_deref(), &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&'static str, String)> {
        read(text).blocks().map(|(_, block)| (block.type_name(), block.content())).collect()
    }

    #[test]
    fn markdown_becomes_typed_blocks() {
        let found = shown(
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
        assert_eq!(shown("---\n\nText.\n\n---\n\nMore."), [("Text", "Text.".to_owned()), ("Text", "More.".to_owned())]);
    }

    #[test]
    fn nested_lists_keep_their_items_apart() {
        let found = shown("1. one\n   - inner\n2. two\n\n   with a paragraph\n");
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["1. one", "inner", "2. two", "with a paragraph"]);
    }
}
