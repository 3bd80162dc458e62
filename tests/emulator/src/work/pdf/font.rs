//! A PDF font as far as reading needs it: which text a code stands for and how wide it is.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Object};

use super::cmap::ToUnicode;
use super::number;

pub(super) struct Font {
    /// One byte per code, or two.
    code_length: usize,
    /// The file's own table from codes to Unicode.
    to_unicode: Option<ToUnicode>,
    /// By single byte, when there is no such table or nothing in it.
    by_byte: Vec<String>,
    /// In parts of the type's size.
    widths: HashMap<u32, f64>,
    other_width: f64,
    /// The font gives no widths: one of the 14 that every reader knows.
    standard: Option<Standard>,
    pub(super) bold: bool,
}

#[derive(Clone, Copy)]
enum Standard {
    Fixed,
    Proportional,
}

impl Font {
    pub(super) fn of(font: &Dictionary, pdf: &Document, limit: usize) -> Font {
        let composite = matches!(font.get(b"Subtype").and_then(Object::as_name), Ok(b"Type0"));
        let name = font.get_deref(b"BaseFont", pdf).and_then(Object::as_name).unwrap_or_default();
        let name = String::from_utf8_lossy(name).to_lowercase();
        let mut read = Font {
            code_length: if composite { 2 } else { 1 },
            to_unicode: to_unicode(font, pdf, limit),
            by_byte: if composite { Vec::new() } else { by_byte(font, pdf, limit) },
            widths: HashMap::new(),
            other_width: 0.0,
            standard: None,
            bold: ["bold", "black", "heavy", "semibold", "demi"].iter().any(|word| name.contains(word)),
        };
        if composite {
            let stated = read.to_unicode.as_ref().and_then(|table| table.code_length);
            read.code_length = stated.unwrap_or(read.code_length);
            read.composite_widths(font, pdf);
        } else {
            read.simple_widths(font, pdf, &name);
        }
        read
    }

    fn simple_widths(&mut self, font: &Dictionary, pdf: &Document, name: &str) {
        let Ok(widths) = font.get_deref(b"Widths", pdf).and_then(Object::as_array) else {
            self.standard = Some(if name.contains("courier") { Standard::Fixed } else { Standard::Proportional });
            return;
        };
        // A Type 3 font says itself how large its units are.
        let unit = font.get_deref(b"FontMatrix", pdf).and_then(Object::as_array).ok();
        let unit = unit.and_then(|matrix| number(matrix.first()?)).unwrap_or(0.001);
        let first = font.get_deref(b"FirstChar", pdf).ok().and_then(number).unwrap_or(0.0) as u32;
        let width = |object: &Object| number(pdf.dereference(object).ok()?.1);
        let descriptor = font.get_deref(b"FontDescriptor", pdf).and_then(Object::as_dict).ok();
        let missing = descriptor.and_then(|descriptor| width(descriptor.get(b"MissingWidth").ok()?));
        self.other_width = missing.unwrap_or(0.0) * unit;
        let codes = widths.iter().take(256).zip(first..);
        self.widths = codes.filter_map(|(object, code)| Some((code, width(object)? * unit))).collect();
    }

    /// `/W` holds runs: `first [w w w]` or `first last w`.
    fn composite_widths(&mut self, font: &Dictionary, pdf: &Document) {
        let descendant = || {
            let array = font.get_deref(b"DescendantFonts", pdf).ok()?.as_array().ok()?;
            pdf.dereference(array.first()?).ok()?.1.as_dict().ok()
        };
        let descendant: Option<&Dictionary> = descendant();
        let default = descendant.and_then(|font| number(font.get_deref(b"DW", pdf).ok()?));
        self.other_width = default.unwrap_or(1000.0) / 1000.0;
        let runs = descendant.and_then(|font| font.get_deref(b"W", pdf).ok()?.as_array().ok());
        let mut rest = runs.map_or(&[][..], |runs| runs.as_slice());
        let resolve = |object: &'_ Object| pdf.dereference(object).ok().map(|(_, object)| object.clone());
        while let [first, second, tail @ ..] = rest {
            let Some(start) = resolve(first).as_ref().and_then(number) else { break };
            let start = start.clamp(0.0, 65_535.0) as u32;
            match resolve(second) {
                Some(Object::Array(widths)) => {
                    let widths = widths.iter().filter_map(|width| number(&resolve(width)?));
                    self.widths.extend((start..=65_535).zip(widths).map(|(code, width)| (code, width / 1000.0)));
                    rest = tail;
                }
                Some(last) => {
                    let Some((width, tail)) = tail.split_first() else { break };
                    let last = number(&last).unwrap_or(0.0).clamp(0.0, 65_535.0) as u32;
                    if let Some(width) = resolve(width).as_ref().and_then(number) {
                        self.widths.extend((start..=last).map(|code| (code, width / 1000.0)));
                    }
                    rest = tail;
                }
                None => break,
            }
        }
    }

    /// The codes of a string that is shown.
    pub(super) fn codes<'b>(&self, bytes: &'b [u8]) -> std::slice::Chunks<'b, u8> {
        bytes.chunks(self.code_length)
    }

    pub(super) fn width(&self, code: &[u8]) -> f64 {
        match self.standard {
            Some(Standard::Fixed) => 0.6,
            Some(Standard::Proportional) => self.text(code).chars().map(usual_width).sum(),
            None => self.widths.get(&value(code)).copied().unwrap_or(self.other_width),
        }
    }

    /// The text of a code; empty when the file does not tell.
    pub(super) fn text(&self, code: &[u8]) -> String {
        let code = value(code);
        let text = self.to_unicode.as_ref().and_then(|map| map.get(code)).map(str::to_owned);
        let text = text.or_else(|| self.by_byte.get(usize::try_from(code).ok()?).cloned());
        spell_out(text.unwrap_or_default())
    }
}

fn value(code: &[u8]) -> u32 {
    code.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn to_unicode(font: &Dictionary, pdf: &Document, limit: usize) -> Option<ToUnicode> {
    let stream = font.get_deref(b"ToUnicode", pdf).ok()?.as_stream().ok()?;
    ToUnicode::read(&stream.get_plain_content_with_limit(limit).ok()?)
}

fn by_byte(font: &Dictionary, pdf: &Document, limit: usize) -> Vec<String> {
    let mut alone = font.clone();
    alone.remove(b"ToUnicode");
    alone.set("Type", Object::Name(b"Font".to_vec()));
    let Ok(encoding) = alone.get_font_encoding_with_limit(pdf, limit) else { return Vec::new() };
    (0..=u8::MAX).map(|byte| encoding.bytes_to_string(&[byte]).unwrap_or_default()).collect()
}

/// Ligatures are drawn as one character and read as several.
fn spell_out(text: String) -> String {
    const LIGATURES: [(char, &str); 7] = [
        ('\u{FB00}', "ff"),
        ('\u{FB01}', "fi"),
        ('\u{FB02}', "fl"),
        ('\u{FB03}', "ffi"),
        ('\u{FB04}', "ffl"),
        ('\u{FB05}', "st"),
        ('\u{FB06}', "st"),
    ];
    let mut read = String::with_capacity(text.len());
    for c in text.chars() {
        match LIGATURES.iter().find(|(ligature, _)| *ligature == c) {
            Some((_, letters)) => read.push_str(letters),
            None if c == '\u{AD}' => read.push('-'),
            None if c.is_control() || c == '\u{A0}' => read.push(' '),
            None => read.push(c),
        }
    }
    read
}

/// How wide a letter of a common text face is, near enough to keep words and columns apart.
fn usual_width(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' => 0.22,
        ' ' | 'f' | 't' | 'r' | 'I' | '.' | ',' | ':' | ';' | '!' | '/' | '(' | ')' | '[' | ']' | '-' => 0.3,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 0.5,
        'm' | 'M' => 0.83,
        'W' | '@' | '%' => 0.92,
        'w' | 'C' | 'D' | 'G' | 'H' | 'N' | 'O' | 'Q' | 'R' | 'U' => 0.73,
        c if c.is_uppercase() => 0.65,
        _ => 0.55,
    }
}
