//! Decoding of answers: the value, or where in the text it is wrong.

use serde::Serialize;
use serde::de::{DeserializeOwned, Error};
use serde_json::Value;

use crate::lenient;

/// How many ignored values of one answer are logged.
const MAX_LOGGED: u32 = 8;

/// Why a text is not the expected value.
#[derive(Debug)]
pub(crate) struct DecodeFailure {
    /// Where, e.g. `data[2].status`; `$` is the whole.
    pub(crate) path: String,
    /// Whether the text is not JSON, rather than JSON of another shape.
    pub(crate) malformed: bool,
    pub(crate) source: serde_json::Error,
}

impl DecodeFailure {
    /// An object without its id.
    pub(crate) fn missing_id() -> Self {
        Self::new(None, serde_json::Error::missing_field("id"))
    }

    fn new(path: Option<&serde_path_to_error::Path>, source: serde_json::Error) -> Self {
        let path = path.map(ToString::to_string).filter(|path| path != ".");
        Self { path: path.unwrap_or_else(|| "$".to_owned()), malformed: !source.is_data(), source }
    }
}

/// A text without the byte order mark that some servers write before it.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Decodes a value. A text that is malformed only by lone surrogates is decoded without them.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, DecodeFailure> {
    let text = without_mark(text);
    if text.trim_ascii().is_empty() {
        let source = serde_json::Error::custom("no content");
        return Err(DecodeFailure { malformed: true, ..DecodeFailure::new(None, source) });
    }
    let (value, ignored) = lenient::count_ignored(u32::MAX, || parse(text));
    if ignored > 0 && value.is_ok() && log::log_enabled!(target: "nomic_client", log::Level::Debug) {
        for number in 0..ignored.min(MAX_LOGGED) {
            if let (Some(failure), _) = lenient::count_ignored(number, || failure::<T>(text)) {
                // Not the value: it may be anything.
                log::debug!(target: "nomic_client", "ignored a value of an unexpected type at {}", failure.path);
            }
        }
    }
    value.or_else(|source| match Some(text).filter(|_| source.is_syntax()).and_then(replace_lone_surrogates) {
        Some(text) => decode(&text),
        None => Err(failure::<T>(text).unwrap_or_else(|| DecodeFailure::new(None, source))),
    })
}

/// Decodes an object that comes bare or inside `{"data": …}`.
pub(crate) fn decode_data<T: DeserializeOwned>(text: &[u8]) -> Result<T, DecodeFailure> {
    #[derive(serde::Deserialize)]
    struct Envelope<T> {
        data: T,
    }
    // Most objects have no such field, and a large one takes time to look through.
    let has_envelope = match std::str::from_utf8(text) {
        Ok(text) => text.contains("\"data\""),
        Err(_) => text.windows(6).any(|bytes| bytes == b"\"data\""),
    };
    if !has_envelope {
        return decode(text);
    }
    decode::<Envelope<T>>(text)
        .map(|envelope| envelope.data)
        .or_else(|inside| decode(text).map_err(|bare| if inside.path.starts_with("data") { inside } else { bare }))
}

/// Decodes a value from a JSON value.
pub(crate) fn decode_value<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeFailure> {
    T::deserialize(value).map_err(|source| match serde_path_to_error::deserialize::<_, T>(value) {
        Err(error) => DecodeFailure::new(Some(error.path()), source),
        Ok(_) => DecodeFailure::new(None, source),
    })
}

/// The id in a field of an object, bare or inside `{"data": …}`, even if the text is not valid JSON elsewhere: the id of a
/// job that was paid for must not be lost.
pub(crate) fn id(text: &[u8], field: &str) -> Option<String> {
    let (mut at, mut depth, mut in_data) = (0, 0_usize, false);
    let (mut bare, mut inside) = (None, None);
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = string_end(text, at);
                if let Some(value) = text[end..].trim_ascii_start().strip_prefix(b":") {
                    let name = &text[at..end];
                    if depth == 1 {
                        in_data = name == b"\"data\"" && value.trim_ascii_start().starts_with(b"{");
                    }
                    if name[1..].strip_suffix(b"\"") == Some(field.as_bytes()) {
                        match depth {
                            1 => bare = first_id(value),
                            2 if in_data => inside = first_id(value),
                            _ => {}
                        }
                    }
                }
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    inside.or(bare)
}

/// The end of the string that starts with the quote at `start`, behind its closing quote.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The id that a text begins with.
fn first_id(text: &[u8]) -> Option<String> {
    let value = serde_json::Deserializer::from_slice(text).into_iter::<Value>().next()?.ok()?;
    lenient::id(&value).ok()
}

/// Encodes a value. What this crate encodes has string keys only, so that this cannot fail.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// An object of the fields that are not `null`: the service decides on what is left out.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    // Checking a whole text at once is cheaper than checking each of its strings.
    match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(text),
    }
}

/// Decodes again, to learn where it fails; `None` if the value itself is fine.
fn failure<T: DeserializeOwned>(text: &[u8]) -> Option<DecodeFailure> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let path = error.path().clone();
    Some(DecodeFailure::new(Some(&path), error.into_inner()))
}

/// Replaces escapes of one half of a character (`\ud83d` alone) by U+FFFD: JSON allows them, a `String` does not, and
/// truncating a text in UTF-16 makes them. `None` if there are none.
fn replace_lone_surrogates(text: &[u8]) -> Option<Vec<u8>> {
    let escape = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut replaced = None;
    let mut at = 0;
    while at < text.len() {
        at += match escape(at) {
            Some(0xD800..=0xDBFF) if matches!(escape(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                replaced.get_or_insert_with(|| text.to_vec())[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            _ if text[at] == b'\\' => 2,
            _ => 1,
        };
    }
    replaced
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
        let failure = decode::<Page>(br#"{"data": [{"id": "a"}, {"size": 1}]}"#).unwrap_err();
        assert_eq!(failure.path, "data[1]");
        assert!(failure.source.to_string().starts_with("missing field `id`"), "{failure:?}");
        assert!(!failure.malformed);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let failure = decode::<Page>(br#"{"data": [{"id": "a"#).unwrap_err();
        assert!(failure.malformed);
        assert_eq!(failure.path, "data[0].id");
        for text in [&b""[..], b"<html>", br#"{"data": []} 7"#, br#"{"data": [],}"#, br#"{"data": NaN}"#] {
            assert!(decode::<Page>(text).unwrap_err().malformed, "{}", String::from_utf8_lossy(text));
        }
        let failure = decode::<Page>(b"{\"data\": [{\"id\": \"a\xff\"}]}").unwrap_err();
        assert!(failure.malformed);
        assert_eq!(failure.path, "data[0].id");
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
        assert_eq!(read(r#"{"id": "a", "data": {"pages": 3}}"#).unwrap(), "a", "a field of the object itself");
        assert_eq!(read(r#"{"id": "a", "text": "\"data\""}"#).unwrap(), "a");
        assert_eq!(read(r#"{"data": {"id": 7}}"#).unwrap_err().path, "data.id");
        assert_eq!(read(r#"{"data": {"size": 7}}"#).unwrap_err().path, "data");
        assert_eq!(read(r#"{"data": [], "id": 7}"#).unwrap_err().path, "data");
        assert_eq!(read(r#"{"more": [1, {"data": 2}], "id": 7}"#).unwrap_err().path, "id");
        for end in 0..r#"{"data": {"id": "a"}}"#.len() {
            assert!(read(&r#"{"data": {"id": "a"}}"#[..end]).unwrap_err().malformed, "{end}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_no_reason_to_lose_the_rest() {
        let read = |text: &str| decode_data::<Item>(text.as_bytes()).map(|item| item.id);
        assert_eq!(read(r#"{"id": "a\ud83d"}"#).unwrap(), "a\u{fffd}");
        assert_eq!(
            read(r#"{"data": {"id": "\uDE00\ud83d\ud83d\ude00\ud83d\\u0041"}}"#).unwrap(),
            "\u{fffd}\u{fffd}😀\u{fffd}\\u0041"
        );
        assert_eq!(read(r#"{"x\udead": ["\ud800\u0041"], "id": "\\ud800"}"#).unwrap(), "\\ud800");
        assert_eq!(id(br#"{"taskId": "t", "note": "\ud83d"}"#, "taskId").unwrap(), "t");
        assert!(read(r#"{"id": "\ud83"}"#).unwrap_err().malformed);
        assert!(read(r#"{"id": "\ud83d"#).unwrap_err().malformed);
    }

    #[test]
    fn no_nesting_and_no_number_panics() {
        let deep = format!(r#"{{"id": "a", "x": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        for text in [r#"{"id": "a", "size": 1e400}"#, &deep, &"[".repeat(1_000_000)] {
            assert!(decode::<std::collections::HashMap<String, Value>>(text.as_bytes()).is_err());
        }
        let text = br#"{"a\"": [1, {"b": "c\\"}, "\"#;
        for end in 0..=text.len() {
            for start in 0..=end {
                let _ = decode::<Page>(&text[start..end]);
            }
        }
    }

    #[test]
    fn a_number_keeps_its_last_bit_and_an_integer_beyond_64_bits_becomes_a_float() {
        for text in ["0.9215686321258545", "8128821037267345.0", "-0.0", "5e-324", "18446744073709551615", "-7"] {
            assert_eq!(decode::<Value>(text.as_bytes()).unwrap().to_string(), text);
        }
        let beyond = decode::<Value>(b"18446744073709551617").unwrap();
        assert_eq!(beyond.as_f64(), Some(18_446_744_073_709_551_616.0));
    }
}
