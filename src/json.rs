//! Decoding that can say where it failed: the JSON path of an error, found only when there is one.

pub(crate) mod pieces;

use serde_core::Serialize;
use serde_core::de::{DeserializeOwned, IgnoredAny};

/// How many values within one another are read at the most, as serde_json has it.
const DEEPEST: usize = 128;

/// Why a text is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Where, e.g. `data[2].status`; `$` is the whole.
    pub(crate) path: String,
    /// What was wrong there, without the position.
    pub(crate) message: String,
    /// Whether the text is not JSON at all, or was cut: nothing about its shape is known then.
    pub(crate) broken: bool,
}

impl Mismatch {
    /// Something that was expected is not there, or is something else.
    pub(crate) fn at(place: &str, message: &str) -> Self {
        Self { path: place.to_owned(), message: message.to_owned(), broken: false }
    }

    /// It is not JSON.
    fn broken(message: &str) -> Self {
        Self { broken: true, ..Self::at("$", message) }
    }

    /// The same, of a value that stands at `place` (`key` or `[index]`) of another.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.path = match self.path.as_str() {
            "$" => place.to_owned(),
            inner if inner.starts_with('[') => format!("{place}{inner}"),
            inner => format!("{place}.{inner}"),
        };
        self
    }
}

/// Reads a value from JSON text.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, Mismatch> {
    mending(text, parse)
}

/// Reads an object that comes bare or inside `{data}`.
pub(crate) fn decode_data<T: DeserializeOwned>(text: &[u8]) -> Result<T, Mismatch> {
    mending(text, |text| match data(text) {
        None => parse(text),
        Some(inner) => parse(inner).or_else(|mismatch| parse(text).map_err(|_| mismatch.within("data"))),
    })
}

/// Reads a text, and if that cannot be done for half a character in it, without that.
fn mending<T>(text: &[u8], read: impl Fn(&str) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
    let text = valid(text)?;
    let outcome = read(text);
    match outcome.as_ref().err().and_then(|mismatch| mended(text, mismatch)) {
        Some(text) => read(&text),
        None => outcome,
    }
}

/// The text without half characters, if they may be why it cannot be read.
fn mended(text: &str, mismatch: &Mismatch) -> Option<String> {
    if !mismatch.broken {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    mend(&mut bytes, true).then(|| String::from_utf8(bytes).ok()).flatten()
}

/// Writes U+FFFD over escapes of half a character (`\ud83d` alone), which JSON allows and a `String` does not: whoever cuts
/// a text in UTF-16 makes such. Says whether there were any. `whole` says that no more of the text follows.
fn mend(text: &mut [u8], whole: bool) -> bool {
    let escaped = |text: &[u8], at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let is_low = |unit: u16| (0xdc00..=0xdfff).contains(&unit);
    let (mut at, mut mended) = (0, false);
    while at < text.len() {
        at += match escaped(text, at) {
            Some(0xd800..=0xdbff) if escaped(text, at + 6).is_some_and(is_low) => 12,
            // What follows decides.
            Some(0xd800..=0xdbff)
                if !whole && matches!(text[at + 6..], [] | [b'\\'] | [b'\\', b'u', ..] if text.len() < at + 12) =>
            {
                break;
            }
            Some(unit) if is_low(unit) || (0xd800..=0xdbff).contains(&unit) => {
                text[at + 2..at + 6].copy_from_slice(b"fffd");
                mended = true;
                6
            }
            _ if text[at] == b'\\' => 2,
            _ => 1,
        };
    }
    mended
}

/// The id in a field of an object, bare or inside `{data}`, whatever else it holds.
pub(crate) fn id(text: &[u8], field: &str) -> Option<String> {
    let value: serde_json::Value = decode(text).ok()?;
    match value.get("data").and_then(|data| data.get(field)).or(value.get(field))? {
        serde_json::Value::String(id) => Some(id.clone()),
        serde_json::Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Mismatch> {
    serde_json::from_str(text).map_err(|error| explain(text.as_bytes(), &error))
}

/// Text, if it is. One that was found valid as a whole costs less than one whose strings are looked at one by one.
fn valid(text: &[u8]) -> Result<&str, Mismatch> {
    std::str::from_utf8(text).map_err(|error| Mismatch {
        path: path_at(text, error.valid_up_to()),
        ..Mismatch::broken("invalid unicode code point")
    })
}

/// The object in the field `data` of an object.
fn data(text: &str) -> Option<&str> {
    // Most objects that come bare have no such field, and need not be looked through.
    if !text.contains("\"data\"") {
        return None;
    }
    let (mut rest, mut found) = (text.trim_start().strip_prefix('{')?, None);
    loop {
        let key: String = skip(&mut rest)?;
        rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let value = rest;
        skip::<IgnoredAny>(&mut rest)?;
        if key == "data" {
            found = value.get(..value.len() - rest.len()).filter(|value| value.starts_with('{'));
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            // Of a text that was cut nothing is taken.
            None => return found.filter(|_| rest.trim_end() == "}"),
        }
    }
}

/// Goes over a value.
fn skip<T: DeserializeOwned>(text: &mut &str) -> Option<T> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    *text = text.get(values.byte_offset()..)?;
    Some(value)
}

/// Reads a value from a JSON value. On failure the value is written out and read again, to learn where.
pub(crate) fn decode_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, Mismatch> {
    T::deserialize(value).map_err(|error| {
        let text = encode(value);
        match decode::<T>(&text) {
            Err(mismatch) => mismatch,
            Ok(_) => Mismatch::at("$", &error.to_string()),
        }
    })
}

/// Writes a value as JSON text. What this crate writes has string keys only, so that this cannot fail.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn explain(text: &[u8], error: &serde_json::Error) -> Mismatch {
    let full = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    Mismatch {
        path: path_at(text, offset(text, error.line(), error.column())),
        message: full.strip_suffix(&position).unwrap_or(&full).to_owned(),
        broken: !error.is_data() && !unreadable(&full),
    }
}

/// Whether it is JSON, but beyond what is read: a number larger than any `f64`, or a value in 128 others.
fn unreadable(message: &str) -> bool {
    ["number out of range", "recursion limit exceeded"].iter().any(|beyond| message.starts_with(beyond))
}

/// The byte that a line and a column (both from 1) point behind.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        None => 0,
        Some(skip) => {
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(skip).map_or(text.len(), |(at, _)| at + 1)
        }
    };
    start.saturating_add(column).min(text.len())
}

/// The path of the value that ends at, or is open at, byte `end`.
fn path_at(text: &[u8], end: usize) -> String {
    enum Level {
        Object { key: String, value: bool },
        List(usize),
    }
    let mut levels: Vec<Level> = Vec::new();
    // A closed value stays in the path until the next token: errors of missing fields are raised at its end.
    let mut at = 0;
    while at < end {
        match text[at] {
            b'"' => {
                let start = at + 1;
                at = start;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Level::Object { key, value: false }) = levels.last_mut() {
                    *key = String::from_utf8_lossy(&text[start..at.min(text.len())]).into_owned();
                }
            }
            b':' => {
                if let Some(Level::Object { value, .. }) = levels.last_mut() {
                    *value = true;
                }
            }
            b',' => match levels.last_mut() {
                Some(Level::Object { key, value }) => {
                    *value = false;
                    key.clear();
                }
                Some(Level::List(index)) => *index += 1,
                None => {}
            },
            // Nobody reads deeper, and brackets cost a server nothing.
            b'{' | b'[' if levels.len() == DEEPEST => break,
            b'{' => levels.push(Level::Object { key: String::new(), value: false }),
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' if at + 1 < end => {
                levels.pop();
            }
            b'}' | b']' => {
                levels.pop();
                break;
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object { key, .. } if key.is_empty() => {}
            Level::Object { key, .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&key);
            }
            Level::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    if path.is_empty() { "$".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Item {
        id: String,
        size: Option<u64>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Page {
        data: Vec<Item>,
    }

    fn path(text: &str) -> String {
        decode::<Page>(text.as_bytes()).unwrap_err().path
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        assert_eq!(path(r#"{"data": [{"id": "a"}, {"id": 7}]}"#), "data[1].id");
        assert_eq!(path(r#"{"data": [{"id": "a", "size": "big"}]}"#), "data[0].size");
        assert_eq!(path("{\n \"data\": [\n {\"id\": \"a,]}\\\"\",\n \"size\": -1}\n]}"), "data[0].size");
        assert_eq!(path(r#"{"x": {"y": [1]}, "data": 7}"#), "data");
        assert_eq!(path("7"), "$");
    }

    #[test]
    fn a_missing_field_is_named_with_the_object_that_lacks_it() {
        let error = decode::<Page>(br#"{"data": [{"id": "a"}, {"size": 1}]}"#).unwrap_err();
        assert_eq!((error.path.as_str(), error.message.as_str()), ("data[1]", "missing field `id`"));
        assert!(!error.broken);
    }

    #[test]
    fn a_text_that_was_cut_is_broken() {
        let error = decode::<Page>(br#"{"data": [{"id": "a"#).unwrap_err();
        assert!(error.broken);
        assert_eq!(error.path, "data[0].id");
        assert!(decode::<Page>(b"").unwrap_err().broken);
        assert!(decode::<Page>(b"<html>").unwrap_err().broken);
        let error = decode::<Page>(b"{\"data\": [{\"id\": \"a\xff\"}]}").unwrap_err();
        assert!(error.broken);
        assert_eq!(error.path, "data[0].id");
    }

    #[test]
    fn a_value_tells_its_path_as_a_text_does() {
        let value = serde_json::json!({"data": [{"id": "a"}, {"id": null}]});
        assert_eq!(decode_value::<Page>(&value).unwrap_err().path, "data[1].id");
    }

    #[test]
    fn an_object_is_read_bare_or_inside_data_whatever_stands_beside() {
        let read = |text: &str| decode_data::<Item>(text.as_bytes()).map(|item| item.id);
        assert_eq!(read(r#"{"id": "a"}"#).unwrap(), "a");
        assert_eq!(read(r#" { "data" : {"id": "a"} } "#).unwrap(), "a");
        assert_eq!(read(r#"{"id": "request", "more": [1, {"data": 2}], "data": {"id": "a"}, "x": 1}"#).unwrap(), "a");
        assert_eq!(read(r#"{"id": "a", "data": null}"#).unwrap(), "a");
        assert_eq!(read(r#"{"id": "a", "data": {"pages": 3}}"#).unwrap(), "a", "it is the thing's own");
        assert_eq!(read(r#"{"id": "a", "text": "\"data\""}"#).unwrap(), "a");
        assert_eq!(read(r#"{"data": {"id": 7}}"#).unwrap_err().path, "data.id");
        assert_eq!(read(r#"{"data": {"size": 7}}"#).unwrap_err().path, "data");
        assert_eq!(read(r#"{"data": [], "id": 7}"#).unwrap_err().path, "id");
        for cut in 0..r#"{"data": {"id": "a"}}"#.len() {
            assert!(read(&r#"{"data": {"id": "a"}}"#[..cut]).unwrap_err().broken, "{cut}");
        }
    }

    #[test]
    fn half_a_character_is_no_reason_to_lose_the_rest() {
        let read = |text: &str| decode_data::<Item>(text.as_bytes()).map(|item| item.id);
        assert_eq!(read(r#"{"id": "a\ud83d"}"#).unwrap(), "a\u{fffd}");
        assert_eq!(
            read(r#"{"data": {"id": "\uDE00\ud83d\ud83d\ude00\ud83d\\u0041"}}"#).unwrap(),
            "\u{fffd}\u{fffd}😀\u{fffd}\\u0041"
        );
        assert_eq!(read(r#"{"x\udead": ["\ud800\u0041"], "id": "\\ud800"}"#).unwrap(), "\\ud800");
        assert_eq!(id(br#"{"taskId": "t", "note": "\ud83d"}"#, "taskId").unwrap(), "t");
        assert!(read(r#"{"id": "\ud83"}"#).unwrap_err().broken);
        assert!(read(r#"{"id": "\ud83d"#).unwrap_err().broken);
    }

    #[test]
    fn what_is_beyond_reading_is_json_all_the_same() {
        let deep = format!(r#"{{"id": "a", "x": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for text in [r#"{"id": "a", "size": 1e400}"#, &deep] {
            let mismatch = decode::<std::collections::HashMap<String, serde_json::Value>>(text.as_bytes()).unwrap_err();
            assert!(!mismatch.broken, "{mismatch:?}");
        }
        assert!(path_at("[".repeat(1_000_000).as_bytes(), 1_000_000).len() < 1000);
    }

    #[test]
    fn no_text_and_no_offset_panics() {
        let text = br#"{"a\"": [1, {"b": "c\\"}, "\"#;
        for end in 0..=text.len() {
            for start in 0..=end {
                let _ = path_at(&text[start..end], end - start);
                let _ = decode::<Page>(&text[start..end]);
            }
        }
    }
}
