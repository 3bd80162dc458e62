//! Plain text: pages at form feeds or every so many lines, columns where the white space is wide.

use super::Unreadable;
use super::document::{Document, Rect};
use super::layout::{self, Segment, Sheet};

/// A typewritten page has so many lines.
pub(super) const LINES_PER_PAGE: usize = 54;
/// So many characters fill a line between the margins.
pub(super) const CHARS_PER_LINE: usize = 90;
/// A page is set narrower for lines up to this length, so that columns far to the right stay apart.
const LONGEST_LINE: usize = 400;
/// More pages than this are not read.
pub(super) const MAX_PAGES: usize = 5_000;

const MARGIN: f64 = 0.08;
const TAB: usize = 8;

/// The text of bytes: UTF-8 or UTF-16 by their mark, else UTF-8, else Windows-1252.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    let utf16 = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| western(*byte)).collect(),
        },
    };
    let odd = |c: char| c == '\0' || c == char::REPLACEMENT_CHARACTER;
    if text.chars().filter(|c| odd(*c)).count() * 20 > text.chars().count().max(1) {
        return Err(Unreadable::Corrupt("this is not text".into()));
    }
    Ok(text.replace('\0', ""))
}

/// A byte of Windows-1252.
fn western(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{FFFD}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{FFFD}', 'Ž', '\u{FFFD}', //
        '\u{FFFD}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{FFFD}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

pub(super) fn read(text: &str) -> Document {
    let sheets = text
        .split('\u{c}')
        .flat_map(|part| {
            let lines: Vec<&str> = part.lines().collect();
            if lines.is_empty() { vec![Vec::new()] } else { lines.chunks(LINES_PER_PAGE).map(<[_]>::to_vec).collect() }
        })
        .take(MAX_PAGES)
        .map(|lines| Sheet { width: 1.0, height: 1.0, segments: sheet(&lines), figures: Vec::new() })
        .collect();
    Document { pages: layout::arrange(sheets) }
}

fn sheet(lines: &[&str]) -> Vec<Segment> {
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = longest.clamp(CHARS_PER_LINE, LONGEST_LINE);
    let lines: Vec<(usize, &str)> = lines.iter().copied().enumerate().collect();
    let blocks = lines.chunk_by(|(_, above), (_, below)| !above.trim().is_empty() && !below.trim().is_empty());
    blocks.flat_map(|lines| block(lines, width)).collect()
}

/// The segments of lines without an empty one between them. Where one line stands in columns, the others do so as well:
/// what looks like a label and its value is a row of that table.
fn block(lines: &[(usize, &str)], width: usize) -> Vec<Segment> {
    let mut rows: Vec<Vec<Segment>> = lines.iter().map(|(at, line)| segments(line, *at, width)).collect();
    let pairs: Vec<Option<Vec<Segment>>> = lines.iter().map(|(at, line)| pair(line, *at, width)).collect();
    let mut both = rows.iter().zip(&pairs);
    if !both.any(|(row, pair)| row.len() > 1 && pair.is_none() && !layout::is_form_row(row)) {
        for (row, pair) in rows.iter_mut().zip(pairs) {
            *row = pair.unwrap_or_else(|| std::mem::take(row));
        }
    }
    rows.concat()
}

/// A label and its value on one line without a colon: a tab, wide white space, dots or an equals sign stand between them.
fn pair(line: &str, at: usize, width: usize) -> Option<Vec<Segment>> {
    let text = line.trim();
    let indent = line.len() - line.trim_start().len();
    let mut gaps = gaps(text);
    let (end, start) = gaps.next().filter(|_| gaps.next().is_none())?;
    let (label, value) = (text[..end].trim_end(), &text[start..]);
    let dotted_or_equal = text[end..start].contains(['.', '=']);
    // "D1    36" is a row of a table that may well go on elsewhere.
    let named = layout::is_label(label) && (dotted_or_equal || !label.contains(|c: char| c.is_ascii_digit()));
    let colons = label.contains(':') || value.ends_with(':') || layout::label_and_value(value).is_some();
    if !named || colons || line.contains('|') {
        return None;
    }
    let column = |end: usize| {
        let before = line[..end].chars();
        before.fold(0, |column, c| if c == '\t' { (column / TAB + 1) * TAB } else { column + 1 })
    };
    let place = |from: usize, to: usize| place(at, column(indent + from), column(indent + to), width);
    let label = segment(&mut format!("{label}:"), place(0, label.len()));
    let value = segment(&mut value.to_owned(), place(start, text.len()));
    Some(vec![label?, value?])
}

/// What divides a label from its value: from where to where.
fn gaps(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let between = |c: char| c.is_whitespace() || matches!(c, '.' | '=');
    let ends = text.char_indices().filter(move |(at, c)| *at > 0 && !between(*c)).map(|(at, _)| at);
    ends.filter_map(move |end| {
        let start = text[..end].trim_end_matches(between).len();
        let gap = &text[start..end];
        if gap.contains("....") || gap.contains(". . .") {
            // ".50" begins with a dot of its own.
            let dots = gap.rfind(char::is_whitespace).map_or(gap.len(), |at| at + 1);
            return Some((start, start + dots));
        }
        let (first, last) = (gap.find(char::is_whitespace)?, gap.rfind(char::is_whitespace)?);
        let inner = &gap[first..=last];
        let divides = inner.trim() == "=" || inner.contains('\t') || inner.contains("   ");
        divides.then_some((start + first, start + last + 1))
    })
}

/// Where some characters of one line stand on a page that is so many characters wide.
pub(super) fn place(line: usize, from: usize, to: usize, width: usize) -> Rect {
    let x = |column: usize| MARGIN + (1.0 - 2.0 * MARGIN) * column.min(width) as f64 / width as f64;
    let pitch = (1.0 - 2.0 * MARGIN) / LINES_PER_PAGE as f64;
    let top = MARGIN + pitch * line as f64;
    Rect::new(x(from), top, x(to), top + pitch * 0.8)
}

/// Splits a line where white space is wide, or at the bars of a drawn table.
fn segments(line: &str, at: usize, width: usize) -> Vec<Segment> {
    if line.matches('|').count() >= 2 {
        return cells(line, at, width);
    }
    let mut found = Vec::new();
    let mut column = 0;
    let mut start = 0;
    let mut end = 0;
    let mut text = String::new();
    for c in line.chars() {
        if c == '\t' {
            column = (column / TAB + 1) * TAB;
            found.extend(segment(&mut text, place(at, start, end, width)));
            continue;
        }
        if !c.is_whitespace() {
            // Two spaces may follow a sentence; three are a gap anywhere.
            let wide = if text.ends_with(['.', '?', '!', ':']) { 3 } else { 2 };
            if !text.is_empty() && column - end >= wide {
                found.extend(segment(&mut text, place(at, start, end, width)));
            }
            if text.is_empty() {
                start = column;
            } else if column > end {
                text.push(' ');
            }
            text.push(c);
            end = column + 1;
        }
        column += 1;
    }
    found.extend(segment(&mut text, place(at, start, end, width)));
    found
}

/// The cells between bars; those of one column stand under one another even where the bars do not.
fn cells(line: &str, at: usize, width: usize) -> Vec<Segment> {
    let line = line.trim();
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let cells: Vec<&str> = inner.split('|').collect();
    let edge = |column: usize| width * column / cells.len();
    let cell = |(column, text): (usize, &&str)| {
        let mut text = text.trim().to_owned();
        let end = (edge(column) + text.chars().count()).min(edge(column + 1).max(edge(column) + 1));
        segment(&mut text, place(at, edge(column), end, width))
    };
    cells.iter().enumerate().filter_map(cell).collect()
}

/// Takes the text as a segment, if there is any.
fn segment(text: &mut String, rect: Rect) -> Option<Segment> {
    let text = std::mem::take(text);
    let (left, top, right, bottom) = rect.edges();
    (!text.is_empty()).then_some(Segment { text, left, right, top, bottom, size: bottom - top, bold: false })
}

#[cfg(test)]
mod tests {
    use super::super::document::Kind;
    use super::*;

    fn shown(text: &str) -> Vec<(&'static str, String)> {
        read(text).blocks().map(|(_, block)| (block.type_name(), block.content())).collect()
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
        let last = document.pages[2].blocks[0].content();
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
            ("Owner = Inez Callowhill", "Owner: Inez Callowhill"),
            ("Height  =   52 ft", "Height: 52 ft"),
            ("Level 1 ........ 5", "Level 1: 5"),
            ("Total......5", "Total: 5"),
            ("Rate . . . . . .50", "Rate: .50"),
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
        let Kind::KeyValue { value, .. } = &document.pages[0].blocks[0].kind else { panic!("not a pair") };
        let (left, ..) = value.rect.edges();
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
                super::super::markdown::read(&text);
                super::super::html::read(&text);
            }
        }
    }
}
