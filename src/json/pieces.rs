//! Decoding of a large text while it comes, value by value: in the time of a slice, and without the text in memory.
//!
//! `serde_json::from_reader` looks at every byte by itself. Here a window of the text is decoded as a slice; a value that
//! the window does not hold whole is begun again when more has come.

use std::io::{self, Read};

use serde_core::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::{Mismatch, explain, mend, offset};

/// How much is read at once, in bytes.
pub(crate) const WINDOW: usize = 512 << 10;
/// How much of the text is kept, in bytes: what errors show of it, and more.
const KEPT: usize = 8 << 10;

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The text could not be read to its end.
    Reading(io::Error),
    /// It is not what was expected.
    Mismatch(Mismatch),
}

impl From<Mismatch> for Trouble {
    fn from(mismatch: Mismatch) -> Self {
        Self::Mismatch(mismatch)
    }
}

impl Trouble {
    fn broken(message: &str) -> Self {
        Self::Mismatch(Mismatch::broken(message))
    }

    /// The same, of a value that stands at `place` of another.
    pub(crate) fn within(self, place: &str) -> Self {
        match self {
            Self::Mismatch(mismatch) => Self::Mismatch(mismatch.within(place)),
            reading => reading,
        }
    }
}

/// What was read: the value, or why there is none; and the beginning of its text.
pub(crate) type Reading<T> = (Result<T, Mismatch>, Vec<u8>);

/// Reads a text of which so much was announced (0 if nothing was), in windows of such a size; `take` takes the object
/// that it is.
pub(crate) fn read<T>(
    source: &mut dyn Read,
    announced: u64,
    window: usize,
    take: impl FnOnce(&mut Pieces<'_>) -> Result<T, Trouble>,
) -> io::Result<Reading<T>> {
    // With a byte more than was announced the end is seen too.
    let all = usize::try_from(announced).ok().filter(|bytes| *bytes > 0).map(|bytes| bytes.saturating_add(1));
    let size = all.unwrap_or(window).min(window).max(1);
    let mut pieces = Pieces { source, window: String::new(), at: 0, cut: Vec::new(), ended: false, size };
    let first = pieces.read();
    pieces.size = window.max(1);
    let kept = pieces.window.as_bytes().iter().chain(&pieces.cut).take(KEPT).copied().collect();
    let value = first.and_then(|()| match pieces.peek()? {
        Some(b'{') => take(&mut pieces),
        _ => pieces.value::<IgnoredAny>().and_then(|_| Err(Mismatch::at("$", "it is no object").into())),
    });
    match value.and_then(|value| pieces.end().map(|()| value)) {
        Ok(value) => Ok((Ok(value), kept)),
        Err(Trouble::Mismatch(mismatch)) => Ok((Err(mismatch), kept)),
        Err(Trouble::Reading(error)) => Err(error),
    }
}

/// A JSON text, from which values are taken one after the other.
pub(crate) struct Pieces<'a> {
    source: &'a mut dyn Read,
    /// What was read; what comes before `at` was taken.
    window: String,
    at: usize,
    /// The beginning of a character whose rest has not come yet.
    cut: Vec<u8>,
    /// Whether the window holds the end of the text.
    ended: bool,
    /// How large the window is, in bytes, if the value that comes next is not larger.
    size: usize,
}

impl Pieces<'_> {
    /// Reads on: fills the window behind what was not taken, or one twice as large if that is most of it.
    fn read(&mut self) -> Result<(), Trouble> {
        // The bytes are kept, to be written over: whoever makes them shorter has to clear them again.
        let mut bytes = std::mem::take(&mut self.window).into_bytes();
        let left = bytes.len() - self.at;
        bytes.copy_within(std::mem::take(&mut self.at).., 0);
        let mut filled = left + self.cut.len();
        let size = if filled > self.size / 2 { filled.saturating_mul(2) } else { self.size };
        bytes.resize(size, 0);
        bytes[left..filled].copy_from_slice(&std::mem::take(&mut self.cut));
        while filled < bytes.len() && !self.ended {
            match self.source.read(&mut bytes[filled..]) {
                Ok(read) => (filled, self.ended) = (filled + read, read == 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Reading(error)),
            }
        }
        bytes.truncate(filled);
        self.look_at(bytes)
    }

    /// Makes these bytes the window.
    fn look_at(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
        self.window = match String::from_utf8(bytes) {
            Ok(window) => window,
            Err(error) => {
                let (whole, wrong) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len());
                if self.ended || wrong.is_some() {
                    self.cut = error.into_bytes();
                    return Err(Trouble::broken("invalid unicode code point"));
                }
                let mut bytes = error.into_bytes();
                self.cut = bytes.split_off(whole);
                // Up to there it was found valid.
                String::from_utf8(bytes).unwrap_or_default()
            }
        };
        Ok(())
    }

    /// The first byte of what comes next, white space apart; `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Trouble> {
        loop {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            match self.window.as_bytes()[self.at..].iter().position(|byte| !blank(byte)) {
                Some(blanks) => {
                    self.at += blanks;
                    return Ok(Some(self.window.as_bytes()[self.at]));
                }
                None if self.ended => return Ok(None),
                None => {
                    self.at = self.window.len();
                    self.read()?;
                }
            }
        }
    }

    /// Takes this byte, if it comes next.
    fn takes(&mut self, byte: u8) -> Result<bool, Trouble> {
        let comes = self.peek()? == Some(byte);
        self.at += usize::from(comes);
        Ok(comes)
    }

    /// Goes over this byte, which has to come next.
    fn must_take(&mut self, byte: u8) -> Result<(), Trouble> {
        match self.takes(byte)? {
            true => Ok(()),
            false if self.peek()?.is_none() => Err(Trouble::broken("the text was cut")),
            false => Err(Trouble::broken(&format!("expected `{}`", char::from(byte)))),
        }
    }

    /// Takes a value that is read in one.
    pub(crate) fn value<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        loop {
            let text = &self.window[self.at..];
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
            let outcome = values.next();
            let end = values.byte_offset();
            match outcome {
                // At the end of the window a number may go on.
                Some(Ok(value)) if end < text.len() || self.ended => {
                    self.at += end;
                    return Ok(value);
                }
                // What is wrong at the end of the window may be right when the rest is there.
                Some(Err(error))
                    if self.ended || offset(text.as_bytes(), error.line(), error.column()) < text.len() =>
                {
                    let mismatch = explain(text.as_bytes(), &error);
                    if !(mismatch.broken && self.mend()) {
                        return Err(Trouble::Mismatch(mismatch));
                    }
                }
                None if self.ended => return Err(Trouble::broken("the text was cut")),
                _ => self.read()?,
            }
        }
    }

    /// Mends half characters in what was not taken.
    fn mend(&mut self) -> bool {
        let mut bytes = std::mem::take(&mut self.window).into_bytes();
        let mended = mend(&mut bytes[self.at..], self.ended);
        // It was text, and is.
        self.window = String::from_utf8(bytes).unwrap_or_default();
        mended
    }

    /// Takes a list, an item after the other; `null` is an empty one.
    pub(crate) fn list<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, Trouble> {
        let mut items = Vec::new();
        match self.peek()? {
            Some(b'n') => return self.value::<()>().map(|()| items),
            Some(b'[') | None => self.must_take(b'[')?,
            Some(_) => {
                self.value::<IgnoredAny>()?;
                return Err(Mismatch::at("$", "it is no list").into());
            }
        }
        if self.takes(b']')? {
            return Ok(items);
        }
        loop {
            items.push(self.value().map_err(|trouble| trouble.within(&format!("[{}]", items.len())))?);
            if !self.takes(b',')? {
                self.must_take(b']')?;
                return Ok(items);
            }
        }
    }

    /// Takes an object, a field after the other: those that `field` takes (it says so), and the others, which it gives.
    pub(crate) fn object(
        &mut self,
        field: &mut dyn FnMut(&str, &mut Self) -> Result<bool, Trouble>,
    ) -> Result<Map<String, Value>, Trouble> {
        let mut others = Map::new();
        self.must_take(b'{')?;
        if self.takes(b'}')? {
            return Ok(others);
        }
        loop {
            let key: String = self.value()?;
            self.must_take(b':')?;
            let mut take = |pieces: &mut Self| match field(&key, pieces)? {
                true => Ok(None),
                false => pieces.value().map(Some),
            };
            if let Some(value) = take(self).map_err(|trouble| trouble.within(&key))? {
                others.insert(key, value);
            }
            if !self.takes(b',')? {
                self.must_take(b'}')?;
                return Ok(others);
            }
        }
    }

    /// Nothing but white space may come any more.
    fn end(&mut self) -> Result<(), Trouble> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(Trouble::broken("trailing characters")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Shelf {
        #[serde(default)]
        books: Vec<Book>,
        #[serde(flatten)]
        others: Map<String, Value>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Book {
        title: String,
        #[serde(default)]
        price: Option<f64>,
    }

    impl Shelf {
        fn take(pieces: &mut Pieces<'_>) -> Result<Self, Trouble> {
            let mut books = None;
            let others = pieces.object(&mut |key, pieces| {
                let are_books = key == "books" && pieces.peek()? == Some(b'[');
                if are_books {
                    books = Some(pieces.list()?);
                }
                Ok(are_books)
            })?;
            let shelf: Self = super::super::decode_value(&Value::Object(others))?;
            Ok(Self { books: books.unwrap_or(shelf.books), ..shelf })
        }
    }

    fn taken(text: &[u8], window: usize) -> Result<Shelf, Mismatch> {
        let (value, kept) = read(&mut Trickle(text, 1 + window / 3), 0, window, Shelf::take).unwrap();
        assert_eq!(kept, &text[..kept.len()]);
        assert!(kept.len() >= window.min(text.len()).min(KEPT), "{}", kept.len());
        value
    }

    const SHELF: &str = r#" { "city" : "Zür\u00edch ⛰" ,"books":[ {"title":"\\\"]},{[","price":-12.5e-1 },
        {"title":"ℵ₀ 🦀","price":null,"pages":[1,[2]]},{"price":-0,"title":""}] , "open":true, "floor":-7,"x":[],"y":{} }  "#;

    #[test]
    fn a_text_is_the_same_value_however_it_is_cut() {
        let whole: Shelf = serde_json::from_str(SHELF).unwrap();
        assert_eq!(whole.books.len(), 3);
        for window in 1..=SHELF.len() + 2 {
            assert_eq!(taken(SHELF.as_bytes(), window).unwrap(), whole, "in windows of {window}");
        }
    }

    #[test]
    fn half_a_character_is_mended_however_the_text_is_cut() {
        let text =
            r#"{"books":[{"title":"\ud83d"},{"title":"\ud83d\ude00\ude00 \ud83d\ud83d\ude00"}],"\udfff":"\\ud83d"}"#;
        for window in 1..=text.len() + 2 {
            let shelf = taken(text.as_bytes(), window).unwrap();
            let titles: Vec<&str> = shelf.books.iter().map(|book| book.title.as_str()).collect();
            assert_eq!(titles, ["\u{fffd}", "😀\u{fffd} \u{fffd}😀"], "in windows of {window}");
            assert_eq!(shelf.others["\u{fffd}"], "\\ud83d", "in windows of {window}");
        }
    }

    #[test]
    fn a_text_that_lacks_its_end_is_broken_however_it_is_cut() {
        for end in 0..SHELF.trim_end().len() {
            for window in [1, 2, 3, 5, 8, 64] {
                let mismatch = taken(&SHELF.as_bytes()[..end], window).unwrap_err();
                assert!(mismatch.broken, "{end} {window} {mismatch:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_as_of_a_whole_text() {
        for (text, path) in [
            (r#"{"books":[{"title":"a"},{"title":7}]}"#, "books[1].title"),
            (r#"{"books":[{"title":"a"},{"price":7}]}"#, "books[1]"),
            (r#"{"books":[{"title":"a","price":[1]}]}"#, "books[0].price"),
            (r#"{"books":7}"#, "books"),
            (r#"{"books":[7]}"#, "books[0]"),
            (r#"{"a":1,}"#, "$"),
            (r#"{"a":1}}"#, "$"),
            (r#"{"a":1 "b":2}"#, "a"),
            (r#"{"a":01}"#, "a"),
            (r#"{"books":[{"title":"a"}{"title":"b"}]}"#, "books"),
            ("[]", "$"),
            ("7", "$"),
        ] {
            let whole = super::super::decode::<Shelf>(text.as_bytes()).unwrap_err();
            for window in 1..text.len() {
                let mismatch = taken(text.as_bytes(), window).unwrap_err();
                assert_eq!(mismatch.broken, whole.broken, "{text} in windows of {window}: {mismatch:?}, {whole:?}");
                if !whole.broken {
                    assert_eq!(mismatch.path, path, "{text} in windows of {window}");
                }
            }
        }
    }

    #[test]
    fn a_text_with_any_fault_is_the_same_in_pieces_as_in_one() {
        let mut text = SHELF.as_bytes().to_vec();
        for at in 0..text.len() {
            for byte in *b"{}[]\",:x0-\\ e\xff" {
                let right = std::mem::replace(&mut text[at], byte);
                let whole = super::super::decode::<Shelf>(&text);
                for window in [1, 3, 17, 100] {
                    let taken = taken(&text, window);
                    let shown = String::from_utf8_lossy(&text);
                    assert_eq!(taken.as_ref().ok(), whole.as_ref().ok(), "{shown} in windows of {window}: {taken:?}");
                }
                text[at] = right;
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_broken() {
        for bad in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xf0\x9f\"}", b"{\"a\":1}\xe2\x82"] {
            for window in 1..bad.len() {
                assert!(taken(bad, window).unwrap_err().broken, "{bad:?} in windows of {window}");
            }
        }
    }

    #[test]
    fn trouble_in_reading_is_told_as_such() {
        let text = &SHELF.as_bytes()[..40];
        let mut source = text.chain(Failing);
        assert_eq!(read(&mut source, 0, 8, Shelf::take).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}
