//! The table from a font's codes to Unicode that a PDF carries along.
//!
//! Writers do not keep to one form of it, so this looks for the ranges only and skips the rest.

use std::collections::HashMap;

/// More entries than any font has glyphs.
const MAX_ENTRIES: usize = 200_000;

/// What the codes of a font stand for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ToUnicode {
    texts: HashMap<u32, String>,
    /// The bytes of a code, where all of them have as many.
    pub(super) code_length: Option<usize>,
}

/// The parts of the table that matter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    /// The digits between `<` and `>`.
    Hex(&'a [u8]),
    Open,
    Close,
    Word(&'a [u8]),
}

impl ToUnicode {
    /// Reads the table; one without any entry is none.
    pub(super) fn read(stream: &[u8]) -> Option<ToUnicode> {
        let mut table = ToUnicode::default();
        let mut lengths: Vec<usize> = Vec::new();
        let mut section: Vec<Token<'_>> = Vec::new();
        for token in tokens(stream) {
            match token {
                Token::Word(b"begincodespacerange" | b"beginbfchar" | b"beginbfrange") => section.clear(),
                Token::Word(b"endcodespacerange") => lengths.extend(section.drain(..).filter_map(length)),
                Token::Word(b"endbfchar") => table.characters(&section),
                Token::Word(b"endbfrange") => table.ranges(&section),
                Token::Word(_) => {}
                token => section.push(token),
            }
        }
        lengths.dedup();
        table.code_length = if let [length @ 1..=4] = lengths[..] { Some(length) } else { None };
        (!table.texts.is_empty()).then_some(table)
    }

    pub(super) fn get(&self, code: u32) -> Option<&str> {
        self.texts.get(&code).map(String::as_str)
    }

    fn insert(&mut self, code: u32, text: Option<String>) {
        if let Some(text) = text.filter(|_| self.texts.len() < MAX_ENTRIES) {
            self.texts.insert(code, text);
        }
    }

    /// `<code> <text>`, again and again.
    fn characters(&mut self, section: &[Token<'_>]) {
        for pair in section.chunks_exact(2) {
            if let [Token::Hex(code), Token::Hex(text)] = *pair
                && let Some(code) = number(code)
            {
                self.insert(code, string(&units(text)));
            }
        }
    }

    /// `<first> <last> <text of the first>` or `<first> <last> [<text> <text> …]`, again and again.
    fn ranges(&mut self, section: &[Token<'_>]) {
        let mut rest = section;
        while let [Token::Hex(first), Token::Hex(last), target, tail @ ..] = rest {
            let (Some(first), Some(last)) = (number(first), number(last)) else { return };
            rest = tail;
            // No range of more codes than a font can have.
            let codes = first..=last.min(first.saturating_add(0xFFFF));
            match *target {
                Token::Hex(text) => {
                    let start = units(text);
                    for (offset, code) in codes.enumerate() {
                        let mut units = start.clone();
                        if let Some(unit) = units.last_mut() {
                            *unit = unit.wrapping_add(offset as u16);
                        }
                        self.insert(code, string(&units));
                    }
                }
                Token::Open => {
                    let end = tail.iter().position(|token| *token == Token::Close).unwrap_or(tail.len());
                    for (code, token) in codes.zip(&tail[..end]) {
                        if let Token::Hex(text) = token {
                            self.insert(code, string(&units(text)));
                        }
                    }
                    rest = tail.get(end + 1..).unwrap_or_default();
                }
                _ => return,
            }
        }
    }
}

fn tokens(stream: &[u8]) -> impl Iterator<Item = Token<'_>> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        loop {
            let (first, tail) = rest.split_first()?;
            match first {
                b'%' => {
                    rest = &tail[tail.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(tail.len())..]
                }
                b'<' if tail.first() == Some(&b'<') => rest = &tail[1..],
                b'<' => {
                    let end = tail.iter().position(|byte| *byte == b'>').unwrap_or(tail.len());
                    let hex = &tail[..end];
                    rest = tail.get(end + 1..).unwrap_or_default();
                    return Some(Token::Hex(hex));
                }
                b'[' | b']' => {
                    rest = tail;
                    return Some(if *first == b'[' { Token::Open } else { Token::Close });
                }
                byte if byte.is_ascii_alphanumeric() => {
                    let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
                    let word = &rest[..end];
                    rest = &rest[end..];
                    return Some(Token::Word(word));
                }
                _ => rest = tail,
            }
        }
    })
}

fn digits(hex: &[u8]) -> Vec<u32> {
    hex.iter().filter_map(|byte| char::from(*byte).to_digit(16)).collect()
}

fn length(token: Token<'_>) -> Option<usize> {
    if let Token::Hex(hex) = token { Some(digits(hex).len().div_ceil(2)) } else { None }
}

fn number(hex: &[u8]) -> Option<u32> {
    let digits = digits(hex);
    (1..=8).contains(&digits.len()).then(|| digits.iter().fold(0, |number, digit| number << 4 | digit))
}

/// UTF-16, four digits to the unit; a lone pair of digits is a unit, too.
fn units(hex: &[u8]) -> Vec<u16> {
    let digits = digits(hex);
    digits.chunks(4).map(|unit| unit.iter().fold(0, |number, digit| number << 4 | *digit as u16)).collect()
}

fn string(units: &[u16]) -> Option<String> {
    String::from_utf16(units).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ToUnicode {
        ToUnicode::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn characters_ranges_and_lists_are_read_in_any_layout() {
        let table = read(
            "1 begincodespacerange<0000><ffff>endcodespacerange % a comment <0009>\n2 beginbfchar <01><0048>\r\n<0002> <00660069> endbfchar \
             2 beginbfrange <0003> <0005> <0061>\n<0010> <0011> [<0058> <D83DDE00>] endbfrange",
        );
        let texts: Vec<Option<&str>> = [1, 2, 3, 5, 6, 0x10, 0x11].iter().map(|code| table.get(*code)).collect();
        assert_eq!(texts, [Some("H"), Some("fi"), Some("a"), Some("c"), None, Some("X"), Some("😀")]);
        assert_eq!(table.code_length, Some(2));
    }

    #[test]
    fn codes_of_several_lengths_have_no_one_length() {
        let table =
            read("begincodespacerange <00> <7F> <8000> <FFFF> endcodespacerange beginbfchar <01> <0041> endbfchar");
        assert_eq!(table.code_length, None);
    }

    #[test]
    fn a_range_without_end_is_cut() {
        let table = read("beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange");
        assert_eq!(table.get(1), Some("B"));
        assert!(table.texts.len() <= 0x1_0000);
    }

    #[test]
    fn what_is_no_table_is_none() {
        for text in
            ["", "beginbfchar endbfchar", "beginbfchar <01> <D800> endbfchar", "beginbfrange <01> <02", "<<<>>>[[]]"]
        {
            assert_eq!(ToUnicode::read(text.as_bytes()), None, "{text}");
        }
    }
}
