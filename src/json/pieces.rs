//! Decoding of a large text while it comes, value by value: in the time of a slice, and without the text in memory.
//!
//! `serde_json::from_reader` looks at every byte by itself. Here a window of the text is decoded as a slice; a value that
//! the window does not hold whole is begun again when more has come.

use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Mismatch, decode_value, explain, offset};

/// How much is read at once, in bytes.
pub(crate) const WINDOW: usize = 512 << 10;
/// How much of a large text is kept, in bytes: what errors show of it, and more.
const KEPT: usize = 8 << 10;

/// What can be put together from the values of its text.
pub(crate) trait Piecewise: DeserializeOwned {
    /// Takes itself, an object.
    fn take(pieces: &mut Pieces<'_>) -> Result<Self, Trouble>;
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The text could not be read to its end.
    Reading(io::Error),
    /// It is not what was expected.
    Mismatch(Mismatch),
}

impl Trouble {
    fn mismatch(message: &str) -> Self {
        Self::Mismatch(Mismatch { path: "$".to_owned(), message: message.to_owned(), broken: true })
    }

    /// The same, of a value that stands at `place` (`key` or `[index]`) of another.
    pub(crate) fn within(self, place: &str) -> Self {
        let Self::Mismatch(mut mismatch) = self else { return self };
        mismatch.path = match mismatch.path.as_str() {
            "$" => place.to_owned(),
            inner if inner.starts_with('[') => format!("{place}{inner}"),
            inner => format!("{place}.{inner}"),
        };
        Self::Mismatch(mismatch)
    }
}

/// A text that was read: all of a small one; the beginning of a large one, with what it was put together to.
pub(crate) type ReadText<T> = (Vec<u8>, Option<Result<T, Mismatch>>);

/// Reads a text. It is a large one if it has a window's size or more.
pub(crate) fn read<T: Piecewise>(source: &mut dyn Read, announced: u64, window: usize) -> io::Result<ReadText<T>> {
    let mut text = Vec::with_capacity(usize::try_from(announced).unwrap_or(window).min(window));
    (&mut *source).take(window as u64).read_to_end(&mut text)?;
    if text.len() < window {
        return Ok((text, None));
    }
    let kept = text[..text.len().min(KEPT)].to_vec();
    let whole = Pieces::begun(text, source).and_then(|mut pieces| {
        let value = match pieces.peek()? {
            Some(b'{') => T::take(&mut pieces)?,
            _ => pieces.value()?,
        };
        pieces.end()?;
        Ok(value)
    });
    match whole {
        Ok(value) => Ok((kept, Some(Ok(value)))),
        Err(Trouble::Mismatch(mismatch)) => Ok((kept, Some(Err(mismatch)))),
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
    size: usize,
}

impl<'a> Pieces<'a> {
    /// A text of which this much was read, and the rest comes from a source.
    fn begun(beginning: Vec<u8>, source: &'a mut dyn Read) -> Result<Self, Trouble> {
        let size = beginning.len().max(1);
        let mut pieces = Self { source, window: String::new(), at: 0, cut: Vec::new(), ended: false, size };
        pieces.look_at(beginning)?;
        Ok(pieces)
    }

    /// Reads on: a window more, or as much again as a value that is larger than a window.
    fn read(&mut self) -> Result<(), Trouble> {
        let mut bytes = std::mem::take(&mut self.window).into_bytes();
        bytes.drain(..std::mem::take(&mut self.at));
        let more = self.size.max(bytes.len());
        bytes.append(&mut self.cut);
        bytes.reserve(more);
        let read = (&mut *self.source).take(more as u64).read_to_end(&mut bytes).map_err(Trouble::Reading)?;
        self.ended = read < more;
        self.look_at(bytes)
    }

    /// Makes these bytes the window.
    fn look_at(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
        self.window = match String::from_utf8(bytes) {
            Ok(window) => window,
            Err(error) => {
                let (whole, wrong) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len());
                if self.ended || wrong.is_some() {
                    return Err(Trouble::mismatch("invalid unicode code point"));
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
            false if self.peek()?.is_none() => Err(Trouble::mismatch("the text was cut")),
            false => Err(Trouble::mismatch(&format!("expected `{}`", char::from(byte)))),
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
                    return Err(Trouble::Mismatch(explain(text.as_bytes(), &error)));
                }
                None if self.ended => return Err(Trouble::mismatch("the text was cut")),
                _ => self.read()?,
            }
        }
    }

    /// Takes a list, an item after the other.
    pub(crate) fn list<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, Trouble> {
        let mut items = Vec::new();
        self.must_take(b'[')?;
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
            Some(_) => Err(Trouble::mismatch("trailing characters")),
        }
    }
}

/// Reads what is left of an object from which some fields were taken.
pub(crate) fn rest<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Trouble> {
    decode_value(&Value::Object(fields)).map_err(Trouble::Mismatch)
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

    impl Piecewise for Shelf {
        fn take(pieces: &mut Pieces<'_>) -> Result<Self, Trouble> {
            let mut books = None;
            let others = pieces.object(&mut |key, pieces| {
                let are_books = key == "books" && pieces.peek()? == Some(b'[');
                if are_books {
                    books = Some(pieces.list()?);
                }
                Ok(are_books)
            })?;
            let shelf: Self = rest(others)?;
            Ok(Self { books: books.unwrap_or(shelf.books), ..shelf })
        }
    }

    fn taken(text: &[u8], window: usize) -> Result<Shelf, Mismatch> {
        let mut source = Trickle(text, 1 + window / 3);
        let (kept, value) = read(&mut source, 0, window).unwrap();
        assert_eq!(kept, &text[..kept.len()]);
        value.unwrap_or_else(|| super::super::decode(&kept))
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
        assert_eq!(read::<Shelf>(&mut source, 0, 8).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}
