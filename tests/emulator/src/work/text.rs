//! Text: blocks by empty lines, columns by gaps, headings by their form.

use super::document::{Block, Cell, Document, Kind, Rect};
use super::lines;

/// A page has this many rows of this many characters.
const ROWS: usize = 54;
const COLUMNS: usize = 90;
const MARGIN: f64 = 0.08;
const MAX_PAGES: usize = 2_000;
/// Lines with more columns are not a table.
const MAX_CELLS: usize = 24;

/// Decodes a text file: in the encoding of its byte order mark, or as UTF-8, or as Windows-1252.
pub(super) fn decode(bytes: &[u8]) -> Result<String, String> {
    let (text, _, is_malformed) = encoding_rs::UTF_8.decode(bytes);
    let text = if is_malformed { encoding_rs::WINDOWS_1252.decode(bytes).0 } else { text };
    let unreadable = text.chars().filter(|c| matches!(*c, '\0' | char::REPLACEMENT_CHARACTER)).count();
    if unreadable * 20 > text.chars().count().max(1) {
        return Err("this is not text".to_owned());
    }
    Ok(text.replace('\0', ""))
}

/// Reads a text. In one that was HTML, only lines with `# ` are headings, and those with `![` are figures.
pub(super) fn read(text: &str, is_markup: bool) -> Document {
    let mut document = Document::default();
    let mut has_title = false;
    for part in text.split('\u{c}') {
        let (mut page, mut row, mut header) = (Vec::new(), 0, None);
        for line in part.lines() {
            let height = if line.starts_with("![") { 8 } else { line.chars().count().div_ceil(COLUMNS).clamp(1, ROWS) };
            if row + height > ROWS {
                document.pages.push(blocks(&page, is_markup, &mut has_title));
                // A table continues with its header.
                page = header.filter(|_| line.starts_with('|')).map(|header| (0, 1, header)).into_iter().collect();
                row = page.len();
            }
            header = if line.starts_with('|') { header.or(Some(line)) } else { None };
            page.push((row, height, line));
            row += height;
        }
        document.pages.push(blocks(&page, is_markup, &mut has_title));
    }
    document.pages.truncate(MAX_PAGES);
    document
}

fn blocks(lines: &[(usize, usize, &str)], is_markup: bool, has_title: &mut bool) -> Vec<Block> {
    let is_rule =
        |line: &str| line.len() > 2 && line.chars().all(|c| "=-~_*|+ ".contains(c)) && !line.trim().is_empty();
    let lines: Vec<_> = lines.iter().filter(|(.., line)| !is_rule(line)).collect();
    let mut blocks = Vec::new();
    for group in lines.split(|(.., line)| line.trim().is_empty()) {
        let longest = group.iter().map(|(_, height, line)| line.chars().count() / height).fold(COLUMNS, usize::max);
        let parts: Vec<Vec<Cell>> = group.iter().map(|line| parts(line, longest, is_markup)).collect();
        let first = group.first().map_or("", |(.., line)| *line);
        let is_heading = if is_markup { first.starts_with("# ") } else { is_heading(&parts) };
        if is_heading || (is_markup && first.starts_with("![")) {
            let Cell { text, rect } = lines::merge(&parts[0]);
            let kind = if *has_title { Kind::SectionHeader } else { Kind::Title };
            let kind = if is_heading { kind } else { Kind::Figure };
            let figure = text.strip_prefix("![").and_then(|text| text.strip_suffix(']')).filter(|_| !is_heading);
            let text = figure.unwrap_or(text.trim_start_matches("# ")).to_owned();
            blocks.push(Block { kind, text, rect });
        } else if let Some(rows) = table(&parts, first.starts_with('|')) {
            blocks.push(Block::table(rows));
        } else {
            lines::push(&mut blocks, &parts);
        }
        // In plain text, a title comes first.
        *has_title |= blocks.iter().any(|block| !is_markup || block.is_heading());
    }
    blocks
}

/// Whether this is a single short line.
fn is_heading(lines: &[Vec<Cell>]) -> bool {
    let [line] = lines else { return false };
    let [Cell { text, .. }] = line.as_slice() else { return false };
    let is_short = text.split_whitespace().count() <= 8 && text.chars().any(char::is_alphabetic);
    let is_sentence = text.contains([',', ':']) || text.ends_with(['.', ';', '!', '?']);
    is_short && !is_sentence && lines::marker_length(text).is_none() && !text.starts_with(char::is_lowercase)
}

/// The parts of a line that bars or wide gaps separate.
fn parts((row, height, line): &(usize, usize, &str), longest: usize, is_markup: bool) -> Vec<Cell> {
    let y = |row: f64| MARGIN + (1.0 - 2.0 * MARGIN) * row / ROWS as f64;
    let x = |column: usize| MARGIN + (1.0 - 2.0 * MARGIN) * column.min(longest) as f64 / longest as f64;
    let cell = |from: usize, to: usize, text: &str| {
        let rect = Rect::new(x(from), y(*row as f64), x(to), y((row + height) as f64 - 0.2));
        Cell { text: text.to_owned(), rect }
    };
    if line.starts_with('|') {
        let inner = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|')).unwrap_or(line);
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let width = longest / cells.len();
        let end = |text: &str| text.chars().count().clamp(1, width.max(1));
        return cells.iter().enumerate().map(|(at, text)| cell(at * width, at * width + end(text), text)).collect();
    }
    let line = line.replace('\t', "   ");
    if is_markup {
        return vec![cell(0, line.chars().count(), &line)];
    }
    let mut parts: Vec<(usize, usize, String)> = Vec::new();
    for (column, c) in line.chars().enumerate().filter(|(_, c)| !c.is_whitespace()) {
        match parts.last_mut() {
            // Two spaces may follow a sentence.
            Some((_, end, text)) if column - *end < if text.ends_with(['.', '?', '!', ':']) { 3 } else { 2 } => {
                text.push_str(if column > *end { " " } else { "" });
                text.push(c);
                *end = column + 1;
            }
            _ => parts.push((column, column + 1, c.to_string())),
        }
    }
    parts.iter().map(|(from, to, text)| cell(*from, *to, text)).collect()
}

/// Lines that are aligned in columns, as rows of equal width. A line without a first cell continues the row above.
fn table(lines: &[Vec<Cell>], has_bars: bool) -> Option<Vec<Vec<Cell>>> {
    let is_form = lines.iter().all(|line| line.len() < 2 || lines::pairs(line).is_some());
    let is_wide = lines.iter().any(|line| line.len() > MAX_CELLS);
    let count = lines.iter().filter(|line| line.len() > 1).count();
    if (is_form && !has_bars) || is_wide || lines.len() < 2 || lines[0].len() < 2 || count * 2 < lines.len() {
        return None;
    }
    let width = lines.iter().map(|line| line.len()).max().unwrap_or(0);
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for line in lines {
        let mut row = if has_bars { line.clone() } else { Vec::new() };
        row.resize(if has_bars { width } else { lines[0].len() }, Cell::default());
        for part in line.iter().filter(|_| !has_bars) {
            let column = lines[0].iter().rposition(|title| title.rect.left < part.rect.left + 1e-6).unwrap_or(0);
            row[column] = lines::merge(&[std::mem::take(&mut row[column]), part.clone()]);
        }
        match rows.last_mut().filter(|_| !has_bars && row[0].text.is_empty()) {
            Some(above) => {
                above.iter_mut().zip(row).for_each(|(cell, more)| *cell = lines::merge(&[cell.clone(), more]))
            }
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
        read(text, false).blocks().map(|(_, block)| (block.type_name(), block.text.clone())).collect()
    }

    fn as_strs<'a>(shown: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
        shown.iter().map(|(kind, text)| (*kind, text.as_str())).collect()
    }

    #[test]
    fn form_feeds_and_54_lines_make_pages() {
        assert_eq!(read("one\n\u{c}two\n\u{c}", false).pages.len(), 3);
        let long: String = (1..=120).map(|line| format!("Line {line}.\n")).collect();
        let document = read(&long, false);
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
    fn a_value_has_its_own_place() {
        let document = read("Permit number:    PH-1\n", false);
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
        assert_eq!(decode(&[0; 64]), Err("this is not text".to_owned()));
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
                read(&text, false);
                super::super::html::read_markdown(&text);
                super::super::html::read(&text);
            }
        }
    }
}
