//! Plain text: blocks by empty lines, columns by gaps.

use super::Unreadable;
use super::document::{Block, Cell, Document, Kind, Rect};
use super::flow::{COLUMNS, LINES, MAX_PAGES, rect};
use super::lines;

const TAB: usize = 8;
/// Lines with more columns are not a table.
const MAX_COLUMNS: usize = 24;

/// Decodes a text file: in the encoding of its byte order mark, or as UTF-8, or as Windows-1252.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let (text, _, is_malformed) = encoding_rs::UTF_8.decode(bytes);
    let text = if is_malformed { encoding_rs::WINDOWS_1252.decode(bytes).0 } else { text };
    let unreadable = text.chars().filter(|c| matches!(*c, '\0' | char::REPLACEMENT_CHARACTER)).count();
    if unreadable * 20 > text.chars().count().max(1) {
        return Err(Unreadable::Corrupt("this is not text".into()));
    }
    Ok(text.replace('\0', ""))
}

/// Reads a text. A form feed or 54 lines make a page.
pub(super) fn read(text: &str) -> Document {
    let pages = text.split('\u{c}').flat_map(|part| {
        let lines: Vec<&str> = part.lines().collect();
        if lines.is_empty() { vec![lines] } else { lines.chunks(LINES).map(<[_]>::to_vec).collect() }
    });
    let mut has_title = false;
    Document { pages: pages.take(MAX_PAGES).map(|lines| page(&lines, &mut has_title)).collect() }
}

fn page(lines: &[&str], has_title: &mut bool) -> Vec<Block> {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(COLUMNS);
    let lines: Vec<Vec<Cell>> = lines.iter().enumerate().map(|(at, line)| parts(line, at, longest)).collect();
    let mut blocks = Vec::new();
    for group in lines.split(Vec::is_empty) {
        match (group, table(group)) {
            ([], _) => {}
            (_, Some(rows)) if is_prose(&rows) => {
                for column in 0..rows[0].len() {
                    let lines: Vec<Vec<Cell>> = rows.iter().map(|row| vec![row[column].clone()]).collect();
                    lines::push(&mut blocks, &lines);
                }
            }
            (_, Some(rows)) => blocks.push(Block::table(rows)),
            (group, None) => match heading(group) {
                Some(line) => {
                    let is_title = blocks.is_empty() && !*has_title;
                    let kind = if is_title { Kind::Title } else { Kind::SectionHeader };
                    blocks.push(Block { kind, text: line.text, rect: line.rect });
                    lines::push(&mut blocks, group.get(2..).unwrap_or_default());
                }
                None => lines::push(&mut blocks, group),
            },
        }
        *has_title |= !blocks.is_empty();
    }
    blocks
}

fn is_rule(line: &[Cell]) -> bool {
    line.iter().all(|part| part.text.chars().all(|c| "=-~_*".contains(c)) && part.text.len() > 2)
}

/// The first line, if it is underlined, or stands alone and reads as a heading.
fn heading(lines: &[Vec<Cell>]) -> Option<Cell> {
    let line = lines::merge(lines.first()?);
    let text = &line.text;
    let is_alone = match lines {
        [_] => true,
        [_, second, ..] => is_rule(second),
        [] => false,
    };
    let is_short = text.split_whitespace().count() <= 8 && text.chars().any(char::is_alphabetic);
    let is_sentence = text.contains([',', ':']) || text.ends_with(['.', ';', '!', '?']);
    let is_heading = is_alone && is_short && !is_sentence && !text.starts_with(char::is_lowercase);
    (is_heading && lines[0].len() == 1 && lines::marker_length(text).is_none()).then_some(line)
}

/// The parts of a line that wide gaps or the bars of a table separate.
fn parts(line: &str, number: usize, longest: usize) -> Vec<Cell> {
    if line.matches('|').count() >= 2 {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
        let width = longest / cells.len();
        let cell = |(index, text): (usize, &&str)| {
            let from = index * width;
            Cell {
                text: text.trim().to_owned(),
                rect: rect(number, 1, from, from + text.len().clamp(1, width.max(1)), longest),
            }
        };
        return cells.iter().enumerate().map(cell).collect();
    }
    let mut parts: Vec<(usize, usize, String)> = Vec::new();
    let mut column = 0;
    let mut is_new = true;
    for c in line.chars() {
        match c {
            '\t' => column = (column / TAB + 1) * TAB - 1,
            c if !c.is_whitespace() => match parts.last_mut() {
                // Two spaces may follow a sentence.
                Some((_, end, text))
                    if !is_new && column - *end < if text.ends_with(['.', '?', '!', ':']) { 3 } else { 2 } =>
                {
                    text.push_str(if column > *end { " " } else { "" });
                    text.push(c);
                    *end = column + 1;
                }
                _ => {
                    parts.push((column, column + 1, c.to_string()));
                    is_new = false;
                }
            },
            _ => {}
        }
        is_new |= c == '\t';
        column += 1;
    }
    let cell = |(from, to, text)| Cell { text, rect: rect(number, 1, from, to, longest) };
    parts.into_iter().map(cell).collect()
}

/// Whether these are columns of prose instead of a table.
fn is_prose(rows: &[Vec<Cell>]) -> bool {
    let is_long = |column: usize| rows.iter().map(|row| row[column].text.len()).sum::<usize>() >= 30 * rows.len();
    rows.len() >= 4 && rows[0].len() <= 3 && (0..rows[0].len()).all(is_long)
}

/// Lines that are aligned in columns, as rows of equal width. A line without a first cell continues the row above.
fn table(lines: &[Vec<Cell>]) -> Option<Vec<Vec<Cell>>> {
    let lines: Vec<&Vec<Cell>> = lines.iter().filter(|line| !is_rule(line)).collect();
    let is_form = lines.iter().all(|line| line.len() < 2 || lines::pairs(line).is_some());
    let is_wide = lines.iter().any(|line| line.len() > MAX_COLUMNS);
    let count = lines.iter().filter(|line| line.len() > 1).count();
    if is_wide || is_form || lines.len() < 2 || lines[0].len() < 2 || count * 2 < lines.len() {
        return None;
    }
    let mut columns: Vec<Rect> = Vec::new();
    for part in lines.iter().copied().flatten() {
        let overlapping = columns.iter_mut().find(|rect| part.rect.left < rect.right && part.rect.right > rect.left);
        match overlapping {
            Some(column) => *column = Rect::around([*column, part.rect]),
            None => columns.push(part.rect),
        }
    }
    columns.sort_by(|a, b| a.left.total_cmp(&b.left));
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for line in lines {
        let in_column = |column: &Rect, part: &&Cell| part.rect.left < column.right && part.rect.right > column.left;
        let row = columns.iter().map(|column| {
            lines::merge(&line.iter().filter(|part| in_column(column, part)).cloned().collect::<Vec<_>>())
        });
        let row: Vec<Cell> = row.collect();
        match rows.last_mut().filter(|_| row[0].text.is_empty()) {
            Some(above) => above
                .iter_mut()
                .zip(row)
                .filter(|(_, more)| !more.text.is_empty())
                .for_each(|(cell, more)| *cell = lines::merge(&[cell.clone(), more])),
            None => rows.push(row),
        }
    }
    (rows.len() > 1).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::super::document::Kind;
    use super::*;

    fn shown(text: &str) -> Vec<(&'static str, String)> {
        read(text).blocks().map(|(_, block)| (block.type_name(), block.text.clone())).collect()
    }

    fn as_strs<'a>(shown: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
        shown.iter().map(|(kind, text)| (*kind, text.as_str())).collect()
    }

    #[test]
    fn form_feeds_and_54_lines_make_pages() {
        assert_eq!(read("one\n\u{c}two\n\u{c}").pages.len(), 3);
        let long: String = (1..=120).map(|line| format!("Line {line}.\n")).collect();
        let document = read(&long);
        assert_eq!(document.pages.len(), 3);
        let last = document.pages[2][0].text.clone();
        assert!(last.starts_with("Line 109.") && last.ends_with("Line 120."), "{last}");
    }

    #[test]
    fn lines_are_one_paragraph_until_an_empty_line() {
        let found = shown("The first line goes on,\nas can be seen.\n\nThe second paragraph is here, alone.\n");
        let expected =
            [("Text", "The first line goes on, as can be seen."), ("Text", "The second paragraph is here, alone.")];
        assert_eq!(as_strs(&found), expected);
    }

    #[test]
    fn headings_lists_and_pairs_are_told_apart() {
        let found = shown(
            "HARBOR PERMIT\n\nPermit number: PH-1\nOwner:         Inez Callowhill\n\nConditions\n==========\n\n1. Keep out\n   of the water.\n2. Mind the gap.\n\n- a dash\n- another\n\nSo it is said, and so be it.\n",
        );
        let expected = [
            ("Title", "HARBOR PERMIT"),
            ("Key Value", "Permit number: PH-1"),
            ("Key Value", "Owner: Inez Callowhill"),
            ("Section Header", "Conditions"),
            ("List Item", "1. Keep out of the water."),
            ("List Item", "2. Mind the gap."),
            ("List Item", "a dash"),
            ("List Item", "another"),
            ("Text", "So it is said, and so be it."),
        ];
        assert_eq!(as_strs(&found), expected);
    }

    #[test]
    fn a_label_and_its_value_need_no_colon() {
        for (line, content) in [
            ("Total\t$1,200.50", "Total: $1,200.50"),
            ("  Site area     4,200 sq ft", "Site area: 4,200 sq ft"),
            ("Permit No.    PH-1", "Permit No.: PH-1"),
            ("Rate    .50", "Rate: .50"),
        ] {
            assert_eq!(as_strs(&shown(line)), [("Key Value", content)], "{line:?}");
            let among = format!("These are the costs.\n{line}\nThey are final.\n");
            let expected = [("Text", "These are the costs."), ("Key Value", content), ("Text", "They are final.")];
            assert_eq!(as_strs(&shown(&among)), expected);
            let above = format!("{line}\n\nDoor   Width   Place\nD1     36      Lobby\nD2     42      Roof\n");
            let found = shown(&above);
            assert_eq!(found[0], ("Key Value", content.to_owned()));
            assert!(found[1].1.starts_with("| Door | Width | Place |") && found.len() == 2, "{found:?}");
        }
    }

    #[test]
    fn rows_of_a_table_and_prose_are_no_pairs() {
        for text in [
            "Door     Width\nFront    36\nD2       42\n",
            "Door     Width   Place\nFront            Lobby\nSide     36\n",
            "He waited ... and then he went, as one does.",
            "So it is. So it was, and so be it, whatever may come.",
            "if a == b or x >= 5 then we are done, and that is that.",
        ] {
            let found = shown(text);
            assert!(found.iter().all(|(kind, _)| *kind != "Key Value"), "{found:?}");
        }
    }

    #[test]
    fn aligned_columns_and_drawn_bars_are_tables() {
        let columns = "Door   Width   Place\nD1     36      Lobby by the\n               stair\nD2             Roof\n";
        let bars =
            "| Door | Width | Place |\n|------|-------|-------|\n| D1 | 36 | Lobby by the stair |\n| D2 | | Roof |\n";
        let expected =
            "| Door | Width | Place |\n| --- | --- | --- |\n| D1 | 36 | Lobby by the stair |\n| D2 |  | Roof |";
        assert_eq!(as_strs(&shown(columns)), [("Table", expected)]);
        assert_eq!(as_strs(&shown(bars)), [("Table", expected)]);
    }

    #[test]
    fn text_set_in_two_columns_is_read_column_by_column() {
        let left = "This is the left column of the page,\nand it goes on for quite some lines,\nso that it is plain that the two are\nnothing like the columns of a table.";
        let right = "While the right column tells another\nstory about the ships in the harbor,\nwhich nobody would want to read with\nthe lines of the left one in between.";
        let page: String = left.lines().zip(right.lines()).map(|(l, r)| format!("{l:<42}{r}\n")).collect();
        let found = shown(&page);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].1, left.replace('\n', " "));
        assert_eq!(found[1].1, right.replace('\n', " "));
    }

    #[test]
    fn a_value_has_its_own_place() {
        let document = read("Permit number:    PH-1\n");
        let Kind::KeyValue(_, value) = &document.pages[0][0].kind else { panic!("not a pair") };
        let left = value.rect.left;
        assert!((left - (0.08 + 0.84 * 18.0 / 90.0)).abs() < 1e-9, "{left}");
    }

    #[test]
    fn bytes_are_decoded_by_their_mark_or_by_what_they_can_be() {
        let utf16: Vec<u8> = "\u{feff}Café".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [&b"\xEF\xBB\xBFCaf\xC3\xA9"[..], b"Caf\xC3\xA9", b"Caf\xE9", &utf16] {
            assert_eq!(decode(bytes).unwrap(), "Café");
        }
        assert_eq!(decode(b"\x93quoted\x94 \x80 5").unwrap(), "“quoted” € 5");
        assert!(matches!(decode(&[0; 64]), Err(Unreadable::Corrupt(_))));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        const ALPHABET: &[u8] = b" \n\t|:-.=#*aB1()<>/&\x0c\xc3\xa9";
        let mut state = 7_u32;
        for length in 0..400 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ALPHABET[(state >> 16) as usize % ALPHABET.len()]
                })
                .collect();
            if let Ok(text) = decode(&bytes) {
                read(&text);
                super::super::html::read_markdown(&text);
                super::super::html::read(&text);
            }
        }
    }
}
